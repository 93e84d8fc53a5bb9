//! The stylesheet, the scripts and the picture: in the binary, under names that change with what is in them, so that browsers keep them for ever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

const FOR_EVER: &str = "public, max-age=31536000, immutable";

struct Asset {
    kind: &'static str,
    content: &'static str,
    /// Where it is: with the beginning of its hash.
    path: LazyLock<String>,
}

/// An asset, from the folder beside this file.
macro_rules! asset {
    ($kind:literal, $name:literal) => {
        Asset {
            kind: $kind,
            content: include_str!(concat!("assets/", $name)),
            path: LazyLock::new(|| named($name, include_str!(concat!("assets/", $name)))),
        }
    };
}

static STYLE: Asset = asset!("text/css; charset=utf-8", "daypass.css");
static ICON: Asset = asset!("image/svg+xml", "icon.svg");
/// What makes pages live, and then what is of single pages.
static SCRIPTS: [Asset; 5] = [
    asset!("text/javascript; charset=utf-8", "daypass.js"),
    asset!("text/javascript; charset=utf-8", "keys.js"),
    asset!("text/javascript; charset=utf-8", "palette.js"),
    asset!("text/javascript; charset=utf-8", "policy.js"),
    asset!("text/javascript; charset=utf-8", "replay.js"),
];

fn named(name: &str, content: &str) -> String {
    let hash = hex::encode(Sha256::digest(content));
    format!("/assets/{}-{name}", hash.get(..16).unwrap_or_default())
}

/// Where the stylesheet is.
pub(super) fn style() -> &'static str {
    &STYLE.path
}

/// Where the scripts are.
pub(super) fn scripts() -> impl Iterator<Item = &'static str> {
    SCRIPTS.iter().map(|script| script.path.as_str())
}

/// Where the icon is.
pub(super) fn icon() -> &'static str {
    &ICON.path
}

/// Serves one.
pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let path = format!("/assets/{name}");
    let mut all = [&STYLE, &ICON].into_iter().chain(&SCRIPTS);
    // Under the name of another version there is nothing: it would be kept for ever as that version.
    let found = all.find(|asset| *asset.path == path);
    found.map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        |asset| {
            (
                [(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, FOR_EVER)],
                asset.content,
            )
                .into_response()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_asset_is_served_under_its_own_hash_alone() {
        let name = style().strip_prefix("/assets/").unwrap().to_owned();
        assert_eq!(serve(Path(name.clone())).await.status(), StatusCode::OK);
        let (_, file) = name.split_once('-').unwrap();
        for other in [
            file.to_owned(),
            format!("0000000000000000-{file}"),
            format!("{name}x"),
        ] {
            assert_eq!(
                serve(Path(other.clone())).await.status(),
                StatusCode::NOT_FOUND,
                "{other}"
            );
        }
    }
}

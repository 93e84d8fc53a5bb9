//! The stylesheet, the scripts and the picture: in the binary, under names that change with what is in them, so that browsers keep them for ever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

const FOR_EVER: &str = "public, max-age=31536000, immutable";

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
    /// Where it is: with the beginning of its hash.
    path: LazyLock<String>,
}

/// An asset, from the folder beside this file.
macro_rules! asset {
    ($kind:literal, $name:literal) => {
        Asset {
            name: $name,
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
    let file = name.split_once('-').map(|(_, file)| file);
    let mut all = [&STYLE, &ICON].into_iter().chain(&SCRIPTS);
    let found = all.find(|asset| file == Some(asset.name));
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

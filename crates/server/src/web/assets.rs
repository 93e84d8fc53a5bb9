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
static SCRIPT: Asset = asset!("text/javascript; charset=utf-8", "daypass.js");
static PALETTE: Asset = asset!("text/javascript; charset=utf-8", "palette.js");
static REPLAY: Asset = asset!("text/javascript; charset=utf-8", "replay.js");
static ICON: Asset = asset!("image/svg+xml", "icon.svg");

fn named(name: &str, content: &str) -> String {
    let hash = hex::encode(Sha256::digest(content));
    format!("/assets/{}-{name}", hash.get(..16).unwrap_or_default())
}

/// Where the stylesheet is.
pub(super) fn style() -> &'static str {
    &STYLE.path
}

/// Where the script is that makes pages live.
pub(super) fn script() -> &'static str {
    &SCRIPT.path
}

/// Where the script of the palette is.
pub(super) fn palette() -> &'static str {
    &PALETTE.path
}

/// Where the script is that plays and watches sessions.
pub(super) fn replay() -> &'static str {
    &REPLAY.path
}

/// Where the icon is.
pub(super) fn icon() -> &'static str {
    &ICON.path
}

/// Serves one.
pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let all = [&STYLE, &SCRIPT, &PALETTE, &REPLAY, &ICON];
    let found = all.into_iter().find(|asset| {
        let file = name.split_once('-').map(|(_, file)| file);
        file == Some(asset.name)
    });
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

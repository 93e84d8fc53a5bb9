//! Opens the demo's pages in a browser, where there is one to open.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::place::{self, DATA};

/// What opens things: of a desktop by freedesktop.org, or of macOS.
const OPENER: &str = if cfg!(target_os = "macos") {
    "open"
} else {
    "xdg-open"
};

/// Opens this page where somebody sits before this terminal. What goes wrong is no fault of the demo: the address is printed besides.
///
/// It leads to an address that lets in whoever has it, and what programs are started with all users of a machine can read: so it is handed over
/// in a file that only this one can.
pub(super) fn in_browser(folder: &Path, page: &str) {
    let has_screen = cfg!(target_os = "macos")
        || ["DISPLAY", "WAYLAND_DISPLAY"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    if !std::io::stdout().is_terminal() || !has_screen {
        return;
    }
    let Ok(path) = place::file(folder, "pages.html", page, DATA) else {
        return;
    };
    let mut opener = Command::new(OPENER);
    opener
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Ok(mut opened) = opener.spawn() {
        // It may stay as long as its browser does.
        tokio::spawn(async move { opened.wait().await });
    }
}

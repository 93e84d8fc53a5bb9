//! What the tests of this folder do alike: read a `server.yaml`, and expect it to be refused at a place.

use std::path::Path;

use super::ServerConfig;
use super::diagnostic::ConfigError;

/// Reads a text as `/etc/daypass/server.yaml`.
pub(super) fn parse(text: &str) -> Result<ServerConfig, ConfigError> {
    ServerConfig::parse(Path::new("/etc/daypass/server.yaml"), text)
}

/// Expects a refusal that begins at this line and column and contains these words.
#[track_caller]
pub(super) fn refused(text: &str, at: &str, with: &str) {
    let shown = parse(text).expect_err(text).to_string();
    assert!(
        shown.starts_with(&format!("/etc/daypass/server.yaml:{at}")),
        "{shown}"
    );
    assert!(shown.contains(with), "{shown}");
}

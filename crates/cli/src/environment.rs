//! What the process was started with, read once at the edge.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use secrecy::SecretString;

use crate::output::Streams;

/// The variable by which `daypass ssh` tells what `ssh-config` has ssh ask that it brings a certificate itself.
pub(crate) const SSH_TO: &str = "DAYPASS_SSH_TO";

/// Environment variables and the kind of the three streams.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// `DAYPASS_SERVER`.
    pub(crate) server: Option<String>,
    /// `DAYPASS_TOKEN`.
    pub(crate) token: Option<SecretString>,
    /// `DAYPASS_PROFILE`.
    pub(crate) profile: Option<String>,
    /// `DAYPASS_CA`: a file of certificates to trust besides the system's.
    pub(crate) ca: Option<PathBuf>,
    /// `DAYPASS_LOG_KEY`: a file with the public keys that may have signed the server's log.
    pub(crate) log_key: Option<PathBuf>,
    /// Where profiles are kept.
    pub(crate) config: Option<PathBuf>,
    /// Where the user's own files are.
    pub(crate) home: Option<PathBuf>,
    /// Where short-lived private files belong; a memory file system of this user where there is one.
    pub(crate) runtime: PathBuf,
    /// The name to suggest at a login.
    pub(crate) user: Option<String>,
    /// Where a `daypass ssh` goes that this was started by, with a certificate of its own: USER@HOST.
    pub(crate) ssh_to: Option<String>,
    /// How this program was called.
    pub(crate) called: Option<OsString>,
    /// Where programs are looked for.
    pub(crate) path: OsString,
    /// The streams.
    pub(crate) streams: Streams,
    /// Whether somebody can be asked.
    pub(crate) interactive: bool,
}

impl Environment {
    /// What the process was started with.
    pub(crate) fn read() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let path = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let out_terminal = std::io::stdout().is_terminal();
        let err_terminal = std::io::stderr().is_terminal();
        // Source: https://no-color.org.
        let color = text("NO_COLOR").is_none() && text("TERM").is_none_or(|term| term != "dumb");
        Self {
            server: text("DAYPASS_SERVER"),
            token: text("DAYPASS_TOKEN").map(SecretString::from),
            profile: text("DAYPASS_PROFILE"),
            ca: text("DAYPASS_CA").map(PathBuf::from),
            log_key: text("DAYPASS_LOG_KEY").map(PathBuf::from),
            // Source: XDG Base Directory Specification.
            config: path("XDG_CONFIG_HOME")
                .or_else(|| path("HOME").map(|home| home.join(".config")))
                .map(|config| config.join("daypass")),
            home: path("HOME"),
            runtime: path("XDG_RUNTIME_DIR")
                .filter(|path| path.is_dir())
                .unwrap_or_else(std::env::temp_dir),
            user: text("USER"),
            ssh_to: text(SSH_TO),
            called: std::env::args_os().next(),
            path: std::env::var_os("PATH").unwrap_or_default(),
            streams: Streams {
                out_terminal,
                out_color: out_terminal && color,
                err_terminal,
                err_color: err_terminal && color,
            },
            interactive: std::io::stdin().is_terminal() && err_terminal,
        }
    }
}

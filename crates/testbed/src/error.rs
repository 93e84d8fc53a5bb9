//! What can go wrong while a throwaway service is started, stopped or looked for.

use std::path::PathBuf;
use std::time::Duration;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a throwaway service is not there. The texts are meant for a person at a terminal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No directory holds both `initdb` and `postgres`.
    #[error(
        "PostgreSQL is not installed here (looked in {looked})\n  \
         Try: cargo xtask setup, or set DAYPASS_PG_BINDIR to the directory that holds initdb"
    )]
    NotInstalled {
        /// The places, for a person to read.
        looked: String,
    },
    /// There is no sshd.
    #[error(
        "OpenSSH's server is not installed here (looked in {looked})\n  \
         Try: cargo xtask setup, or set DAYPASS_SSHD to the program"
    )]
    NoSshd {
        /// The places, for a person to read.
        looked: String,
    },
    /// There is no PgBouncer.
    #[error(
        "PgBouncer is not installed here (looked in {looked})\n  \
         Try: cargo xtask bench gateway, which installs it, or set DAYPASS_PGBOUNCER to the program"
    )]
    NoPgBouncer {
        /// The places, for a person to read.
        looked: String,
    },
    /// There is no driver of Chromium.
    #[error(
        "Chromium with its driver is not installed here (looked in {looked})\n  \
         Try: cargo xtask setup, or set DAYPASS_CHROMEDRIVER to the driver"
    )]
    NoBrowser {
        /// The places, for a person to read.
        looked: String,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program that we ran ended with an error.
    #[error("{program} failed ({status}):\n{output}")]
    Program {
        /// Which program.
        program: PathBuf,
        /// Its exit status, as text.
        status: String,
        /// What it printed.
        output: String,
    },
    /// We are root, `initdb` refuses root, and there is nobody to become.
    #[error("initdb refuses to run as root, and /etc/passwd has neither `nobody` nor `postgres`")]
    NobodyToBecome,
    /// No temporary directory can be entered by the unprivileged user that runs the server.
    #[error(
        "the user {user} cannot enter {looked}\n  Try: TMPDIR=/var/tmp (every parent directory needs o+x)"
    )]
    NoPlace {
        /// The unprivileged user.
        user: String,
        /// The directories that were tried.
        looked: String,
    },
    /// The service ended before it was ready.
    #[error("{what} ended ({status}) before it was ready; its log ends with:\n{log}")]
    EndedEarly {
        /// Which service.
        what: &'static str,
        /// Its exit status, as text.
        status: String,
        /// The last lines of its log.
        log: String,
    },
    /// Something that was waited for did not happen.
    #[error("{what} did not happen within {within:?}")]
    TooLate {
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
    },
    /// No free port was found outside the range that the system hands out.
    #[error("no free port on 127.0.0.1 between {from} and {to}")]
    NoPort {
        /// The first port tried.
        from: u16,
        /// One past the last.
        to: u16,
    },
}

/// Names what was being done when the system refused.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Io { what: what(), source })
    }
}

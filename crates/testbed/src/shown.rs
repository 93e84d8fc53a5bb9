//! What a service shows over TLS: a certificate and its key, laid out so that it takes them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use crate::Result;
use crate::error::Doing;
use crate::run_as::RunAs;

/// A certificate and its key, both PEM.
#[derive(Clone)]
pub struct Shown {
    certificate: String,
    key: String,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown(…)")
    }
}

impl Shown {
    /// This certificate, with this key.
    #[must_use]
    pub fn new(certificate: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
        }
    }

    /// Puts `server.crt` and `server.key` into a folder of the user that will run the service.
    pub(crate) fn lay_out(&self, run_as: &RunAs, folder: &Path) -> Result<()> {
        write(run_as, &folder.join("server.crt"), &self.certificate)?;
        write(run_as, &folder.join("server.key"), &self.key)
    }
}

/// Writes a file that its owner alone reads, and gives it to the user that will run the service.
pub(crate) fn write(run_as: &RunAs, to: &Path, text: &str) -> Result<()> {
    let doing = || format!("writing {}", to.display());
    // Nobody else reads it at any moment: it is closed before there is something in it.
    fs::write(to, "").doing(doing)?;
    fs::set_permissions(to, Permissions::from_mode(0o600)).doing(doing)?;
    fs::write(to, text).doing(doing)?;
    match run_as.ids() {
        Some((uid, gid)) => chown(to, Some(uid), Some(gid)).doing(doing),
        None => Ok(()),
    }
}

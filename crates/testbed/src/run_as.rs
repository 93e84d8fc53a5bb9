//! Which user runs the server: ourselves, or somebody unprivileged when we are root, because PostgreSQL refuses root.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::error::Doing;
use crate::{Error, Result};

/// Whom to become, in order. `nobody` first: Debian's own clusters belong to `postgres`, and ours shall not reach them.
const CANDIDATES: [&str; 2] = ["nobody", "postgres"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunAs {
    /// We are not root.
    Ourselves,
    /// We are root and become this user.
    User { name: String, uid: u32, gid: u32 },
}

impl RunAs {
    pub(crate) fn unprivileged() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Ourselves);
        }
        let passwd = std::fs::read_to_string("/etc/passwd").doing(|| "reading /etc/passwd".into())?;
        CANDIDATES
            .iter()
            .find_map(|name| in_passwd(&passwd, name))
            .ok_or(Error::NobodyToBecome)
    }

    pub(crate) fn ids(&self) -> Option<(u32, u32)> {
        match self {
            Self::Ourselves => None,
            Self::User { uid, gid, .. } => Some((*uid, *gid)),
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Ourselves => "that runs this",
            Self::User { name, .. } => name,
        }
    }

    /// A command that runs as this user, in its directory `home`, with nothing of our environment that PostgreSQL reads.
    pub(crate) fn command(&self, program: &Path, home: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(home)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("TZ", "UTC");
        if let Self::User { uid, gid, .. } = self {
            // The standard library also drops our supplementary groups when it changes the user.
            command.uid(*uid).gid(*gid);
        }
        command
    }
}

/// The user `name` in the text of `/etc/passwd` (`name:password:uid:gid:…`, passwd(5)); never uid 0.
fn in_passwd(passwd: &str, name: &str) -> Option<RunAs> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        (uid != 0).then(|| RunAs::User {
            name: name.to_owned(),
            uid,
            gid,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwd_is_read_by_exact_name_and_root_is_never_an_answer() {
        let passwd = "root:x:0:0::/root:/bin/sh\nnobody2:x:7:7::/:\nnobody:x:65534:65533:n:/:/bin/false\npostgres:x:0:0::/:\n";
        assert_eq!(
            in_passwd(passwd, "nobody"),
            Some(RunAs::User {
                name: "nobody".into(),
                uid: 65534,
                gid: 65533
            })
        );
        assert_eq!(in_passwd(passwd, "postgres"), None);
        assert_eq!(in_passwd(passwd, "body"), None);
    }
}

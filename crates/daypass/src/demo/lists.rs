//! A target of kind `command`: a list of logins in a file, which the example program in shell keeps.

use std::path::{Path, PathBuf};

use daypass_policy::Source;

use super::narrator::Narrator;
use super::place::{self, PROGRAM, quoted};
use crate::failure::Failure;

/// The example that the users' page is about.
const PROGRAM_TEXT: &str = include_str!("../../../../examples/command/user-list.sh");
/// What it needs that not every system has. Where Daypass looks for programs is where programs of its own look too.
const LOCKS: [&str; 3] = ["/usr/local/bin/flock", "/usr/bin/flock", "/bin/flock"];

/// The program, and the folder of its lists.
pub(super) struct Lists {
    program: PathBuf,
    lists: PathBuf,
}

impl Lists {
    /// Writes the program and an empty list; `None`, and a line that says why, where it cannot run here.
    pub(super) fn lay_out(narrator: Narrator, folder: &Path) -> Result<Option<Self>, Failure> {
        if !LOCKS.iter().any(|lock| Path::new(lock).is_file()) {
            narrator.line(
                "  flock is not installed here (package util-linux), so the list of users by a program is left out.",
            );
            return Ok(None);
        }
        // Without links on the way: what Daypass runs is looked at from the root down.
        let folder = folder
            .canonicalize()
            .map_err(|error| Failure::error(format!("{}: {error}", folder.display())))?;
        Ok(Some(Self {
            program: place::file(&folder, "user-list", PROGRAM_TEXT, PROGRAM)?,
            lists: place::folder(&folder, "lists")?,
        }))
    }

    /// What the policy says about it.
    pub(super) fn policy() -> Source {
        Source {
            name: "lists.yaml".to_owned(),
            text: include_str!("lists.yaml").to_owned(),
        }
    }

    /// What `server.yaml` says about it.
    pub(super) fn programs(&self) -> String {
        let text = |path: &Path| format!("{:?}", path.display().to_string());
        format!(
            "programs:\n  user-list: {{path: {}, args: [{}]}}\n",
            text(&self.program),
            text(&self.lists)
        )
    }

    /// What shows who is in the list, for the shell.
    pub(super) fn shown_by(&self) -> String {
        format!("cat {}", quoted(&self.lists.join("operators")))
    }
}

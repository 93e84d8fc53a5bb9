//! A tiny program for each person of the demo: this very binary, with the demo's server and the person's session.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;

use super::people::People;
use super::place::{self, PROGRAM, quoted};
use crate::failure::Failure;

/// Where programs are that the people's commands start.
pub(super) struct Tools<'a> {
    /// Ours, before all others.
    pub(super) own: Option<&'a Path>,
    /// The target's, which may not be on `PATH`.
    pub(super) target: Option<&'a Path>,
}

/// Writes them into `bin` below the folder, which only this user can enter, and returns it.
pub(super) fn write(
    folder: &Path,
    people: &People,
    server: &str,
    tools: &Tools<'_>,
) -> Result<PathBuf, Failure> {
    let binary = std::env::current_exe()
        .map_err(|error| Failure::error(format!("where daypass is cannot be told: {error}")))?;
    let bin = place::folder(folder, "bin")?;
    let before = tools.own.map(|own| format!("{}:", quoted(own)));
    let after = tools.target.map(|target| format!(":{}", quoted(target)));
    let path = format!(
        "{}\"$PATH\"{}",
        before.unwrap_or_default(),
        after.unwrap_or_default()
    );
    for (login, session) in people.sessions() {
        let home = folder.join("home").join(login);
        let text = format!(
            "#!/bin/sh\n# daypass, as {login} of the demo.\nPATH={path}\nDAYPASS_SERVER={server}\nDAYPASS_TOKEN={}\n\
             XDG_CONFIG_HOME={}\nexport PATH DAYPASS_SERVER DAYPASS_TOKEN XDG_CONFIG_HOME\n\
             unset DAYPASS_PROFILE DAYPASS_CA\nexec {} \"$@\"\n",
            session.expose_secret(),
            quoted(&home),
            quoted(&binary),
        );
        place::file(&bin, login, &text, PROGRAM)?;
    }
    Ok(bin)
}

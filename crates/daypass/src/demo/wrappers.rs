//! A tiny program for each person of the demo: this very binary, with the demo's server and the person's session.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;

use super::people::People;
use crate::failure::Failure;

/// Writes them into `bin` below the folder, which only this user can enter, and returns it.
pub(super) fn write(
    folder: &Path,
    people: &People,
    server: &str,
    programs: Option<&Path>,
) -> Result<PathBuf, Failure> {
    let cannot =
        |error: std::io::Error| Failure::error(format!("the demo's commands cannot be written: {error}"));
    let binary = std::env::current_exe().map_err(cannot)?;
    let bin = folder.join("bin");
    DirBuilder::new().mode(0o700).create(&bin).map_err(cannot)?;
    for (login, session) in people.sessions() {
        let home = folder.join("home").join(login);
        let path = programs
            .map(|programs| format!("PATH=$PATH:{}\n", quoted(programs)))
            .unwrap_or_default();
        let text = format!(
            "#!/bin/sh\n# daypass, as {login} of the demo.\n{path}DAYPASS_SERVER={server}\nDAYPASS_TOKEN={}\n\
             XDG_CONFIG_HOME={}\nexport PATH DAYPASS_SERVER DAYPASS_TOKEN XDG_CONFIG_HOME\nexec {} \"$@\"\n",
            session.expose_secret(),
            quoted(&home),
            quoted(&binary),
        );
        let mut options = OpenOptions::new();
        let opened = options
            .write(true)
            .create_new(true)
            .mode(0o700)
            .open(bin.join(login));
        opened
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(cannot)?;
    }
    Ok(bin)
}

/// As one word of the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_whatever_it_holds() {
        assert_eq!(quoted(Path::new("/a b/it's")), "'/a b/it'\\''s'");
    }
}

//! `policy fmt`: the usual layout, and nothing but layout.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use daypass_policy::{LeftAlone, Source, layout};

use super::diagnostic;
use super::files::Files;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::count;
use crate::line::{Line, Style};

/// Put the files of a policy into the usual layout.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass policy fmt                      daypass.yaml, policy.yaml and policy/, where they are
  daypass policy fmt policy/db.yaml
  daypass policy fmt --check policy/      changes nothing; ends with 1 where a file is laid out otherwise

Layout only: two spaces for each level, one blank line before each section, none at the ends of lines. Keys keep their order;
comments, quotes and what stands between { and } stay as they are. A file that would say something else afterwards is left alone.")]
pub struct FmtArgs {
    /// Files, or folders of them
    files: Vec<PathBuf>,

    /// Change nothing; name the files that are laid out otherwise
    #[arg(long)]
    check: bool,
}

impl FmtArgs {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let files = Files::read(&self.files)?;
        let (mut changed, mut left) = (0, 0);
        for (path, file) in files.each() {
            let source = Source {
                name: file.name.clone(),
                text: file.text.clone(),
            };
            match layout(&source) {
                Ok(text) if text == file.text => {}
                Ok(text) => {
                    changed += 1;
                    if !self.check {
                        replace(path, &text)?;
                    }
                    context.out.line(&Line::from(path.display().to_string().as_str()));
                }
                Err(LeftAlone::Unreadable(found)) => {
                    left += 1;
                    for one in found.all() {
                        let lines = files.draw(&diagnostic(one));
                        lines.into_iter().for_each(|line| context.out.warn(line));
                    }
                }
                Err(LeftAlone::WouldChange) => {
                    left += 1;
                    context.out.warn(
                        Line::new()
                            .with(Style::Warn, "! ")
                            .with(Style::Strong, path.display().to_string())
                            .text(": left as it is: in the usual layout it would say something else (a text over several lines)"),
                    );
                }
            }
        }
        let what = if self.check {
            "is laid out otherwise"
        } else {
            "was laid out anew"
        };
        if changed > 0 {
            context
                .out
                .note(format!("{} {what}", count(changed, "file")).as_str());
        }
        let bad = left > 0 || (self.check && changed > 0);
        Ok(if bad { Exit::ERROR } else { Exit::DONE })
    }
}

/// Replaces a file as editors do: what a link points to, as a whole or not at all, with the rights that it had.
fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::error(format!("{} cannot be written: {error}", path.display())).hint("the file is as it was")
    };
    let real = path.canonicalize().map_err(failed)?;
    let rights = std::fs::metadata(&real).map_err(failed)?.permissions();
    let folder = real.parent().unwrap_or_else(|| Path::new("."));
    let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    beside.write_all(text.as_bytes()).map_err(failed)?;
    beside.as_file().set_permissions(rights).map_err(failed)?;
    beside.as_file().sync_all().map_err(failed)?;
    beside.persist(&real).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_file_keeps_its_rights_and_a_link_stays_one() {
        let home = tempfile::tempdir().unwrap();
        let (file, link) = (home.path().join("a.yaml"), home.path().join("b.yaml"));
        std::fs::write(&file, "version:   1\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        replace(&link, "version: 1\n").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "version: 1\n");
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            std::fs::read_dir(home.path()).unwrap().count(),
            2,
            "nothing is left beside"
        );
    }
}

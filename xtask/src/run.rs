//! Running other programs, with what they print passed on.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// The cargo that runs us, at the root.
pub(crate) fn cargo<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(args);
    command
}

/// Runs a command to its end; an unsuccessful one is an error that shows how to repeat it.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = shown(command);
    eprintln!("   {shown}");
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("{shown} failed ({status})");
    }
    Ok(())
}

/// Runs a command and returns what it prints.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let shown = shown(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        bail!("{shown} failed ({})", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{shown} printed something that is not text"))
}

/// The command line, for a person: `cargo` by its name, the rest as it is.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = if program.file_stem() == Some(OsStr::new("cargo")) {
        Path::new("cargo")
    } else {
        program
    };
    let args = command.get_args().map(|arg| arg.to_string_lossy().into_owned());
    std::iter::once(name.display().to_string())
        .chain(args)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The user's cache directory of Daypass's development tools.
pub(crate) fn cache_dir() -> anyhow::Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from) {
        Some(dir) if dir.is_absolute() => dir,
        _ => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(cache.join("daypass"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_the_command_to_repeat() {
        let error = run(Command::new("false").arg("-x")).unwrap_err();
        assert!(error.to_string().starts_with("false -x failed"), "{error}");
        assert!(
            output(Command::new("no-such-program-here").arg("y"))
                .unwrap_err()
                .to_string()
                .contains("y")
        );
    }

    #[test]
    fn the_root_is_the_workspace() {
        assert!(root().join("xtask").is_dir() && root().join("LICENSE").is_file());
    }
}

//! Running other programs, with what they print passed on.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::say::human;

/// The root of the workspace: the one that cargo runs us in. The one that we were built in may be another, where clones share what
/// they build.
pub(crate) fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let ours =
            std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        Path::new(&ours).parent().unwrap_or(Path::new(".")).to_owned()
    })
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

/// Runs a command with all that it starts, in a process group of its own; an error where it has not ended within this
/// time: then it is killed with all of the group.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> anyhow::Result<()> {
    let shown = shown(command);
    eprintln!("   {shown}");
    let mut child = command
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot run {shown}"))?;
    let group = Group::of(&child)?;
    let (tell, ended) = channel();
    let waiting = std::thread::spawn(move || {
        // Nobody listens any more where the time was up.
        let _late = tell.send(child.wait());
    });
    let Ok(status) = ended.recv_timeout(limit) else {
        group.kill()?;
        let _reaped = waiting.join();
        bail!("{shown} had not ended after {} and was killed", human(limit));
    };
    group.release();
    let status = status.with_context(|| format!("cannot wait for {shown}"))?;
    if !status.success() {
        bail!("{shown} failed ({status})");
    }
    Ok(())
}

/// The process group of a child. It is killed when this goes, also where this process is killed: Ctrl-C in a terminal
/// reaches only the group that we are in.
struct Group {
    leader: Pid,
    guard: Child,
}

impl Group {
    /// Guards the group that this child leads. The guard waits for a word, and takes the end of its input for our end.
    fn of(leader: &Child) -> anyhow::Result<Self> {
        let leader = Pid::from_child(leader);
        let guard = Command::new("sh")
            .args(["-c", "read released || kill -KILL \"-$1\"", "guard"])
            .arg(leader.to_string())
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("cannot run sh")?;
        Ok(Self { leader, guard })
    }

    /// Kills all of it.
    fn kill(self) -> anyhow::Result<()> {
        kill_process_group(self.leader, Signal::KILL).context("cannot kill what hangs")?;
        self.release();
        Ok(())
    }

    /// The child has ended.
    fn release(mut self) {
        if let Some(mut word) = self.guard.stdin.take() {
            // It fails only where somebody killed the guard.
            let _gone = writeln!(word, "released");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // Once it has ended, so has the group.
        let _status = self.guard.wait();
    }
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
    use std::io::{PipeReader, Read as _};

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
    fn what_ends_in_time_is_not_killed() {
        run_within(&mut Command::new("true"), Duration::from_secs(60)).unwrap();
        let error =
            run_within(Command::new("sh").args(["-c", "exit 3"]), Duration::from_secs(60)).unwrap_err();
        assert!(error.to_string().contains("exit status: 3"), "{error}");
    }

    /// Reads to its end what a group writes: it ends with the last of the group.
    fn last_of(mut output: PipeReader) -> String {
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            tell.send(output.read_to_string(&mut text).map(|_| text)).unwrap();
        });
        let read = told
            .recv_timeout(Duration::from_secs(30))
            .expect("somebody of the group lives on");
        read.unwrap()
    }

    #[test]
    fn what_hangs_is_killed_with_all_that_it_started() {
        let (output, input) = std::io::pipe().unwrap();
        let mut hangs = Command::new("sh");
        hangs
            .args(["-c", "echo begun; (trap '' TERM INT HUP; sleep 3600) & wait"])
            .stdout(input);
        let error = run_within(&mut hangs, Duration::from_millis(300)).unwrap_err();
        // It holds the other end of the pipe.
        drop(hangs);
        assert!(
            error
                .to_string()
                .ends_with("had not ended after 0.3 s and was killed"),
            "{error}"
        );
        assert_eq!(last_of(output), "begun\n");
    }

    #[test]
    fn a_group_ends_with_who_guards_it() {
        let (output, input) = std::io::pipe().unwrap();
        let mut leader = Command::new("sh");
        leader
            .args(["-c", "sleep 3600 & wait"])
            .stdout(input)
            .process_group(0);
        let mut child = leader.spawn().unwrap();
        drop(leader);
        drop(Group::of(&child).unwrap());
        assert!(!child.wait().unwrap().success());
        assert_eq!(last_of(output), "");
    }

    #[test]
    fn the_root_is_the_workspace() {
        assert!(root().join("xtask").is_dir() && root().join("LICENSE").is_file());
    }
}

//! One process, from its start to its certain end: what it leaves running is killed with it.
//!
//! The program leads a process group of its own. Whatever happens (it ends, it is late, it writes too much, whoever waits
//! for it goes away), the whole group gets SIGKILL *before* its leader is reaped: until then the leader's number cannot
//! have come to mean somebody else.

use std::io::ErrorKind;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use daypass_core::entitlement::Fault;
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process_group, test_kill_process_group, waitid,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use super::Program;
use super::tail::{self, Tail};
use crate::Error;
use crate::within::within;

/// Where programs are looked for by the program itself; `server.yaml` may say another.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The first number of an open file after the three standard streams.
const FIRST_OF_OTHERS: i32 = 3;

/// How long output may still come once the program has ended and its group was killed: what is in a pipe is read at once,
/// and a process that left the group may hold the pipe open for ever.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a killed process may take to go. One that hangs inside of the kernel is left behind.
const REAPED: Duration = Duration::from_secs(5);

/// What is said where the kill did not reach everything.
const NOT_OURS: &str = "a process of another user (sudo?) could not be killed and runs on: bound its time there, as with timeout(1)";

/// More than what a call takes beyond the program's own time.
pub(super) const SLACK: Duration = Duration::from_secs(10);

/// What became of a program.
pub(super) struct Ended {
    /// How it ended, or why it had to.
    pub(super) status: Result<ExitStatus, Error>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Tail,
}

/// A process that was started, with its group. Dropping it kills the group.
struct Started {
    // Dropped first: see the module.
    group: Group,
    child: Child,
}

struct Group(Pid);

impl Group {
    /// Kills all of it that is ours to kill. Where nobody is left it does nothing.
    fn kill(&self) {
        let _ = kill_process_group(self.0, Signal::KILL);
    }

    /// Whether only processes are left in it that we may not kill: another user's, as `sudo` makes them.
    fn outlives_us(&self) -> bool {
        is_anothers(test_kill_process_group(self.0))
    }
}

/// What the kernel says of a group in which there is nobody whom we may signal, and somebody else.
fn is_anothers(signalled: Result<(), Errno>) -> bool {
    signalled == Err(Errno::PERM)
}

/// Variables that hold a secret.
pub(super) type SecretVariables = Vec<(String, SecretString)>;

/// Runs a program, hands it `input`, and waits for its end.
///
/// # Errors
/// Where it does not start; nothing was done then.
pub(super) async fn run(
    program: &Program,
    variables: SecretVariables,
    input: Zeroizing<Vec<u8>>,
) -> Result<Ended, Error> {
    let limit = program.timeout.to_std();
    let starting = {
        let program = program.clone();
        // Off the async threads: looking at files and starting a process block.
        tokio::task::spawn_blocking(move || start(&program, &variables))
    };
    let starting = async {
        let gone = |error| Error::new(Fault::Bug, format!("starting it: {error}"));
        starting.await.map_err(gone)?
    };
    let mut started = within(limit, "starting it", starting).await?;
    let (mut stdout, mut stderr) = (Vec::new(), Tail::default());
    let talked = within(
        limit,
        "killed",
        talk(&mut started, input, &mut stdout, &mut stderr),
    )
    .await;
    started.group.kill();
    // A leader may have left for another group: for ours, even. It fails where it has ended.
    let _ = started.child.start_kill();
    let reaped = within(REAPED, "it was killed", async {
        let lost = |error| Error::new(Fault::Bug, format!("its end: {error}"));
        started.child.wait().await.map_err(lost)
    });
    let reaped = reaped.await;
    // Of a late one its lateness is told, and not that the kill ended it. A group that has nobody any more has no number
    // that could mean another one so soon, and a look harms nobody.
    let anothers = started.group.outlives_us();
    let status = talked.and(reaped).map_err(|error| match anothers {
        true => Error::new(error.fault, format!("{}; {NOT_OURS}", error.detail)),
        false => error,
    });
    Ok(Ended {
        status,
        stdout,
        stderr,
    })
}

/// Until it has ended, and said all that it had to say.
async fn talk(
    started: &mut Started,
    input: Zeroizing<Vec<u8>>,
    stdout: &mut Vec<u8>,
    stderr: &mut Tail,
) -> Result<(), Error> {
    let broken = || Error::new(Fault::Bug, "its standard streams are not there");
    let mut to = started.child.stdin.take().ok_or_else(broken)?;
    let mut from = started.child.stdout.take().ok_or_else(broken)?;
    let mut complaints = started.child.stderr.take().ok_or_else(broken)?;
    let write = async move {
        // A program that does not want to read need not.
        let _ = to.write_all(&input).await;
        Ok(())
    };
    let complain = async {
        stderr.fill(&mut complaints).await;
        Ok(())
    };
    let mut talk = pin!(async { tokio::try_join!(write, tail::answer(&mut from, stdout), complain) });
    let mut exited = pin!(exited(started.group.0));
    let mut talking = true;
    loop {
        tokio::select! {
            said = &mut talk, if talking => {
                said?;
                talking = false;
            }
            ended = &mut exited => {
                ended?;
                break;
            }
        }
    }
    started.group.kill();
    if talking {
        let last = within(LAST_WORDS, "its last words", async { Ok(talk.await) }).await;
        // Whoever still holds the pipe is no longer ours; what the program itself wrote has been read.
        if let Ok(said) = last {
            said?;
        }
    }
    Ok(())
}

/// Looks at the file and starts it.
fn start(program: &Program, variables: &SecretVariables) -> Result<Started, Error> {
    let checked = program
        .check()
        .map_err(|what| Error::new(Fault::Misconfigured, what))?;
    let mut command = Command::new(checked);
    command
        .args(&program.args)
        .env_clear()
        .env("PATH", PATH)
        .envs(&program.env)
        .envs(
            variables
                .iter()
                .map(|(name, value)| (name, value.expose_secret())),
        )
        .current_dir(&program.directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    // What Daypass opens itself is not inherited anyway; this is about what its own parent left open.
    close_fds::set_fds_cloexec_threadsafe(FIRST_OF_OTHERS, &[]);
    let child = command.spawn().map_err(|error| not_started(program, &error))?;
    let number = child.id().and_then(|id| i32::try_from(id).ok());
    let leader = number
        .and_then(Pid::from_raw)
        .ok_or_else(|| Error::new(Fault::Bug, "it has no process number"))?;
    Ok(Started {
        group: Group(leader),
        child,
    })
}

fn not_started(program: &Program, error: &std::io::Error) -> Error {
    let fault = match error.kind() {
        // The machine is short of something, or the file is just being written.
        ErrorKind::WouldBlock | ErrorKind::OutOfMemory | ErrorKind::ExecutableFileBusy => Fault::Unavailable,
        _ => Fault::Misconfigured,
    };
    let hint = match error.kind() {
        ErrorKind::NotFound => "; does its first line name an interpreter that is there?",
        _ => "",
    };
    Error::new(
        fault,
        format!("{} does not start: {error}{hint}", program.path.display()),
    )
}

/// Waits until the process has ended, without reaping it.
async fn exited(leader: Pid) -> Result<(), Error> {
    match process_file(leader) {
        // It becomes readable when the process ends; no thread waits meanwhile, however long that takes.
        Some(file) => {
            let lost = |error| Error::new(Fault::Bug, format!("waiting for its end: {error}"));
            file.readable().await.map(drop).map_err(lost)
        }
        None => exited_by_thread(leader).await,
    }
}

/// A file that stands for the process; `None` where the kernel has no such thing (Linux before 5.3) or none to spare.
#[cfg(target_os = "linux")]
#[expect(
    deprecated,
    reason = "what it warns of are types that may close their file early; the new one is unsafe code"
)]
fn process_file(leader: Pid) -> Option<AsyncFd<std::os::fd::OwnedFd>> {
    let file = rustix::process::pidfd_open(leader, rustix::process::PidfdFlags::NONBLOCK);
    // Before 5.10 it cannot be told not to block; it is never read anyway.
    let file = file.or_else(|_| rustix::process::pidfd_open(leader, rustix::process::PidfdFlags::empty()));
    AsyncFd::with_interest(file.ok()?, Interest::READABLE).ok()
}

#[cfg(not(target_os = "linux"))]
fn process_file(_: Pid) -> Option<AsyncFd<std::os::fd::OwnedFd>> {
    None
}

async fn exited_by_thread(leader: Pid) -> Result<(), Error> {
    let waiting = tokio::task::spawn_blocking(move || {
        loop {
            match waitid(WaitId::Pid(leader), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Err(Errno::INTR) => {}
                other => return other,
            }
        }
    });
    let lost = |error: String| Error::new(Fault::Bug, format!("waiting for its end: {error}"));
    let waited = waiting.await.map_err(|error| lost(error.to_string()))?;
    waited.map(drop).map_err(|error| lost(error.to_string()))
}

impl Drop for Started {
    fn drop(&mut self) {
        // Not where it was reaped: its number may be somebody else's by now.
        if self.child.id().is_some() {
            self.group.kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_killed_is_told_from_what_is_gone() {
        assert!(is_anothers(Err(Errno::PERM)));
        assert!(!is_anothers(Err(Errno::SRCH)) && !is_anothers(Ok(())));
    }
}

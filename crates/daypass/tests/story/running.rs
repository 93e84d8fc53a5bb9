//! Processes of the built binary: short ones, and ones that stay and are told to stop.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use daypass_server::edge;
use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long a server may take to end: it may wait 20 s for calls to its targets.
const STOPPING: Duration = Duration::from_secs(30);

/// The binary, without anything of the surroundings that would change what it does.
pub(crate) fn daypass(args: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("daypass"));
    command.args(args).stdin(Stdio::null());
    for name in [
        "DAYPASS_SERVER",
        "DAYPASS_TOKEN",
        "DAYPASS_PROFILE",
        "DAYPASS_CA",
        "DAYPASS_LOG_KEY",
        "CLICOLOR_FORCE",
        "NO_COLOR",
    ] {
        command.env_remove(name);
    }
    command
}

/// What a command said on standard output and on standard error.
pub(crate) fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it writes UTF-8");
    (text(&output.stdout), text(&output.stderr))
}

/// Runs a command to its end, and checks its exit code. Both streams are in the message where it is another.
#[track_caller]
pub(crate) fn ends_with(command: &mut Command, code: i32) -> (String, String) {
    let output = command.output().expect("the binary runs");
    let (out, err) = said(&output);
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{out}\n{err}");
    (out, err)
}

/// Runs a command that reads this line on standard input.
#[track_caller]
pub(crate) fn given(command: &mut Command, line: &str, code: i32) -> (String, String) {
    use std::io::Write as _;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // A command that refuses before it reads closes the pipe.
    let _ = writeln!(child.stdin.take().expect("a pipe"), "{line}");
    let output = child.wait_with_output().expect("it ends");
    let (out, err) = said(&output);
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{out}\n{err}");
    (out, err)
}

/// A process that stays. It is killed where a test forgets it.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    heard: Vec<String>,
}

impl Running {
    /// Starts it; what it writes to either stream is heard.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let (tell, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("a pipe")),
            Box::new(child.stderr.take().expect("a pipe")),
        ];
        for stream in streams {
            let tell = tell.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    // The test may have ended.
                    let _ = tell.send(line);
                }
            });
        }
        Self {
            child,
            lines,
            heard: Vec::new(),
        }
    }

    /// Waits for a line that holds this text, and returns it.
    #[track_caller]
    pub(crate) fn says(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.heard.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no {text:?} within {PATIENCE:?}:\n{}", self.told()),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended without {text:?}:\n{}", self.told()),
            }
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has said so far, as far as somebody listened.
    pub(crate) fn told(&self) -> String {
        self.heard.join("\n")
    }

    /// Tells it to stop in this way, and waits for its end. One that does not end is killed, and said.
    #[track_caller]
    pub(crate) fn stop(self, signal: Signal) -> (ExitStatus, String) {
        self.stop_within(signal, STOPPING)
    }

    #[track_caller]
    fn stop_within(mut self, signal: Signal, patience: Duration) -> (ExitStatus, String) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a process id")).expect("a process id");
        kill_process(pid, signal).expect("it is there");
        let begun = edge::instant();
        // Its streams end with it: whoever listens learns of the end without asking.
        loop {
            match self.lines.recv_timeout(patience.saturating_sub(begun.elapsed())) {
                Ok(line) => self.heard.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                // What it has started may have the streams still.
                Err(RecvTimeoutError::Timeout) if self.child.try_wait().is_ok_and(|end| end.is_some()) => {
                    break;
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!(
                        "it has not ended within {patience:?} of {signal:?}:\n{}",
                        self.told()
                    )
                }
            }
        }
        (self.child.wait().expect("it ends"), self.told())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An installation made by `daypass init`, with its administrator's password.
pub(crate) struct Installation {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) password: String,
}

impl Installation {
    /// Makes one that listens on a free port.
    #[track_caller]
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().join("dp");
        let mut init = daypass(&["init", "--no-input", "--listen", "127.0.0.1:0"]);
        let (out, _) = ends_with(init.arg(&dir), 0);
        Self {
            folder,
            password: out.trim_end().to_owned(),
        }
    }

    /// The folder that `init` made.
    pub(crate) fn dir(&self) -> std::path::PathBuf {
        self.folder.path().join("dp")
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> std::path::PathBuf {
        self.dir().join(name)
    }

    /// The command that serves it.
    pub(crate) fn server(&self, more: &[&str]) -> Command {
        let mut command = daypass(&["server", "--config"]);
        command.arg(self.file("server.yaml")).args(more);
        command
    }

    /// Serves it; the answer is the server with its address.
    #[track_caller]
    pub(crate) fn serve(&self) -> (Running, String) {
        let mut running = Running::start(self.server(&[]));
        let line = running.says("Daypass answers on ");
        let url = line.rsplit(' ').next().expect("an address").to_owned();
        (running, url)
    }

    /// A client command of the administrator, who is logged in.
    #[track_caller]
    pub(crate) fn admin(&self, url: &str, args: &[&str]) -> Command {
        let home = self.folder.path().join("home");
        let as_admin = |args: &[&str]| {
            let mut command = daypass(args);
            command.env("XDG_CONFIG_HOME", &home).env("DAYPASS_SERVER", url);
            command
        };
        given(
            &mut as_admin(&["login", "admin", "--password-stdin"]),
            &self.password,
            0,
        );
        as_admin(args)
    }
}

/// What is in a file.
#[track_caller]
pub(crate) fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn one_that_does_not_end_fails_the_test_with_what_it_said() {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "trap '' TERM; echo deaf; echo and slow; while :; do sleep 1; done",
    ]);
    let mut deaf = Running::start(command);
    deaf.says("and slow");
    let stopped =
        std::panic::catch_unwind(move || deaf.stop_within(Signal::TERM, Duration::from_millis(100)));
    let why = *stopped.unwrap_err().downcast::<String>().unwrap();
    assert!(
        why.contains("TERM") && why.contains("deaf") && why.contains("and slow"),
        "{why}"
    );
}

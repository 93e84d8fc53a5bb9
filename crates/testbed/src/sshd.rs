//! A throwaway OpenSSH server: on a free port of 127.0.0.1, as the current user, with certificates as the only way in.
//!
//! It reads what a host of Daypass reads ([`Sshd::folder`]): `ca.pub`, `revoked.krl` and `principals/%u`. Nothing of the machine's
//! own sshd or `~/.ssh` is read or written, nor what shells read when they start: `HOME` is an empty folder, for a session takes as long
//! as that does. Only root may need `/run/sshd`, which sshd insists on and which is made.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::error::Doing;
use crate::keeper::Kept;
use crate::{Error, Result, port, program, wait};

/// Where packages put sshd, which is rarely on `PATH` and must be started by its whole path.
const PLACES: [&str; 4] = [
    "/usr/sbin/sshd",
    "/usr/local/sbin/sshd",
    "/opt/homebrew/sbin/sshd",
    "/usr/bin/sshd",
];

/// Where sshd is: `DAYPASS_SSHD` if set, else the usual places.
///
/// # Errors
/// [`Error::NoSshd`] names the places.
pub fn installed() -> Result<PathBuf> {
    program::installed("DAYPASS_SSHD", &PLACES).map_err(|looked| Error::NoSshd { looked })
}

/// A running sshd. It ends with this value, and so do the sessions that are open then.
#[derive(Debug)]
pub struct Sshd {
    listener: Kept,
    folder: TempDir,
    port: u16,
    user: String,
}

impl Sshd {
    /// Starts one that lets nobody in yet.
    ///
    /// # Errors
    /// Where it is not installed or does not start.
    pub fn start() -> Result<Self> {
        Self::start_in(&std::env::temp_dir())
    }

    /// The same, with its own folder below this one.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_in(parent: &Path) -> Result<Self> {
        Self::start_with(parent, "")
    }

    /// The same, with lines of `sshd_config` that count more than its own.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(parent: &Path, lines: &str) -> Result<Self> {
        let program = installed()?;
        let folder = tempfile::Builder::new().prefix("sshd-").tempdir_in(parent);
        let folder = folder.doing(|| "making a folder for sshd".to_owned())?;
        let user = run(Command::new("id").arg("-un"))?.trim().to_owned();
        let port = port::free()?;
        lay_out(folder.path(), port, lines)?;
        let log = File::create(folder.path().join("log")).doing(|| "writing sshd's log".to_owned())?;
        let child = Command::new(&program)
            .args(["-D", "-e", "-f"])
            .arg(folder.path().join("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // A group of its own: Ctrl-C at the terminal is for us, and we decide what it means for the sessions.
            .process_group(0)
            .spawn()
            .doing(|| format!("starting {}", program.display()))?;
        let mut sshd = Self {
            listener: Kept::new(child)?,
            folder,
            port,
            user,
        };
        wait::until("sshd listening", Duration::from_secs(10), || {
            if let Some(status) = sshd.listener.ended().doing(|| "waiting for sshd".to_owned())? {
                return Err(Error::EndedEarly {
                    what: "sshd",
                    status: status.to_string(),
                    log: sshd.log(),
                });
            }
            Ok(std::net::TcpStream::connect(("127.0.0.1", port)).ok())
        })?;
        Ok(sshd)
    }

    /// What a host of Daypass has: `ca.pub`, `revoked.krl` and `principals/`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process that listens: each session is one below it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.listener.id()
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The only user that it can log in: the one that runs it.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Its own public key, as `known_hosts` takes it after the host's name.
    ///
    /// # Errors
    /// Where its file cannot be read.
    pub fn host_key(&self) -> Result<String> {
        let text = std::fs::read_to_string(self.folder.path().join("host_key.pub"))
            .doing(|| "reading sshd's host key".to_owned())?;
        let mut words = text.split_whitespace();
        Ok([words.next(), words.next()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "))
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // Each session is a process of its own, which would outlive the one that listens.
        for session in children(self.listener.id()) {
            let _ = rustix::process::kill_process(session, rustix::process::Signal::TERM);
        }
    }
}

/// What it reads.
fn lay_out(folder: &Path, port: u16, lines: &str) -> Result<()> {
    let at = |name: &str| folder.join(name);
    run(Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(at("host_key")))?;
    for folder in ["principals", "home"] {
        std::fs::create_dir(at(folder)).doing(|| "making a folder for sshd".to_owned())?;
    }
    for empty in ["ca.pub", "revoked.krl"] {
        File::create(at(empty)).doing(|| format!("writing {empty}"))?;
    }
    if rustix::process::geteuid().is_root() {
        std::fs::create_dir_all("/run/sshd").doing(|| "making /run/sshd".to_owned())?;
    }
    // Of a keyword, sshd takes what stands first.
    let config = format!("{lines}\n{}", config(folder, port));
    std::fs::write(at("sshd_config"), config).doing(|| "writing sshd_config".to_owned())
}

/// Only certificates of an authority in `ca.pub` open it, for the user that runs it, and nothing is forwarded.
fn config(folder: &Path, port: u16) -> String {
    let root = folder.display();
    format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {root}/host_key\nPidFile none\nUsePAM no\nStrictModes no\n\
         AuthenticationMethods publickey\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         HostbasedAuthentication no\nPermitRootLogin prohibit-password\nDisableForwarding yes\nLogLevel VERBOSE\n\
         AuthorizedKeysFile none\nTrustedUserCAKeys {root}/ca.pub\nRevokedKeys {root}/revoked.krl\n\
         AuthorizedPrincipalsFile {root}/principals/%u\nSetEnv HOME={root}/home\nSubsystem sftp internal-sftp\n"
    )
}

/// The processes that this one started, as Linux tells of them; none where it is another system.
fn children(parent: u32) -> Vec<rustix::process::Pid> {
    let Ok(all) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pid = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse::<i32>().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name, in parentheses, may hold anything; after it: the state, then the parent.
        let (_, after) = stat.rsplit_once(')')?;
        let of = after.split_whitespace().nth(1)?.parse::<u32>().ok()?;
        (of == parent)
            .then(|| rustix::process::Pid::from_raw(pid))
            .flatten()
    };
    all.flatten().filter_map(pid).collect()
}

fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().doing(|| format!("running {name}"))?;
    if !output.status.success() {
        return Err(Error::Program {
            program: name.into(),
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

//! A PostgreSQL that is struck as a machine strikes it: killed with all of its processes at once, or standing still for a while.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::{PATIENCE, Postgres, signal};
use crate::error::Doing;
use crate::{Result, wait};

impl Postgres {
    /// SIGKILL, to the postmaster and then to every process of it: nothing is flushed and nobody is told.
    /// [`Postgres::start_again`] recovers from the write-ahead log.
    ///
    /// # Errors
    /// It cannot be told which processes there are, or they do not end.
    pub fn kill(&mut self) -> Result<()> {
        let backends = self.backends()?;
        let Some(server) = self.server.as_mut() else {
            return Ok(());
        };
        signal(server, Signal::KILL);
        server.wait().doing(|| "waiting for PostgreSQL".into())?;
        self.server = None;
        for pid in &backends {
            send(*pid, Signal::KILL);
        }
        // One that still has the shared memory would keep the next start from it.
        wait::until("the end of PostgreSQL's processes", PATIENCE, || {
            let alive = processes()?
                .into_iter()
                .any(|one| backends.contains(&one.pid) && !one.is_over);
            Ok((!alive).then_some(()))
        })
    }

    /// SIGSTOP to all of its processes: connections stay, and nothing answers.
    ///
    /// # Errors
    /// It cannot be told which processes there are.
    pub fn freeze(&self) -> Result<()> {
        self.signal_all(Signal::STOP)
    }

    /// Lets it go on after [`Postgres::freeze`], as if nothing had been.
    ///
    /// # Errors
    /// It cannot be told which processes there are.
    pub fn thaw(&self) -> Result<()> {
        self.signal_all(Signal::CONT)
    }

    fn signal_all(&self, signal: Signal) -> Result<()> {
        // The postmaster first: it makes no process more.
        if let Some(server) = &self.server {
            send(server.id(), signal);
        }
        for pid in self.backends()? {
            send(pid, signal);
        }
        Ok(())
    }

    /// The processes that the postmaster has started.
    fn backends(&self) -> Result<Vec<u32>> {
        let postmaster = self.server.as_ref().map(std::process::Child::id);
        let all = processes()?.into_iter();
        let own = all.filter(|one| Some(one.parent) == postmaster);
        Ok(own.map(|one| one.pid).collect())
    }
}

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It fails only if the process has ended since.
        let _ = kill_process(pid, signal);
    }
}

struct Process {
    pid: u32,
    parent: u32,
    /// It has ended, and nobody has asked yet how.
    is_over: bool,
}

/// Every process of the machine, as `ps` of POSIX says.
fn processes() -> Result<Vec<Process>> {
    let mut ps = Command::new("ps");
    let told = ps
        .args(["-A", "-o", "pid=", "-o", "ppid=", "-o", "stat="])
        .output();
    let told = told.doing(|| "asking ps for the processes".into())?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let process = |line: &str| {
        let mut fields = line.split_whitespace();
        Some(Process {
            pid: fields.next()?.parse().ok()?,
            parent: fields.next()?.parse().ok()?,
            is_over: fields.next()?.starts_with('Z'),
        })
    };
    Ok(told.lines().filter_map(process).collect())
}

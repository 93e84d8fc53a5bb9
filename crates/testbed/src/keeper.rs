//! A process that outlives nobody: it is killed where its owner forgets it, and where its owner is killed.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::Result;
use crate::error::Doing;

/// Ends the process `$1` where its owner is gone without a word: then standard input ends. A line means that all is done.
const KEEPER: &str = "read -r _ && exit; kill \"$1\"";

/// A child and the shell that watches over it: see the module.
#[derive(Debug)]
pub(crate) struct Kept {
    child: Child,
    keeper: Child,
}

impl Kept {
    /// Watches over a child.
    pub(crate) fn new(mut child: Child) -> Result<Self> {
        let keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER, "daypass-testbed-keeper"])
            .arg(child.id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .doing(|| "starting /bin/sh".into())
            .inspect_err(|_| {
                let _ = child.kill();
            })?;
        Ok(Self { child, keeper })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(mut stdin) = self.keeper.stdin.take() {
            let _ = stdin.write_all(b"\n");
        }
        let _ = self.keeper.wait();
    }
}

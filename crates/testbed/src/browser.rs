//! A throwaway browser: Chromium behind its own driver, which speaks WebDriver on a free port of 127.0.0.1.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::error::Doing;
use crate::keeper::Kept;
use crate::{Error, Result, program};

/// Where packages put the driver.
const DRIVERS: [&str; 3] = [
    "/usr/bin/chromedriver",
    "/usr/lib/chromium/chromedriver",
    "/usr/local/bin/chromedriver",
];

/// What it says once it listens, before its port.
const STARTED: &str = "started successfully on port ";

/// Where Chromium's driver is: `DAYPASS_CHROMEDRIVER` if set, else the usual places.
///
/// # Errors
/// [`Error::NoBrowser`] names the places.
pub fn installed() -> Result<PathBuf> {
    program::installed("DAYPASS_CHROMEDRIVER", &DRIVERS).map_err(|looked| Error::NoBrowser { looked })
}

/// A running driver. The browsers that it started end with it.
#[derive(Debug)]
pub struct Browser {
    process: Kept,
    port: u16,
}

impl Browser {
    /// Starts one; it takes commands when this returns.
    ///
    /// # Errors
    /// Where it is not installed or does not start.
    pub fn start() -> Result<Self> {
        let program = installed()?;
        let mut child = Command::new(&program)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .doing(|| format!("starting {}", program.display()))?;
        let said = child.stdout.take();
        let process = Kept::new(child)?;
        let mut log = String::new();
        for line in said.map(BufReader::new).into_iter().flat_map(BufReader::lines) {
            let line = line.doing(|| "reading what the browser's driver says".to_owned())?;
            let port = line
                .split_once(STARTED)
                .map(|(_, port)| port.trim_end_matches('.'));
            if let Some(port) = port.and_then(|port| port.parse().ok()) {
                return Ok(Self { process, port });
            }
            log.push_str(&line);
            log.push('\n');
        }
        Err(Error::EndedEarly {
            what: "the browser's driver",
            status: String::from("it said no port"),
            log,
        })
    }

    /// Where it takes commands.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

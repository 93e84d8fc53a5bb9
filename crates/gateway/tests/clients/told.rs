//! A client at work: what it is told, and what it says that it saw, one line of JSON for each check.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::control::SECRET;
use crate::world::{World, for_a_while};

/// Whose sessions are ended while a query runs.
pub(crate) const ENDS: &str = "ends";
/// A client has to be through by then.
const LIMIT: Duration = Duration::from_secs(90);

pub(crate) struct Told {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) saw: BTreeMap<String, Value>,
}

impl Told {
    /// Starts it, with nothing of this machine's that would tell it something else.
    pub(crate) fn start(mut command: Command, world: &World, stranger: &std::path::Path) -> Self {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command
            .env("DAYPASS_HOST", "127.0.0.1")
            .env("DAYPASS_PORT", world.port.to_string())
            .env("DAYPASS_USER", "ada")
            .env("DAYPASS_ENDS", ENDS)
            .env("DAYPASS_PASSWORD", SECRET)
            .env("DAYPASS_DATABASE", "orders/read")
            .env("DAYPASS_CA", world.ca_file())
            .env("DAYPASS_STRANGER", stranger)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!(
                "this machine cannot run {command:?} ({error}): cargo xtask setup installs it, or says how"
            )
        });
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            lines,
            saw: BTreeMap::new(),
        }
    }

    /// Reads until it says what it saw of this check; whoever ends before fails the test with its own words.
    pub(crate) async fn until(&mut self, check: &str) {
        while !self.saw.contains_key(check) {
            if !self.line().await {
                let words = self.last_words().await;
                panic!("it ended before {check}, having seen {:?}: {words}", self.saw);
            }
        }
    }

    /// Reads to its end, which must be a good one.
    pub(crate) async fn end(&mut self) {
        while self.line().await {}
        let words = self.last_words().await;
        let status = for_a_while(LIMIT, self.child.wait())
            .await
            .expect("it ends")
            .unwrap();
        assert!(status.success(), "having seen {:?}: {words}", self.saw);
    }

    async fn line(&mut self) -> bool {
        let line = for_a_while(LIMIT, self.lines.next_line()).await;
        let Some(line) = line
            .unwrap_or_else(|| panic!("it hangs, having seen {:?}", self.saw))
            .unwrap()
        else {
            return false;
        };
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not a check: {line}"));
        let check = said["check"].as_str().unwrap().to_owned();
        self.saw.insert(check, said["saw"].clone());
        true
    }

    async fn last_words(&mut self) -> String {
        let mut words = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            let _ = for_a_while(LIMIT, stderr.read_to_string(&mut words)).await;
        }
        words
    }
}

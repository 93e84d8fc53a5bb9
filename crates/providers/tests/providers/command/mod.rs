//! Programs: the two examples of `examples/command/` against the suite, then programs that mean harm or are broken.

mod confined;
mod hostile;
mod lists;
mod roles;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use daypass_core::entitlement::{Fault, Spec};
use daypass_core::time::Span;
use daypass_providers::command::Command;
use daypass_providers::{Error, Kind, Program, Provider, Revealed, Secrets};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What an operator's file says, in memory.
#[derive(Clone, Default)]
pub(super) struct Operator {
    pub(super) programs: BTreeMap<String, Program>,
    pub(super) secrets: BTreeMap<String, String>,
}

#[async_trait]
impl Secrets for Operator {
    async fn reveal(&self, _: &str, _: &str, _: u16) -> Result<Revealed, Error> {
        Err(Error::new(Fault::Denied, "no program's secret goes to a host"))
    }

    async fn replace(&self, _: &str, _: &SecretString) -> Result<(), Error> {
        Err(Error::new(Fault::Misconfigured, "read only"))
    }

    fn program(&self, name: &str) -> Option<Program> {
        self.programs.get(name).cloned()
    }

    fn programs(&self) -> Vec<String> {
        self.programs.keys().cloned().collect()
    }

    async fn reveal_to_program(&self, name: &str, program: &str) -> Result<SecretString, Error> {
        assert!(self.programs.contains_key(program));
        let value = self.secrets.get(name).cloned();
        value
            .map(SecretString::from)
            .ok_or_else(|| Error::new(Fault::NotFound, "no such secret"))
    }
}

pub(super) fn program(path: PathBuf) -> Program {
    Program {
        path,
        args: Vec::new(),
        env: BTreeMap::new(),
        secrets: BTreeSet::new(),
        env_secrets: BTreeMap::new(),
        directory: "/".into(),
        timeout: Span::seconds(20),
        propagation: Span::ZERO,
        own_expiry: false,
    }
}

/// A folder that nobody else may write, by its real name.
pub(super) fn home() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().canonicalize().unwrap();
    (home, path)
}

/// Writes an executable file. Another process does: a file that this one has open for writing cannot be run, and a child
/// that another thread is just starting has it open too.
pub(super) fn executable(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    let mut writer = Process::new("sh")
        .args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
    path
}

pub(super) fn connect(operator: &Operator, config: &Value, installation: &str) -> Arc<dyn Provider> {
    connect_as("here", operator, config, installation)
}

/// The same for a connector of another name.
pub(super) fn connect_as(
    name: &str,
    operator: &Operator,
    config: &Value,
    installation: &str,
) -> Arc<dyn Provider> {
    let name = name.parse().unwrap();
    Command
        .connect(&name, config, Arc::new(operator.clone()), installation)
        .unwrap()
}

/// A program of one test, in a folder of its own that it knows as `$1`.
pub(super) struct Bench {
    pub(super) folder: PathBuf,
    pub(super) operator: Operator,
    _home: TempDir,
}

/// How the programs of the tests say that it is done.
pub(super) const DONE: &str = "echo '{\"version\":1,\"result\":\"done\"}'\n";

impl Bench {
    /// A program of these lines.
    pub(super) fn new(lines: &str) -> Self {
        let (home, folder) = home();
        let path = executable(&folder, "program", &format!("#!/bin/sh\nset -u\n{lines}"));
        let mut program = program(path);
        program.args = vec![folder.to_str().unwrap().to_owned()];
        Self {
            folder,
            operator: Operator {
                programs: BTreeMap::from([("program".to_owned(), program)]),
                secrets: BTreeMap::new(),
            },
            _home: home,
        }
    }

    pub(super) fn program(&mut self) -> &mut Program {
        self.operator.programs.get_mut("program").unwrap()
    }

    pub(super) fn provider(&self) -> Arc<dyn Provider> {
        connect(&self.operator, &json!({"program": "program"}), "0f")
    }

    /// Revokes something.
    pub(super) async fn call(&self) -> Result<(), Error> {
        self.provider().revoke("p_1", None).await.map(drop)
    }

    /// The error of a call that must fail in this way.
    pub(super) async fn fails(&self, fault: Fault) -> String {
        let error = self.call().await.unwrap_err();
        assert_eq!(error.fault, fault, "{error}");
        error.detail
    }

    /// What the program wrote into a file of its folder.
    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap()
    }
}

/// A spec with these configurations.
pub(super) fn spec(resource: Value, role: Value) -> Spec {
    Spec {
        kind: "command".parse().unwrap(),
        item: "door/enter".parse().unwrap(),
        resource,
        role,
        holder: daypass_core::id::PersonId::from_bytes([7; 10]),
        grant: daypass_core::id::GrantId::from_bytes([1; 10]),
        subject: None,
        source: None,
    }
}

/// The text of an example.
pub(super) fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/command")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

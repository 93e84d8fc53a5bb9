//! What in the demo is reached through a gateway alone, and what ana did there before whoever watches came: sessions to be read and played.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use daypass_policy::Source;
use daypass_server::edge;
use secrecy::ExposeSecret as _;
use tokio::process::Command;

use super::host::Host;
use super::narrator::Narrator;
use super::place::{self, DATA, PROGRAM};
use super::target::Target;
use crate::failure::Failure;

/// How long a session of ana's may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What she asks the ledger: somebody will read it.
const STATEMENTS: [&str; 4] = [
    "SELECT count(*) FROM orders WHERE state = 'stuck'",
    "SELECT id, customer, total, state FROM orders ORDER BY total DESC",
    "SELECT customer, sum(total) FROM orders GROUP BY customer HAVING sum(total) > 50",
    "UPDATE orders SET state = 'paid' WHERE id = 3",
];

/// What she runs on the host: something with colours, with pauses, and with a line that is written over.
const SHOWN: &str = r#"#!/bin/sh
printf 'disk usage of web-2\n'; sleep 0.4
for part in root data logs; do
    printf '\033[1m%-6s\033[0m checking' $part; sleep 0.5
    printf '\r\033[K\033[1m%-6s\033[0m \033[34m##########\033[0m \033[32mok\033[0m\n' $part
done
printf 'cleaning old logs'; sleep 0.7
printf '\r\033[K\033[33m2 files, 118 MB\033[0m\n'
"#;

/// Where people connect, and where recordings are kept; for `server.yaml`.
pub(super) fn gateway(folder: &Path) -> Result<String, Failure> {
    let (public, private) = daypass_server::new_recording_pair();
    place::file(folder, "recordings-identity", private.expose_secret(), DATA)?;
    Ok(format!(
        "gateway:\n  name: demo\n  postgres: {{listen: \"127.0.0.1:0\"}}\n  ssh: {{listen: \"127.0.0.1:0\"}}\n  \
         recordings: {{folder: recordings, recipients: [{public}], identity: recordings-identity}}\n"
    ))
}

/// What the policy says about it; nothing where there is nothing to reach.
pub(super) fn policy(target: &Target, host: Option<&Host>) -> Result<Vec<Source>, Failure> {
    let mut text = String::new();
    if target.client().is_some() {
        text.push_str(include_str!("target/ledger.yaml"));
    }
    if let Some(host) = host {
        text.push_str(&host.gated()?);
    }
    if text.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![Source {
        name: "recorded.yaml".to_owned(),
        text: format!("{}{text}", include_str!("recorded.yaml")),
    }])
}

/// Ana's sessions there, which have ended.
pub(super) async fn play(
    narrator: Narrator,
    (folder, bin): (&Path, &Path),
    target: &Target,
    host: Option<&Host>,
) -> Result<(), Failure> {
    if target.client().is_some() {
        let asks = [
            "exec",
            "ledger/read",
            "--reason",
            "PAY-15: which orders are stuck",
            "--",
            "psql",
            "--no-psqlrc",
        ];
        let mut words: Vec<&str> = asks.into();
        words.extend(STATEMENTS.iter().flat_map(|statement| ["-c", *statement]));
        // The last one is refused: the role reads.
        ana(
            narrator,
            bin,
            "a session at the ledger, through the gateway",
            &words,
        )
        .await?;
    }
    if host.is_some() {
        let shown = place::file(folder, "clean-up", SHOWN, PROGRAM)?;
        let shown = place::quoted(&shown);
        let words = [
            "ssh",
            "web-2/shell",
            "--reason",
            "OPS-4: the disk fills up",
            "--",
            "-tt",
            &shown,
        ];
        ana(narrator, bin, "a terminal at web-2, through the gateway", &words).await?;
    }
    Ok(())
}

/// What becomes of it is in its recording; that it took place is all that is needed here.
async fn ana(narrator: Narrator, bin: &Path, what: &str, words: &[&str]) -> Result<(), Failure> {
    let slow = narrator.begin(&format!("ana's past: {what}"));
    let ended = Command::new(bin.join("ana"))
        .args(words)
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = edge::within(PATIENCE, ended)
        .await
        .map_err(|late| late.to_string());
    match ended.and_then(|ended| ended.map_err(|error| error.to_string())) {
        Ok(output) if output.stdout.is_empty() => {
            slow.failed();
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Failure::error(format!("the demo's {what}: {said}")))
        }
        Ok(_) => {
            slow.done("recorded");
            Ok(())
        }
        Err(why) => {
            slow.failed();
            Err(Failure::error(format!("the demo's {what}: {why}")))
        }
    }
}

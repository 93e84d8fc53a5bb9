//! The keys that the log is signed with, told: for `keys ls` and `keys rotate log`.

use daypass_api::Client;
use daypass_api::key::{LogKey, LogRotation, RotateLog};
use daypass_core::name::Name;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::instant;
use crate::line::{Line, Style};
use crate::output::Output;

/// The keys that the log is signed with, as the server says.
pub(super) async fn told(client: &Client, out: &Output) {
    // Who may not see where the keys are sees the one to verify with; so does who asks a server of an older version.
    if let Ok(key) = client.log_keys().await {
        out.note(format!("The log is signed by {}", key.key));
        said(&key).into_iter().for_each(|line| out.note(line));
        return;
    }
    out.note(match client.log_key().await {
        Ok(key) => format!(
            "The log is signed by {}",
            String::from_utf8_lossy(&key).trim_end()
        ),
        Err(error) => format!("The log's key is not to be had: {error}"),
    });
}

/// Gives the log another key, or goes on with what was begun.
pub(super) async fn rotate(
    context: &Context,
    client: &Client,
    (name, how): (&Name, RotateLog),
) -> Result<Exit, Failure> {
    if name.as_str() != "log" {
        let what = "--stolen is for the log's key: daypass keys rotate log --stolen";
        return Err(Failure::usage(what));
    }
    let key = client.rotate_log_key(how).await?;
    context.out.one(&key, || key.key.clone(), || steps(&key));
    Ok(Exit::DONE)
}

/// How far the log's key is on its way to another, and which keys are spare.
fn said(key: &LogKey) -> Vec<Line> {
    let since = key
        .since
        .map_or_else(String::new, |at| format!(" since {}", instant(at)));
    let warn = |what: String| Line::new().with(Style::Warn, "! ").text(what);
    let mut lines = Vec::new();
    match &key.rotation {
        Some(LogRotation::Staged { next, waiting }) if waiting.is_empty() => {
            lines.push(warn(format!(
                "next {next}, announced{since}: it becomes the log's key in a moment"
            )));
        }
        Some(LogRotation::Staged { next, waiting }) => lines.push(warn(format!(
            "next {next}, announced{since}: it becomes the log's key when these servers have it: {}",
            waiting.join(", ")
        ))),
        Some(LogRotation::Retiring { old, behind }) => {
            lines.push(warn(format!(
                "before {old}, which signs beside it{since} until you end that"
            )));
            if !behind.is_empty() {
                lines.push(warn(format!(
                    "these servers have only that: {}",
                    behind.join(", ")
                )));
            }
        }
        None => {}
    }
    for server in &key.servers {
        for spare in &server.spare {
            lines.push(warn(format!("{} has {spare}, which signs nothing", server.name)));
        }
    }
    lines
}

/// What a rotation of the log's key came to, and what happens next.
fn steps(key: &LogKey) -> Vec<Line> {
    let good = |what: String| Line::new().with(Style::Good, "✓ ").text(what);
    let plain = |what: String| Line::new().text(what);
    match &key.rotation {
        None => vec![
            good(format!("the log is signed by {} alone", key.key)),
            plain(String::from(
                "Take the line of the key before out of the file of signing_key, on every server; keep a copy of it elsewhere.",
            )),
        ],
        Some(LogRotation::Staged { next, waiting }) => {
            let then = if waiting.is_empty() {
                String::from("It becomes the log's key in a moment, by itself; see: daypass keys ls")
            } else {
                format!(
                    "It becomes the log's key, by itself, once these servers have it (copy the file of signing_key): {}",
                    waiting.join(", ")
                )
            };
            vec![
                good(format!("{} announced the next key of the log: {next}", key.key)),
                plain(then),
            ]
        }
        Some(LogRotation::Retiring { old, behind }) => {
            let mut lines = vec![
                good(format!("the log's key is {}", key.key)),
                plain(format!(
                    "{old} signs beside it, so that nobody who has only that notices."
                )),
                plain(String::from(
                    "Give the new log-key.pub to whoever verifies. Then end it: daypass keys rotate log --now",
                )),
            ];
            if !behind.is_empty() {
                let what = format!("These servers do not have the log's key: {}", behind.join(", "));
                lines.push(Line::new().with(Style::Warn, "! ").text(what));
            }
            lines
        }
    }
}

//! `session watch` and `session replay`: what somebody did in a session, as it happens and from its recording.

use std::path::PathBuf;

use clap::Args;
use daypass_api::client::LineStream;
use daypass_api::session::SessionState;
use serde::Deserialize;

use super::host::{Host, OfHost};
use super::terminals;
use crate::clean::clean_json;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::line::{Line, Style};

/// Watch a session as it happens.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass session watch S7K2M9
  daypass session watch S7K2M9 -o json | jq -r .text

It begins with what is done from now on; what was done before is in daypass session replay. Auditors, administrators and those who
reviewed the request may watch. That you watched stands in the log.")]
pub struct WatchArgs {
    /// The session, by its (short) id
    id: String,
}

/// Replay what was done in a session.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass session replay S7K2M9
  daypass session replay S7K2M9 -o json > session.jsonl
  daypass session replay S7K2M9 --asciicast session.cast      of ssh, for asciinema play session.cast
  daypass session replay S7K2M9 --search 'rm -rf'             of ssh: what terminals showed, and commands

Each part is held against the log before it is shown. Auditors, administrators and those who reviewed the request may look; that
you did stands in the log. Ends with 1 where something of it is not as it was recorded. What an asciicast plays comes from whoever was
recorded: a terminal that plays it does what it says.")]
pub struct ReplayArgs {
    /// The session, by its (short) id
    id: String,

    /// Write what a terminal showed to this file, as asciicast v3
    #[arg(long, value_name = "FILE", conflicts_with = "search")]
    asciicast: Option<PathBuf>,

    /// Of which program [default: the only one that showed something]
    #[arg(long, value_name = "NUMBER", requires = "asciicast")]
    channel: Option<u32>,

    /// Show only the lines of terminals, and the commands, that have these words
    #[arg(long, value_name = "WORDS")]
    search: Option<String>,
}

impl WatchArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let session = client.session(&self.id).await?;
        let what = format!("{} of {}, from now on", session.item, session.holder);
        context.out.note(Line::new().with(Style::Faint, what));
        show(context, client.watch_session(session.id).await?).await?;
        Ok(Exit::DONE)
    }
}

impl ReplayArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let session = client.session(&self.id).await?;
        let live = session.state != SessionState::Closed;
        let lines = client.replay_session(session.id).await?;
        let exit = if let Some(file) = &self.asciicast {
            let (all, exit) = gathered(context, lines).await?;
            terminals::write(context, &all, self.channel, file)?;
            exit
        } else if let Some(words) = &self.search {
            let (all, exit) = gathered(context, lines).await?;
            terminals::found(context, &all, words);
            exit
        } else {
            show(context, lines).await?
        };
        // Of a session that goes on there is no end yet; where that of one that is over is missing, something is.
        Ok(if live { Exit::DONE } else { exit })
    }
}

/// A record, as the server stores it (`Record::line` of the gateway).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record {
    at: String,
    kind: String,
    text: Option<String>,
    perhaps: bool,
    text_missing: Option<serde_json::Value>,
    values: Option<Vec<serde_json::Value>>,
    took_us: Option<u64>,
    rows: Option<u64>,
    done: Vec<String>,
    #[serde(deserialize_with = "words")]
    failed: Option<String>,
    refused: Option<String>,
    goes_on: bool,
    suspended: bool,
    bound: bool,
    cut: bool,
    records: Option<u64>,
    /// Of the last line: how it ended, and why.
    how: String,
    why: String,
}

/// Of a statement it is an SQLSTATE; of what was begun at a host, that it was not.
fn words<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(serde_json::Value::deserialize(from)?.as_str().map(str::to_owned))
}

/// All lines, and how the recording ended.
async fn gathered(context: &Context, mut lines: LineStream) -> Result<(Vec<String>, Exit), Failure> {
    let mut all = Vec::new();
    while let Some(line) = lines.next().await? {
        let record = read(&line)?;
        if record.kind == "end" {
            return Ok((all, ended(context, &record)?));
        }
        all.push(line);
    }
    Err(cut_off())
}

fn read(line: &str) -> Result<Record, Failure> {
    serde_json::from_str(line)
        .map_err(|error| Failure::error(format!("the server sent what is no record: {error}")))
}

fn cut_off() -> Failure {
    Failure::error("the answer was cut off on its way").hint("run it again")
}

async fn show(context: &Context, mut lines: LineStream) -> Result<Exit, Failure> {
    let mut host = Host::default();
    while let Some(line) = lines.next().await? {
        let record = read(&line)?;
        if record.kind == "end" {
            return ended(context, &record);
        }
        if context.out.is_for_people() {
            let of_host: OfHost = serde_json::from_str(&line).unwrap_or_default();
            match host.lines(&record.kind, &at(&record), &of_host) {
                Some(lines) => lines.iter().for_each(|line| context.out.line(line)),
                None => context.out.line(&shown(&record)),
            }
        } else {
            context.out.line(&Line::new().text(clean_json(&line)));
        }
    }
    Err(cut_off())
}

fn ended(context: &Context, record: &Record) -> Result<Exit, Failure> {
    let why = record.why.clone();
    match record.how.as_str() {
        "complete" => context
            .out
            .note(Line::new().with(Style::Faint, format!("  {why}"))),
        "cut" | "stopped" => {
            context.out.warn(Line::new().with(Style::Warn, "! ").text(why));
            return Ok(Exit::ERROR);
        }
        _ => {
            return Err(Failure::error(format!(
                "the recording is not as it was made: {why}"
            )));
        }
    }
    Ok(Exit::DONE)
}

/// When it was.
fn at(record: &Record) -> Line {
    let time = record.at.split_once('T');
    let time = time.map_or(record.at.as_str(), |(_, time)| time);
    Line::new().with(Style::Faint, format!("{time}  "))
}

/// `10:21:07.120  12 ms  3 rows  select …`.
fn shown(record: &Record) -> Line {
    let mut line = at(record);
    if let Some(lost) = record.records {
        return line.with(Style::Warn, format!("{lost} records are missing here"));
    }
    if let Some(took) = record.took_us {
        line = line.with(Style::Faint, format!("{}  ", span(took)));
    }
    if let Some(rows) = record.rows.filter(|rows| *rows > 0) {
        line = line.with(
            Style::Faint,
            format!("{rows} row{}  ", if rows == 1 { "" } else { "s" }),
        );
    }
    if record.goes_on {
        line = line.with(Style::Faint, "goes on: ");
    }
    if record.perhaps {
        line = line.with(Style::Faint, "(perhaps, by its name) ");
    }
    line = line.text(record.text.clone().unwrap_or_default());
    if record.text_missing.is_some() {
        line = line.with(Style::Faint, " …");
    }
    if let Some(values) = record.values.as_ref().filter(|values| !values.is_empty()) {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        line = line.with(Style::Faint, format!("  [{}]", values.join(", ")));
    }
    if !record.done.is_empty() && (record.failed.is_some() || record.cut) {
        line = line.with(Style::Faint, format!("  did {}", record.done.join(", ")));
    }
    match (&record.failed, &record.refused, record.cut) {
        (Some(state), ..) => line.with(Style::Warn, format!("  failed ({state})")),
        (_, Some(why), _) => line.with(Style::Warn, format!("  refused: {why}")),
        _ if record.suspended => line.with(Style::Faint, "  and waits to go on"),
        _ if record.bound => line.with(Style::Faint, "  bound, and not executed"),
        (_, _, true) => line.with(Style::Warn, "  cut: whether it ran is not known"),
        _ => line,
    }
}

pub(super) fn span(micros: u64) -> String {
    match micros {
        ..1_000 => format!("{micros} µs"),
        1_000..10_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{} s", micros / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(json: &str) -> String {
        let record: Record = serde_json::from_str(json).unwrap();
        shown(&record).render(false)
    }

    #[test]
    fn a_statement_is_shown_with_what_became_of_it() {
        let ran = r#"{"n":1,"at":"2026-01-02T10:21:07.12Z","kind":"statement","text":"select 1","took_us":12345,"rows":1,"done":["SELECT 1"]}"#;
        assert_eq!(line(ran), "10:21:07.12Z  12 ms  1 row  select 1");
        let failed = r#"{"at":"2026-01-02T10:21:07Z","kind":"statement","text":"x","took_us":5,"rows":0,"failed":"42601"}"#;
        assert_eq!(line(failed), "10:21:07Z  5 µs  x  failed (42601)");
        let partly =
            r#"{"at":"T1","kind":"statement","text":"x","done":["INSERT 0 1","COMMIT"],"failed":"22012"}"#;
        assert_eq!(line(partly), "1  x  did INSERT 0 1, COMMIT  failed (22012)");
        let refused = r#"{"at":"T1","kind":"statement","text":"drop table t","refused":"no DDL"}"#;
        assert_eq!(line(refused), "1  drop table t  refused: no DDL");
        let part = r#"{"at":"T1","kind":"statement","text":"x","rows":5,"goes_on":true,"suspended":true}"#;
        assert_eq!(line(part), "1  5 rows  goes on: x  and waits to go on");
        let bound = r#"{"at":"T1","kind":"statement","text":"select f()","perhaps":true,"bound":true}"#;
        assert_eq!(
            line(bound),
            "1  (perhaps, by its name) select f()  bound, and not executed"
        );
        assert_eq!(
            line(r#"{"at":"T1","kind":"lost","records":7}"#),
            "1  7 records are missing here"
        );
    }
}

//! What was recorded of a session: its records as a list that is searched and turned page by page here, so that one of any length stays fast; and its
//! terminals, to be played. Each look is an event of the log, with or without a script: so nothing here looks again by itself.

use std::collections::VecDeque;

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use daypass_api::client::{Error, LineStream};
use daypass_api::session::{Session, SessionState};
use daypass_core::id::SessionId;
use daypass_transcript::told::Teller;
use daypass_transcript::{Program, Search, Searched, programs};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::led::OnPurpose;
use super::measure::Measure;
use super::records::{self, Row, shown};
use super::session::{Head, Here};
use super::visit::{Visit, encoded};
use crate::{edge, heavy};

/// So many records are a page, and so many characters.
const PAGE: usize = 100;
const LONGEST: usize = 256 * 1024;

/// So many programs are listed, and so many lines of terminals in which something was found.
const PROGRAMS: usize = 200;
const FOUND: usize = 200;
/// So many characters of a program's command are shown.
const COMMAND: usize = 200;

#[derive(Template)]
#[template(path = "recording.html")]
struct Page {
    frame: Frame,
    one: Head,
    wanted: Wanted,
    /// What keeps whoever asks from seeing it.
    refused: Option<Failed>,
    rows: Vec<Row>,
    before: Option<String>,
    next: Option<String>,
    end: Option<Ended>,
    player: Option<Playable>,
    programs: Vec<Playable>,
    /// Programs have terminals, which are searched too.
    found: Vec<Hit>,
    partly: Vec<String>,
}

/// A program that showed something.
struct Playable {
    number: u32,
    command: String,
    /// Where it is played.
    path: String,
    is_chosen: bool,
}

/// A line of a terminal that has the words.
struct Hit {
    program: u32,
    time: String,
    text: String,
    /// When, in milliseconds since the terminal was there; nothing where it has none.
    at: Option<u64>,
    path: String,
}

/// How the recording ends.
struct Ended {
    warns: bool,
    said: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    words: String,
    /// From which record on.
    from: Option<u64>,
    /// Which program is played, and from when on.
    program: Option<u32>,
    at: Option<u64>,
}

/// Reads a recording, as far as it is wanted.
struct Reading {
    words: String,
    from: u64,
    /// There are terminals in it: all of it is read.
    is_host: bool,
    search: Option<Search>,
    teller: Teller,
    programs: Vec<String>,
    /// The last before this page.
    before: VecDeque<u64>,
    rows: Vec<Row>,
    weight: usize,
    next: Option<u64>,
    /// How it ended, and why.
    end: Option<(String, String)>,
    /// There is more than is read for one page.
    is_cut: bool,
}

impl Reading {
    fn new(wanted: &Wanted, is_host: bool) -> Self {
        let words = wanted.words.trim();
        Self {
            search: (is_host && !words.is_empty()).then(|| Search::new(words)),
            words: words.to_lowercase(),
            from: wanted.from.unwrap_or_default(),
            is_host,
            teller: Teller::default(),
            programs: Vec::new(),
            before: VecDeque::new(),
            rows: Vec::new(),
            weight: 0,
            next: None,
            end: None,
            is_cut: false,
        }
    }

    async fn all(&mut self, mut lines: LineStream) -> Result<(), Error> {
        let mut measure = Measure::begin();
        while let Some(line) = lines.next().await? {
            if !measure.bears(&line) {
                self.is_cut = true;
                break;
            }
            let Some(number) = records::number(&line) else {
                let end = records::read(&line).filter(|record| record.kind == "end");
                self.end = end.map(|end| (end.how, end.why));
                break;
            };
            self.line(number, &line);
            if self.next.is_some() && !self.is_host {
                break;
            }
        }
        Ok(())
    }

    fn line(&mut self, number: u64, line: &str) {
        if let Some(search) = &mut self.search {
            search.line(line);
        }
        let begins = |kind: &str| line.contains(&format!(r#""kind":"{kind}""#));
        if self.is_host && self.programs.len() < 2 * PROGRAMS && (begins("exec") || begins("terminal")) {
            self.programs.extend(lean(line));
        }
        let is_before = number < self.from;
        if self.next.is_some() || (is_before && self.words.is_empty() && !self.is_host) {
            self.pass(is_before, number);
            return;
        }
        // What a terminal shows depends on what it was told before: also what is not on this page is read.
        let Some(told) = records::told(&mut self.teller, line) else {
            return;
        };
        if told.what.is_empty() || !(self.words.is_empty() || records::has(&told, &self.words)) {
            return;
        }
        if is_before {
            self.pass(is_before, number);
        } else if self.rows.len() >= PAGE || self.weight >= LONGEST {
            self.next = Some(number);
        } else {
            let row = Row::of(told);
            self.weight += row.weight;
            self.rows.push(row);
        }
    }

    fn pass(&mut self, is_before: bool, number: u64) {
        if is_before {
            self.before.push_back(number);
            if self.before.len() > PAGE {
                self.before.pop_front();
            }
        }
    }

    /// What is said behind the last record of all.
    fn finish(&mut self) {
        if self.next.is_none() && self.end.is_some() {
            let left = self.teller.left_out();
            if !left.is_empty() {
                self.rows.push(Row::behind(0, left));
            }
        }
    }

    fn ended(&self, session: &Session) -> Ended {
        let (warns, said) = match self.end.as_ref().map(|(how, why)| (how.as_str(), why)) {
            Some(("complete", _)) => (
                false,
                String::from("All of it, as it was recorded: each part was held against the log."),
            ),
            Some(("cut", _)) if session.state != SessionState::Closed => (
                false,
                String::from("So far. What happens now is under Watch live, and here within seconds."),
            ),
            Some(("cut" | "stopped", why)) => (true, format!("It ends here: {}", shown(why))),
            Some((_, why)) => (
                true,
                format!("The recording is not as it was made: {}", shown(why)),
            ),
            None if self.is_cut => (
                true,
                String::from("It is longer than is read for a page: daypass session replay has all of it."),
            ),
            None if self.next.is_some() => (
                false,
                String::from("Each part up to here was held against the log before it was shown."),
            ),
            None => (
                true,
                String::from("The answer was cut off on its way: look again."),
            ),
        };
        Ended { warns, said }
    }
}

/// A recording, read as far as it is wanted.
struct Whole {
    reading: Reading,
    searched: Searched,
    programs: Vec<Program>,
}

impl Whole {
    /// Reads it. That keeps a processor for as long as the recording is.
    async fn read(mut reading: Reading, lines: LineStream) -> Result<Self, Error> {
        heavy::aside(async move {
            reading.all(lines).await?;
            reading.finish();
            Ok(Self {
                searched: reading.search.take().map(Search::finish).unwrap_or_default(),
                programs: programs(reading.programs.iter().map(String::as_str)),
                reading,
            })
        })
        .await
    }

    /// Of one that is not to be seen.
    fn none(reading: Reading) -> Self {
        Self {
            reading,
            searched: Searched::default(),
            programs: Vec::new(),
        }
    }
}

/// A line without what a list of programs does not need of it: somebody may have given each a command and an environment of any length.
fn lean(line: &str) -> Option<String> {
    let mut record: Map<String, Value> = serde_json::from_str(line).ok()?;
    record.retain(|_, value| !(value.is_object() || value.is_array()));
    for value in record.values_mut() {
        if let Value::String(text) = value {
            *text = text.chars().take(COMMAND).collect();
        }
    }
    serde_json::to_string(&record).ok()
}

impl Wanted {
    /// The same page of a session, from there on.
    fn path(&self, id: SessionId, more: &[(&str, u64)]) -> String {
        let mut path = format!("/sessions/{id}/recording?words={}", encoded(self.words.trim()));
        for (name, value) in more {
            path.push_str(&format!("&{name}={value}"));
        }
        path
    }

    fn with_program(&self, id: SessionId, from: Option<u64>) -> Option<String> {
        let program = self.program.map(|program| ("program", u64::from(program)));
        let more: Vec<_> = [("from", from?)].into_iter().chain(program).collect();
        Some(self.path(id, &more))
    }
}

/// The programs that showed something; the one that is wanted, or the first, is chosen.
fn playable(all: &[Program], id: SessionId, wanted: &Wanted) -> Vec<Playable> {
    let shows = all.iter().filter(|program| program.size.is_some()).take(PROGRAMS);
    let mut all: Vec<Playable> = shows
        .map(|program| Playable {
            number: program.channel,
            command: shown(program.command.as_deref().unwrap_or("a shell"))
                .chars()
                .take(COMMAND)
                .collect(),
            path: wanted.path(id, &[("program", u64::from(program.channel))]),
            is_chosen: wanted.program == Some(program.channel),
        })
        .collect();
    if wanted.program.is_none()
        && let Some(first) = all.first_mut()
    {
        first.is_chosen = true;
    }
    all
}

fn hits(searched: &Searched, all: &[Program], id: SessionId, wanted: &Wanted) -> Vec<Hit> {
    let hit = |found: &daypass_transcript::Found| {
        let program = all.iter().find(|program| program.channel == found.channel);
        let since = program.and_then(|program| program.shown);
        let at = since.map(|since| found.at.since(since).micros() / 1_000);
        let number = u64::from(found.channel);
        let time = found.at.to_string();
        Hit {
            program: found.channel,
            time: time
                .split_once('T')
                .map_or(time.as_str(), |(_, time)| time)
                .to_owned(),
            text: shown(&found.text).chars().take(500).collect(),
            at,
            path: wanted.path(id, &[("program", number), ("at", at.unwrap_or_default())]),
        }
    };
    searched.found.iter().take(FOUND).map(hit).collect()
}

fn partly(searched: &Searched) -> Vec<String> {
    let drawn = searched.partly.iter().take(PROGRAMS).map(|(program, from)| {
        format!("What program {program} wrote from {from} on is searched, and not how it stood on its screen: that was drawn too often.")
    });
    let more = searched.more || searched.found.len() > FOUND;
    let more =
        more.then(|| String::from("It stands in more lines than are shown: look for more words at once."));
    drawn.chain(more).collect()
}

/// See the module.
pub(super) async fn page(
    visit: Visit,
    _: OnPurpose,
    Path(id): Path<SessionId>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Failed> {
    let asking = async {
        let session = visit.api.session(&id.to_string()).await?;
        let title = format!("Session {}", session.id.short());
        let frame = visit.frame(Tab::Sessions, &title).await?;
        Ok::<_, Failed>((session, frame, visit.api.replay_session(id).await))
    };
    let (session, frame, lines) = visit.from.clone().scope(asking).await?;
    let reading = Reading::new(&wanted, session.protocol.as_str() == "ssh");
    let (whole, refused) = match lines {
        Ok(lines) => (Whole::read(reading, lines).await?, None),
        // Who may see the session, and not into it, sees why.
        Err(error) => (Whole::none(reading), Some(Failed::from(error))),
    };
    let Whole {
        reading,
        searched,
        programs: all,
    } = whole;
    let status = refused.as_ref().map_or(StatusCode::OK, Failed::status);
    let end = refused.is_none().then(|| reading.ended(&session));
    let mut programs = playable(&all, id, &wanted);
    let chosen = programs.iter().position(|program| program.is_chosen);
    let page = Page {
        frame,
        one: Head::of(&session, Here::Recording, edge::now()),
        refused,
        before: wanted.with_program(id, reading.before.front().copied()),
        next: wanted.with_program(id, reading.next),
        rows: reading.rows,
        end,
        found: hits(&searched, &all, id, &wanted),
        partly: partly(&searched),
        player: chosen.map(|chosen| programs.remove(chosen)),
        programs,
        wanted,
    };
    Ok((status, Html(page.render()?)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(number: u64, text: &str) -> String {
        format!(r#"{{"n":{number},"at":"2026-01-02T10:21:07Z","kind":"statement","text":"{text}"}}"#)
    }

    fn read(wanted: &Wanted, count: u64) -> Reading {
        let mut reading = Reading::new(wanted, false);
        for number in 1..=count {
            let text = if number % 10 == 0 { "DROP it" } else { "select" };
            reading.line(number, &statement(number, text));
        }
        reading
    }

    fn numbers(reading: &Reading) -> (u64, u64, usize) {
        let all: Vec<u64> = reading.rows.iter().map(|row| row.number).collect();
        (all[0], all[all.len() - 1], all.len())
    }

    #[test]
    fn pages_are_turned_both_ways() {
        let first = read(&Wanted::default(), 250);
        assert_eq!(numbers(&first), (1, 100, 100));
        assert_eq!((first.before.front(), first.next), (None, Some(101)));
        let from = |from| Wanted {
            from: Some(from),
            ..Wanted::default()
        };
        let last = read(&from(201), 250);
        assert_eq!(numbers(&last), (201, 250, 50));
        assert_eq!((last.before.front(), last.next), (Some(&101), None));
    }

    #[test]
    fn what_is_found_has_pages_too() {
        let wanted = Wanted {
            words: " drop ".to_owned(),
            from: Some(1_010),
            ..Wanted::default()
        };
        let found = read(&wanted, 3_000);
        assert_eq!(numbers(&found), (1_010, 2_000, 100));
        assert_eq!((found.before.front(), found.next), (Some(&10), Some(2_010)));
    }

    #[test]
    fn a_page_is_not_longer_than_a_page_bears() {
        let mut reading = Reading::new(&Wanted::default(), false);
        for number in 1..=100 {
            reading.line(number, &statement(number, &"x".repeat(100_000)));
        }
        assert!(
            reading.rows.len() < 50 && reading.next.is_some(),
            "{}",
            reading.rows.len()
        );
    }

    #[test]
    fn a_list_of_programs_keeps_little_of_each() {
        let mut reading = Reading::new(&Wanted::default(), true);
        let long = "x".repeat(100_000);
        reading.line(1, &format!(r#"{{"n":1,"at":"2026-01-02T10:21:07Z","kind":"exec","channel":1,"command":"ls {long}","env":{{"a":"{long}"}}}}"#));
        reading.line(2, &format!(r#"{{"n":2,"at":"2026-01-02T10:21:08Z","kind":"terminal","channel":1,"term":"{long}","columns":80,"rows":24}}"#));
        assert!(reading.programs.iter().map(String::len).sum::<usize>() < 1_000);
        let all = programs(reading.programs.iter().map(String::as_str));
        let shows = playable(&all, SessionId::from_bytes([1; 10]), &Wanted::default());
        assert!(shows.len() == 1 && shows[0].command.starts_with("ls xxx"));
    }

    #[test]
    fn terminals_are_played_and_searched() {
        let id = SessionId::from_bytes([1; 10]);
        let wanted = Wanted {
            words: "secret".to_owned(),
            ..Wanted::default()
        };
        let mut reading = Reading::new(&wanted, true);
        for (number, line) in (1..).zip([
            r#"{"n":1,"at":"2026-01-02T10:21:07Z","kind":"exec","channel":1}"#,
            r#"{"n":2,"at":"2026-01-02T10:21:08Z","kind":"terminal","channel":1,"term":"xterm","columns":80,"rows":24}"#,
            r#"{"n":3,"at":"2026-01-02T10:21:10.5Z","kind":"output","channel":1,"text":"a secr\u001b[1met\r\n"}"#,
        ]) {
            reading.line(number, line);
        }
        let all = programs(reading.programs.iter().map(String::as_str));
        let shows = playable(&all, id, &wanted);
        assert!(shows.len() == 1 && shows[0].is_chosen && shows[0].command == "a shell");
        let searched = reading.search.take().unwrap().finish();
        let hits = hits(&searched, &all, id, &wanted);
        assert_eq!(
            (hits.len(), hits[0].at, hits[0].text.as_str()),
            (1, Some(2_500), "a secret")
        );
        assert_eq!(
            hits[0].path,
            format!("/sessions/{id}/recording?words=secret&program=1&at=2500")
        );
    }
}

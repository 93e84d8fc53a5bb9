//! The lines of a recording, shown one after another as people or programs read them, up to the one that says how it ended.

use daypass_api::client::LineStream;
use daypass_core::id::SessionId;
use daypass_transcript::told::{Record, Said, Teller};

use crate::clean::clean_json;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::line::{Line, Style};

/// Shows the records of one session.
pub(super) struct Show {
    teller: Teller,
    /// Where those of several are shown: whose this is.
    of: Option<SessionId>,
}

impl Show {
    /// With the session's name before each line, where those of several are shown.
    pub(super) fn of(session: SessionId, several: bool) -> Self {
        Self {
            teller: Teller::default(),
            of: several.then_some(session),
        }
    }

    /// Shows a line; says how it ended, where this was the last.
    pub(super) fn line(&mut self, context: &Context, line: &str) -> Result<Option<Exit>, Failure> {
        let record = read(line)?;
        if record.kind == "end" {
            if context.out.is_for_people() {
                for said in self.teller.left_out() {
                    context.out.line(&self.behind(said));
                }
            }
            return ended(context, &record).map(Some);
        }
        if context.out.is_for_people() {
            for line in self.in_words(&record, line) {
                context.out.line(&line);
            }
        } else {
            context.out.line(&Line::new().text(clean_json(&self.named(line))));
        }
        Ok(None)
    }

    fn in_words(&mut self, record: &Record, line: &str) -> Vec<Line> {
        let said = self.teller.tell(record, line).lines();
        said.into_iter().map(|said| self.behind(said)).collect()
    }

    /// Behind whose it is, where those of several are shown.
    fn behind(&self, said: Said) -> Line {
        let begin = match self.of {
            Some(session) => Line::new().with(Style::Faint, format!("{}  ", session.short())),
            None => Line::new(),
        };
        begin.and(said.into())
    }

    /// The line as it is stored; with whose it is, where those of several are shown.
    fn named(&self, line: &str) -> String {
        match (self.of, line.strip_prefix('{')) {
            (Some(session), Some(rest)) => format!("{{\"session\":\"{session}\",{rest}"),
            _ => line.to_owned(),
        }
    }
}

/// Shows all lines of a session.
pub(super) async fn all(context: &Context, mut show: Show, mut lines: LineStream) -> Result<Exit, Failure> {
    while let Some(line) = lines.next().await? {
        if let Some(exit) = show.line(context, &line)? {
            return Ok(exit);
        }
    }
    Err(cut_off())
}

/// Gives each line, and says how the recording ended.
pub(super) async fn each(
    context: &Context,
    mut lines: LineStream,
    mut give: impl FnMut(String),
) -> Result<Exit, Failure> {
    while let Some(line) = lines.next().await? {
        let record = read(&line)?;
        if record.kind == "end" {
            return ended(context, &record);
        }
        give(line);
    }
    Err(cut_off())
}

fn read(line: &str) -> Result<Record, Failure> {
    serde_json::from_str(line)
        .map_err(|error| Failure::error(format!("the server sent what is no record: {error}")))
}

/// The answer ends without the line that says how.
pub(super) fn cut_off() -> Failure {
    Failure::error("the answer was cut off on its way").hint("run it again")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_each_line_says_whose_it_is() {
        let session = SessionId::from_bytes([1; 10]);
        let line = r#"{"n":1,"at":"2026-01-02T10:21:07Z","kind":"statement","text":"select 1"}"#;
        let record = read(line).unwrap();
        let mut one = Show::of(session, false);
        assert_eq!(one.named(line), line);
        assert_eq!(
            one.in_words(&record, line)[0].render(false),
            "10:21:07Z  select 1"
        );
        let mut several = Show::of(session, true);
        let named: serde_json::Value = serde_json::from_str(&several.named(line)).unwrap();
        assert_eq!(
            (&named["session"], &named["n"]),
            (&serde_json::json!(session.to_string()), &serde_json::json!(1))
        );
        let said = several.in_words(&record, line)[0].render(false);
        assert_eq!(said, format!("{}  10:21:07Z  select 1", session.short()));
    }
}

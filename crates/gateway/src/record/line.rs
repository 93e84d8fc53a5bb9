//! A record as one line of a recording: JSON, in the words that people search for.

use serde::Serialize;

use crate::ssh::event::Event;

use super::{Missing, Outcome, Record, Statement, Value, What};

/// How a line is written. What is absent does not stand in it.
#[derive(Serialize)]
struct Line<'a> {
    n: u64,
    at: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    perhaps: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_missing: Option<Gone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Vec<Bound<'a>>>,
    #[serde(skip_serializing_if = "is_zero")]
    values_missing: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    #[serde(skip_serializing_if = "is_zero")]
    copied: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<&'a [String]>,
    #[serde(skip_serializing_if = "is_zero")]
    done_missing: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    goes_on: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    suspended: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    bound: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    may_work: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

/// The same of something in a session of SSH: its own words say what.
#[derive(Serialize)]
struct Happened<'a> {
    n: u64,
    at: String,
    #[serde(flatten)]
    event: &'a Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_missing: Option<Gone>,
}

#[derive(Serialize)]
struct Gone {
    bytes: u64,
    /// Of all of it.
    sha256: String,
}

/// A bound value: `null`, its text, or an object that says what the text is.
#[derive(Serialize)]
#[serde(untagged)]
enum Bound<'a> {
    Null,
    Text(&'a str),
    Hex { hex: &'a str },
    Begins { begins: &'a str },
    Hidden { hidden: bool },
    LeftOut { left_out: u64 },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Record {
    /// The record as one line of JSON, without a line feed: `n` its number, `at` when it began, `kind` (`statement` or `lost`);
    /// of a statement `text` (with `perhaps` where its name may stand for another), `values` where they are recorded, `took_us` (microseconds), `rows`, `copied` (bytes of a COPY's data, which itself is not recorded), and one of `done` (what it did),
    /// `failed` (SQLSTATE), `refused` (why), `suspended` (it gave the rows that were asked for, and waits; what is executed then is a record with `goes_on`), `bound` (planned, and not executed) and `cut` (the session ended before it did; with `may_work` where the target could not be stopped). `done` stands beside `failed` or `cut` where a string did
    /// something before that: it is undone, unless it was committed. What was left out is in `text_missing`
    /// (bytes, and the SHA-256 of the whole text), `values_missing` and `done_missing`. Of lost records, `records` says how many and
    /// `until` when the last began. What happened in a session of SSH has kinds and words of its own ([`Event`]).
    #[must_use]
    pub fn line(&self) -> String {
        // Strings and numbers: nothing in it can fail.
        if let What::Ssh(event) = &self.what {
            let line = Happened {
                n: self.number,
                at: self.at.to_string(),
                event,
                text_missing: self.cut.as_ref().and_then(|cut| cut.text.as_ref().map(Gone::of)),
            };
            return serde_json::to_string(&line).unwrap_or_default();
        }
        serde_json::to_string(&Line::of(self)).unwrap_or_default()
    }
}

impl<'a> Line<'a> {
    fn of(record: &'a Record) -> Self {
        let mut line = Self {
            n: record.number,
            at: record.at.to_string(),
            kind: "lost",
            text: None,
            perhaps: false,
            text_missing: None,
            values: None,
            values_missing: 0,
            took_us: None,
            rows: None,
            copied: 0,
            done: None,
            done_missing: 0,
            failed: None,
            refused: None,
            goes_on: false,
            suspended: false,
            bound: false,
            cut: false,
            may_work: false,
            records: None,
            until: None,
        };
        match &record.what {
            What::Statement(statement) => line.statement(statement),
            // It has a line of its own.
            What::Ssh(_) => {}
            What::Lost(lost) => {
                line.records = Some(lost.records);
                line.until = Some(lost.until.to_string());
            }
        }
        if let Some(cut) = &record.cut {
            line.text_missing = cut.text.as_ref().map(Gone::of);
            line.values_missing = cut.values;
            line.done_missing = cut.results;
        }
        line
    }

    fn statement(&mut self, statement: &'a Statement) {
        self.kind = "statement";
        self.text = Some(&statement.text);
        self.perhaps = statement.perhaps;
        self.goes_on = statement.goes_on;
        self.values = statement
            .values
            .as_ref()
            .map(|values| values.iter().map(Bound::of).collect());
        self.took_us = Some(u64::try_from(statement.took.as_micros()).unwrap_or(u64::MAX));
        self.rows = Some(statement.rows);
        self.copied = statement.copied;
        self.done = (!statement.before.is_empty()).then_some(&statement.before);
        match &statement.outcome {
            Outcome::Done(results) => self.done = Some(results),
            Outcome::Failed(code) => self.failed = Some(code),
            Outcome::Refused(why) => self.refused = Some(why),
            Outcome::Suspended => self.suspended = true,
            Outcome::Bound => self.bound = true,
            Outcome::Cut => self.cut = true,
            Outcome::MayWork => (self.cut, self.may_work) = (true, true),
        }
    }
}

impl Gone {
    fn of(missing: &Missing) -> Self {
        Self {
            bytes: missing.bytes,
            sha256: hex::encode(missing.sha256),
        }
    }
}

impl<'a> Bound<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Text(text) => Self::Text(text),
            Value::Binary(hex) => Self::Hex { hex },
            Value::Cut(begins) => Self::Begins { begins },
            Value::Hidden => Self::Hidden { hidden: true },
            Value::LeftOut(count) => Self::LeftOut { left_out: *count },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use daypass_core::time::Timestamp;

    use super::*;
    use crate::record::{Cut, Lost};

    #[test]
    fn a_record_is_one_line_that_says_all() {
        let statement = Statement {
            text: "SELECT $1,\n\"a\u{1}\"".into(),
            perhaps: true,
            goes_on: true,
            values: Some(
                [
                    Value::Null,
                    Value::Text("ä".to_owned()),
                    Value::Binary("00ff".to_owned()),
                    Value::Cut("x".to_owned()),
                    Value::Hidden,
                    Value::LeftOut(5),
                ]
                .into(),
            ),
            took: Duration::from_micros(1_500),
            rows: 2,
            copied: 9,
            outcome: Outcome::Done(vec!["SELECT 2".to_owned()]),
            before: Vec::new(),
        };
        let mut record = Record {
            number: 7,
            at: Timestamp::EPOCH,
            what: What::Statement(statement),
            cut: None,
        };
        assert_eq!(
            record.line(),
            r#"{"n":7,"at":"1970-01-01T00:00:00Z","kind":"statement","text":"SELECT $1,\n\"a\u0001\"","perhaps":true,"values":[null,"ä",{"hex":"00ff"},{"begins":"x"},{"hidden":true},{"left_out":5}],"took_us":1500,"rows":2,"copied":9,"done":["SELECT 2"],"goes_on":true}"#
        );
        assert!(!format!("{record:?}").contains("SELECT"), "{record:?}");
        record.cut = Some(Cut {
            text: Some(Missing {
                bytes: 9,
                sha256: [0xab; 32],
            }),
            values: 1,
            results: 0,
        });
        let line = record.line();
        let mark = format!(r#""text_missing":{{"bytes":9,"sha256":"{}"}}"#, "ab".repeat(32));
        assert!(
            line.contains(&mark) && line.contains(r#""values_missing":1,"#),
            "{line}"
        );
        record.cut = None;
        record.what = What::Lost(Lost {
            records: 3,
            until: Timestamp::EPOCH,
        });
        assert_eq!(
            record.line(),
            r#"{"n":7,"at":"1970-01-01T00:00:00Z","kind":"lost","records":3,"until":"1970-01-01T00:00:00Z"}"#
        );
    }
}

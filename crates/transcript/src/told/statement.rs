//! A record of a recording as it is stored, and those of statements in words.

use serde::Deserialize;

use super::{Said, Tone};

/// A record, as the server stores it (`Record::line` of the gateway).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Its number.
    pub n: u64,
    at: String,
    /// What it is of.
    pub kind: String,
    text: Option<String>,
    perhaps: bool,
    text_missing: Option<serde_json::Value>,
    values: Option<Vec<serde_json::Value>>,
    values_missing: u64,
    copied: u64,
    took_us: Option<u64>,
    rows: Option<u64>,
    done: Vec<String>,
    done_missing: u64,
    #[serde(deserialize_with = "words")]
    failed: Option<String>,
    refused: Option<String>,
    goes_on: bool,
    suspended: bool,
    bound: bool,
    cut: bool,
    may_work: bool,
    records: Option<u64>,
    /// Of the last line: how it ended.
    pub how: String,
    /// Why it ended so.
    pub why: String,
}

/// Of a statement it is an SQLSTATE; of what was begun at a host, that it was not.
fn words<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(serde_json::Value::deserialize(from)?.as_str().map(str::to_owned))
}

impl Record {
    /// The time of day at which it was.
    pub(super) fn time(&self) -> String {
        let time = self.at.split_once('T').map(|(_, time)| time);
        time.unwrap_or(&self.at).to_owned()
    }

    /// How long a statement took.
    pub(super) fn took(&self) -> Option<String> {
        self.took_us.map(span)
    }

    /// How many rows a statement gave, where it gave any.
    pub(super) fn rows(&self) -> Option<u64> {
        self.rows.filter(|rows| *rows > 0)
    }
}

/// `select …`, and what became of it.
pub(super) fn shown(record: &Record) -> Said {
    let mut line = Said::default();
    if let Some(lost) = record.records {
        return line.with(Tone::Warn, format!("{lost} records are missing here"));
    }
    if record.goes_on {
        line = line.with(Tone::Faint, "goes on: ");
    }
    if record.perhaps {
        line = line.with(Tone::Faint, "(perhaps, by its name) ");
    }
    line = line.text(record.text.clone().unwrap_or_default());
    if record.text_missing.is_some() {
        line = line.with(Tone::Faint, " …");
    }
    if let Some(values) = record.values.as_ref().filter(|values| !values.is_empty()) {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        line = line.with(Tone::Faint, format!("  [{}]", values.join(", ")));
    }
    if record.values_missing > 0 {
        line = line.with(Tone::Warn, format!(" and {} values more", record.values_missing));
    }
    if record.copied > 0 {
        line = line.with(Tone::Faint, format!("  {} bytes copied", record.copied));
    }
    if !record.done.is_empty() && (record.failed.is_some() || record.cut) {
        line = line.with(Tone::Faint, format!("  did {}", record.done.join(", ")));
    }
    if record.done_missing > 0 {
        line = line.with(Tone::Warn, format!("  did {} things more", record.done_missing));
    }
    match (&record.failed, &record.refused, record.cut) {
        (Some(state), ..) => line.with(Tone::Warn, format!("  failed ({state})")),
        (_, Some(why), _) => line.with(Tone::Warn, format!("  refused: {why}")),
        _ if record.suspended => line.with(Tone::Faint, "  and waits to go on"),
        _ if record.bound => line.with(Tone::Faint, "  bound, and not executed"),
        (_, _, true) if record.may_work => {
            line.with(Tone::Warn, "  cut: the target may still be working on it")
        }
        (_, _, true) => line.with(Tone::Warn, "  cut: whether it ran is not known"),
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
    use super::super::Told;
    use super::super::host::Host;
    use super::*;

    fn line(json: &str) -> String {
        let record: Record = serde_json::from_str(json).unwrap();
        Told::of(&mut Host::default(), &record, json).lines()[0].to_string()
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
        let long = r#"{"at":"T1","kind":"statement","text":"x","text_missing":{"bytes":9},"values":[1],"values_missing":2,"copied":5,"done":["A"],"done_missing":3,"cut":true,"may_work":true}"#;
        assert_eq!(
            line(long),
            "1  x …  [1] and 2 values more  5 bytes copied  did A  did 3 things more  cut: the target may still be working on it"
        );
        assert_eq!(
            line(r#"{"at":"T1","kind":"lost","records":7}"#),
            "1  7 records are missing here"
        );
    }
}

//! Records of a session as rows of a page. All of it is somebody's who may want to harm the reader: text stays text, what turns or hides text is
//! made visible, and no row is longer than a page bears.

use askama::Template;
use daypass_core::text::is_hostile;
use daypass_transcript::told::{Record, Said, Teller, Told, Tone};

/// So many characters of a record are shown.
const LONGEST: usize = 8 * 1024;
/// And so many, beside them, of what is told as a warning: what became of a record is said also where its text is cut. But what a program wrote as an
/// error is told so too, and that is its holder's to make long.
const WARNINGS: usize = 4 * 1024;
/// So much of one warning.
const WARNING: usize = 512;
/// So many lines.
const LINES: usize = 200;

/// Rows, wherever they stand on a page.
#[derive(Template)]
#[template(path = "records.html")]
pub(super) struct Rows<'a> {
    pub(super) rows: &'a [Row],
}

/// A record.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) number: u64,
    pub(super) time: String,
    pub(super) took: Option<String>,
    pub(super) rows: Option<u64>,
    pub(super) lines: Vec<Vec<Part>>,
    /// So many characters are not shown.
    pub(super) more: usize,
    /// Something of it is missing, was refused or has failed.
    pub(super) warns: bool,
    /// How long it is.
    pub(super) weight: usize,
}

/// A part of what it says.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) class: &'static str,
    pub(super) text: String,
}

/// Reads a line; nothing where it is no record.
pub(super) fn read(line: &str) -> Option<Record> {
    serde_json::from_str(line).ok()
}

/// The number of a line, without reading all of it: as it is written, that is first.
pub(super) fn number(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("{\"n\":")?;
    rest.split_once(',')?.0.parse().ok()
}

/// Whether a record has these words, which are in small letters.
pub(super) fn has(told: &Told, words: &str) -> bool {
    let mut said = told.what.iter();
    said.any(|said| said.to_string().to_lowercase().contains(words))
}

impl Row {
    /// A record, as it is told.
    pub(super) fn of(told: Told) -> Self {
        let (mut left, mut warnings) = (LONGEST, WARNINGS);
        let mut more = 0;
        let mut warns = false;
        let mut lines = Vec::new();
        for said in told.what {
            let mut line = Vec::new();
            let is_room = lines.len() < LINES;
            for (tone, text) in said.parts() {
                warns |= tone == Tone::Warn;
                let length = text.chars().count();
                let (budget, most) = match tone {
                    Tone::Warn => (&mut warnings, WARNING),
                    _ => (&mut left, LONGEST),
                };
                let taken = if is_room { length.min(most).min(*budget) } else { 0 };
                *budget -= taken;
                more += length - taken;
                if taken > 0 {
                    let text: String = text.chars().take(taken).collect();
                    line.push(Part {
                        class: class(tone),
                        text: shown(&text),
                    });
                }
            }
            if !line.is_empty() {
                lines.push(line);
            }
        }
        let weight = lines.iter().flatten().map(|part| part.text.len() + 32).sum();
        Self {
            number: told.number,
            time: shown(&told.time),
            took: told.took,
            rows: told.rows,
            lines,
            more,
            warns,
            weight,
        }
    }

    /// What is said at the end of all, of no record.
    pub(super) fn behind(number: u64, said: Vec<Said>) -> Self {
        Self::of(Told {
            number,
            time: String::new(),
            took: None,
            rows: None,
            what: said,
        })
    }
}

/// What a line says; nothing where it is no record.
pub(super) fn told(teller: &mut Teller, line: &str) -> Option<Told> {
    let record = read(line)?;
    Some(teller.tell(&record, line))
}

const fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "",
        Tone::Strong => "strong",
        Tone::Faint => "quiet",
        Tone::Warn => "warn",
    }
}

/// Text with what a page would hide, or turn round, made visible. Line breaks stay.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' => {}
            c if is_hostile(c) => out.push_str(&format!("<U+{:04X}>", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(lines: &[&str]) -> String {
        let mut teller = Teller::default();
        let rows: Vec<Row> = lines
            .iter()
            .filter_map(|line| told(&mut teller, line).map(Row::of))
            .collect();
        Rows { rows: &rows }.render().unwrap()
    }

    #[test]
    fn what_was_recorded_is_text_and_nothing_else() {
        let page = page(&[
            r#"{"n":1,"at":"2026-01-02T10:21:07Z","kind":"statement","text":"select '<script>alert(1)</script>' \u202e\u0007","took_us":5,"rows":1}"#,
            r#"{"n":2,"at":"2026-01-02T10:21:08<b>Z","kind":"statement","text":"x","refused":"<img src=x onerror=alert(1)>"}"#,
            r#"{"n":3,"at":"2026-01-02T10:21:09Z","kind":"<svg onload=alert(1)>","channel":1}"#,
            r#"{"n":4,"at":"2026-01-02T10:21:09Z","kind":"exec","channel":1,"command":"\"><script>","env":{"<i>":"</li>"}}"#,
            r#"{"n":5,"at":"2026-01-02T10:21:09Z","kind":"output","channel":1,"text":"<script>\u001b[31mred</script>\r\n"}"#,
            "<script>no record</script>",
        ]);
        for tag in [
            "<script", "<img", "<svg", "<i>", "<b>", "\u{202e}", "\u{7}", "\u{1b}",
        ] {
            assert!(!page.contains(tag), "{tag:?} in {page}");
        }
        assert!(page.contains("U+202E") && page.contains("refused: "), "{page}");
        assert_eq!(page.matches("<li").count(), 5, "{page}");
    }

    #[test]
    fn no_row_is_longer_than_a_page_bears() {
        let line = format!(
            r#"{{"n":1,"at":"T1","kind":"statement","text":"{}","failed":"42601"}}"#,
            "x".repeat(100_000)
        );
        let page = page(&[&line]);
        assert!(page.len() < 10_000, "{}", page.len());
        assert!(page.contains("failed (42601)"), "what became of it is said");
        assert!(page.contains("characters more"));
    }

    #[test]
    fn what_a_program_writes_as_errors_floods_no_page() {
        let said = |text: &str| {
            format!(r#"{{"n":1,"at":"T1","kind":"output","channel":1,"error":true,"text":"{text}"}}"#)
        };
        for text in [
            "x\\n".repeat(300_000),
            "x".repeat(900_000),
            format!("{}\\n", "y".repeat(500)).repeat(1_000),
        ] {
            let mut teller = Teller::default();
            let exec = r#"{"n":0,"at":"T1","kind":"exec","channel":1,"command":"x"}"#;
            let _ = told(&mut teller, exec);
            let told = told(&mut teller, &said(&text)).unwrap();
            let length: usize = told
                .what
                .iter()
                .cloned()
                .flat_map(Said::parts)
                .map(|(_, text)| text.chars().count())
                .sum();
            let row = Row::of(told);
            let shown: usize = row
                .lines
                .iter()
                .flatten()
                .map(|part| part.text.chars().count())
                .sum();
            assert!(
                row.lines.len() <= LINES && shown <= LONGEST + WARNINGS,
                "{} {shown}",
                row.lines.len()
            );
            assert!(row.weight < 32 * 1024, "{}", row.weight);
            assert_eq!(row.more, length - shown, "the rest is counted");
            assert!(length < 1_000 || row.more > 0);
        }
    }

    #[test]
    fn a_number_is_read_where_it_stands() {
        assert_eq!(number(r#"{"n":17,"at":"x"}"#), Some(17));
        assert_eq!(number(r#"{"at":"x","n":17}"#), None);
        assert_eq!(number("{\"n\":x,"), None);
    }
}

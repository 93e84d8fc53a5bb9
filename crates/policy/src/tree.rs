//! YAML to a tree in which every key and value knows its place.
//!
//! The typed reading (`read`) works on this tree rather than on serde's derive, so that one run finds many mistakes, and so
//! that the free-form configuration of connectors and roles keeps its places for the provider that reads it.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value as Json};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, Options, Spanned};

use crate::Source;
use crate::diagnostic::{At, Problems};
use crate::nearest::quote;

/// The longest file, in bytes. A policy of ten thousand rules has about a third of it.
const MAX_BYTES: usize = 4 << 20;
/// The deepest nesting. The language needs seven levels; a provider's configuration may need some more.
const MAX_DEPTH: usize = 24;
/// The most values in a file.
const MAX_NODES: usize = 250_000;
/// The most values that aliases may stand for, in all.
const MAX_REPLAYED: usize = 20_000;
/// The longest single value, in bytes.
const MAX_SCALAR: usize = 64 << 10;

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// A number, and how it was spelt: `007` may be meant as a name.
    Number(Number, String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) at: At,
    pub(crate) text: String,
}

impl Node {
    /// What it is, for "expected a list, found a map".
    pub(crate) const fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(..) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// The value of a key, where it is a map that has it.
    pub(crate) fn entry(&self, key: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else {
            return None;
        };
        entries
            .iter()
            .find(|(name, _)| name.text == key)
            .map(|(_, node)| node)
    }

    /// The text of a scalar, as it was spelt.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Number(_, text) => Some(text),
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// As JSON, with the place of every part by its JSON pointer (RFC 6901).
    pub(crate) fn to_json(&self, pointer: &str, places: &mut Vec<(String, At)>) -> Json {
        places.push((pointer.to_owned(), self.at));
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(value, _) => Json::Number(value.clone()),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| item.to_json(&format!("{pointer}/{index}"), places))
                .collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|(key, value)| {
                    let step = key.text.replace('~', "~0").replace('/', "~1");
                    let value = value.to_json(&format!("{pointer}/{step}"), places);
                    (key.text.clone(), value)
                })
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

/// The tree of one file, or nothing where it has none; the problems say why.
pub(crate) fn parse(file: usize, source: &Source, problems: &mut Problems<'_>) -> Option<Node> {
    let before = problems.count();
    if source.text.len() > MAX_BYTES {
        let what = format!(
            "the file has {} bytes; at most {MAX_BYTES} are read",
            source.text.len()
        );
        problems.note(point(file, source, 0), what, "split it into several files");
        return None;
    }
    hidden_characters(file, source, problems);
    if problems.count() > before {
        return None;
    }
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(&source.text, options()) {
        Ok(raw) => {
            let node = Planter {
                file,
                source,
                problems,
            }
            .plant(raw);
            (problems.count() == before).then_some(node)
        }
        Err(error) => {
            refuse(file, source, &error, problems);
            None
        }
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        strict_booleans: true,
        reject_unsupported_tags: true,
        emit_comments: false,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: MAX_NODES * 3,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_documents: 2,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_REPLAYED,
            max_replay_stack_depth: MAX_DEPTH,
        },
    }
}

/// Why the parser took no tree from the file.
fn refuse(file: usize, source: &Source, error: &Error, problems: &mut Problems<'_>) {
    let said = error.to_string();
    // The place is told apart from the message.
    let said = said.split(" at line ").next().unwrap_or_default();
    let (what, hint) = match error.without_snippet() {
        Error::DuplicateMappingKey { key, .. } => (
            format!(
                "the key {} is there twice",
                quote(key.as_deref().unwrap_or_default())
            ),
            "a later one would silently replace the first; remove one of them",
        ),
        Error::MergeKeyNotAllowed { .. } => (
            String::from("merge keys (<<) are not taken"),
            "write the keys out, so that each rule can be read by itself",
        ),
        Error::MultipleDocuments { .. } => (
            String::from("the file holds more than one YAML document"),
            "one document per file; put the rest into a file of its own",
        ),
        Error::Budget { .. } => (
            format!("the file is deeper or larger than a policy may be: {said}"),
            "",
        ),
        _ if said.starts_with("alias replay") => (
            format!("the file is deeper or larger than a policy may be: {said}"),
            "",
        ),
        _ if said.contains("tab") => (said.to_owned(), "YAML is indented by spaces, never by tabs"),
        _ => (said.to_owned(), ""),
    };
    let at = error
        .location()
        .map_or_else(|| point(file, source, 0), |place| at(file, place));
    problems.note(at, what, hint);
}

/// Characters that show a reader another text than the parser reads (CVE-2021-42574, "Trojan Source"), and control codes.
fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

/// What nobody sees in a value; in a comment it may belong to the language that the comment is written in.
pub(crate) fn is_hidden(c: char) -> bool {
    is_deceptive(c)
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{061c}' | '\u{feff}' | '\u{00ad}')
}

fn hidden_characters(file: usize, source: &Source, problems: &mut Problems<'_>) {
    for (start, c) in source.text.char_indices() {
        if is_deceptive(c) {
            let what = format!("the invisible character U+{:04X} stands here", u32::from(c));
            problems.note(
                point(file, source, start),
                what,
                "remove it: it shows a reader something else than is read",
            );
        }
    }
}

/// The place of a byte.
fn point(file: usize, source: &Source, start: usize) -> At {
    let before = source.text.get(..start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    At {
        file,
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
        start,
        len: 0,
    }
}

fn at(file: usize, place: serde_saphyr::Location) -> At {
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let bytes = |value: Option<u64>| value.and_then(|value| usize::try_from(value).ok()).unwrap_or(0);
    At {
        file,
        line: number(place.line()),
        column: number(place.column()),
        start: bytes(place.span().byte_offset()),
        len: bytes(place.span().byte_len()),
    }
}

/// What serde hands over, before places are put into our own terms.
enum Raw {
    Null,
    Bool(bool),
    Number(Option<Number>),
    Text(String),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(Some(value.into())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(Some(value.into())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Number(Number::from_f64(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

struct Planter<'a, 's, 'p> {
    file: usize,
    source: &'a Source,
    problems: &'p mut Problems<'s>,
}

impl Planter<'_, '_, '_> {
    fn plant(&mut self, raw: Spanned<Raw>) -> Node {
        let at = at(self.file, raw.defined);
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Bool(value) => Value::Bool(value),
            Raw::Number(number) => self.number(number, at),
            Raw::Text(text) => {
                self.scalar(&text, at);
                Value::Text(text)
            }
            Raw::List(items) => Value::List(items.into_iter().map(|item| self.plant(item)).collect()),
            Raw::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| {
                        let at = self::at(self.file, key.defined);
                        self.scalar(&key.value, at);
                        (Key { at, text: key.value }, self.plant(value))
                    })
                    .collect(),
            ),
        };
        Node { at, value }
    }

    fn number(&mut self, number: Option<Number>, at: At) -> Value {
        let spelt = self
            .source
            .text
            .get(at.start..at.start.saturating_add(at.len))
            .unwrap_or_default()
            .trim();
        let whole = spelt
            .trim_start_matches(['-', '+'])
            .chars()
            .all(|c| c.is_ascii_digit());
        match number {
            Some(number) if !(whole && number.is_f64() && spelt.len() > 15) => {
                let spelt = if spelt.is_empty() {
                    number.to_string()
                } else {
                    spelt.to_owned()
                };
                Value::Number(number, spelt)
            }
            _ => {
                let what = format!("{} is too long for a number", quote(spelt));
                self.problems.note(at, what, "put it in quotes if it is text");
                Value::Null
            }
        }
    }

    /// What an escape such as `"\u202e"` put into a text is as little visible as what stands in the file itself.
    fn scalar(&mut self, text: &str, at: At) {
        if let Some(c) = text.chars().find(|c| is_hidden(*c)) {
            let what = format!("the text holds the invisible character U+{:04X}", u32::from(c));
            self.problems.note(at, what, "remove it");
        }
        if text.len() > MAX_SCALAR {
            let what = format!(
                "the text has {} bytes; at most {MAX_SCALAR} are taken",
                text.len()
            );
            self.problems.note(at, what, "");
        }
    }
}

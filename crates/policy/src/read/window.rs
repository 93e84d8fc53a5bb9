//! Reads the named windows of time.

use daypass_core::name::Name;

use super::{Declared, declare};
use crate::diagnostic::Problems;
use crate::fields::{Fields, Keys, expected, one_or_many};
use crate::nearest::{did_you_mean, list, quote};
use crate::tree::{Node, Value};
use crate::window::{Clock, DAYS, Window, Zone};

const WINDOW: Keys = Keys {
    what: "a window",
    known: &["days", "from", "to", "tz"],
    later: &[],
};

pub(super) fn windows(node: &Node, declared: &mut Declared, problems: &mut Problems<'_>) -> Vec<Window> {
    let Value::Map(entries) = &node.value else {
        if !matches!(node.value, Value::Null) {
            expected("a map of names to windows", "\"windows\"", node, problems);
        }
        return Vec::new();
    };
    let mut windows = Vec::new();
    for (key, node) in entries {
        let name: Name = match key.text.parse() {
            Ok(name) => name,
            Err(error) => {
                problems.note(key.at, format!("windows: {error}"), "");
                declared.windows.torn = true;
                continue;
            }
        };
        if declare("window", &name, key.at, &mut declared.windows, problems).is_ok() {
            windows.extend(window(name, node, problems));
        }
    }
    windows
}

fn window(name: Name, node: &Node, problems: &mut Problems<'_>) -> Option<Window> {
    let fields = Fields::of(node, &WINDOW, problems)?;
    let days = match fields.get("days") {
        None => (!fields.misspelt("days")).then_some([true; 7]),
        Some(node) => days(node, problems),
    };
    let from = fields.parse("from", problems);
    if from == Some(Clock::END) {
        let at = fields.get("from").map_or(fields.at, |node| node.at);
        let what = "no window begins when the day is over";
        problems.note(at, what, "write \"00:00\", and the day after");
        return None;
    }
    let to = fields.parse("to", problems);
    let zone = fields
        .required("tz", problems)
        .and_then(|node| zone(node, problems));
    if let (Some(from), Some(to)) = (from, to)
        && from == to
    {
        let what = "this window ends when it begins";
        problems.note(
            fields.at,
            what,
            "for a whole day write {from: \"00:00\", to: \"24:00\"}",
        );
        return None;
    }
    Some(Window {
        name,
        days: days?,
        from: from?,
        to: to?,
        zone: zone?,
    })
}

fn days(node: &Node, problems: &mut Problems<'_>) -> Option<[bool; 7]> {
    let items = one_or_many(node);
    if items.is_empty() {
        problems.note(node.at, "\"days\" is empty", "without \"days\" it is every day");
        return None;
    }
    let mut days = Some([false; 7]);
    for item in items {
        let Some(text) = item.text() else {
            expected("a day such as sat", "\"days\"", item, problems);
            days = None;
            continue;
        };
        match DAYS.iter().position(|day| *day == text) {
            Some(place) => {
                if let Some(day) = days.as_mut().and_then(|days| days.get_mut(place)) {
                    *day = true;
                }
            }
            None => {
                let otherwise = format!("the days are {}", list(DAYS));
                let what = format!("{} is no day", quote(text));
                problems.note(item.at, what, did_you_mean(text, DAYS, otherwise));
                days = None;
            }
        }
    }
    days
}

fn zone(node: &Node, problems: &mut Problems<'_>) -> Option<Zone> {
    let Some(text) = node.text() else {
        expected("the name of a time zone", "\"tz\"", node, problems);
        return None;
    };
    let zone = Zone::named(text);
    if zone.is_none() && problems.is_full() {
        problems.note(node.at, "", "");
    } else if zone.is_none() {
        let names = Zone::names();
        let otherwise = "write a name of the IANA database, such as Europe/Madrid or UTC";
        let hint = did_you_mean(text, names.iter().map(String::as_str), otherwise);
        problems.note(node.at, format!("there is no time zone {}", quote(text)), hint);
    }
    zone
}

//! All terminals of a session at once, as frames: for who watches it while it goes on.

use std::collections::BTreeMap;

use crate::frames::{Frame, Frames};
use crate::line::{What, read};

/// So many are drawn at once. What others show is told as lines.
const MOST: usize = 8;

/// What became of a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It shows something else.
    Frame(Frame),
    /// Its program ended: what it shows stays.
    Ended,
    /// Its program drew too often: what else it shows is not drawn.
    Skipped,
}

/// See the module.
#[derive(Debug)]
pub struct Screens {
    each: u64,
    all: BTreeMap<u32, Frames>,
}

impl Screens {
    /// With one frame in so many milliseconds at most, of each.
    #[must_use]
    pub const fn new(each: u64) -> Self {
        Self {
            each,
            all: BTreeMap::new(),
        }
    }

    /// The next line. Says whether it is drawn, and what changed with it, by the numbers of the programs.
    pub fn line(&mut self, line: &str) -> (bool, Vec<(u32, Change)>) {
        let Some(line) = read(line) else {
            return (false, Vec::new());
        };
        let channel = line.channel;
        if matches!(line.what, What::Shows(..)) && self.all.len() < MOST {
            let frames = || Frames::new(channel).each(self.each);
            self.all.entry(channel).or_insert_with(frames);
        }
        let Some(frames) = self.all.get_mut(&channel) else {
            return (false, Vec::new());
        };
        let is_drawn = matches!(line.what, What::Output(_));
        let is_over = matches!(line.what, What::Ended(_));
        let mut changes = Vec::new();
        let mut drawn = frames.take(line);
        if is_over && let Ok(before) = drawn {
            changes.extend(before.map(|frame| (channel, Change::Frame(frame))));
            drawn = frames.now();
        }
        let is_skipped = drawn.is_err();
        match drawn {
            Ok(frame) => changes.extend(frame.map(|frame| (channel, Change::Frame(frame)))),
            Err(_) => changes.push((channel, Change::Skipped)),
        }
        if is_over {
            changes.push((channel, Change::Ended));
        }
        if is_over || is_skipped {
            self.all.remove(&channel);
        }
        (is_drawn, changes)
    }

    /// Whether something was drawn that is in no frame yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.all.values().any(Frames::is_waiting)
    }

    /// What was drawn and is in no frame yet.
    pub fn now(&mut self) -> Vec<(u32, Change)> {
        self.each(Frames::now)
    }

    /// All that stands on all of them, for who has seen nothing yet.
    pub fn whole(&mut self) -> Vec<(u32, Change)> {
        self.each(Frames::whole)
    }

    fn each(
        &mut self,
        mut give: impl FnMut(&mut Frames) -> Result<Option<Frame>, crate::Skipped>,
    ) -> Vec<(u32, Change)> {
        let mut changes = Vec::new();
        self.all.retain(|channel, frames| match give(frames) {
            Ok(frame) => {
                changes.extend(frame.map(|frame| (*channel, Change::Frame(frame))));
                true
            }
            Err(_) => {
                changes.push((*channel, Change::Skipped));
                false
            }
        });
        changes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(channel: u32, kind: &str, text: &str) -> String {
        json!({"n": 1, "at": "2026-11-22T12:00:00Z", "kind": kind, "channel": channel, "term": "xterm", "columns": 10, "rows": 2, "text": text})
            .to_string()
    }

    #[test]
    fn each_program_has_its_own_screen_until_it_ends() {
        let mut screens = Screens::new(200);
        assert_eq!(screens.line(&line(1, "output", "of nobody")), (false, vec![]));
        screens.line(&line(1, "terminal", ""));
        screens.line(&line(2, "terminal", ""));
        assert_eq!(screens.whole().len(), 2);
        assert!(!screens.is_waiting());
        assert_eq!(screens.line(&line(2, "output", "two")), (true, vec![]));
        assert!(screens.is_waiting());
        let (drawn, changes) = screens.line(&line(2, "exit", ""));
        assert!(!drawn);
        assert!(
            matches!(changes.as_slice(), [(2, Change::Frame(frame)), (2, Change::Ended)] if frame.rows[0].1[0].0 == "two"),
            "{changes:?}"
        );
        assert_eq!(screens.whole().len(), 1, "the other one");
    }

    #[test]
    fn nobody_opens_screens_without_end() {
        let mut screens = Screens::new(200);
        for channel in 0..100 {
            screens.line(&line(channel, "terminal", ""));
        }
        assert_eq!(screens.whole().len(), MOST);
    }
}

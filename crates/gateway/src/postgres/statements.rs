//! Which answer of the target belongs to which message of the client, and so what each statement did. Without IO.
//!
//! The target answers in order. What a client sends is put into a queue, and each answer finds the first entry that it can be
//! about. Texts are looked up when the answer is there, so that what is recorded is what ran, whatever was pipelined. An answer
//! that is about nothing is an error: the session cannot be recorded any more, and ends.

mod entry;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::frame::{Fields, Front, Head, Malformed, Report};
use super::message::Said;
use super::redact::redacted;
use crate::record::{Outcome, Room, Value};
pub use entry::{Ended, Now};
use entry::{Entry, Running, deallocated, recorded, unrecorded};

/// How many bytes of texts and values of prepared statements and portals are kept for one session.
const KEPT: usize = 32 << 20;

/// What is to be done about an answer.
#[derive(Debug, Default)]
pub struct Answered {
    /// Whose end is known now.
    pub ended: Vec<Ended>,
    /// What the client is told in place of this answer.
    pub instead: Option<Said>,
}

#[derive(Debug)]
struct Portal {
    text: Arc<str>,
    values: Option<Vec<Value>>,
    cost: usize,
}

/// What a portal is counted as: its values may be written as digits.
const fn portal_cost(name: &[u8], values: usize) -> usize {
    128 + name.len() + 2 * values
}

/// The state of one session's statements.
#[derive(Debug)]
pub struct Statements {
    record_values: bool,
    queue: VecDeque<Entry>,
    prepared: HashMap<Vec<u8>, Arc<str>>,
    portals: HashMap<Vec<u8>, Portal>,
    kept: usize,
    /// What portals hold: their names and values.
    portal_bytes: usize,
    /// After an error in a batch the target ignores everything until a Sync.
    skipping: bool,
    /// The target reads a COPY's data.
    copying: bool,
    /// An ignored Sync may have been none: one answer too many is no error.
    lenient: bool,
}

impl Statements {
    /// Of a new session.
    #[must_use]
    pub fn new(record_values: bool) -> Self {
        Self {
            record_values,
            queue: VecDeque::new(),
            prepared: HashMap::new(),
            portals: HashMap::new(),
            kept: 0,
            portal_bytes: 0,
            skipping: false,
            copying: false,
            lenient: false,
        }
    }

    /// Whether something waits for its answer.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.queue.is_empty() || self.copying
    }

    /// How many messages wait for their answers.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.queue.len()
    }

    /// How many bytes of room a message needs before it is passed on; `None` where it leads to no record.
    #[must_use]
    pub fn cost(&self, front: &Front<'_>) -> Option<usize> {
        match front {
            Front::Query { text } | Front::Parse { text, .. } => Some(text.len()),
            Front::Bind { rest, .. } if self.record_values => Some(rest.len().saturating_mul(2)),
            Front::Bind { .. } | Front::Execute { .. } | Front::FunctionCall => Some(0),
            _ => None,
        }
    }

    /// Whether a text may still be kept.
    #[must_use]
    pub fn has_room_to_prepare(&self, text: &[u8]) -> bool {
        self.kept.saturating_add(text.len()) <= KEPT
    }

    /// Whether a portal may still be kept. They go with their transaction.
    #[must_use]
    pub fn has_room_to_bind(&self, portal: &[u8], rest: &[u8]) -> bool {
        self.portal_bytes.saturating_add(portal_cost(portal, rest.len())) <= KEPT / 4
    }

    /// A message of the client that is passed on, or that is refused and replaced by one that fails.
    ///
    /// # Errors
    /// It is not allowed while a COPY is read.
    pub fn front(
        &mut self,
        front: &Front<'_>,
        refused: Option<Said>,
        room: Option<Room>,
        now: Now,
    ) -> Result<Option<Room>, Malformed> {
        let is_sync = matches!(front, Front::Sync);
        if self.skipping && !is_sync {
            return Ok(room);
        }
        if self.copying {
            return self.front_of_copy(front).map(|()| room);
        }
        self.skipping &= !is_sync;
        let running = |text: Option<&[u8]>, room| Running {
            text: text.map(|text| redacted(text).into()),
            values: None,
            size: 0,
            now,
            rows: 0,
            tags: Vec::new(),
            failed: None,
            refused,
            room,
        };
        let entry = match (front, room) {
            (Front::Query { text }, Some(room)) => Entry::Query(running(Some(text), room)),
            (Front::FunctionCall, Some(room)) => {
                Entry::FunctionCall(running(Some(b"(a function called by its number)"), room))
            }
            (Front::Parse { name, text }, Some(room)) => Entry::Parse {
                name: name.to_vec(),
                running: running(Some(text), room),
            },
            (
                Front::Bind {
                    portal,
                    statement,
                    rest,
                },
                Some(room),
            ) => {
                let mut running = running(None, room);
                running.values = self.record_values.then(|| recorded(rest));
                running.size = if self.record_values { rest.len() } else { 0 };
                Entry::Bind {
                    portal: portal.to_vec(),
                    statement: statement.to_vec(),
                    running,
                }
            }
            (Front::Execute { portal }, Some(room)) => Entry::Execute {
                portal: portal.to_vec(),
                running: running(None, room),
            },
            (Front::Describe, _) => Entry::Describe,
            (Front::Close { kind, name }, _) => Entry::Close {
                kind: *kind,
                name: name.to_vec(),
            },
            (Front::Sync, _) => Entry::Sync { ignored: false },
            // Data before the target has asked for it, by a client in a hurry; without a COPY it is ignored.
            (Front::CopyDone | Front::CopyFail, _) if !self.queue.is_empty() => Entry::CopyEnd,
            (_, room) => return Ok(room),
        };
        self.queue.push_back(entry);
        Ok(None)
    }

    fn front_of_copy(&mut self, front: &Front<'_>) -> Result<(), Malformed> {
        match front {
            Front::CopyData | Front::Flush | Front::Terminate => Ok(()),
            Front::CopyDone | Front::CopyFail => {
                self.copying = false;
                Ok(())
            }
            Front::Sync => {
                self.lenient = true;
                Ok(())
            }
            _ => Err(Malformed::Kind),
        }
    }

    /// A row of the statement that is at its turn.
    pub fn row(&mut self) {
        if let Some(Entry::Query(running) | Entry::Execute { running, .. }) = self.queue.front_mut() {
            running.rows += 1;
        }
    }

    /// An answer of the target. `body` is all of it, or its beginning.
    ///
    /// # Errors
    /// It is about nothing that was asked.
    pub fn back(&mut self, head: Head, body: &[u8], now: Now) -> Result<Answered, Malformed> {
        let mut answered = Answered::default();
        match head.kind {
            // At any time, and about nothing: notices, notifications, parameters; and rows, which `row` counts.
            b'N' | b'A' | b'S' | b'D' | b'd' => {}
            b'1' | b'2' | b'3' => {
                let entry = self.take(|entry| match head.kind {
                    b'1' => matches!(entry, Entry::Parse { .. }),
                    b'2' => matches!(entry, Entry::Bind { .. }),
                    _ => matches!(entry, Entry::Close { .. }),
                })?;
                self.completed(entry, &mut answered);
            }
            b't' => {
                self.find(|entry| matches!(entry, Entry::Describe))?;
            }
            b'T' | b'n' => {
                let front = self.find(|entry| matches!(entry, Entry::Describe | Entry::Query(_)))?;
                if matches!(front, Entry::Describe) {
                    self.queue.pop_front();
                }
            }
            b'G' | b'H' | b'W' => {
                self.find(|entry| matches!(entry, Entry::Query(_) | Entry::Execute { .. }))?;
                if head.kind != b'H' {
                    self.copy_begins()?;
                }
            }
            b'c' | b'V' | b'I' | b'C' | b's' => self.statement_ends(head, body, now, &mut answered)?,
            b'E' => self.failed(body, now, &mut answered)?,
            b'Z' => self.ready(body, now, &mut answered)?,
            _ => return Err(Malformed::Kind),
        }
        Ok(answered)
    }

    /// The first entry that an answer can be about; what was passed over got none.
    fn find(&mut self, is: impl Fn(&Entry) -> bool) -> Result<&mut Entry, Malformed> {
        while let Some(front) = self.queue.front() {
            if is(front) {
                break;
            }
            match front {
                Entry::CopyEnd | Entry::Sync { ignored: true } => {
                    self.queue.pop_front();
                }
                _ => return Err(Malformed::Kind),
            }
        }
        self.queue.front_mut().ok_or(Malformed::Kind)
    }

    fn take(&mut self, is: impl Fn(&Entry) -> bool) -> Result<Entry, Malformed> {
        self.find(is)?;
        self.queue.pop_front().ok_or(Malformed::Kind)
    }

    /// A Parse, Bind or Close was done.
    fn completed(&mut self, entry: Entry, answered: &mut Answered) {
        match entry {
            Entry::Parse { name, running } => {
                let text = running.text.unwrap_or_default();
                let name_length = name.len();
                self.kept += name_length + text.len();
                if let Some(before) = self.prepared.insert(name, text) {
                    // Its name was counted before.
                    self.kept = self.kept.saturating_sub(before.len() + name_length);
                }
                answered.ended.push(unrecorded(running.room));
            }
            Entry::Bind {
                portal,
                statement,
                running,
            } => {
                let text = self.text_of(&statement);
                let (values, cost) = (running.values, portal_cost(&portal, running.size));
                self.portal_bytes += cost;
                let before = self.portals.insert(portal, Portal { text, values, cost });
                self.portal_bytes -= before.map_or(0, |before| before.cost).min(self.portal_bytes);
                answered.ended.push(unrecorded(running.room));
            }
            Entry::Close { kind: b'S', name } => self.forget(&name),
            Entry::Close { name, .. } => {
                let before = self.portals.remove(&name).map_or(0, |before| before.cost);
                self.portal_bytes -= before.min(self.portal_bytes);
            }
            _ => {}
        }
    }

    fn forget(&mut self, name: &[u8]) {
        if let Some(text) = self.prepared.remove(name) {
            self.kept = self.kept.saturating_sub(name.len() + text.len());
        }
    }

    fn text_of(&self, statement: &[u8]) -> Arc<str> {
        let known = self.prepared.get(statement).map(Arc::clone);
        known.unwrap_or_else(|| format!("(prepared: {})", statement.escape_ascii()).into())
    }

    fn copy_begins(&mut self) -> Result<(), Malformed> {
        self.copying = true;
        let mut index = 1;
        while let Some(entry) = self.queue.get_mut(index) {
            match entry {
                Entry::Sync { ignored } => {
                    *ignored = true;
                    index += 1;
                }
                Entry::CopyEnd => {
                    self.queue.remove(index);
                    self.copying = false;
                    return Ok(());
                }
                // The target would take it for data, and fail.
                _ => return Err(Malformed::Kind),
            }
        }
        Ok(())
    }

    /// One statement of a string, or what a portal runs.
    fn statement_ends(
        &mut self,
        head: Head,
        body: &[u8],
        now: Now,
        answered: &mut Answered,
    ) -> Result<(), Malformed> {
        let front = self.find(|entry| {
            matches!(
                entry,
                Entry::Query(_) | Entry::FunctionCall(_) | Entry::Execute { .. }
            )
        })?;
        let (Entry::Query(running) | Entry::FunctionCall(running) | Entry::Execute { running, .. }) = front
        else {
            return Err(Malformed::Kind);
        };
        if head.kind == b'C' {
            let tag = Fields(body).text().ok_or(Malformed::Body)?;
            let tag = String::from_utf8_lossy(tag).into_owned();
            running.tags.push(tag.clone());
            let counted = tag.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok());
            if let (Some(counted), false) = (counted, tag.starts_with("SELECT")) {
                // Rows that came back were counted: those of a FETCH or RETURNING are in the tag too.
                running.rows = running.rows.max(counted);
            }
            self.tagged(&tag);
        }
        if head.kind == b'c' || !matches!(self.queue.front(), Some(Entry::Execute { .. })) {
            return Ok(());
        }
        let Some(Entry::Execute { portal, running }) = self.queue.pop_front() else {
            return Err(Malformed::Kind);
        };
        self.drop_ignored();
        self.end_execute(&portal, running, now, answered);
        Ok(())
    }

    fn end_execute(&self, portal: &[u8], mut running: Running, now: Now, answered: &mut Answered) {
        if let Some(known) = self.portals.get(portal) {
            running.text = Some(Arc::clone(&known.text));
            running.values.clone_from(&known.values);
        } else {
            running.text = Some(format!("(portal: {})", portal.escape_ascii()).into());
        }
        answered.ended.push(running.ended(now));
    }

    /// The COPY went well: what it ignored was ignored.
    fn drop_ignored(&mut self) {
        self.copying = false;
        while matches!(
            self.queue.front(),
            Some(Entry::Sync { ignored: true } | Entry::CopyEnd)
        ) {
            self.queue.pop_front();
        }
    }

    /// SQL that makes the target forget what was prepared.
    fn tagged(&mut self, tag: &str) {
        match tag {
            "DISCARD ALL" | "DEALLOCATE ALL" => {
                self.prepared.clear();
                self.kept = 0;
            }
            "DEALLOCATE" => {
                let text = match self.queue.front() {
                    Some(Entry::Query(running)) => running.text.clone(),
                    Some(Entry::Execute { portal, .. }) => {
                        self.portals.get(portal).map(|portal| Arc::clone(&portal.text))
                    }
                    _ => None,
                };
                let name = text.as_deref().and_then(deallocated);
                if let Some(name) = name {
                    self.forget(&name);
                }
            }
            _ => {}
        }
    }

    fn failed(&mut self, body: &[u8], now: Now, answered: &mut Answered) -> Result<(), Malformed> {
        let report = Report::read(body)?;
        let code = report
            .code
            .map(|code| String::from_utf8_lossy(&code).into_owned());
        let code = code.unwrap_or_default();
        while matches!(
            self.queue.front(),
            Some(Entry::CopyEnd | Entry::Sync { ignored: true })
        ) {
            self.queue.pop_front();
        }
        self.copying = false;
        match self.queue.front_mut() {
            // Whoever ends the connection may do so at any time.
            None => {
                return if report.is_fatal() {
                    Ok(())
                } else {
                    Err(Malformed::Kind)
                };
            }
            Some(Entry::Query(running) | Entry::FunctionCall(running)) => {
                running.failed = Some(code);
                answered.instead = running.refused.clone();
                return Ok(());
            }
            // What the end of a batch brings about: it is the end all the same.
            Some(Entry::Sync { .. }) => return Ok(()),
            Some(_) => {}
        }
        let front = self.queue.pop_front();
        self.fail_one(front, code, now, answered);
        self.skip(answered);
        Ok(())
    }

    /// One message of a batch failed.
    fn fail_one(&self, entry: Option<Entry>, code: String, now: Now, answered: &mut Answered) {
        match entry {
            Some(Entry::Parse { mut running, .. }) => {
                answered.instead = running.refused.clone();
                running.failed = Some(code);
                answered.ended.push(running.ended(now));
            }
            Some(Entry::Bind {
                statement,
                mut running,
                ..
            }) => {
                answered.instead = running.refused.clone();
                running.text = Some(self.text_of(&statement));
                running.failed = Some(code);
                answered.ended.push(running.ended(now));
            }
            Some(Entry::Execute { portal, mut running }) => {
                running.failed = Some(code);
                self.end_execute(&portal, running, now, answered);
            }
            _ => {}
        }
    }

    /// The target ignores the rest of the batch.
    fn skip(&mut self, answered: &mut Answered) {
        self.skipping = true;
        while let Some(entry) = self.queue.front() {
            if let Entry::Sync { ignored: false } = entry {
                self.skipping = false;
                return;
            }
            self.lenient |= matches!(entry, Entry::Sync { .. });
            if let Some(running) = self.queue.pop_front().and_then(Entry::running) {
                answered.ended.push(unrecorded(running.room));
            }
        }
    }

    fn ready(&mut self, body: &[u8], now: Now, answered: &mut Answered) -> Result<(), Malformed> {
        let found = self.take(|entry| {
            matches!(
                entry,
                Entry::Query(_) | Entry::FunctionCall(_) | Entry::Sync { .. }
            )
        });
        match found {
            Ok(entry) => {
                if let Some(running) = entry.running() {
                    answered.ended.push(running.ended(now));
                }
            }
            Err(_) if self.lenient && self.queue.is_empty() => self.skipping = false,
            Err(error) => return Err(error),
        }
        self.copying = false;
        if body.first() == Some(&b'I') {
            // Portals do not outlive their transaction.
            self.portals.clear();
            self.portal_bytes = 0;
        }
        Ok(())
    }

    /// The session is over: what still ran was cut.
    pub fn cut(&mut self, now: Now) -> Vec<Ended> {
        let mut cut = Answered::default();
        while let Some(entry) = self.queue.pop_front() {
            match entry {
                Entry::Execute { portal, running } => self.end_execute(&portal, running, now, &mut cut),
                Entry::Bind { running, .. } | Entry::Parse { running, .. } => {
                    cut.ended.push(unrecorded(running.room))
                }
                entry => {
                    if let Some(running) = entry.running() {
                        cut.ended.push(running.ended(now));
                    }
                }
            }
        }
        for ended in &mut cut.ended {
            if let Some((_, statement)) = &mut ended.record
                && matches!(&statement.outcome, Outcome::Done(_))
            {
                statement.outcome = Outcome::Cut;
            }
        }
        cut.ended
    }
}

#[cfg(test)]
mod tests;

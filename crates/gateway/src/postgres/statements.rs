//! Which answer of the target belongs to which message of the client, and so what each statement did. Without IO.
//!
//! The target answers in order. What a client sends is put into a queue, and each answer finds the first entry that it can be
//! about. Texts are looked up when the answer is there, so that what is recorded is what ran, whatever was pipelined. An answer
//! that is about nothing is an error: the session cannot be recorded any more, and ends. So does one of which cannot be told what
//! it is about: a COPY that fails may have read the Syncs that came meanwhile, or not.

mod cost;
mod entry;
mod names;

use std::collections::VecDeque;

use super::frame::{Front, Head, Malformed, Report};
use super::message::Said;
use super::redact::redacted;
use crate::record::{Outcome, Room};
pub use entry::{Ended, Now};
use entry::{Entry, Running, called, recorded, unrecorded};
use names::Names;

/// What is to be done about an answer.
#[derive(Default)]
pub struct Answered {
    /// Whose end is known now.
    pub ended: Vec<Ended>,
    /// What the client is told in place of this answer.
    pub instead: Option<Said>,
}

/// The state of one session's statements.
pub struct Statements {
    record_values: bool,
    queue: VecDeque<Entry>,
    names: Names,
    /// Texts are read as `redact` reads them: UTF-8, and a backslash is a character like others.
    plain: bool,
    /// After an error in a batch the target ignores everything until a Sync.
    skipping: bool,
    /// The first of the queue is a COPY that the target has asked the data of.
    copy: bool,
    /// Its end was not sent yet.
    copying: bool,
    /// How many Syncs were sent before its end: it ignores them, unless it had failed before.
    passed_over: usize,
    /// A COPY has failed, and so many Syncs may count that were sent before: each has one ReadyForQuery more than expected.
    spare: usize,
    /// Something ran since the target was last ready: what it changed of the session, it tells only when it is ready again.
    unreported: bool,
}

impl Statements {
    /// Of a new session.
    #[must_use]
    pub fn new(record_values: bool) -> Self {
        Self {
            record_values,
            queue: VecDeque::new(),
            names: Names::default(),
            plain: true,
            skipping: false,
            copy: false,
            copying: false,
            passed_over: 0,
            spare: 0,
            unreported: false,
        }
    }

    /// Whether something waits for its answer.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.queue.is_empty() || self.copying
    }

    /// Whether the target reads data.
    #[must_use]
    pub const fn is_copying(&self) -> bool {
        self.copying
    }

    /// How many messages wait for their answers.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.queue.len()
    }

    /// Whether texts are read as UTF-8 with `standard_conforming_strings`, as far as the target has said.
    pub const fn reads(&mut self, plain: bool) {
        self.plain = plain;
    }

    /// A message of the client that is passed on, or that is refused and replaced by one that fails.
    ///
    /// # Errors
    /// It is not allowed while a COPY is read, or nobody could tell whether it runs.
    pub fn front(
        &mut self,
        front: &Front<'_>,
        refused: Option<Said>,
        room: Option<Room>,
        now: Now,
    ) -> Result<Option<Room>, Malformed> {
        let is_sync = matches!(front, Front::Sync);
        if self.skipping && !is_sync {
            return self.front_of_skipped(front).map(|()| room);
        }
        if self.copying {
            return self.front_of_copy(front).map(|()| room);
        }
        self.skipping &= !is_sync;
        let plain = self.plain;
        let running = |text: Option<&[u8]>, room| Running {
            text: text.map(|text| redacted(text, plain).into()),
            values: None,
            size: 0,
            now,
            rows: 0,
            copied: 0,
            tags: Vec::new(),
            more_tags: 0,
            heard: false,
            failed: None,
            refused,
            room,
        };
        let entry = match (front, room) {
            (Front::Query { text }, Some(room)) => Entry::Query(running(Some(text), room)),
            (Front::FunctionCall { number, rest }, Some(room)) => {
                let mut running = running(None, room);
                running.text = Some(called(*number).into());
                running.values = Some(recorded(rest));
                Entry::FunctionCall(running)
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
            (Front::Sync, _) => Entry::Sync,
            // Data before the target has asked for it, by a client in a hurry; without a COPY it is ignored.
            (Front::CopyDone | Front::CopyFail, _) if !self.queue.is_empty() => Entry::CopyEnd,
            (_, room) => return Ok(room),
        };
        self.queue.push_back(entry);
        Ok(None)
    }

    /// The target skips to a Sync. Where one that was sent before may count, it may be through with that already.
    const fn front_of_skipped(&self, front: &Front<'_>) -> Result<(), Malformed> {
        match front {
            Front::CopyData | Front::CopyDone | Front::CopyFail | Front::Flush | Front::Terminate => Ok(()),
            _ if self.spare == 0 => Ok(()),
            _ => Err(Malformed::Untold),
        }
    }

    const fn front_of_copy(&mut self, front: &Front<'_>) -> Result<(), Malformed> {
        match front {
            Front::CopyData | Front::Flush | Front::Terminate => Ok(()),
            Front::CopyDone | Front::CopyFail => {
                self.copying = false;
                Ok(())
            }
            Front::Sync => {
                self.passed_over += 1;
                Ok(())
            }
            _ => Err(Malformed::Kind),
        }
    }

    /// Whether what ran may have changed how texts are read, and the target has not said yet.
    #[must_use]
    pub const fn is_unreported(&self) -> bool {
        self.unreported
    }

    /// Data of a COPY from the client: they are of what was sent last. So many bytes.
    pub fn copied_in(&mut self, bytes: usize) {
        if self.skipping {
            return;
        }
        let mut last = self.queue.iter_mut().rev();
        let last = last.find_map(|entry| match entry {
            Entry::Query(running) | Entry::Execute { running, .. } => Some(running),
            _ => None,
        });
        if let Some(running) = last {
            running.copied += u64::try_from(bytes).unwrap_or(0);
        }
    }

    /// Rows of the statement that is at its turn.
    pub fn rows(&mut self, count: u64) {
        if let Some(running) = self.running() {
            running.rows = running.rows.saturating_add(count);
        }
    }

    /// A piece of a COPY's data from the target, which is a row of it: so many bytes.
    pub fn copied_out(&mut self, bytes: usize) {
        if let Some(running) = self.running() {
            running.rows += 1;
            running.copied += u64::try_from(bytes).unwrap_or(0);
        }
    }

    fn running(&mut self) -> Option<&mut Running> {
        match self.queue.front_mut() {
            Some(Entry::Query(running) | Entry::Execute { running, .. }) => Some(running),
            _ => None,
        }
    }

    /// An answer of the target. `body` is all of it, or its beginning.
    ///
    /// # Errors
    /// It is about nothing that was asked, or nobody can tell what it is about.
    pub fn back(&mut self, head: Head, body: &[u8], now: Now) -> Result<Answered, Malformed> {
        let mut answered = Answered::default();
        match head.kind {
            // At any time, and about nothing: notices, notifications, parameters; and rows and data, which are counted.
            b'N' | b'A' | b'S' | b'D' | b'd' => return Ok(answered),
            b'E' => {
                self.failed(head, body, now, &mut answered)?;
                return Ok(answered);
            }
            b'Z' => {
                self.ready(body, now, &mut answered)?;
                return Ok(answered);
            }
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
            b'G' | b'H' => {
                self.find(|entry| matches!(entry, Entry::Query(_) | Entry::Execute { .. }))?;
                if head.kind == b'G' {
                    self.copy_begins()?;
                }
            }
            b'c' | b'V' | b'I' | b'C' | b's' => self.statement_ends(head, body, now, &mut answered)?,
            _ => return Err(Malformed::Kind),
        }
        // It is about something that came after those Syncs: what they had for answers is all there.
        self.spare = 0;
        Ok(answered)
    }

    /// The first entry that an answer can be about.
    fn find(&mut self, is: impl Fn(&Entry) -> bool) -> Result<&mut Entry, Malformed> {
        self.drop_copy_ends();
        self.queue
            .front_mut()
            .filter(|front| is(front))
            .ok_or(Malformed::Kind)
    }

    /// The end of data that nobody had asked for has no answer.
    fn drop_copy_ends(&mut self) {
        while matches!(self.queue.front(), Some(Entry::CopyEnd)) {
            self.queue.pop_front();
        }
    }

    fn take(&mut self, is: impl Fn(&Entry) -> bool) -> Result<Entry, Malformed> {
        self.find(is)?;
        self.queue.pop_front().ok_or(Malformed::Kind)
    }

    /// A Parse, Bind or Close was done.
    fn completed(&mut self, entry: Entry, answered: &mut Answered) {
        match entry {
            Entry::Parse { name, running } => {
                self.names.prepare(name, running.text.unwrap_or_default());
                answered.ended.push(unrecorded(running.room));
            }
            Entry::Bind {
                portal,
                statement,
                running,
            } => {
                self.unreported = true;
                self.names.bind(portal, &statement, running.values, running.size);
                answered.ended.push(unrecorded(running.room));
            }
            Entry::Close { kind: b'S', name } => self.names.forget(&name),
            Entry::Close { name, .. } => self.names.close(&name),
            _ => {}
        }
    }

    fn copy_begins(&mut self) -> Result<(), Malformed> {
        self.copy = true;
        self.copying = true;
        self.passed_over = 0;
        while let Some(entry) = self.queue.get(1) {
            match entry {
                Entry::Sync => self.passed_over += 1,
                Entry::CopyEnd => self.copying = false,
                // The target would take it for data, and fail.
                _ => return Err(Malformed::Kind),
            }
            self.queue.remove(1);
            if !self.copying {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The COPY is over; the answer is how many Syncs were sent before its end.
    const fn copy_ends(&mut self) -> usize {
        let passed_over = if self.copy { self.passed_over } else { 0 };
        self.copy = false;
        self.copying = false;
        self.passed_over = 0;
        passed_over
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
        let mut tag = None;
        if head.kind == b'C' {
            tag = Some(running.tag(body)?);
        }
        running.heard |= head.kind != b'c';
        if head.kind == b'c' {
            return Ok(());
        }
        if let (Entry::Query(running), Some(tag)) = (&*front, &tag) {
            // One of several statements in a text: which of them, is not looked for. (A text may have thousands.)
            let alone = running.tags.len() <= 1;
            let text = running.text.clone().filter(|_| alone).unwrap_or_default();
            self.names.tagged(tag, &text);
        }
        if head.kind == b'C' {
            // It read all that was sent before the end of its data.
            self.copy_ends();
        }
        if !matches!(self.queue.front(), Some(Entry::Execute { .. })) {
            return Ok(());
        }
        let Some(Entry::Execute { portal, running }) = self.queue.pop_front() else {
            return Err(Malformed::Kind);
        };
        self.unreported = true;
        self.end_execute(&portal, running, now, answered);
        if let Some(tag) = tag {
            let (text, _) = self.names.portal(&portal);
            self.names.tagged(&tag, &text);
        }
        Ok(())
    }

    fn end_execute(&self, portal: &[u8], mut running: Running, now: Now, answered: &mut Answered) {
        let (text, values) = self.names.portal(portal);
        running.text = Some(text);
        running.values = values;
        answered.ended.push(running.ended(now));
    }

    fn failed(
        &mut self,
        head: Head,
        body: &[u8],
        now: Now,
        answered: &mut Answered,
    ) -> Result<(), Malformed> {
        let report = if body.len() < head.body {
            Report::beginning(body)
        } else {
            Report::read(body)?
        };
        let code = report
            .code
            .map(|code| String::from_utf8_lossy(&code).into_owned());
        let code = code.unwrap_or_default();
        self.drop_copy_ends();
        let spare = self.copy_ends();
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
                running.heard = true;
                answered.instead = running.refused.clone();
                self.spare = spare;
                return Ok(());
            }
            // What the end of a batch brings about: it is the end all the same.
            Some(Entry::Sync) => return Ok(()),
            Some(Entry::Execute { running, .. }) => running.failed = Some(code.clone()),
            Some(_) => {}
        }
        if spare > 0 && !self.is_told() {
            return Err(Malformed::Untold);
        }
        self.spare = spare;
        let front = self.queue.pop_front();
        self.fail_one(front, code, now, answered);
        self.skip(answered);
        Ok(())
    }

    /// A COPY failed that may or may not have passed over Syncs: whether anything was sent behind it that runs in one case only.
    fn is_told(&self) -> bool {
        let behind = self.queue.iter().skip(1);
        let mut to_the_sync = behind.take_while(|entry| !matches!(entry, Entry::Sync));
        to_the_sync.all(|entry| matches!(entry, Entry::CopyEnd))
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
                running.text = Some(self.names.text_of(&statement));
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
            if matches!(entry, Entry::Sync) {
                self.skipping = false;
                return;
            }
            if let Some(running) = self.queue.pop_front().and_then(Entry::running) {
                answered.ended.push(unrecorded(running.room));
            }
        }
    }

    fn ready(&mut self, body: &[u8], now: Now, answered: &mut Answered) -> Result<(), Malformed> {
        self.drop_copy_ends();
        let is_its = match self.queue.front() {
            Some(Entry::Sync) => true,
            // It would have said something before.
            Some(Entry::Query(running) | Entry::FunctionCall(running)) => running.heard,
            _ => false,
        };
        if is_its {
            if let Some(running) = self.queue.pop_front().and_then(Entry::running) {
                answered.ended.push(running.ended(now));
            }
        } else if self.spare > 0 {
            // A Sync of those that may have been passed over was not.
            self.spare -= 1;
            self.skipping = false;
        } else {
            return Err(Malformed::Kind);
        }
        // What nobody had asked for is nothing to wait for.
        self.drop_copy_ends();
        self.unreported = false;
        self.copy_ends();
        if body.first() == Some(&b'I') {
            self.names.transaction_ended();
        }
        Ok(())
    }

    /// The session is over: what still ran was cut.
    pub fn cut(&mut self, now: Now) -> Vec<Ended> {
        let mut cut = Answered::default();
        while let Some(entry) = self.queue.pop_front() {
            match entry {
                Entry::Execute { portal, running } => self.end_execute(&portal, running, now, &mut cut),
                // So that what is recorded of the rest is the text that it would have run.
                Entry::Bind { .. } | Entry::Parse { .. } | Entry::Close { .. } => {
                    self.completed(entry, &mut cut);
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

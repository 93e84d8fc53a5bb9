//! Which answer of the target belongs to which message of the client, and so what each statement did. Without IO.
//!
//! The target answers in order. What a client sends is put into a queue, and each answer finds the first entry that it can be
//! about. Texts are looked up when the answer is there, so that what is recorded is what ran, whatever was pipelined. An answer
//! that is about nothing is an error: the session cannot be recorded any more, and ends. So does one of which cannot be told what
//! it is about: a COPY that fails may have read the Syncs that came meanwhile, or not.

mod batch;
mod copy;
mod cost;
mod entry;
mod names;
mod queue;

use super::frame::{Front, Head, Malformed};
use super::message::Said;
use super::redact::{is_about_a_password, redacted};
use crate::record::{Outcome, Room, Text};
pub use entry::{Ended, Now};
use entry::{Entry, Running, called, recorded, unrecorded};
use names::Names;
use queue::Queue;

/// What is to be done about an answer.
#[derive(Default)]
pub struct Answered {
    /// Whose end is known now.
    pub ended: Vec<Ended>,
    /// What the client is told in place of this answer.
    pub instead: Option<Said>,
}

/// What guardrails say of a message.
#[derive(Default)]
pub struct Judged {
    /// It is refused, in these words.
    pub refused: Option<Said>,
    /// What it says surely changes no settings of the session.
    pub keeps: bool,
}

impl From<Said> for Judged {
    fn from(said: Said) -> Self {
        Self {
            refused: Some(said),
            keeps: false,
        }
    }
}

/// The state of one session's statements.
pub struct Statements {
    record_values: bool,
    queue: Queue,
    names: Names,
    /// Texts are read as `redact` reads them: UTF-8, and a backslash is a character like others.
    plain: bool,
    /// Something was sent since the last Sync that it ends.
    open: bool,
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
    /// Something ran since the target was last ready that may have changed settings: it tells them only when it is ready again.
    unreported: bool,
    /// Somebody waits for room: nothing keeps any that needs none.
    hurried: bool,
}

impl Statements {
    /// Of a new session.
    #[must_use]
    pub fn new(record_values: bool) -> Self {
        Self {
            record_values,
            queue: Queue::default(),
            names: Names::default(),
            plain: true,
            open: false,
            skipping: false,
            copy: false,
            copying: false,
            passed_over: 0,
            spare: 0,
            unreported: false,
            hurried: false,
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
        Judged { refused, keeps }: Judged,
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
            secret: text.is_some_and(is_about_a_password),
            refused,
            keeps,
            ..Running::new(now, room)
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
                running.size = if self.record_values { 2 * rest.len() } else { 0 };
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
            (Front::Sync, room) => Entry::Sync {
                running: room.map(|room| running(None, room)),
            },
            // Data before the target has asked for it, by a client in a hurry; without a COPY it is ignored.
            (Front::CopyDone | Front::CopyFail, _) if !self.queue.is_empty() => Entry::CopyEnd,
            (_, room) => return Ok(room),
        };
        self.open = !is_sync;
        self.queue.push(entry);
        Ok(None)
    }

    /// Whether what ran may have changed how texts are read, and the target has not said yet.
    #[must_use]
    pub const fn is_unreported(&self) -> bool {
        self.unreported
    }

    /// Rows of the statement that is at its turn.
    pub fn rows(&mut self, count: u64) {
        if let Some(running) = self.running() {
            running.rows = running.rows.saturating_add(count);
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
        if let Err(error) = self.answer(head, body, now, &mut answered) {
            // What has ended has ended, and is told with the rest.
            self.names.keep(answered.ended);
            return Err(error);
        }
        // What is gone was bound before.
        let gone = self.names.gone();
        answered.ended.splice(..0, gone);
        Ok(answered)
    }

    /// Somebody waits for room, until nobody does. The answer is what has ended by that.
    pub fn hurry(&mut self, hurried: bool) -> Vec<Ended> {
        self.hurried = hurried;
        if hurried {
            self.names.hurry(|portal| self.queue.executes(portal));
        }
        self.names.gone()
    }

    fn answer(
        &mut self,
        head: Head,
        body: &[u8],
        now: Now,
        answered: &mut Answered,
    ) -> Result<(), Malformed> {
        match head.kind {
            // At any time, and about nothing: notices, notifications, parameters; and rows and data, which are counted.
            b'N' | b'A' | b'S' | b'D' | b'd' => return Ok(()),
            b'E' => return self.failed(head, body, now, answered),
            b'Z' => return self.ready(body, now, answered),
            b'1' | b'2' | b'3' => {
                let entry = self.take(|entry| match head.kind {
                    b'1' => matches!(entry, Entry::Parse { .. }),
                    b'2' => matches!(entry, Entry::Bind { .. }),
                    _ => matches!(entry, Entry::Close { .. }),
                })?;
                self.completed(entry, now, answered);
            }
            b't' => {
                self.find(|entry| matches!(entry, Entry::Describe))?;
            }
            b'T' | b'n' => {
                let front = self.find(|entry| matches!(entry, Entry::Describe | Entry::Query(_)))?;
                if matches!(front, Entry::Describe) {
                    self.queue.pop();
                }
            }
            b'G' | b'H' => {
                self.find(|entry| matches!(entry, Entry::Query(_) | Entry::Execute { .. }))?;
                if head.kind == b'G' {
                    self.copy_begins(answered)?;
                }
            }
            b'c' | b'V' | b'I' | b'C' | b's' => self.statement_ends(head, body, now, answered)?,
            _ => return Err(Malformed::Kind),
        }
        // It is about something that came after those Syncs: what they had for answers is all there.
        self.spare = 0;
        Ok(())
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
            self.queue.pop();
        }
    }

    fn take(&mut self, is: impl Fn(&Entry) -> bool) -> Result<Entry, Malformed> {
        self.find(is)?;
        self.queue.pop().ok_or(Malformed::Kind)
    }

    /// A Parse, Bind or Close was done.
    fn completed(&mut self, entry: Entry, now: Now, answered: &mut Answered) {
        match entry {
            Entry::Parse { name, running } => {
                self.names.prepare(
                    name,
                    running.text.unwrap_or_default(),
                    (running.secret, running.keeps),
                );
                answered.ended.push(unrecorded(running.room));
            }
            Entry::Bind {
                portal,
                statement,
                running,
            } => {
                self.unreported |= !self.names.keeps(&statement);
                let wanted = self.hurried && !self.queue.executes(&portal);
                self.names.bind(portal.clone(), &statement, running, now);
                if wanted {
                    self.names.hurry_one(&portal);
                }
            }
            Entry::Close { kind: b'S', name } => self.names.forget(&name),
            Entry::Close { name, .. } => self.names.close(&name),
            _ => {}
        }
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
        running.suspended = head.kind == b's';
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
        let Some(Entry::Execute { portal, running }) = self.queue.pop() else {
            return Err(Malformed::Kind);
        };
        self.unreported |= !self.names.portal_keeps(&portal);
        let text = self.end_execute(&portal, running, now, answered);
        if let Some(tag) = tag {
            self.names.tagged(&tag, &text);
        }
        Ok(())
    }

    /// It is recorded; the answer is its text.
    fn end_execute(
        &mut self,
        portal: &[u8],
        mut running: Running,
        now: Now,
        answered: &mut Answered,
    ) -> Text {
        self.names.portal(portal, &mut running);
        if let Some(room) = self.names.executed(portal) {
            let own = std::mem::replace(&mut running.room, room);
            answered.ended.push(unrecorded(own));
        }
        let text = running.text.clone().unwrap_or_default();
        answered.ended.push(running.ended(now));
        text
    }

    /// The session is over: what still ran was cut.
    pub fn cut(&mut self, now: Now) -> Vec<Ended> {
        // What was bound for sure.
        let mut all = self.hurry(true);
        let mut cut = Answered::default();
        while let Some(entry) = self.queue.pop() {
            match entry {
                Entry::Execute { portal, running } => {
                    self.end_execute(&portal, running, now, &mut cut);
                }
                // So that what is recorded of the rest is the text that it would have run.
                Entry::Bind { .. } | Entry::Parse { .. } | Entry::Close { .. } => {
                    self.completed(entry, now, &mut cut);
                }
                Entry::Sync { running } => {
                    cut.ended.extend(running.map(|running| unrecorded(running.room)));
                }
                entry => {
                    if let Some(running) = entry.running() {
                        cut.ended.push(running.ended(now));
                    }
                }
            }
        }
        self.names.transaction_ended();
        cut.ended.append(&mut self.names.gone());
        for ended in &mut cut.ended {
            if let Some((_, statement)) = &mut ended.record {
                match &mut statement.outcome {
                    Outcome::Done(done) => statement.before = std::mem::take(done),
                    Outcome::Bound => {}
                    _ => continue,
                }
                statement.outcome = Outcome::Cut;
            }
        }
        all.append(&mut cut.ended);
        all
    }
}

#[cfg(test)]
mod tests;

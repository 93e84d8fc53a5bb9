//! How a batch ends: what fails, what the target passes over then, and that it is ready again.

use super::entry::{END, Entry, Now, unrecorded};
use super::{Answered, Statements};
use crate::postgres::frame::{Head, Malformed, Report};

impl Statements {
    pub(super) fn failed(
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
            Some(Entry::Sync { running }) => {
                if let Some(running) = running {
                    running.failed = Some(code);
                }
                return Ok(());
            }
            Some(Entry::Execute { running, .. }) => running.failed = Some(code.clone()),
            Some(_) => {}
        }
        if spare > 0 && !self.is_told() {
            return Err(Malformed::Untold);
        }
        self.spare = spare;
        let front = self.queue.pop();
        self.fail_one(front, code, now, answered);
        self.skip(answered);
        Ok(())
    }

    /// One message of a batch failed.
    fn fail_one(&mut self, entry: Option<Entry>, code: String, now: Now, answered: &mut Answered) {
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
                let (text, certain) = self.names.text_of(&statement);
                running.values = running.values.map(|values| self.names.shown(&statement, values));
                (running.text, running.perhaps) = (Some(text), !certain);
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
        self.skip_to_the_sync(answered);
        if self.hurried {
            // What was to execute it is passed over.
            self.names.hurry(|portal| self.queue.executes(portal));
        }
    }

    fn skip_to_the_sync(&mut self, answered: &mut Answered) {
        while let Some(entry) = self.queue.front() {
            if matches!(entry, Entry::Sync { .. }) {
                self.skipping = false;
                return;
            }
            if let Some(running) = self.queue.pop().and_then(Entry::running) {
                answered.ended.push(unrecorded(running.room));
            }
        }
    }

    pub(super) fn ready(&mut self, body: &[u8], now: Now, answered: &mut Answered) -> Result<(), Malformed> {
        self.drop_copy_ends();
        let is_its = match self.queue.front() {
            Some(Entry::Sync { .. }) => true,
            // It would have said something before.
            Some(Entry::Query(running) | Entry::FunctionCall(running)) => running.heard,
            _ => false,
        };
        if is_its {
            let entry = self.queue.pop();
            let is_sync = matches!(entry, Some(Entry::Sync { .. }));
            if let Some(mut running) = entry.and_then(Entry::running) {
                if is_sync && running.failed.is_none() {
                    answered.ended.push(unrecorded(running.room));
                } else {
                    running.text = running.text.or_else(|| Some(END.into()));
                    answered.ended.push(running.ended(now));
                }
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
}

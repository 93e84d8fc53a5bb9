//! Statements that a session may not send, by their kind. **A seat belt, no wall**: it sees what a statement says, not what the
//! functions, triggers, rules and views behind it do. Privileges at the target enforce.

use bytes::{BufMut as _, BytesMut};

use super::frame::Front;
use super::message::{self, Said};
use super::target::Guardrails;

/// What is sent in place of a refused statement: PostgreSQL's own parser refuses it whatever the state of the transaction, so that
/// the target does what it does after an error (fails the transaction, skips to the Sync), and nothing of the statement gets there.
const FAILS: &[u8] = b"refused_by_daypass\0";

/// Writes what is sent in place of a refused message.
pub(super) fn substitute(front: &Front<'_>, out: &mut BytesMut) {
    match front {
        Front::Parse { name, .. } => message::frame(out, b'P', |out| {
            out.put_slice(name);
            out.put_u8(0);
            out.put_slice(FAILS);
            out.put_u16(0);
        }),
        // A function call has the answers of a query.
        _ => message::frame(out, b'Q', |out| out.put_slice(FAILS)),
    }
}

/// The guardrails of one session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guard {
    rails: Guardrails,
}

impl Guard {
    pub(super) const fn new(rails: Guardrails) -> Self {
        Self { rails }
    }

    /// The target says that a parameter of the session has this value now.
    pub(super) fn parameter(&mut self, _name: &[u8], _value: &[u8]) {}

    pub(super) fn greeted(&mut self, _p: &[u8]) {}

    pub(super) fn function_call(&self) -> Option<Said> {
        self.rails.any().then(|| Said::error("42501", "refused"))
    }

    #[expect(clippy::unused_async, reason = "x")]
    pub(super) async fn judge(&self, _text: &[u8]) -> Option<Said> {
        None
    }
}

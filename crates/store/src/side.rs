//! Rows beside the state: what a transition writes and a replay of the log does not bring back.

use daypass_core::id::{ChangeId, PersonId, TokenId};
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;

use crate::error::Result;
use crate::keys::{self, Sealed, SshStep};
use crate::tokens::{self, TokenRow};
use crate::value::Statement;
use crate::{changes, people};

/// A row beside the state. It has no `Debug`: it may hold the hash of a password.
#[derive(Clone)]
pub enum Side {
    /// A password is set.
    Password {
        /// Whose.
        person: PersonId,
        /// Its hash in PHC form.
        hash: String,
    },
    /// A session or token is issued.
    Token(TokenRow),
    /// The holder of a session proved anew who they are.
    Confirmed {
        /// The session.
        token: TokenId,
        /// Whose it must be.
        person: PersonId,
        /// When.
        at: Timestamp,
    },
    /// A session or token ends.
    EndToken {
        /// Which.
        token: TokenId,
    },
    /// All sessions and tokens of a person end.
    EndTokens {
        /// Whose.
        person: PersonId,
    },
    /// The files of the revision that an event of the same transition puts in force.
    PolicySource {
        /// The SHA-256 of the files, as the event has it.
        revision: Hash,
        /// The name and text of each file.
        sources: Vec<(String, String)>,
    },
    /// What is secret of a change: the hash of a password or of a token. It is gone as soon as the change waits no more.
    Withheld {
        /// The change.
        change: ChangeId,
        /// The hash.
        secret: String,
    },
    /// The files of the policy that a change proposes.
    Proposed {
        /// The change.
        change: ChangeId,
        /// The name and text of each file.
        sources: Vec<(String, String)>,
    },
    /// What an event about an authority does to its keys.
    SshKeys {
        /// Of which connector.
        connector: String,
        /// What.
        step: SshStep,
    },
    /// A value is sealed anew, where it is still the one that was read.
    Resealed {
        /// What it was.
        was: Sealed,
        /// What it becomes.
        sealed: Vec<u8>,
    },
}

/// What writes it.
pub(crate) fn write(side: Side) -> Result<Vec<Statement>> {
    Ok(match side {
        Side::Password { person, hash } => vec![people::set_password(person, hash)],
        Side::Token(row) => vec![tokens::add(row)?],
        Side::Confirmed { token, person, at } => vec![tokens::confirm(token, person, at)],
        Side::EndToken { token } => vec![tokens::end(token)],
        Side::Proposed { change, sources } => vec![changes::keep_files(change, &sources)?],
        Side::Withheld { change, secret } => vec![changes::keep_secret(change, secret)],
        Side::SshKeys { connector, step } => keys::ssh_step(connector, step),
        Side::Resealed { was, sealed } => vec![keys::reseal(was, sealed)],
        Side::EndTokens { person } => vec![tokens::end_all(person)],
        // Written with its event; see `policies::write`.
        Side::PolicySource { .. } => Vec::new(),
    })
}

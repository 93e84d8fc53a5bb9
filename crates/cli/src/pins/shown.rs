//! What a server shows of its log: its newest checkpoint, with the proof that it goes on from what was seen.

use daypass_api::ProblemCode;
use daypass_api::client::{Client, Error};
use daypass_api::log::CheckpointQuery;
use daypass_core::refusal::Code;
use daypass_core::time::Timestamp;
use daypass_tlog::key::{Use, Verifier};
use daypass_tlog::note::Signature;
use daypass_tlog::witness::Proposal;
use daypass_tlog::{Checkpoint, Note};

use super::finding::Finding;

/// What a server shows of its log.
pub(crate) struct Shown {
    pub(super) proposal: Proposal,
    /// When.
    pub(super) at: Timestamp,
}

impl Shown {
    /// Asks a server for its newest checkpoint, with the proof that it goes on from the log of so many entries. `None` where nothing of its
    /// log is signed.
    pub(crate) async fn ask(client: &Client, from: u64, at: Timestamp) -> Result<Option<Self>, Error> {
        let query = CheckpointQuery {
            from: Some(from),
            ..CheckpointQuery::default()
        };
        let body = match client.log_checkpoint_by(&query).await {
            Err(error) if error.code() == Some(ProblemCode::Refusal(Code::NotFound)) => return Ok(None),
            body => body?,
        };
        let proposal = Proposal::parse(&body)
            .ok()
            .filter(|proposal| proposal.old == from);
        let proposal = proposal.ok_or_else(|| odd(client, "no checkpoint of a log"))?;
        Ok(Some(Self { proposal, at }))
    }

    /// Its checkpoint as it was signed.
    pub(crate) const fn note(&self) -> &Note {
        &self.proposal.note
    }

    /// What its checkpoint says, whoever wrote it.
    pub(super) fn unverified(&self) -> Option<Checkpoint> {
        self.proposal.note.text().parse().ok()
    }

    /// Which of these keys signed it.
    pub(super) fn signed_by<'a>(&self, keys: &'a [Verifier]) -> Option<&'a Verifier> {
        keys.iter().find(|key| self.is_by(key))
    }

    /// Whether this key signed it.
    pub(super) fn is_by(&self, key: &Verifier) -> bool {
        self.proposal.note.verify(key).is_ok()
    }

    /// Signatures under the name of these keys by none of them, nor by one of `led`.
    pub(super) fn others<'a>(
        &'a self,
        known: &'a [Verifier],
        led: &[String],
    ) -> impl Iterator<Item = &'a Signature> {
        let led: Vec<Verifier> = led.iter().filter_map(|key| key.parse().ok()).collect();
        let of_name = |one: &&Signature| known.iter().any(|key| key.name() == one.name());
        let signatures = self.proposal.note.signatures().iter().filter(of_name);
        signatures.filter(move |one| !known.iter().chain(&led).any(|key| one.is_by(key)))
    }

    /// Its checkpoint, where this key signed it and it goes on from the last.
    pub(crate) fn check(&self, key: &Verifier, last: Option<&Checkpoint>) -> Result<Checkpoint, Finding> {
        let seen = last.map(|last| (last.size, &last.head));
        let checked = self.proposal.check(key, key.name().as_str(), seen);
        checked.map_err(|refusal| Finding::of(&refusal))
    }
}

/// The key that a server says its log is signed with.
pub(super) async fn key_of(client: &Client) -> Result<Verifier, Error> {
    let line = client.log_key().await?;
    let key = std::str::from_utf8(&line)
        .ok()
        .and_then(|line| line.trim_end().parse().ok());
    key.filter(|key: &Verifier| key.what() == Use::Note)
        .ok_or_else(|| odd(client, "no key of a log"))
}

fn odd(client: &Client, what: &str) -> Error {
    Error::NotDaypass {
        server: client.server().to_owned(),
        detail: format!("it is {what}"),
    }
}

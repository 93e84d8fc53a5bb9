//! Who connects to the gateway: what they are asked, and whether they proved it.

use std::net::IpAddr;
use std::sync::Arc;

use daypass_core::id::{GrantId, PersonId, TokenId};
use daypass_core::person::Person;
use daypass_engine::Pass;
use daypass_gateway::control::Unavailable;
use daypass_gateway::scram::{Answer, Certificates, Challenge, Verifier};
use daypass_policy::Directory as _;
use daypass_store::{TokenKind, Verifier as Kept};

use super::open::unavailable;
use super::{Asker, credential};
use crate::app::Parts;
use crate::edge;

/// Bytes of the server's part of the nonce: as many as PostgreSQL's own (`SCRAM_RAW_NONCE_LEN`).
const NONCE: usize = 18;

/// The longest login that is remembered while somebody proves that it is theirs, in characters.
pub(super) const LONGEST: usize = 256;

/// How many keys a client may come with in one connection.
const MOST_KEYS: u32 = 10;

/// Somebody who claims to be this was asked.
pub(super) struct Attempt {
    login: String,
    challenge: Challenge,
    /// How many proofs of keys were none.
    failed: u32,
}

impl Attempt {
    pub(super) fn begin(app: &Parts, login: &str) -> Self {
        let nonce = hex::encode(edge::random::<NONCE>());
        Self {
            challenge: credential::challenge(app, login, nonce),
            // Nobody's is longer, and many may begin at once.
            login: login.chars().take(LONGEST).collect(),
            failed: 0,
        }
    }

    pub(super) fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// What it is after a proof of a key that was none: a client may come with one key after another. Nothing where that was the last.
    pub(super) fn again(self) -> Option<Self> {
        let failed = self.failed + 1;
        (failed < MOST_KEYS).then_some(Self { failed, ..self })
    }

    /// Who it is, with what proves to them that we know them; nothing where the proof is none.
    pub(super) async fn prove(
        self,
        app: &Parts,
        answer: &Answer,
        certificates: Certificates<'_>,
    ) -> Result<Option<Somebody>, Unavailable> {
        let Self { login, challenge, .. } = self;
        by_credential(app, &login, |verifier| {
            Verifier::from_text(&verifier.0)?.check(&challenge, answer, certificates)
        })
        .await
    }
}

/// Who of this login has a credential that they showed, with what `shows` says of its verifier; nothing where it is none.
pub(super) async fn by_credential(
    app: &Parts,
    login: &str,
    shows: impl Fn(&Kept) -> Option<Vec<u8>>,
) -> Result<Option<Somebody>, Unavailable> {
    let found = app.engine.current().directory.by_login(login).cloned();
    let person = found.filter(|person| person.active);
    // Nobody's credentials are looked up too, so that the time taken tells nothing.
    let nobody = PersonId::from_bytes([0; 10]);
    let id = person.as_ref().map_or(nobody, |person| person.id);
    let now = app.engine.store().now().await.map_err(unavailable)?;
    let rows = app.engine.store().tokens_of(id).await.map_err(unavailable)?;
    let good = rows.iter().rev().filter(|row| now < row.expires_at);
    let proved = good.into_iter().find_map(|row| {
        let TokenKind::Gateway { verifier, grant } = &row.kind else {
            return None;
        };
        Some((shows(verifier)?, row.id, *grant))
    });
    Ok(person
        .zip(proved)
        .map(|(person, (signature, credential, grant))| Somebody {
            person,
            credential: Shown::Token(credential),
            grant,
            signature,
            named: None,
        }))
}

/// Somebody who proved who they are.
pub(super) struct Somebody {
    pub(super) person: Person,
    pub(super) credential: Shown,
    pub(super) grant: Option<GrantId>,
    pub(super) signature: Vec<u8>,
    /// What they named when they signed, where that was a part of it.
    pub(super) named: Option<String>,
}

/// What somebody proved it with.
#[derive(Debug, Clone)]
pub(super) enum Shown {
    /// What the store keeps: a password, or a key of theirs.
    Token(TokenId),
    /// A certificate, with what it is for.
    Certificate(Arc<[u8]>, Arc<Pass>),
}

impl Shown {
    /// What the store calls it, where it keeps it.
    pub(super) const fn token(&self) -> Option<TokenId> {
        match self {
            Self::Token(id) => Some(*id),
            Self::Certificate(..) => None,
        }
    }
}

/// Somebody who may open one session.
#[derive(Clone)]
pub(super) struct Entrant {
    /// At this gateway.
    pub(super) by: Arc<Asker>,
    pub(super) person: PersonId,
    /// What they proved it with. It may be revoked while they wait.
    pub(super) credential: Shown,
    /// The grant that their credential is for, where it is for one only.
    pub(super) grant: Option<GrantId>,
    /// By which protocol they proved it: it opens no session of another.
    pub(super) protocol: &'static str,
    /// What they named when they signed: a gateway sends them nowhere else.
    pub(super) named: Option<String>,
    /// From where, for rules about networks, where that is certain.
    pub(super) from: Option<IpAddr>,
}

impl Entrant {
    /// What their certificate is for, where they came with one.
    pub(super) fn pass(&self) -> Option<&Pass> {
        match &self.credential {
            Shown::Token(_) => None,
            Shown::Certificate(_, pass) => Some(pass),
        }
    }

    /// Whether what they came in with is still good.
    pub(super) async fn is_welcome(&self, app: &Parts) -> Result<bool, Unavailable> {
        let credential = match &self.credential {
            Shown::Token(id) => *id,
            Shown::Certificate(blob, _) => {
                let shown = app.engine.pass_shown(blob).await.map_err(unavailable)?;
                return Ok(shown.is_some_and(|(_, holder)| holder == self.person));
            }
        };
        let now = app.engine.store().now().await.map_err(unavailable)?;
        let rows = app
            .engine
            .store()
            .tokens_of(self.person)
            .await
            .map_err(unavailable)?;
        let mut rows = rows.iter();
        Ok(rows.any(|row| row.id == credential && now < row.expires_at))
    }
}

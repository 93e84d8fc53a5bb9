//! Login sessions, API tokens and credentials for the gateway, known by the SHA-256 of their secret only; and public keys, by theirs.

use std::collections::BTreeSet;
use std::fmt;

use daypass_core::id::{GrantId, PersonId, TokenId};
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;

use crate::error::{Error, Result};
use crate::link::Link;
use crate::value::{Row, Statement, Value};

/// A session or token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its id, which is no secret.
    pub id: TokenId,
    /// Whose it is.
    pub person: PersonId,
    /// The SHA-256 of the secret, or of the public key.
    pub hash: Hash,
    /// What it is good for.
    pub kind: TokenKind,
    /// What its owner calls it.
    pub name: String,
    /// Since when there is one.
    pub created_at: Timestamp,
    /// Until when it is taken. Whoever takes it compares.
    pub expires_at: Timestamp,
    /// When it was last used, as far as that is noted.
    pub last_used: Option<Timestamp>,
    /// When whoever holds it last proved who they are; `None` for an API token, which cannot.
    pub confirmed_at: Option<Timestamp>,
}

/// What a credential is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKind {
    /// A person logged in.
    Session,
    /// A program may do what the scopes name, in the name of a person.
    Api {
        /// The scopes.
        scopes: BTreeSet<String>,
    },
    /// Somebody logs in to the gateway, to use what they were granted. Nothing else takes it.
    Gateway {
        /// What proofs of it are checked by.
        verifier: Verifier,
        /// The grant that it is for; `None` for all that its owner holds.
        grant: Option<GrantId>,
    },
    /// Somebody logs in to the gateway with a key of their own. The row's hash is the SHA-256 of the public key in SSH's encoding: its
    /// fingerprint.
    SshKey,
}

/// What proofs of a secret are checked by (SCRAM), as whoever checks writes it. It lets nobody in, and lets who has it pose as the gateway.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier(pub String);

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(…)")
    }
}

const COLUMNS: &str = "token.id, token.person, token.token_kind, token.scopes, token.hash, token.name, \
                       token.created_at, token.expires_at, token.last_used, token.confirmed_at, token.verifier, token.grant_id FROM tokens AS token";

/// What keeps a token.
pub(crate) fn add(row: TokenRow) -> Result<Statement> {
    let (kind, scopes, verifier, grant) = match row.kind {
        TokenKind::Session => ("session", BTreeSet::new(), None, None),
        TokenKind::Api { scopes } => ("api", scopes, None, None),
        TokenKind::Gateway { verifier, grant } => ("gateway", BTreeSet::new(), Some(verifier.0), grant),
        TokenKind::SshKey => ("ssh_key", BTreeSet::new(), None, None),
    };
    let text = "INSERT INTO tokens (id, person, token_kind, scopes, hash, name, created_at, expires_at, last_used, \
                confirmed_at, verifier, grant_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let values = vec![
        row.id.into(),
        row.person.into(),
        kind.into(),
        Value::json(&scopes)?,
        row.hash.into(),
        row.name.into(),
        row.created_at.into(),
        row.expires_at.into(),
        row.last_used.into(),
        row.confirmed_at.into(),
        verifier.into(),
        grant.into(),
    ];
    Ok((text, values))
}

/// What notes that the holder of a session proved who they are, unless a later proof is noted. An API token proves nothing.
pub(crate) fn confirm(token: TokenId, person: PersonId, at: Timestamp) -> Statement {
    let text = "UPDATE tokens SET confirmed_at = $3 WHERE id = $1 AND person = $2 AND token_kind = 'session' \
                AND (confirmed_at IS NULL OR confirmed_at < $3)";
    (text, vec![token.into(), person.into(), at.into()])
}

/// What ends a token.
pub(crate) fn end(token: TokenId) -> Statement {
    ("DELETE FROM tokens WHERE id = $1", vec![token.into()])
}

/// What ends all tokens of a person.
pub(crate) fn end_all(person: PersonId) -> Statement {
    ("DELETE FROM tokens WHERE person = $1", vec![person.into()])
}

fn read(row: &Row) -> Result<TokenRow> {
    let scopes = row.json(3)?;
    let kind = match row.text(2)? {
        "session" => TokenKind::Session,
        "api" => TokenKind::Api { scopes },
        "gateway" => TokenKind::Gateway {
            verifier: Verifier(row.text(10)?.to_owned()),
            grant: row.maybe_text(11)?.map(|_| row.parse(11)).transpose()?,
        },
        "ssh_key" => TokenKind::SshKey,
        other => return Err(Error::Corrupt(format!("a token of the kind {other}"))),
    };
    Ok(TokenRow {
        id: row.parse(0)?,
        person: row.parse(1)?,
        hash: row.hash(4)?,
        kind,
        name: row.text(5)?.to_owned(),
        created_at: row.time(6)?,
        expires_at: row.time(7)?,
        last_used: row.maybe_time(8)?,
        confirmed_at: row.maybe_time(9)?,
    })
}

/// The token of this hash, while its owner's account is active.
pub(crate) async fn by_hash(link: &mut Link, hash: Hash) -> Result<Option<TokenRow>> {
    let text = format!(
        "SELECT {COLUMNS} JOIN people AS owner ON owner.id = token.person \
         WHERE token.hash = $1 AND owner.state = 'active'"
    );
    link.row(&text, &[hash.into()])
        .await?
        .map(|row| read(&row))
        .transpose()
}

pub(crate) async fn of_person(link: &mut Link, person: PersonId) -> Result<Vec<TokenRow>> {
    let text = format!("SELECT {COLUMNS} WHERE token.person = $1 ORDER BY token.created_at, token.id");
    link.rows(&text, &[person.into()])
        .await?
        .iter()
        .map(read)
        .collect()
}

pub(crate) async fn owner(link: &mut Link, token: TokenId) -> Result<Option<PersonId>> {
    let row = link
        .row("SELECT person FROM tokens WHERE id = $1", &[token.into()])
        .await?;
    row.map(|row| row.parse(0)).transpose()
}

/// Notes a use, unless a later one is noted.
pub(crate) async fn used(link: &mut Link, token: TokenId, at: Timestamp) -> Result<()> {
    let text = "UPDATE tokens SET last_used = $2 WHERE id = $1 AND (last_used IS NULL OR last_used < $2)";
    link.run(text, &[token.into(), at.into()]).await.map(drop)
}

/// Forgets tokens that ran out before this instant; how many.
pub(crate) async fn forget(link: &mut Link, before: Timestamp) -> Result<u64> {
    link.run("DELETE FROM tokens WHERE expires_at < $1", &[before.into()])
        .await
}

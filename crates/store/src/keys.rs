//! Keys of Daypass's own: how far each is on its way to another, and the steps of those that are kept here, sealed.
//!
//! Each step is an event of [`daypass_core::key`]; what it does to the sealed values is written with it, in the same transaction.

use daypass_core::key::{Key, Standing};
use daypass_core::time::Timestamp;
use daypass_core::world::{Step, World};

use crate::error::{Error, Result};
use crate::link::Link;
use crate::store::Store;
use crate::value::{Row, Statement, Value};

/// The keys of a connector's authority, from one moment. Each value is sealed, or public.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshKeys {
    /// The private key that signs, sealed, if there is one.
    pub sealed: Option<Vec<u8>>,
    /// Since when it does.
    pub since: Option<Timestamp>,
    /// The public key that signs, if it was kept.
    pub public: Option<Vec<u8>>,
    /// The next key, which does not sign yet.
    pub next: Option<SshNext>,
    /// The key before, which signs no more.
    pub old: Option<SshOld>,
    /// The public keys that are not to be trusted any more.
    pub withdrawn: Vec<Vec<u8>>,
}

/// A key that does not sign yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshNext {
    /// The private key, sealed.
    pub sealed: Vec<u8>,
    /// The public key.
    pub public: Vec<u8>,
}

/// A key that signs no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshOld {
    /// The public key, sealed: nobody can put another one in its place.
    pub sealed: Vec<u8>,
    /// The public key.
    pub public: Vec<u8>,
    /// When the last certificate of its time runs out by the clock; none where nothing that it signed is remembered.
    pub last_valid: Option<Timestamp>,
}

/// What an event about an authority does to its keys.
#[derive(Clone)]
pub enum SshStep {
    /// There is a next key.
    Stage {
        /// Its private key, sealed.
        sealed: Vec<u8>,
        /// Its public key.
        public: Vec<u8>,
        /// The public key that signs meanwhile.
        current: Vec<u8>,
    },
    /// The next one signs. The private key of the one before is gone with this.
    Change {
        /// The public key of the one before, sealed.
        old: Vec<u8>,
        /// When.
        at: Timestamp,
    },
    /// The one before is not to be trusted any more.
    Withdraw {
        /// When.
        at: Timestamp,
    },
}

/// Which of an authority's sealed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SshSlot {
    /// The private key that signs.
    Current,
    /// The private key that does not yet.
    Next,
    /// The public key that did.
    Old,
}

/// A value that is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Of which connector.
    pub connector: String,
    /// Which of its values.
    pub slot: SshSlot,
    /// As it is kept.
    pub bytes: Vec<u8>,
}

/// The columns of a key's row that its events decide, as [`row`] gives their values.
pub(crate) const COLUMNS: [&str; 3] = ["id", "state", "document"];

/// What stands in them.
pub(crate) fn row(standing: &Standing) -> Result<[Value; 3]> {
    Ok([
        standing.key.to_string().into(),
        standing.phase.name().into(),
        Value::json(standing)?,
    ])
}

/// What writes a key's row after an event.
pub(crate) fn write(standing: Option<&Standing>, step: Step) -> Result<Vec<Statement>> {
    let standing = standing.ok_or_else(|| Error::corrupt("an event about a key made none"))?;
    let text = if step.from == "none" {
        "INSERT INTO key_states (id, state, document) VALUES ($1, $2, $3)"
    } else {
        "UPDATE key_states SET previous_state = state, state = $2, document = $3 WHERE id = $1"
    };
    Ok(vec![(text, row(standing)?.into())])
}

/// What a step does to an authority's keys. Each makes another list of the revoked, with a version that nobody had.
pub(crate) fn ssh_step(connector: String, step: SshStep) -> Vec<Statement> {
    let connector = Value::from(connector);
    match step {
        SshStep::Stage {
            sealed,
            public,
            current,
        } => {
            let text = "UPDATE ssh_authorities SET next_sealed = $2, next_public = $3, \
                        public = coalesce(public, $4), krl_version = krl_version + 1 WHERE connector = $1";
            vec![(
                text,
                vec![connector, sealed.into(), public.into(), current.into()],
            )]
        }
        SshStep::Change { old, at } => {
            let text = "UPDATE ssh_authorities SET old_sealed = $2, old_public = public, old_serial = last_serial, \
                        sealed = next_sealed, public = next_public, since = $3, next_sealed = NULL, \
                        next_public = NULL, krl_version = krl_version + 1 WHERE connector = $1";
            vec![(text, vec![connector, old.into(), at.into()])]
        }
        SshStep::Withdraw { at } => {
            let keep = "INSERT INTO ssh_withdrawn (connector, public, at) SELECT connector, old_public, CAST($2 AS BIGINT) \
                        FROM ssh_authorities WHERE connector = $1 AND old_public IS NOT NULL \
                        ON CONFLICT (connector, public) DO NOTHING";
            let clear = "UPDATE ssh_authorities SET old_sealed = NULL, old_public = NULL, old_serial = NULL, \
                         krl_version = krl_version + 1 WHERE connector = $1";
            vec![
                (keep, vec![connector.clone(), at.into()]),
                (clear, vec![connector]),
            ]
        }
    }
}

/// Puts a value that was sealed anew in the place of what it was; nothing where another one is there by now.
pub(crate) fn reseal(was: Sealed, sealed: Vec<u8>) -> Statement {
    let text = match was.slot {
        SshSlot::Current => "UPDATE ssh_authorities SET sealed = $3 WHERE connector = $1 AND sealed = $2",
        SshSlot::Next => {
            "UPDATE ssh_authorities SET next_sealed = $3 WHERE connector = $1 AND next_sealed = $2"
        }
        SshSlot::Old => "UPDATE ssh_authorities SET old_sealed = $3 WHERE connector = $1 AND old_sealed = $2",
    };
    (text, vec![was.connector.into(), was.bytes.into(), sealed.into()])
}

/// Loads a key's row and holds what belongs to it still: nothing is issued by an authority while it changes its key.
pub(crate) async fn load(link: &mut Link, world: &mut World, key: &Key) -> Result<()> {
    match key {
        Key::Sealing => link.reserve("key sealing").await?,
        Key::Log => link.reserve("key log").await?,
        Key::Ssh(connector) => crate::ssh::turn(link, connector.as_str()).await?,
    }
    let text = "SELECT document FROM key_states WHERE id = $1 FOR UPDATE";
    take(world, &link.rows(text, &[key.to_string().into()]).await?)
}

pub(crate) fn take(world: &mut World, rows: &[Row]) -> Result<()> {
    for row in rows {
        let standing: Standing = row.json(0)?;
        world.keys.insert(standing.key.clone(), standing);
    }
    Ok(())
}

async fn standings(link: &mut Link) -> Result<Vec<Standing>> {
    let rows = link
        .rows("SELECT document FROM key_states ORDER BY id", &[])
        .await?;
    rows.iter().map(|row| row.json(0)).collect()
}

async fn sealed(link: &mut Link) -> Result<Vec<Sealed>> {
    let text = "SELECT connector, sealed, next_sealed, old_sealed FROM ssh_authorities ORDER BY connector";
    let mut all = Vec::new();
    for row in link.rows(text, &[]).await? {
        for (at, slot) in [(1, SshSlot::Current), (2, SshSlot::Next), (3, SshSlot::Old)] {
            if let Some(bytes) = row.maybe_bytes(at)? {
                all.push(Sealed {
                    connector: row.text(0)?.to_owned(),
                    slot,
                    bytes: bytes.to_vec(),
                });
            }
        }
    }
    Ok(all)
}

async fn ssh_keys(link: &mut Link, connector: &str) -> Result<SshKeys> {
    let text = "SELECT public, next_sealed, next_public, old_sealed, old_public, \
                (SELECT max(valid_before) FROM ssh_certificates \
                 WHERE ssh_certificates.connector = $1 AND serial <= old_serial), sealed, since \
                FROM ssh_authorities WHERE connector = $1";
    let Some(row) = link.row(text, &[connector.into()]).await? else {
        return Ok(SshKeys::default());
    };
    let bytes = |at| -> Result<Option<Vec<u8>>> { Ok(row.maybe_bytes(at)?.map(<[u8]>::to_vec)) };
    let text = "SELECT public FROM ssh_withdrawn WHERE connector = $1 ORDER BY at, public";
    let withdrawn = link.rows(text, &[connector.into()]).await?;
    Ok(SshKeys {
        sealed: bytes(6)?,
        since: row.maybe_time(7)?,
        public: bytes(0)?,
        next: bytes(1)?
            .zip(bytes(2)?)
            .map(|(sealed, public)| SshNext { sealed, public }),
        old: match bytes(3)?.zip(bytes(4)?) {
            Some((sealed, public)) => Some(SshOld {
                sealed,
                public,
                last_valid: row.maybe_time(5)?,
            }),
            None => None,
        },
        withdrawn: withdrawn
            .iter()
            .map(|row| Ok(row.bytes(0)?.to_vec()))
            .collect::<Result<_>>()?,
    })
}

/// Keys of Daypass's own. Each fails where the store does not answer.
#[expect(
    clippy::missing_errors_doc,
    reason = "they fail alike: where the store does not answer"
)]
impl Store {
    /// How far each key is that was ever rotated.
    pub async fn key_standings(&self) -> Result<Vec<Standing>> {
        self.read(|link| Box::pin(standings(link))).await
    }

    /// How far a key is; `None` where it was never rotated.
    pub async fn key_standing(&self, key: &Key) -> Result<Option<Standing>> {
        let all = self.key_standings().await?;
        Ok(all.into_iter().find(|standing| standing.key == *key))
    }

    /// Everything that is kept sealed.
    pub async fn sealed(&self) -> Result<Vec<Sealed>> {
        self.read(|link| Box::pin(sealed(link))).await
    }

    /// The keys of a connector's authority.
    pub async fn ssh_keys(&self, connector: &str) -> Result<SshKeys> {
        let connector = connector.to_owned();
        self.snapshot(move |link| Box::pin(async move { ssh_keys(link, &connector).await }))
            .await
    }
}

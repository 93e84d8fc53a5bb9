//! The log against itself, against what was signed, and against the tables: all events applied to an empty world must give the
//! state that the tables hold. The first thing that is not as it was written is named.

mod difference;
mod keys;
mod open;
mod rows;
mod signed;
mod tables;

use daypass_core::text::{Hash, Prose, Words};
use daypass_core::time::Timestamp;
use daypass_tlog::Checkpoint;
use daypass_tlog::key::Verifier;

pub use self::open::{verify_postgres, verify_sqlite};
use self::signed::Marked;
use crate::error::{Error, Result};
use crate::link::Link;
use crate::log::{self, Head};
use crate::replay::{self, Replay};
use crate::store::Store;
use crate::value::Value;

/// How many rows are read at once.
const PAGE: i64 = 1000;

/// Which check found something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// An entry's bytes, their hash, and what stands beside them.
    Entry,
    /// The entries' places: all there, without gaps; what has none yet waits for one.
    Place,
    /// Each event follows from those before it.
    Replay,
    /// The head that the sequencer goes on from is that of the entries.
    Head,
    /// The nodes that tiles are made of are those of the entries.
    Nodes,
    /// Each checkpoint is signed, and the log goes on from it.
    Checkpoint,
    /// The log goes on from a checkpoint that somebody saw and kept elsewhere.
    Seen,
    /// The tables hold what the events made.
    Tables,
    /// The words that are kept are those that the log has the hash of.
    Words,
}

impl Check {
    /// Its name, as it is told.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Place => "place",
            Self::Replay => "replay",
            Self::Head => "head",
            Self::Nodes => "nodes",
            Self::Checkpoint => "checkpoint",
            Self::Seen => "seen",
            Self::Tables => "tables",
            Self::Words => "words",
        }
    }

    /// What this check found.
    pub(crate) fn differs(self, what: impl Into<String>) -> Error {
        Error::Differs {
            check: self,
            what: what.into(),
        }
    }

    /// What was found while this was looked at: an error that says no place gets one.
    pub(crate) fn at(self, place: &str, error: Error) -> Error {
        match error {
            Error::Corrupt(why) => self.differs(format!("{place}: {why}")),
            other => other,
        }
    }
}

/// What a log is held against beside itself.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// The keys that may have signed it, or one that the log's other keys are led to from; none: signatures are not looked at, and a
    /// log without any will do.
    pub keys: Vec<Verifier>,
    /// Checkpoints that somebody saw and kept elsewhere: the log must go on from each. Their signatures are the caller's to check.
    pub seen: Vec<Checkpoint>,
}

/// A key that was believed because one that was believed before announced it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The one before.
    pub from: Verifier,
    /// The one that it announced.
    pub to: Verifier,
    /// The place of the entry that says so.
    pub index: u64,
}

/// What a check of log and tables found in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The log's head, computed anew from the events.
    pub head: Head,
    /// How many events were committed and have no place in the log yet.
    pub waiting: u64,
    /// How many checkpoints there are.
    pub checkpoints: u64,
    /// How many entries the newest of them covers.
    pub signed: Option<u64>,
    /// When the last entry happened that it covers, by the entry itself.
    pub signed_at: Option<Timestamp>,
    /// The keys that were gone over to from those that were given, in the order of the log.
    pub followed: Vec<Followed>,
    /// When the newest event happened.
    pub newest: Option<Timestamp>,
    /// Of how many free texts of the log the words are kept.
    pub texts: u64,
    /// Of how many they are not: erased, or taken away.
    pub texts_missing: u64,
}

/// Checks everything.
pub(crate) async fn run(link: &mut Link, expect: &Expect) -> Result<Verified> {
    let mut marked = Marked::read(link, expect).await?;
    let signed = marked.newest.unwrap_or_default();
    let mut replay = replay::replay(link, signed, |tree, event| match event {
        None => marked.pass(tree),
        Some(event) => {
            marked.keys.entry(tree.size(), event);
            Ok(())
        }
    })
    .await?;
    marked.end(&replay, expect)?;
    let head = Head {
        size: replay.tree.size(),
        root: Hash::from_bytes(replay.tree.head()),
    };
    let kept = log::head(link)
        .await
        .map_err(|error| Check::Head.at("log_head", error));
    if kept? != head {
        return Err(Check::Head.differs("log_head is not the head of the tree over the entries"));
    }
    nodes(link, &replay)
        .await
        .map_err(|error| Check::Nodes.at("a node", error))?;
    let (texts, texts_missing) = words(link, &mut replay.texts)
        .await
        .map_err(|error| Check::Words.at("somebody's words", error))?;
    rows::compare(link, &replay).await?;
    installation(link, expect).await?;
    Ok(Verified {
        head,
        waiting: replay.waiting,
        checkpoints: marked.count,
        signed: marked.newest,
        signed_at: replay.times.signed,
        followed: marked.keys.followed,
        newest: replay.times.newest,
        texts,
        texts_missing,
    })
}

/// The installation's id, by which names at targets are made, is the one in the name of its log.
async fn installation(link: &mut Link, expect: &Expect) -> Result<()> {
    let text = "SELECT value FROM meta WHERE name = 'installation'";
    let row = link.row(text, &[]).await?;
    let row = row.ok_or_else(|| Check::Tables.differs("meta: the installation has no id"))?;
    let log = format!("daypass/{}", row.text(0)?);
    // A key that the operator made in another way has another name: no key of ours does.
    let mut named = expect.keys.iter().map(|key| key.name().as_str());
    match named.find(|name| name.starts_with("daypass/") && *name != log) {
        None => Ok(()),
        Some(name) => Err(Check::Tables.differs(format!(
            "meta: by it this is the store of {log}, and the key is that of {name}"
        ))),
    }
}

/// The nodes that are kept, against those of the tree.
async fn nodes(link: &mut Link, replay: &Replay) -> Result<()> {
    let mut computed: Vec<_> = replay.nodes.clone();
    computed.sort_unstable_by_key(|(subtree, _)| (subtree.level, subtree.index));
    let mut computed = computed.into_iter();
    let mut last = [Value::Int(-1), Value::Int(-1)];
    loop {
        let text = "SELECT level, place, hash FROM nodes WHERE level > $1 OR (level = $1 AND place > $2) \
                    ORDER BY level, place LIMIT $3";
        let [level, place] = last.clone();
        let rows = link.rows(text, &[level, place, PAGE.into()]).await?;
        let Some(end) = rows.last() else { break };
        last = [Value::Int(end.int(0)?), Value::Int(end.int(1)?)];
        for row in &rows {
            let (level, place) = (row.count(0)?, row.count(1)?);
            let what = format!("node {place} of level {level}");
            let Some((subtree, hash)) = computed.next() else {
                return Err(Check::Nodes.differs(format!("{what} is beyond the log")));
            };
            if (u64::from(subtree.level), subtree.index) != (level, place) {
                let (level, place) = (subtree.level, subtree.index);
                let what = format!(
                    "node {place} of level {level} is missing, or there is one that no entries lead to"
                );
                return Err(Check::Nodes.differs(what));
            }
            if row.hash(2)?.bytes() != &hash {
                return Err(Check::Nodes.differs(format!("{what} is not that of the entries below it")));
            }
        }
    }
    match computed.next() {
        None => Ok(()),
        Some((subtree, _)) => {
            let what = format!("node {} of level {} is missing", subtree.index, subtree.level);
            Err(Check::Nodes.differs(what))
        }
    }
}

/// The words that are kept, against the hashes that the log has of them: of how many they are, and of how many not.
async fn words(link: &mut Link, hashes: &mut Vec<Hash>) -> Result<(u64, u64)> {
    hashes.sort_unstable();
    hashes.dedup();
    let mut last = Value::Bytes(Vec::new());
    let mut count = 0;
    loop {
        let text = "SELECT hash, salt, words FROM texts WHERE hash > $1 ORDER BY hash LIMIT $2";
        let rows = link.rows(text, &[last, PAGE.into()]).await?;
        let Some(end) = rows.last() else { break };
        last = Value::Bytes(end.bytes(0)?.to_vec());
        for row in &rows {
            let hash = row.hash(0)?;
            let differs = || {
                Check::Words.differs(format!(
                    "the words kept for {hash} are not those that were written"
                ))
            };
            let words = Words {
                salt: row.bytes(1)?.try_into().map_err(|_| differs())?,
                text: String::from_utf8(row.bytes(2)?.to_vec()).map_err(|_| differs())?,
            };
            if Prose::new(words.salt, words.text).hash() != hash {
                return Err(differs());
            }
            count += u64::from(hashes.binary_search(&hash).is_ok());
        }
    }
    let all = u64::try_from(hashes.len()).unwrap_or(u64::MAX);
    Ok((count, all.saturating_sub(count)))
}

/// Verification.
impl Store {
    /// Checks the log against itself and against the tables, at one moment.
    ///
    /// # Errors
    /// [`Error::Differs`] names the first thing that is not as it was written, and the check that found it.
    pub async fn verify(&self) -> Result<Verified> {
        self.verify_signed(Expect::default()).await
    }

    /// The same, with what was signed.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub async fn verify_signed(&self, expect: Expect) -> Result<Verified> {
        self.snapshot(move |link| Box::pin(async move { run(link, &expect).await }))
            .await
    }
}

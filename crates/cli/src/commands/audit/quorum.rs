//! Witnesses whose signatures a verifier demands: that enough of them saw a checkpoint, when, and how much of the log that is.
//!
//! A server chooses which checkpoint with signatures it shows. One of its first day is signed, and is the beginning of every log that
//! was put back to the second day; so what a server shows must have been signed lately.

use std::time::Duration;

use daypass_api::ProblemCode;
use daypass_api::client::Error;
use daypass_core::refusal::Code;
use daypass_core::time::{Span, Timestamp};
use daypass_tlog::key::{Use, Verifier};
use daypass_tlog::{Checkpoint, Note};
use serde::Serialize;

use super::chain;
use super::reader::unsound;
use super::source::Source;
use super::trust::{self, Trust};
use super::verify::WITNESSED;
use crate::edge;
use crate::failure::Failure;
use crate::human::{instant, span};

/// How far a witness's clock may be ahead of this machine's.
const AHEAD: Span = Span::minutes(5);
/// How often a server is asked again where its witnesses signed too long ago: it may have been started a moment ago, and asks them now.
const TRIES: usize = 10;
/// How long between two of these.
const PAUSE: Duration = Duration::from_millis(500);

/// Who must have signed, how many of them, and how lately.
pub(super) struct Quorum {
    keys: Vec<Verifier>,
    least: usize,
    age: Span,
}

/// That witnesses signed a checkpoint, for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Cosigned {
    /// How many entries they saw.
    pub(super) size: u64,
    pub(super) by: Vec<Cosigner>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Cosigner {
    pub(super) name: String,
    /// When, by its clock.
    pub(super) at: Timestamp,
}

/// The checkpoint that witnesses of a server signed lately, and who they are.
#[derive(Debug)]
pub(super) struct Witnessed {
    pub(super) checkpoint: Checkpoint,
    pub(super) cosigned: Cosigned,
}

impl Quorum {
    /// Those of `--witness`, `--witnesses` and `--witness-age`; `None` where nobody's signature is demanded.
    pub(super) fn of(trust: &Trust) -> Result<Option<Self>, Failure> {
        let hint = "the line that daypass witness prints, and writes to key.pub in its folder";
        let mut keys: Vec<Verifier> = Vec::new();
        for file in &trust.witness {
            let wrong = |why: String| Failure::usage(why).hint(hint);
            for key in trust::keys_in(file, Use::Cosignature).map_err(wrong)? {
                // Given twice it would count twice; and a name is only what somebody called it.
                match keys.iter().find(|known| known.is_same_pair(&key)) {
                    None => keys.push(key),
                    Some(known) if *known == key => {}
                    Some(known) => {
                        let (one, other) = (known.name(), key.name());
                        return Err(Failure::usage(format!(
                            "{one} and {other} have the same key: that is one witness by two names"
                        ))
                        .hint("leave one of them out; witnesses are worth something where different people have their keys"));
                    }
                }
            }
        }
        if keys.is_empty() {
            return match trust.witness.as_slice() {
                [] => Ok(None),
                _ => Err(Failure::usage("the files of --witness hold no key")),
            };
        }
        let least = trust.witnesses.unwrap_or(keys.len());
        if least == 0 || least > keys.len() {
            return Err(Failure::usage(format!(
                "--witnesses is from 1 to the number of keys given, which is {}",
                keys.len()
            )));
        }
        let age = trust.witness_age;
        Ok(Some(Self { keys, least, age }))
    }

    /// Who of them signed a checkpoint, however long ago.
    ///
    /// # Errors
    /// Where they are too few.
    pub(super) fn demand(&self, note: &[u8], size: u64, now: Timestamp) -> Result<Cosigned, Failure> {
        let (by, missing) = self.signed(note, now)?;
        if by.len() >= self.least {
            return Ok(Cosigned { size, by });
        }
        Err(unsound(&format!(
            "{} of the {} witnesses that must have signed the checkpoint of {size} entries did: {}",
            by.len(),
            self.least,
            missing.join("; ")
        )))
    }

    /// The checkpoint that a server's witnesses signed lately. It is asked again for some seconds where they did not.
    ///
    /// # Errors
    /// Where they did not all the same, or the server does not answer.
    pub(super) async fn lately(&self, source: &Source, keys: &[Verifier]) -> Result<Witnessed, Failure> {
        let Source::Server(client) = source else {
            return Err(Failure::error("a folder has no newer checkpoint"));
        };
        let mut tries = 1..TRIES;
        loop {
            let found = match client.log_checkpoint_by(&WITNESSED).await {
                Err(error) if is_none(&error) => Err(error.into()),
                Err(error) => return Err(error.into()),
                Ok(note) => {
                    let checkpoint = chain::believed(source, &note, keys).await?.checkpoint;
                    // Not the newest of all: that one they sign in a moment. The log must go on from what they signed.
                    let newest = source.checkpoint().await?;
                    let newest = chain::believed(source, &newest, keys).await?.checkpoint;
                    let sizes = (checkpoint.size, newest.size);
                    let cosigned = self.signed_lately(&note, sizes, edge::now())?;
                    cosigned.map(|cosigned| Witnessed { checkpoint, cosigned })
                }
            };
            match found {
                Err(_) if tries.next().is_some() => edge::pause(PAUSE).await,
                found => return found,
            }
        }
    }

    /// Who of them signed a checkpoint lately; the inner error where they are too few. `sizes`: of that checkpoint and of the log.
    fn signed_lately(
        &self,
        note: &[u8],
        (size, whole): (u64, u64),
        now: Timestamp,
    ) -> Result<Result<Cosigned, Failure>, Failure> {
        let (by, mut missing) = self.signed(note, now)?;
        let last = by.iter().map(|one| one.at).max();
        let (by, old): (Vec<_>, Vec<_>) = by.into_iter().partition(|one| now.since(one.at) <= self.age);
        if by.len() >= self.least {
            return Ok(Ok(Cosigned { size, by }));
        }
        missing.extend(old.iter().map(|one| {
            let past = span(now.since(one.at));
            format!("{} signed it {past} ago, on {}", one.name, instant(one.at))
        }));
        let last = last.map_or_else(|| String::from("never"), |at| format!("last on {}", instant(at)));
        Ok(Err(unsound(&format!(
            "cosigned up to {size} of {whole} entries, {last}: {} of the {} witnesses that must have signed within the last {} did: {}. The \
             witnesses do not sign what this server has now, or it keeps from you that they do",
            by.len(),
            self.least,
            span(self.age),
            missing.join("; ")
        ))))
    }

    /// That nothing after what the witnesses signed is so old that they would have signed it too. `first`: when the first entry after
    /// it happened; `newest`: the newest one.
    ///
    /// # Errors
    /// Where it is.
    pub(super) fn covers(
        &self,
        cosigned: &Cosigned,
        (first, newest): (Option<Timestamp>, Option<Timestamp>),
        (whole, now): (u64, Timestamp),
    ) -> Result<(), Failure> {
        let Some(first) = first else {
            return Ok(());
        };
        let newest = newest.map_or(now, |newest| newest.max(now));
        if newest.since(first) <= self.age {
            return Ok(());
        }
        let size = cosigned.size;
        Err(unsound(&format!(
            "cosigned up to {size} of {whole} entries, and entry {size} is of {first}: longer ago than {}. The witnesses were not shown it, \
             or did not sign it",
            span(self.age)
        )))
    }

    /// Who signed, and why the others do not count.
    fn signed(&self, note: &[u8], now: Timestamp) -> Result<(Vec<Cosigner>, Vec<String>), Failure> {
        let note = Note::parse(note).map_err(|error| unsound(&format!("the checkpoint: {error}")))?;
        let mut signed = Vec::new();
        let mut missing = Vec::new();
        for key in &self.keys {
            match note.verify(key) {
                Ok(seen) => {
                    let micros = i64::try_from(seen.at.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
                    let at = Timestamp::from_micros(micros);
                    let name = key.name().to_string();
                    if at.since(now) > AHEAD {
                        missing.push(format!(
                            "{name} says that it signed on {}, which is to come",
                            instant(at)
                        ));
                    } else {
                        signed.push(Cosigner { name, at });
                    }
                }
                Err(error) => missing.push(error.to_string()),
            }
        }
        Ok((signed, missing))
    }
}

impl Cosigned {
    /// In words, of a log of so many entries.
    pub(super) fn told(&self, whole: u64) -> String {
        let by: Vec<String> = self
            .by
            .iter()
            .map(|one| format!("by {} on {}", one.name, instant(one.at)))
            .collect();
        format!(
            "cosigned up to {} of {whole} entries {}",
            self.size,
            by.join(", ")
        )
    }
}

/// Whether a server has nothing that enough witnesses signed.
fn is_none(error: &Error) -> bool {
    error.code() == Some(ProblemCode::Refusal(Code::NotFound))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use daypass_tlog::Tree;
    use daypass_tlog::key::Signer;

    use super::*;

    fn signer(name: &str, seed: u8) -> Signer {
        Signer::new(name.parse().unwrap(), Use::Cosignature, [seed; 32].into()).unwrap()
    }

    fn trust(keys: &[&Signer], witnesses: Option<usize>) -> (tempfile::TempDir, Trust) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.pub");
        let lines: String = keys.iter().map(|key| format!("{}\n", key.verifier())).collect();
        std::fs::write(&file, lines).unwrap();
        let trust = Trust {
            key: PathBuf::new(),
            seen: Vec::new(),
            witness: vec![file],
            witnesses,
            witness_age: Span::minutes(10),
        };
        (folder, trust)
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(i64::try_from(seconds).unwrap() * 1_000_000)
    }

    fn signed(by: &[(&Signer, u64)]) -> Vec<u8> {
        let mut note = Note::new(Checkpoint::of("log.example", &Tree::default()).to_string()).unwrap();
        for (key, at) in by {
            note.sign(key, *at);
        }
        note.to_string().into_bytes()
    }

    fn why(failure: &Failure) -> String {
        failure.told().0.to_owned()
    }

    #[test]
    fn who_signed_lately_counts_and_who_did_long_ago_or_in_the_future_does_not() {
        let (one, two) = (signer("w.example/1", 1), signer("w.example/2", 2));
        let (_folder, all) = trust(&[&one, &two], None);
        let quorum = Quorum::of(&all).unwrap().unwrap();
        let lately = |note: &[u8]| quorum.signed_lately(note, (3, 11), at(10_000)).unwrap();
        let note = signed(&[(&one, 10_000), (&two, 9_400)]);
        let found = lately(&note).unwrap();
        assert_eq!((found.size, found.by.len()), (3, 2));
        assert!(
            found
                .told(11)
                .starts_with("cosigned up to 3 of 11 entries by w.example/1 on "),
            "{}",
            found.told(11)
        );
        // Of the first day.
        let told = why(&lately(&signed(&[(&one, 10_000), (&two, 9_399)])).unwrap_err());
        assert!(
            told.contains(
                "cosigned up to 3 of 11 entries, last on 1970-01-01 02:46:40Z: 1 of the 2 witnesses"
            ),
            "{told}"
        );
        assert!(told.contains("w.example/2 signed it 10m ago"), "{told}");
        // However long ago, a file's own checkpoint is signed.
        let old = signed(&[(&one, 1), (&two, 2)]);
        assert!(lately(&old).is_err());
        quorum.demand(&old, 3, at(10_000)).unwrap();
        // A time that is to come is none, neither lately nor for a file.
        let ahead = signed(&[(&one, 10_000), (&two, 10_301)]);
        assert!(why(&lately(&ahead).unwrap_err()).contains("which is to come"));
        assert!(quorum.demand(&ahead, 3, at(10_000)).is_err());
        lately(&signed(&[(&one, 10_000), (&two, 10_300)])).unwrap();
    }

    #[test]
    fn what_the_witnesses_should_have_signed_is_not_left_out() {
        let one = signer("w.example/1", 1);
        let (_folder, all) = trust(&[&one], None);
        let quorum = Quorum::of(&all).unwrap().unwrap();
        let note = signed(&[(&one, 10_000)]);
        let cosigned = quorum.signed_lately(&note, (3, 11), at(10_000)).unwrap().unwrap();
        let covers = |first: Option<u64>, newest: u64| {
            let times = (first.map(at), Some(at(newest)));
            quorum.covers(&cosigned, times, (11, at(10_000)))
        };
        covers(None, 10).unwrap();
        covers(Some(9_400), 9_500).unwrap();
        let told = why(&covers(Some(9_399), 9_500).unwrap_err());
        assert!(
            told.contains("cosigned up to 3 of 11 entries, and entry 3 is of"),
            "{told}"
        );
        // Whatever this machine's clock says.
        assert!(covers(Some(11_000), 11_601).is_err());
    }

    #[test]
    fn a_key_by_two_names_is_one_witness() {
        let (one, same, two) = (
            signer("w.example/1", 1),
            signer("w.example/x", 1),
            signer("w.example/2", 2),
        );
        let refused = |keys: &[&Signer]| Quorum::of(&trust(keys, Some(2)).1).err().unwrap();
        assert!(why(&refused(&[&one, &same])).contains("one witness by two names"));
        assert!(why(&refused(&[&one, &one])).contains("from 1 to the number of keys"));
        let (_folder, good) = trust(&[&one, &two], Some(2));
        assert!(Quorum::of(&good).is_ok());
    }
}

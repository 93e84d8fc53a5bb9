//! Whether a note is a checkpoint that one of these keys signed, of its own log: the question of everybody who reads a checkpoint.

use crate::checkpoint::{Checkpoint, Malformed as NoCheckpoint};
use crate::key::Verifier;
use crate::note::{Malformed as NoNote, Note, Unverified};

/// Why a note is not a checkpoint that can be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// It is no note.
    #[error(transparent)]
    Note(#[from] NoNote),
    /// Its text is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] NoCheckpoint),
    /// None of the keys signed it. Told of the last one.
    #[error(transparent)]
    Unverified(#[from] Unverified),
    /// One of them did, and it is about a log of another name.
    #[error("it is a checkpoint of another log, {0}")]
    Origin(String),
    /// There is nobody to believe.
    #[error("no key was given")]
    NoKey,
}

/// The checkpoint in a note, and which of these keys signed it for the log of its own name.
///
/// # Errors
/// Where it is no checkpoint, or none of them did.
pub fn signed<'k>(
    note: &[u8],
    keys: impl IntoIterator<Item = &'k Verifier>,
) -> Result<(Checkpoint, &'k Verifier), NotSigned> {
    let note = Note::parse(note)?;
    let mut why = NotSigned::NoKey;
    for key in keys {
        match note.verify(key) {
            Err(unverified) => why = unverified.into(),
            Ok(_) => {
                let checkpoint: Checkpoint = note.text().parse()?;
                if checkpoint.origin == key.name().as_str() {
                    return Ok((checkpoint, key));
                }
                why = NotSigned::Origin(checkpoint.origin);
            }
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Signer, Use};
    use crate::tree::Tree;

    fn signer(name: &str, seed: u8) -> Signer {
        Signer::new(name.parse().unwrap(), Use::Note, [seed; 32].into()).unwrap()
    }

    fn note(origin: &str, by: &Signer) -> Vec<u8> {
        let mut note = Note::new(Checkpoint::of(origin, &Tree::default()).to_string()).unwrap();
        note.sign(by, 0);
        note.to_string().into_bytes()
    }

    #[test]
    fn only_a_checkpoint_of_a_keys_own_log_is_believed() {
        let (own, other) = (signer("one", 1), signer("two", 2));
        let keys = [other.verifier().clone(), own.verifier().clone()];
        let (checkpoint, by) = signed(&note("one", &own), &keys).unwrap();
        assert_eq!((checkpoint.size, by), (0, own.verifier()));
        assert_eq!(
            signed(&note("two", &own), &keys),
            Err(NotSigned::Origin("two".to_owned()))
        );
        assert!(matches!(
            signed(&note("one", &own), &keys[..1]),
            Err(NotSigned::Unverified(_))
        ));
        assert_eq!(signed(&note("one", &own), &[]), Err(NotSigned::NoKey));
        assert!(matches!(signed(b"", &keys), Err(NotSigned::Note(_))));
    }
}

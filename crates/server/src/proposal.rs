//! A checkpoint with the proof that it goes on from an older one: what clients compare with their pin, and what witnesses are asked
//! (C2SP `tlog-witness`).

use daypass_store::{Error, KeptCheckpoint, Store};
use daypass_tlog::Note;
use daypass_tlog::proof::Proof;
use daypass_tlog::witness::Proposal;

/// That this checkpoint goes on from the log of so many entries. Where it has fewer there is no proof: whoever asked sees that by the
/// sizes.
///
/// # Errors
/// Where the store does not answer, or what it kept is no checkpoint.
pub(crate) async fn of(store: &Store, kept: &KeptCheckpoint, old: u64) -> Result<Proposal, Error> {
    let note = Note::parse(kept.note.as_bytes()).map_err(|error| Error::Corrupt(error.to_string()))?;
    let proof = match Proof::of_consistency(old, kept.size) {
        Ok(proof) => store.log_proof(proof, kept.size).await?,
        Err(_) => Vec::new(),
    };
    Ok(Proposal { old, proof, note })
}

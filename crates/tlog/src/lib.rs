//! The transparency log: a Merkle tree over the events, and what lets a stranger verify it with public tools.
//!
//! Pure: bytes in, hashes and texts out. Formats are those of RFC 6962 and RFC 9162 (tree, proofs) and of C2SP (`signed-note`,
//! `tlog-checkpoint`, `tlog-cosignature`, `tlog-tiles`, `tlog-witness`; <https://c2sp.org>), so that nobody needs Daypass to check
//! what Daypass says. Whatever is parsed here comes from somebody who may lie: nothing panics, and every length is bounded.

pub mod checkpoint;
pub mod key;
pub mod marks;
pub mod note;
pub mod proof;
mod signed;
pub mod succession;
pub mod tile;
mod tree;
pub mod witness;

pub use checkpoint::Checkpoint;
pub use marks::Marks;
pub use note::Note;
pub use signed::{NotSigned, signed};
pub use tree::{Hash, NoTree, Tree, leaf, node};

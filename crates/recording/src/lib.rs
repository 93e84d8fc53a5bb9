//! Recordings of sessions: sealed, chunk by chunk, such that nothing can be changed, exchanged or cut off unseen.
//!
//! A library without a clock or a database, and without an idea of what the lines say: JSON of statements, or
//! asciicast of terminals. Lines come in with their numbers; [`Writer`] cuts them into chunks, seals each for the [`Recipients`] as a file
//! of age, and stores it so that it is never overwritten. What it then says of the chunk, [`Sealed`], the caller writes to the log;
//! against that list [`Recordings::verify`] holds what is stored, and [`Recordings::replay`] opens it.
//!
//! A line counts as recorded once its chunk is stored ([`Writer::stored`]), and not before: until then its sender keeps it, and may
//! send it again. Where storage fails, the lines stay, more are refused, and the next call tries again.
//!
//! It wants tokio: chunks are sealed on its threads for what takes long.
//!
//! After a crash [`Recordings::resume`] takes over what was stored and not logged; `docs/adr/0018` says by which rule.

mod chunk;
mod digest;
mod error;
mod fault;
mod id;
mod keys;
mod limits;
mod live;
mod place;
mod read;
mod recordings;
mod retention;
mod sealed;
mod storage;
mod verify;
mod watch;
mod writer;

pub use digest::{BadDigest, Digest};
pub use error::Error;
pub use fault::Fault;
pub use id::{BadRecordingId, RecordingId};
pub use keys::{BadKey, Identities, Recipients, ServerKey, new_pair};
pub use limits::Limits;
pub use read::{Piece, Replay};
pub use recordings::Recordings;
pub use retention::{Expired, Removed};
pub use sealed::Sealed;
pub use verify::Verdict;
pub use watch::{End, Line, Watcher};
pub use writer::Writer;

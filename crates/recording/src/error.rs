//! What can go wrong while a recording is written, kept or read.

use crate::digest::Digest;
use crate::fault::Fault;
use crate::id::RecordingId;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A line is missing between what was taken and what came.
    #[error("line {expected} was expected and line {got} came: what is between must be sent first")]
    Gap {
        /// The next number.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// Lines are counted from 1.
    #[error("lines are counted from 1, and line 0 came")]
    LineZero,
    /// A line is longer than the limit.
    #[error("line {number} has {bytes} bytes, and {most} are allowed: it must be cut, and say so")]
    LineTooLong {
        /// Which.
        number: u64,
        /// How long it is.
        bytes: usize,
        /// The limit.
        most: usize,
    },
    /// A line has a line feed in it.
    #[error("line {number} has a line feed in it")]
    TwoLines {
        /// Which.
        number: u64,
    },
    /// The recording has its end.
    #[error("recording {0} is finished: nothing can be added")]
    Finished(RecordingId),
    /// Somebody writes it, or it is being removed, in this process.
    #[error("recording {0} is being written or removed")]
    Busy(RecordingId),
    /// A recording of this name is there.
    #[error("there is a recording {0} already")]
    Exists(RecordingId),
    /// Nothing is stored under this name.
    #[error("there is no recording {0}")]
    Unknown(RecordingId),
    /// Another writer stored the chunk first. This one is at its end.
    #[error("chunk {number} of recording {recording} was stored by somebody else: this writer stops")]
    Taken {
        /// Of which recording.
        recording: RecordingId,
        /// Which chunk.
        number: u64,
    },
    /// After what the log says lies something that this server did not store there.
    #[error(
        "recording {recording} cannot go on: chunk {number} is stored, is not in the log, and is not what this server \
         stored there"
    )]
    Stranger {
        /// Of which recording.
        recording: RecordingId,
        /// Which chunk.
        number: u64,
    },
    /// Too many chunks are stored and not in the log.
    #[error("{0} chunks are stored and not yet in the log: they must be logged before more is taken")]
    NotLogged(usize),
    /// The caller says that it logged what was not the next.
    #[error("chunk {number} ({sealed}) is not the next to be logged")]
    NotNext {
        /// Which chunk.
        number: u64,
        /// The hash that it was logged with.
        sealed: Digest,
    },
    /// Something that no object can be called lies in the folder of a recording.
    #[error(
        "beside the chunks of recording {0} lies something whose name is none: it must be removed by hand"
    )]
    Strange(RecordingId),
    /// age refused.
    #[error("a chunk could not be sealed for its recipients")]
    Seal,
    /// The limits make no sense.
    #[error("a chunk and a line have 1 to {most} bytes, and a chunk at least one line")]
    Limits {
        /// The most that can be configured.
        most: usize,
    },
    /// The object store, or the folder, does not do as it should.
    #[error("the storage of recordings: {0}")]
    Storage(#[from] object_store::Error),
    /// The folder cannot be made or synced.
    #[error("the folder of recordings: {0}")]
    Folder(#[source] std::io::Error),
    /// What is stored is not what the log says.
    #[error(transparent)]
    Fault(#[from] Fault),
}

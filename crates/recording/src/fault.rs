//! What can be wrong with a recording: what is stored is held against what the log says.

use crate::id::RecordingId;

/// One thing that is wrong, and at which chunk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It is not there.
    #[error("chunk {number} is missing: the log has it, and it is not stored")]
    Missing {
        /// Which chunk.
        number: u64,
    },
    /// Its bytes are others.
    #[error("chunk {number} was changed: what is stored is not what was sealed")]
    Changed {
        /// Which chunk.
        number: u64,
    },
    /// In its place lies another chunk of this recording.
    #[error("chunk {number} was exchanged: chunk {holds} lies in its place")]
    Exchanged {
        /// Which chunk.
        number: u64,
        /// What lies there.
        holds: u64,
    },
    /// In its place lies a chunk of another recording.
    #[error(
        "chunk {number} is of another recording: what lies in its place says that it is chunk {holds} of {of}"
    )]
    Foreign {
        /// Which chunk.
        number: u64,
        /// Which chunk it says that it is.
        holds: u64,
        /// Of which recording.
        of: RecordingId,
    },
    /// It is stored, and the log does not have it: a crash was between the two, or somebody put it there.
    #[error("chunk {number} is stored, and the log does not have it")]
    NotInLog {
        /// Which chunk.
        number: u64,
    },
    /// Something lies beside the chunks that we did not put there.
    #[error("beside the chunks lie {objects} objects whose names Daypass does not give")]
    Strange {
        /// How many.
        objects: usize,
    },
    /// The log itself skips a chunk.
    #[error("the log does not have chunk {number}, and has a later one")]
    LogGap {
        /// Which chunk.
        number: u64,
    },
    /// The list has a chunk of another recording.
    #[error("the list has chunk {number} of another recording, {of}")]
    LogForeign {
        /// Which chunk.
        number: u64,
        /// Of which recording.
        of: RecordingId,
    },
    /// The numbers of lines do not go on from chunk to chunk.
    #[error("the log's lines of chunk {number} do not follow those of the chunk before")]
    LogLines {
        /// Which chunk.
        number: u64,
    },
    /// There is something after the last chunk.
    #[error("the log has chunk {number} after the one that it calls the last")]
    AfterEnd {
        /// Which chunk.
        number: u64,
    },
    /// No chunk says that it is the last.
    #[error("the recording was cut after line {after}: it was never finished")]
    Cut {
        /// The last line that there is.
        after: u64,
    },
    /// None of the identities opens it.
    #[error("chunk {number} is not sealed for any of these keys")]
    WrongKey {
        /// Which chunk.
        number: u64,
    },
    /// It was logged like that, and is no age file, or not a whole one.
    #[error("chunk {number} is as it was logged, and is not a whole age file")]
    Unreadable {
        /// Which chunk.
        number: u64,
    },
    /// It was logged like that, and its text is not the one that the log speaks of.
    #[error(
        "chunk {number} is as it was logged, and does not hold the text that the log says follows the chunk before"
    )]
    OtherText {
        /// Which chunk.
        number: u64,
    },
}

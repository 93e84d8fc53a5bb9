//! A folder with recordings, and what the log would have of them.

use std::fs;
use std::path::PathBuf;

use age::x25519;
use daypass_core::time::{Span, Timestamp};
use daypass_recording::{
    Error, Fault, Identities, Limits, Piece, Recipients, RecordingId, Recordings, Sealed, ServerKey, Writer,
};
use secrecy::SecretBox;
use tempfile::TempDir;

/// An instant to begin at.
pub(crate) const NOW: Timestamp = Timestamp::EPOCH;

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) pair: x25519::Identity,
    pub(crate) recordings: Recordings,
}

pub(crate) fn small() -> Limits {
    Limits {
        chunk_bytes: 100,
        chunk_lines: 3,
        chunk_age: Span::seconds(5),
        line_bytes: 200,
    }
}

pub(crate) fn id(text: &str) -> RecordingId {
    text.parse().unwrap()
}

/// Lines with numbers in them, from `first` to `last`.
pub(crate) fn lines(first: u64, last: u64) -> Vec<String> {
    (first..=last)
        .map(|number| format!("{{\"statement\":{number}}}"))
        .collect()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(small())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recordings = Recordings::local(folder.path(), key(1), limits).unwrap();
        Self {
            folder,
            pair: x25519::Identity::generate(),
            recordings,
        }
    }

    /// The same folder as another process of the same installation has it, or the same one after a crash.
    pub(crate) fn again(&self) -> Recordings {
        Recordings::local(self.folder.path(), key(1), small()).unwrap()
    }

    pub(crate) fn recipients(&self) -> Recipients {
        Recipients::read(&[self.pair.to_public().to_string()]).unwrap()
    }

    pub(crate) fn identities(&self) -> Identities {
        Identities::read(&self.pair.to_string()).unwrap()
    }

    pub(crate) async fn begin(&self, recording: &str) -> Writer {
        self.recordings
            .create(&id(recording), self.recipients())
            .await
            .unwrap()
    }

    /// A finished recording of so many lines, and what the log has of it: three lines in each chunk but the last.
    pub(crate) async fn finished(&self, recording: &str, count: u64) -> Vec<Sealed> {
        let mut writer = self.begin(recording).await;
        writer.write(NOW, 1, &lines(1, count)).await.unwrap();
        writer.finish().await.unwrap();
        log(&mut writer)
    }

    pub(crate) fn file(&self, recording: &str, number: u64) -> PathBuf {
        self.folder.path().join(format!("{recording}/{number:020}.age"))
    }

    pub(crate) async fn faults(&self, recording: &str, logged: &[Sealed]) -> Vec<Fault> {
        let verdict = self.recordings.verify(&id(recording), logged).await.unwrap();
        verdict.faults
    }

    /// All lines, and how it ended.
    pub(crate) async fn replay(&self, recording: &str, logged: &[Sealed]) -> (Vec<String>, Option<Error>) {
        let identities = self.identities();
        let mut replay = match self.recordings.replay(&id(recording), logged, &identities) {
            Ok(replay) => replay,
            Err(error) => return (Vec::new(), Some(error)),
        };
        let mut all = Vec::new();
        loop {
            match replay.next().await {
                Ok(Some(Piece { first, lines })) => {
                    assert_eq!(first, all.len() as u64 + 1);
                    all.extend(lines);
                }
                Ok(None) => return (all, None),
                Err(error) => return (all, Some(error)),
            }
        }
    }

    /// How many files there are under a recording's name.
    pub(crate) fn files(&self, recording: &str) -> usize {
        fs::read_dir(self.folder.path().join(recording)).map_or(0, Iterator::count)
    }
}

pub(crate) fn key(byte: u8) -> ServerKey {
    ServerKey::new(SecretBox::new(Box::new([byte; 32])))
}

/// Writes to the log what waits for it.
pub(crate) fn log(writer: &mut Writer) -> Vec<Sealed> {
    let sealed = writer.sealed().to_vec();
    for sealed in &sealed {
        writer.logged(sealed).unwrap();
    }
    sealed
}

/// The fault that an error is about.
pub(crate) fn fault(error: Option<Error>) -> Fault {
    match error {
        Some(Error::Fault(fault)) => fault,
        other => panic!("no fault: {other:?}"),
    }
}

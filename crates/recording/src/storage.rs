//! Where chunks are: one object each, `<recording>/<number>.age`, in a folder or whatever else keeps objects.

use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetResult, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};

use crate::error::Error;
use crate::id::RecordingId;
use crate::limits::LARGEST_STORED;

/// An object that is there. When it was stored is not asked: whoever can write there can say what they like.
pub(crate) struct Stored {
    /// Nothing where the name is one that no object may have: such a file can be seen, and neither read nor removed.
    pub(crate) path: Option<Path>,
    /// Nothing where the name is none that we give.
    pub(crate) chunk: Option<(RecordingId, u64)>,
    pub(crate) bytes: u64,
}

/// What lies in the place of a chunk.
pub(crate) enum Found {
    Nothing,
    Bytes(Bytes),
    /// More than any chunk of ours has. It was not read.
    TooLarge,
}

#[derive(Debug, Clone)]
pub(crate) struct Storage(Arc<dyn ObjectStore>);

impl Storage {
    pub(crate) fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self(store)
    }

    /// A folder, made where it is missing, for its owner alone. Each write is synced, and so is the folder that it is in
    /// (`with_fsync`, which is off by default); a removal is not: after a power cut what was removed may be there again.
    pub(crate) fn local(folder: &FilePath) -> Result<Self, Error> {
        if !folder.exists() {
            make(folder).map_err(Error::Folder)?;
        }
        let store = LocalFileSystem::new_with_prefix(folder)?
            .with_fsync(true)
            .with_automatic_cleanup(true);
        Ok(Self(Arc::new(store)))
    }

    /// Stores a chunk where none is; false where one is.
    pub(crate) async fn create(
        &self,
        recording: &RecordingId,
        number: u64,
        bytes: Bytes,
    ) -> Result<bool, Error> {
        let (path, payload) = (path(recording, number), PutPayload::from(bytes));
        match self.0.put_opts(&path, payload, PutMode::Create.into()).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Stores the same bytes once more: after a failure they may be there and not be durable.
    pub(crate) async fn again(
        &self,
        recording: &RecordingId,
        number: u64,
        bytes: Bytes,
    ) -> Result<(), Error> {
        self.0
            .put(&path(recording, number), PutPayload::from(bytes))
            .await?;
        Ok(())
    }

    pub(crate) async fn read(&self, recording: &RecordingId, number: u64) -> Result<Found, Error> {
        let found: GetResult = match self.0.get(&path(recording, number)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(Found::Nothing),
            Err(error) => return Err(error.into()),
        };
        if found.meta.size > LARGEST_STORED {
            return Ok(Found::TooLarge);
        }
        Ok(Found::Bytes(found.bytes().await?))
    }

    /// All objects of a recording, in the order of their chunks; what has a strange name comes first.
    pub(crate) async fn of(&self, recording: &RecordingId) -> Result<Vec<Stored>, Error> {
        let mut all = Vec::new();
        let prefix = Path::from(recording.as_str());
        self.visit(Some(&prefix), |stored| all.push(stored)).await?;
        all.sort_by_key(|stored: &Stored| stored.chunk.as_ref().map(|(_, number)| *number));
        Ok(all)
    }

    /// Every object, one after the other.
    pub(crate) async fn each(&self, visit: impl FnMut(Stored)) -> Result<(), Error> {
        self.visit(None, visit).await
    }

    async fn visit(&self, prefix: Option<&Path>, mut visit: impl FnMut(Stored)) -> Result<(), Error> {
        let mut all = self.0.list(prefix);
        while let Some(meta) = all.next().await {
            match meta {
                Ok(meta) => visit(stored(meta)),
                // Somebody put it there, perhaps so that nothing can be listed any more.
                Err(object_store::Error::InvalidPath { .. }) => visit(Stored {
                    path: None,
                    chunk: None,
                    bytes: 0,
                }),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Removes an object; it is no error where it is gone.
    pub(crate) async fn remove(&self, path: &Path) -> Result<(), Error> {
        match self.0.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Twenty digits: each number that there is has the same length, so that listings are in order.
fn path(recording: &RecordingId, number: u64) -> Path {
    Path::from(format!("{recording}/{number:020}.age"))
}

fn stored(meta: ObjectMeta) -> Stored {
    Stored {
        chunk: chunk(&meta.location),
        bytes: meta.size,
        path: Some(meta.location),
    }
}

fn chunk(location: &Path) -> Option<(RecordingId, u64)> {
    let (recording, file) = location.as_ref().split_once('/')?;
    let recording: RecordingId = recording.parse().ok()?;
    let number = file.strip_suffix(".age")?.parse().ok()?;
    (path(&recording, number) == *location).then_some((recording, number))
}

/// Makes a folder that its owner alone reads, and syncs where it is written down.
fn make(folder: &FilePath) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    #[cfg(unix)]
    if let Some(parent) = folder.canonicalize()?.parent() {
        std::fs::File::open(parent)?.sync_all()?;
    }
    Ok(())
}

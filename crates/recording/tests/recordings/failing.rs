//! A real folder whose disk fails on demand.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use async_trait::async_trait;
use daypass_recording::Recordings;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::Notify;

use crate::world::{World, key, small};

#[derive(Debug)]
pub(crate) struct Failing {
    folder: LocalFileSystem,
    /// How many removals still work.
    removals: Arc<AtomicI64>,
    after_storing: AtomicBool,
    /// It stores, says so here, and never answers.
    silent: AtomicBool,
    stored: Notify,
    /// As a client of a far storage that hears no answer: it asks once more by itself.
    twice: AtomicBool,
    /// How often it was asked to store.
    asked: AtomicU64,
    overwritten: AtomicU64,
    /// How many bytes of objects of more than a mebibyte were read.
    read: Arc<AtomicU64>,
}

impl Failing {
    /// Puts it between a world's recordings and their folder.
    pub(crate) fn around(world: &mut World) -> Arc<Self> {
        let failing = Arc::new(Self {
            folder: LocalFileSystem::new_with_prefix(world.folder.path())
                .unwrap()
                .with_fsync(true),
            removals: Arc::new(AtomicI64::new(i64::MAX)),
            after_storing: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            stored: Notify::new(),
            twice: AtomicBool::new(false),
            read: Arc::default(),
            asked: AtomicU64::new(0),
            overwritten: AtomicU64::new(0),
        });
        world.recordings = Recordings::new(Arc::clone(&failing) as _, key(1), small()).unwrap();
        failing
    }

    pub(crate) fn never(&self) {
        self.removals.store(i64::MAX, Ordering::SeqCst);
        self.after_storing.store(false, Ordering::SeqCst);
        self.silent.store(false, Ordering::SeqCst);
    }

    pub(crate) fn removals_after(&self, count: i64) {
        self.removals.store(count, Ordering::SeqCst);
    }

    pub(crate) fn after_storing(&self) {
        self.after_storing.store(true, Ordering::SeqCst);
    }

    pub(crate) fn silent(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    /// When the silent storage has stored.
    pub(crate) async fn stored(&self) {
        self.stored.notified().await;
    }

    pub(crate) fn twice(&self) {
        self.twice.store(true, Ordering::SeqCst);
    }

    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::SeqCst)
    }

    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn overwritten(&self) -> u64 {
        self.overwritten.load(Ordering::SeqCst)
    }
}

fn broken() -> Error {
    Error::Generic {
        store: "failing",
        source: "the disk is broken".into(),
    }
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a folder that fails")
    }
}

#[async_trait]
impl ObjectStore for Failing {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if matches!(opts.mode, PutMode::Overwrite) {
            self.overwritten.fetch_add(1, Ordering::SeqCst);
        }
        let put = self
            .folder
            .put_opts(location, payload.clone(), opts.clone())
            .await?;
        if self.twice.load(Ordering::SeqCst) {
            return self.folder.put_opts(location, payload, opts).await;
        }
        if self.after_storing.load(Ordering::SeqCst) {
            return Err(broken());
        }
        if self.silent.load(Ordering::SeqCst) {
            self.stored.notify_one();
            return std::future::pending().await;
        }
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.folder.put_multipart_opts(path, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut found = self.folder.get_opts(location, options).await?;
        if found.meta.size > 1 << 20 {
            let (meta, range, attributes) =
                (found.meta.clone(), found.range.clone(), found.attributes.clone());
            let read = Arc::clone(&self.read);
            let counted = found.into_stream().inspect(move |bytes| {
                let bytes = bytes.as_ref().map_or(0, |bytes| bytes.len());
                read.fetch_add(bytes as u64, Ordering::SeqCst);
            });
            found = GetResult {
                payload: GetResultPayload::Stream(counted.boxed()),
                meta,
                range,
                attributes,
                extensions: Default::default(),
            };
        }
        Ok(found)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let removals = Arc::clone(&self.removals);
        let allowed = locations.map(move |location| {
            if removals.fetch_sub(1, Ordering::SeqCst) > 0 {
                location
            } else {
                Err(broken())
            }
        });
        self.folder.delete_stream(allowed.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.folder.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.folder.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.folder.copy_opts(from, to, options).await
    }
}

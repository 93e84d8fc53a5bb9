//! Writing one recording: lines in, chunks out, each stored before anything in it counts.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use daypass_core::time::Timestamp;
use tokio::task::JoinHandle;

use crate::chunk;
use crate::digest::Digest;
use crate::error::Error;
use crate::id::RecordingId;
use crate::keys::Recipients;
use crate::live::Claim;
use crate::place::Place;
use crate::recordings::Inner;
use crate::sealed::Sealed;
use crate::storage::Found;

/// How many chunks may be stored and not logged: beyond it, nothing is taken. Until they are logged, whoever can write to the storage can
/// take them away unseen: 4 MiB, or a little more than a minute, is what a log that does not answer may cost.
const MOST_UNLOGGED: usize = 16;

/// Writes one recording. Dropped before [`Writer::finish`], it leaves a recording that is cut.
///
/// Every call may be dropped while it waits, as by a deadline: the next goes on where it was.
pub struct Writer {
    all: Arc<Inner>,
    claim: Claim,
    recipients: Recipients,
    /// The number of the next chunk.
    number: u64,
    /// The chain's value of the chunk before it.
    before: Digest,
    /// The last line that is stored.
    stored: u64,
    pending: Pending,
    /// A chunk on its way: its lines are the pending ones, and no more are taken until it is stored.
    frozen: Option<Frozen>,
    unlogged: Vec<Sealed>,
    end: Option<End>,
}

/// Lines that were taken and are not stored.
#[derive(Default)]
struct Pending {
    /// Shared with what seals them, while it does.
    lines: Arc<Vec<String>>,
    bytes: usize,
    /// When the first of them came.
    since: Option<Timestamp>,
}

enum Frozen {
    /// It is being sealed, where it holds nobody up: that takes milliseconds.
    Sealing(JoinHandle<Result<(Bytes, Sealed), Error>>),
    /// It is sealed. From here on it is these bytes, however often it takes to store them.
    Ready(Bytes, Sealed),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Finished,
    /// Somebody else writes this recording, from this chunk on.
    Taken(u64),
}

/// What was said in a session is nothing for our own logs.
impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("recording", self.recording())
            .field("number", &self.number)
            .field("stored", &self.stored)
            .field("taken", &self.taken())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl Writer {
    pub(crate) fn new(all: Arc<Inner>, claim: Claim, recipients: Recipients) -> Self {
        Self {
            before: Digest::start(claim.recording()),
            all,
            claim,
            recipients,
            number: 0,
            stored: 0,
            pending: Pending::default(),
            frozen: None,
            unlogged: Vec::new(),
            end: None,
        }
    }

    /// Stores chunk 0.
    pub(crate) async fn begin(&mut self) -> Result<(), Error> {
        self.freeze(false)?;
        self.store().await
    }

    /// Goes on after a chunk that is stored.
    pub(crate) fn follow(&mut self, sealed: &Sealed) {
        self.number = sealed.number.saturating_add(1);
        self.before = sealed.chain;
        self.stored = sealed.last;
        if sealed.is_last {
            self.end = Some(End::Finished);
        }
    }

    pub(crate) fn adopt(&mut self, sealed: Sealed) {
        self.unlogged.push(sealed);
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The place of the next chunk, with the lines that are pending.
    pub(crate) fn place(&self) -> Place {
        Place {
            recording: self.recording().clone(),
            number: self.number,
            first: self.stored.saturating_add(1),
            last: self.taken(),
            before: self.before,
            is_last: false,
        }
    }

    /// Which recording.
    #[must_use]
    pub fn recording(&self) -> &RecordingId {
        self.claim.recording()
    }

    /// The last line that was taken, stored or not.
    #[must_use]
    pub fn taken(&self) -> u64 {
        let pending = u64::try_from(self.pending.lines.len()).unwrap_or(u64::MAX);
        self.stored.saturating_add(pending)
    }

    /// The last line that is stored: what its sender need not keep, once the chunk is logged.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.stored
    }

    /// Chunks that are stored and that the log does not have yet, in order. They stay here until [`Writer::logged`].
    #[must_use]
    pub fn sealed(&self) -> &[Sealed] {
        &self.unlogged
    }

    /// The log has the next of [`Writer::sealed`].
    ///
    /// # Errors
    /// Where it is not the next.
    pub fn logged(&mut self, sealed: &Sealed) -> Result<(), Error> {
        if self.unlogged.first() != Some(sealed) {
            return Err(Error::NotNext {
                number: sealed.number,
                sealed: sealed.sealed,
            });
        }
        self.unlogged.remove(0);
        Ok(())
    }

    /// The recording has its end.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.end == Some(End::Finished)
    }

    /// When [`Writer::tick`] is to be called; nothing where nothing waits.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        Some(self.pending.since? + self.all.limits.chunk_age)
    }

    /// Takes lines, of which the first has the number `first`. Those that were taken before are passed over, so that a sender that
    /// heard no answer sends again. Chunks that are full or old enough are stored on the way.
    ///
    /// # Errors
    /// Where a line is missing before the first, or is longer than the limit; the recording is finished or another writer has it; or a chunk
    /// cannot be stored. Lines before the one that failed are taken ([`Writer::taken`]), and what was stored on the way is to be logged
    /// all the same ([`Writer::sealed`]): where [`Error::NotLogged`] says so, the call is repeated then.
    pub async fn write<T: AsRef<str>>(
        &mut self,
        now: Timestamp,
        first: u64,
        lines: &[T],
    ) -> Result<(), Error> {
        if first == 0 {
            return Err(Error::LineZero);
        }
        let expected = self.taken().saturating_add(1);
        let known = expected
            .checked_sub(first)
            .ok_or(Error::Gap { expected, got: first })?;
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let new = lines.get(known..).unwrap_or_default();
        if new.is_empty() {
            return self.tick(now).await;
        }
        if self.frozen.is_some() {
            self.store().await?;
        }
        self.may_write()?;
        for line in new {
            let line = line.as_ref();
            self.check(line)?;
            if !self.fits(line) {
                self.seal().await?;
            }
            self.take(now, line);
        }
        self.tick(now).await
    }

    /// Stores what has waited long enough, or failed before.
    ///
    /// # Errors
    /// Where it cannot be stored: it waits on.
    pub async fn tick(&mut self, now: Timestamp) -> Result<(), Error> {
        let due = self.due().is_some_and(|due| due <= now);
        let full = self.pending.bytes >= self.all.limits.chunk_bytes
            || self.pending.lines.len() >= self.all.limits.chunk_lines;
        if due || full || self.frozen.is_some() {
            self.seal().await?;
        }
        Ok(())
    }

    /// Stores all that waits.
    ///
    /// # Errors
    /// Where it cannot be stored: it waits on.
    pub async fn flush(&mut self) -> Result<(), Error> {
        if self.pending.lines.is_empty() && self.frozen.is_none() {
            return Ok(());
        }
        self.seal().await
    }

    /// Stores all that waits and the recording's end. To finish again does nothing.
    ///
    /// # Errors
    /// Where it cannot be stored: it waits on.
    pub async fn finish(&mut self) -> Result<(), Error> {
        if self.is_finished() {
            return Ok(());
        }
        if self.frozen.is_some() {
            self.store().await?;
            if self.is_finished() {
                return Ok(());
            }
        }
        self.may_write()?;
        self.freeze(true)?;
        self.store().await
    }

    fn may_write(&self) -> Result<(), Error> {
        match self.end {
            None => Ok(()),
            Some(End::Finished) => Err(Error::Finished(self.recording().clone())),
            Some(End::Taken(number)) => Err(self.taken_by_another(number)),
        }
    }

    fn taken_by_another(&self, number: u64) -> Error {
        Error::Taken {
            recording: self.recording().clone(),
            number,
        }
    }

    fn check(&self, line: &str) -> Result<(), Error> {
        let number = self.taken().saturating_add(1);
        let most = self.all.limits.line_bytes;
        if line.len() > most {
            let bytes = line.len();
            return Err(Error::LineTooLong { number, bytes, most });
        }
        if line.contains('\n') {
            return Err(Error::TwoLines { number });
        }
        Ok(())
    }

    /// Whether the chunk has room for it; an empty one has room for any.
    fn fits(&self, line: &str) -> bool {
        let bytes = self.pending.bytes.saturating_add(line.len()).saturating_add(1);
        self.pending.lines.is_empty()
            || (bytes <= self.all.limits.chunk_bytes
                && self.pending.lines.len() < self.all.limits.chunk_lines)
    }

    fn take(&mut self, now: Timestamp, line: &str) {
        Arc::make_mut(&mut self.pending.lines).push(line.to_owned());
        self.pending.bytes = self.pending.bytes.saturating_add(line.len()).saturating_add(1);
        self.pending.since.get_or_insert(now);
        self.claim.watchers().tell(self.taken(), line);
    }

    async fn seal(&mut self) -> Result<(), Error> {
        self.may_write()?;
        if self.frozen.is_none() {
            self.freeze(false)?;
        }
        self.store().await
    }

    /// Begins to seal what is pending.
    fn freeze(&mut self, is_last: bool) -> Result<(), Error> {
        if self.unlogged.len() >= MOST_UNLOGGED && !is_last {
            return Err(Error::NotLogged(self.unlogged.len()));
        }
        let place = Place {
            is_last,
            ..self.place()
        };
        let (lines, recipients) = (Arc::clone(&self.pending.lines), self.recipients.clone());
        let all = Arc::clone(&self.all);
        let sealing = move || chunk::seal(&place, &lines, &recipients, &all.key);
        self.frozen = Some(Frozen::Sealing(tokio::task::spawn_blocking(sealing)));
        Ok(())
    }

    /// Waits until the frozen chunk is sealed.
    async fn sealed_bytes(&mut self) -> Result<Option<(Bytes, u64)>, Error> {
        if let Some(Frozen::Sealing(sealing)) = &mut self.frozen {
            let done = sealing.await.unwrap_or(Err(Error::Seal));
            // The lines are still pending: where it failed, the next call seals anew.
            self.frozen = None;
            let (bytes, sealed) = done?;
            self.frozen = Some(Frozen::Ready(bytes, sealed));
        }
        Ok(match &self.frozen {
            Some(Frozen::Ready(bytes, sealed)) => Some((bytes.clone(), sealed.number)),
            _ => None,
        })
    }

    /// Stores the frozen chunk.
    async fn store(&mut self) -> Result<(), Error> {
        let Some((bytes, number)) = self.sealed_bytes().await? else {
            return Ok(());
        };
        let recording = self.claim.recording();
        if !self.all.storage.create(recording, number, bytes.clone()).await? {
            // Ours, of a try that failed halfway, that was not waited for, or that the storage's own client made before it asked again?
            // Nobody else can have the same bytes: their key is drawn anew.
            let found = self.all.storage.read(recording, number).await?;
            if !matches!(found, Found::Bytes(found) if found == bytes) {
                self.end = Some(End::Taken(number));
                self.frozen = None;
                return Err(self.taken_by_another(number));
            }
            self.all.storage.again(recording, number, bytes).await?;
        }
        if let Some(Frozen::Ready(_, sealed)) = self.frozen.take() {
            self.follow(&sealed);
            self.pending = Pending::default();
            if sealed.is_last {
                self.claim.watchers().finish();
            }
            self.unlogged.push(sealed);
        }
        Ok(())
    }
}

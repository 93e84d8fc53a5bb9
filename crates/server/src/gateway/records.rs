//! The recordings of sessions that are open here: lines in, sealed chunks in storage, and what the log says of each.
//!
//! A line counts as stored once the log has its chunk; until then the gateway keeps it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex as Blocking, MutexGuard, PoisonError};
use std::time::Duration;

use daypass_core::id::SessionId;
use daypass_core::session::Chunk;
use daypass_core::text::Hash;
use daypass_engine::Engine;
use daypass_gateway::control::Progress;
use daypass_recording::{
    Digest, Error as RecordingError, Limits, Recipients, RecordingId, Recordings, Sealed, ServerKey, Writer,
};
use tokio::sync::{Mutex, watch};

use crate::edge;
use crate::http::listen::{is_stopped, stopped};

/// How often it is looked whether lines have waited long enough to be stored.
const LOOK: Duration = Duration::from_secs(1);

/// How many recordings are taken over at the same time.
const TURNS: usize = 64;

/// Why something could not be recorded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// The recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The log.
    #[error(transparent)]
    Log(#[from] daypass_engine::Error),
    /// It is not open here.
    #[error("session {0} is not being recorded here")]
    NotOpen(SessionId),
}

/// A recording that is being written.
struct Open {
    writer: Writer,
    /// The last line of the last chunk that the log has.
    logged: u64,
}

/// A recording of which the first chunk is stored, and nothing in the log.
pub(super) struct Begun {
    writer: Writer,
    first: Sealed,
}

impl Begun {
    /// What the log is to have of it.
    pub(super) fn first(&self) -> Chunk {
        chunk(&self.first)
    }
}

/// The recordings.
pub(crate) struct Records {
    all: Recordings,
    recipients: Recipients,
    open: Blocking<HashMap<SessionId, Arc<Mutex<Open>>>>,
    /// Of two who would take one recording over, one finds it done. Several sessions share a turn.
    taking_over: [Mutex<()>; TURNS],
}

/// The name of a session's recording.
pub(crate) fn recording(session: SessionId) -> Result<RecordingId, Failed> {
    let name = session.to_string().parse();
    name.map_err(|_| Failed::NotOpen(session))
}

impl Records {
    pub(super) fn new(folder: &Path, recipients: Recipients, key: ServerKey) -> Result<Self, RecordingError> {
        Ok(Self {
            all: Recordings::local(folder, key, Limits::default())?,
            recipients,
            open: Blocking::default(),
            taking_over: std::array::from_fn(|_| Mutex::default()),
        })
    }

    /// All of them, also those that are over.
    pub(crate) const fn all(&self) -> &Recordings {
        &self.all
    }

    fn open(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Mutex<Open>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, session: SessionId) -> Result<Arc<Mutex<Open>>, Failed> {
        self.open().get(&session).cloned().ok_or(Failed::NotOpen(session))
    }

    /// The longest line, in bytes.
    pub(super) fn longest_line() -> usize {
        Limits::default().line_bytes
    }

    /// Begins the recording of a session that is to be opened: its first chunk is stored. The log gets it with the session.
    pub(super) async fn begin(&self, session: SessionId) -> Result<Begun, Failed> {
        let name = recording(session)?;
        let writer = self.all.create(&name, self.recipients.clone()).await?;
        let first = writer.sealed().first().ok_or(Failed::NotOpen(session))?.clone();
        Ok(Begun { writer, first })
    }

    /// The log has the session, and the first chunk of its recording.
    pub(super) fn opened(&self, session: SessionId, begun: Begun) -> Result<(), Failed> {
        let Begun { mut writer, first } = begun;
        writer.logged(&first)?;
        let open = Open { writer, logged: 0 };
        self.open().insert(session, Arc::new(Mutex::new(open)));
        Ok(())
    }

    /// The session was refused: there is nothing to record. What cannot be removed is a chunk without lines.
    pub(super) async fn withdraw(&self, begun: Begun) {
        let name = begun.writer.recording().clone();
        drop(begun);
        if let Ok((_, Some(error))) | Err(error) = self.all.remove(&name).await {
            tracing::warn!(recording = %name, %error, "the recording of a session that was not opened is still stored");
        }
    }

    /// Takes lines, of which this is the number of the first; how far they are.
    pub(super) async fn take(
        &self,
        engine: &Engine,
        session: SessionId,
        (first, lines): (u64, &[String]),
        flush: bool,
    ) -> Result<Progress, Failed> {
        let open = self.of(session)?;
        let mut open = open.lock().await;
        let now = edge::now();
        let written = if lines.is_empty() {
            open.writer.tick(now).await
        } else {
            open.writer.write(now, first, lines).await
        };
        let stored = match written {
            Ok(()) if flush => open.writer.flush().await,
            other => other,
        };
        match stored {
            // The sender goes on after what was taken.
            Ok(()) | Err(RecordingError::Gap { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        open.log(engine, session).await?;
        Ok(Progress {
            taken: open.writer.taken(),
            stored: open.logged,
        })
    }

    /// The session is over. Its recording is whole where all records up to the last are in it, and cut otherwise. The answer is its last
    /// chunk, which is stored and not logged: the log gets it with the end of the session.
    pub(super) async fn end(
        &self,
        engine: &Engine,
        session: SessionId,
        last: u64,
    ) -> Result<Option<Chunk>, Failed> {
        let open = self.of(session)?;
        let mut open = open.lock().await;
        let ended = if open.writer.taken() >= last {
            open.writer.finish().await
        } else {
            open.writer.flush().await
        };
        let logged = open.log_but(1, engine, session).await;
        ended?;
        logged?;
        Ok(open.writer.sealed().first().map(chunk))
    }

    /// Nothing more is recorded of this session, whatever waits: its recording is cut.
    pub(super) fn give_up(&self, session: SessionId) {
        self.open().remove(&session);
    }

    /// Stores what has waited long enough, until told to stop.
    pub(super) async fn keep_up(&self, engine: &Engine, mut stop: watch::Receiver<bool>) {
        while !is_stopped(&stop) {
            tokio::select! {
                () = stopped(&mut stop) => {}
                () = edge::sleep(LOOK) => {}
            }
            let open: Vec<_> = self
                .open()
                .iter()
                .map(|(id, open)| (*id, Arc::clone(open)))
                .collect();
            for (session, open) in open {
                // Whoever has it stores what is due.
                let Ok(mut open) = open.try_lock() else { continue };
                if open.writer.due().is_some_and(|due| due <= edge::now())
                    && let Err(error) = open.tick(engine, session).await
                {
                    tracing::warn!(%session, %error, "a recording waits: what is recorded cannot be stored");
                }
            }
        }
    }

    /// The session was lost: the log gets all that is stored of it, and its recording stays cut.
    pub(super) async fn cut(&self, engine: &Engine, session: SessionId) -> Result<(), Failed> {
        let ended = match self.end(engine, session, u64::MAX).await {
            Ok(Some(last)) => engine
                .record_chunk(session, last)
                .await
                .map(drop)
                .map_err(Failed::from),
            Ok(None) => Ok(()),
            Err(Failed::NotOpen(_)) => match self.resumed(engine, session).await {
                // All of it is there.
                Ok(_) | Err(Failed::NotOpen(_)) => Ok(()),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        self.give_up(session);
        ended
    }

    /// Goes on with a recording that an earlier run of this server began, while its session is to be recorded: that may end meanwhile.
    pub(super) async fn go_on(
        &self,
        engine: &Engine,
        session: SessionId,
        is_wanted: impl Fn() -> bool,
    ) -> Result<(), Failed> {
        let turn = session
            .bytes()
            .iter()
            .map(|byte| usize::from(*byte))
            .sum::<usize>()
            % TURNS;
        let _turn = match self.taking_over.get(turn) {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        if self.open().contains_key(&session) {
            return Ok(());
        }
        let open = self.resumed(engine, session).await?;
        if !is_wanted() {
            return Err(Failed::NotOpen(session));
        }
        self.open().insert(session, Arc::new(Mutex::new(open)));
        Ok(())
    }

    /// Takes over what a server stored before it died and did not log, so that the log has all that there is.
    async fn resumed(&self, engine: &Engine, session: SessionId) -> Result<Open, Failed> {
        let logged = logged(engine, session).await?;
        // It has its end already, and nothing comes after that.
        if logged.iter().any(|sealed| sealed.is_last) {
            return Err(Failed::NotOpen(session));
        }
        let name = recording(session)?;
        let writer = self.all.resume(&name, self.recipients.clone(), &logged).await?;
        let mut open = Open {
            logged: logged.iter().map(|sealed| sealed.last).max().unwrap_or(0),
            writer,
        };
        open.log(engine, session).await?;
        Ok(open)
    }
}

impl Failed {
    /// Whether trying again changes nothing: there is no recording, or what is stored of it is not what this server stored.
    pub(super) const fn is_final(&self) -> bool {
        match self {
            Self::NotOpen(_) | Self::Log(daypass_engine::Error::Refused(_)) => true,
            Self::Recording(error) => !matches!(
                error,
                RecordingError::Storage(_) | RecordingError::Folder(_) | RecordingError::Busy(_)
            ),
            Self::Log(_) => false,
        }
    }
}

impl Open {
    async fn tick(&mut self, engine: &Engine, session: SessionId) -> Result<(), Failed> {
        self.writer.tick(edge::now()).await?;
        self.log(engine, session).await
    }

    /// Writes to the log what is stored and not in it.
    async fn log(&mut self, engine: &Engine, session: SessionId) -> Result<(), Failed> {
        self.log_but(0, engine, session).await
    }

    /// The same but for the last of them, so many.
    async fn log_but(&mut self, most: usize, engine: &Engine, session: SessionId) -> Result<(), Failed> {
        while self.writer.sealed().len() > most {
            let Some(sealed) = self.writer.sealed().first().cloned() else {
                break;
            };
            engine.record_chunk(session, chunk(&sealed)).await?;
            self.writer.logged(&sealed)?;
            self.logged = sealed.last;
        }
        Ok(())
    }
}

fn chunk(sealed: &Sealed) -> Chunk {
    Chunk {
        number: sealed.number,
        first: sealed.first,
        last: sealed.last,
        sealed: Hash::from_bytes(sealed.sealed.bytes()),
        chain: Hash::from_bytes(sealed.chain.bytes()),
        bytes: sealed.bytes,
        is_last: sealed.is_last,
    }
}

/// What is committed of a session's recording, in order.
pub(crate) async fn logged(engine: &Engine, session: SessionId) -> Result<Vec<Sealed>, Failed> {
    let recording = recording(session)?;
    let chunks = engine.store().session_chunks(session).await;
    let chunks = chunks.map_err(daypass_engine::Error::from)?.into_iter();
    Ok(chunks
        .map(|chunk| Sealed {
            recording: recording.clone(),
            number: chunk.number,
            first: chunk.first,
            last: chunk.last,
            sealed: Digest::from_bytes(*chunk.sealed.bytes()),
            chain: Digest::from_bytes(*chunk.chain.bytes()),
            bytes: chunk.bytes,
            is_last: chunk.is_last,
        })
        .collect())
}

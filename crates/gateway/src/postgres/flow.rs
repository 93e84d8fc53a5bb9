//! The two directions of a session: where each reads, where it writes, and what is in between.
//!
//! Everything that is not yet written is in these structs and not in a future, so that whoever ends the session knows whether the
//! client is between two frames and can be told why.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

use super::frame::Splitter;
use super::stream::Stream;

/// A buffer of a connection that says little, and one of a connection that says much.
const SMALL: usize = 2 * 1024;
const LARGE: usize = 64 * 1024;

/// One direction: where it reads, where it writes, and what is in between.
pub(super) struct Flow {
    pub(super) reader: Option<ReadHalf<Stream>>,
    pub(super) writer: WriteHalf<Stream>,
    pub(super) buffer: BytesMut,
    pub(super) splitter: Splitter,
    /// So many bytes of the buffer may go out.
    pub(super) ready: usize,
    /// Goes out after them, before the rest of the buffer.
    pub(super) own: BytesMut,
    /// Much came last time.
    busy: bool,
    /// The other side has closed the connection, or it broke.
    pub(super) ended: bool,
}

impl Flow {
    fn new(reader: ReadHalf<Stream>, writer: WriteHalf<Stream>, buffer: BytesMut) -> Self {
        Self {
            reader: Some(reader),
            writer,
            buffer,
            splitter: Splitter::default(),
            ready: 0,
            own: BytesMut::new(),
            busy: false,
            ended: false,
        }
    }

    /// Writes what may go out. Dropped in between, it has lost nothing.
    pub(super) async fn write(&mut self, count: &AtomicU64) -> io::Result<()> {
        while self.ready > 0 {
            let ready = self.buffer.get(..self.ready).unwrap_or_default();
            let written = self.writer.write(ready).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.buffer.advance(written);
            self.ready -= written;
            count.fetch_add(u64::try_from(written).unwrap_or(0), Ordering::Relaxed);
        }
        while !self.own.is_empty() {
            if self.writer.write_buf(&mut self.own).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// What was not looked at yet.
    pub(super) fn rest(&self) -> &[u8] {
        self.buffer.get(self.ready..).unwrap_or_default()
    }

    /// Takes a frame out of the rest: it does not go out.
    pub(super) fn drop_frame(&mut self, size: usize) {
        // Everything before it has gone out.
        self.buffer.advance(size.min(self.buffer.len()));
    }

    /// Reads more; `false` at the end. There will be room for `wanted` bytes.
    pub(super) async fn read(&mut self, wanted: usize) -> io::Result<bool> {
        let usual = if self.busy { LARGE } else { SMALL };
        let room = wanted.saturating_sub(self.buffer.len()).max(usual);
        if self.buffer.is_empty() && self.buffer.capacity() > 2 * room {
            // Thousands of connections say nothing most of the time, whatever they said before.
            self.buffer = BytesMut::new();
        }
        self.buffer.reserve(room);
        let Some(reader) = &mut self.reader else {
            return Ok(false);
        };
        let read = reader.read_buf(&mut self.buffer).await;
        self.ended = !matches!(read, Ok(1..));
        let read = read?;
        self.busy = read >= SMALL;
        Ok(read > 0)
    }
}

/// The two directions of a session.
pub(super) struct Flows {
    pub(super) up: Flow,
    pub(super) down: Flow,
}

impl Flows {
    /// `early` is what the client said before it could know that it is in; `greeting` is what it is told first.
    pub(super) fn new(
        client: Stream,
        early: BytesMut,
        target: Stream,
        late: BytesMut,
        greeting: BytesMut,
    ) -> Self {
        let (client_reads, client_writes) = tokio::io::split(client);
        let (target_reads, target_writes) = tokio::io::split(target);
        let up = Flow::new(client_reads, target_writes, early);
        let mut down = Flow::new(target_reads, client_writes, late);
        down.own = greeting;
        Self { up, down }
    }
}

//! Reading what a program writes, within bounds: its answer up to a limit, its complaints as far as they are the last.

use daypass_core::entitlement::Fault;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::Error;

/// The longest answer, in bytes: `list` of a hundred thousand keys fits.
pub(super) const ANSWER_MAX: usize = 8 * 1024 * 1024;

/// How much of standard error is looked at, in bytes: the longest secret, so that one in it can be found whole, and what is
/// shown beside it, in characters of four bytes.
const TAIL_MAX: usize = 64 * 1024 + 4 * 220;

/// Reads all of it into `out`.
///
/// # Errors
/// Where it is more than [`ANSWER_MAX`]; the rest is not read.
pub(super) async fn answer(from: &mut (impl AsyncRead + Unpin), out: &mut Vec<u8>) -> Result<(), Error> {
    let mut limited = from.take(ANSWER_MAX as u64 + 1);
    // An error of a pipe is its end.
    let _ = limited.read_to_end(out).await;
    if out.len() > ANSWER_MAX {
        let what = format!("it wrote more than {ANSWER_MAX} bytes, and was killed");
        return Err(Error::new(Fault::Bug, what));
    }
    Ok(())
}

/// The end of standard error.
#[derive(Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    cut: bool,
}

impl Tail {
    /// Reads all of it, and keeps the end.
    pub(super) async fn fill(&mut self, from: &mut (impl AsyncRead + Unpin)) {
        let mut piece = vec![0; 16 * 1024];
        loop {
            match from.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(read) => self.push(piece.get(..read).unwrap_or_default()),
            }
        }
    }

    fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        if self.bytes.len() > 2 * TAIL_MAX {
            self.bytes.drain(..self.bytes.len() - TAIL_MAX);
            self.cut = true;
        }
    }

    /// What was kept. Where it begins in the middle, the first line is left out: it could begin in the middle of a secret, and
    /// that would not be recognised.
    pub(super) fn whole_lines(&self) -> &[u8] {
        let from = self.bytes.len().saturating_sub(TAIL_MAX);
        let end = self.bytes.get(from..).unwrap_or_default();
        if from == 0 && !self.cut {
            return end;
        }
        let after = end.iter().position(|byte| *byte == b'\n');
        after
            .and_then(|newline| end.get(newline + 1..))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_has_a_longest_length() {
        let mut out = Vec::new();
        let just = vec![b' '; ANSWER_MAX];
        assert_eq!(answer(&mut just.as_slice(), &mut out).await, Ok(()));
        let mut out = Vec::new();
        let endless = &mut tokio::io::repeat(b' ');
        assert_eq!(answer(endless, &mut out).await.unwrap_err().fault, Fault::Bug);
        assert_eq!(out.len(), ANSWER_MAX + 1);
    }

    #[tokio::test]
    async fn the_end_is_kept_from_the_beginning_of_a_line() {
        let mut tail = Tail::default();
        tail.fill(&mut &b"one\ntwo"[..]).await;
        assert_eq!(tail.whole_lines(), b"one\ntwo");
        let mut tail = Tail::default();
        let long = [vec![b'x'; 3 * TAIL_MAX], b"\nlast\n".to_vec()].concat();
        tail.fill(&mut long.as_slice()).await;
        assert_eq!(tail.whole_lines(), b"last\n");
        assert!(tail.bytes.len() <= 2 * TAIL_MAX);
        let mut tail = Tail::default();
        let lines = "a line\n".repeat(TAIL_MAX / 4);
        tail.fill(&mut lines.as_bytes()).await;
        assert!(tail.whole_lines().len() <= TAIL_MAX && tail.whole_lines().starts_with(b"a line\n"));
        let mut tail = Tail::default();
        tail.fill(&mut vec![b'x'; 3 * TAIL_MAX].as_slice()).await;
        assert_eq!(tail.whole_lines(), b"");
    }
}

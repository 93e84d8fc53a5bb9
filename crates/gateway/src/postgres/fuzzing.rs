//! What reads bytes of strangers, for `crates/fuzz`: each function takes any bytes, and panics where something contradicts itself.

use std::thread;

use bytes::BytesMut;

use super::frame::{self, Front, HEAD, Malformed, Piece, Splitter};
use super::lexer::{Lexer, Token};
use super::statements::{Judged, Now, Statements};
use super::target::Guardrails;
use super::{guardrails, redact, startup};
use crate::edge;
use crate::record::Recorder;

/// A first packet: what is read as a beginning is written as one that reads the same.
pub fn startup(data: &[u8]) {
    if let Some((length, _)) = data.split_first_chunk::<4>() {
        let _ = startup::length(*length);
    }
    let Ok(startup::Packet::Startup(read)) = startup::Packet::read(data) else {
        return;
    };
    let pairs: Vec<_> = read
        .parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut written = BytesMut::new();
    startup::write(&pairs, &mut written);
    let again = startup::Packet::read(written.get(4..).unwrap_or_default());
    let Ok(startup::Packet::Startup(again)) = again else {
        assert!(written.is_empty(), "what was written is not read");
        return;
    };
    assert_eq!(again.parameters, read.parameters);
}

/// Both directions of a session: pieces, each with a byte that says from whom and how long it is. What goes through comes out as it
/// went in, and room for records is neither lost nor made.
pub fn session(data: &[u8]) {
    let recorder = Recorder::default();
    let all = recorder.free();
    let mut statements = Statements::new(true);
    let mut sides = [Side::default(), Side::default()];
    let mut rest = data;
    while let Some((head, more)) = rest.split_first() {
        let (piece, more) = more.split_at(usize::from(head >> 1).min(more.len()));
        rest = more;
        let from_client = head & 1 == 0;
        let [client, target] = &mut sides;
        let side = if from_client { client } else { target };
        side.buffer.extend_from_slice(piece);
        if side.run(from_client, &mut statements, &recorder).is_err() {
            break;
        }
    }
    for ended in statements.cut(now()) {
        recorder.unused(&ended.room);
    }
    assert_eq!(recorder.free(), all, "room was lost or made");
}

fn now() -> Now {
    Now {
        at: edge::now(),
        instant: edge::instant(),
    }
}

#[derive(Default)]
struct Side {
    buffer: Vec<u8>,
    splitter: Splitter,
}

impl Side {
    fn run(
        &mut self,
        from_client: bool,
        statements: &mut Statements,
        recorder: &Recorder,
    ) -> Result<(), Malformed> {
        loop {
            let piece = self.splitter.next(&self.buffer, 64, |head| {
                if from_client {
                    frame::needed(head, 512)
                } else {
                    Ok(head.body.min(128))
                }
            })?;
            let end = match piece {
                Piece::More(wanted) => {
                    assert!(wanted > self.buffer.len(), "it wants what is there");
                    return Ok(());
                }
                Piece::Rest(count) => count,
                Piece::Frame { head, body, end } => {
                    assert!(body.start == HEAD && body.end == end && end <= head.total());
                    let bytes = self.buffer.get(body).unwrap_or_default();
                    if from_client {
                        let front = Front::read(head, bytes)?;
                        let Some(room) = statements.cost(&front).map(|cost| recorder.room_now(cost)) else {
                            statements.front(&front, Judged::default(), None, now())?;
                            self.buffer.drain(..end);
                            continue;
                        };
                        // The relay would wait here.
                        let Some(room) = room else {
                            return Err(Malformed::TooLong);
                        };
                        if let Some(unused) =
                            statements.front(&front, Judged::default(), Some(room), now())?
                        {
                            recorder.unused(&unused);
                        }
                    } else {
                        for ended in statements.back(head, bytes, now())?.ended {
                            recorder.unused(&ended.room);
                        }
                    }
                    end
                }
            };
            self.buffer.drain(..end);
        }
    }
}

/// A text: its tokens are all of it, what is recorded of it is never longer by more than its marks and escapes, and guardrails
/// answer.
pub fn statement(data: &[u8]) {
    let _ = redact::redacted(data, true);
    let _ = redact::redacted(data, false);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let length: usize = Lexer::new(text).flat_map(Token::chars).map(char::len_utf8).sum();
    assert_eq!(length, text.len(), "tokens are lost");
    let text = text.to_owned();
    let judged = thread::Builder::new()
        .stack_size(guardrails::STACK)
        .spawn(move || {
            let rails = |read_only, no_ddl, qualified| Guardrails {
                read_only,
                no_ddl,
                qualified,
            };
            let passes = |rails| guardrails::judge(&text, rails).is_ok();
            // What all three let through together, each lets through.
            if passes(rails(true, true, true)) {
                assert!(
                    passes(rails(true, false, false))
                        && passes(rails(false, true, false))
                        && passes(rails(false, false, true))
                );
            }
        });
    let judged = judged.map(thread::JoinHandle::join);
    assert!(!matches!(judged, Ok(Err(_))), "judging it failed");
}

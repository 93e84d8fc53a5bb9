//! What reads bytes of strangers, for `crates/fuzz`: each function takes any bytes, and panics where something contradicts itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use super::channel::Now;
use super::cipher;
use super::event::Event;
use super::key::{self, Known, PrivateKey, SIGNATURES};
use super::proof::{Holder, Signed};
use super::rules::{Rules, Then};
use super::sftp::Sftp;
use super::target::{Allowed, Place};
use super::transport::{Broken, Role, Transport};
use super::wire::{Reader, Writer};
use crate::edge;
use crate::record::{Recorder, Room};

/// Pieces of it: a byte, and as many bytes as two bytes behind it say, or what is left.
fn pieces(data: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let (head, more) = rest.split_first_chunk::<3>()?;
        let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
        let (piece, after) = more.split_at(length.min(more.len()));
        rest = after;
        Some((head[0], piece))
    })
}

/// What stands where in a message: a number of any length is written as it was read.
pub fn wire(data: &[u8]) {
    let mut fields = Reader(data);
    while let Ok(number) = fields.mpint() {
        let written = Writer::default().mpint(number).done();
        assert_eq!(
            Reader(&written).mpint(),
            Ok(number),
            "a number is written otherwise"
        );
    }
    let mut fields = Reader(data);
    let mut written = Writer::default();
    while let Ok(text) = fields.string() {
        written = written.string(text);
    }
    assert!(data.starts_with(&written.0), "strings are written otherwise");
}

fn host() -> Option<Arc<PrivateKey>> {
    PrivateKey::from_seed(&[7; 32]).ok().map(Arc::new)
}

/// A connection that begins: pieces that are its bytes as they are, and pieces that are messages in the clear, in either role. Then, where
/// the first byte says so, on the other side of keys that were agreed on.
pub fn transport(data: &[u8]) {
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let Some(host) = host() else { return };
    let known = Known {
        name: "host".to_owned(),
        keys: vec![host.public()],
        authorities: vec![host.public()],
    };
    let (Ok(mut server), Ok(mut client)) = (
        Transport::new(Role::Server(host)),
        Transport::new(Role::Client(Arc::new(known))),
    ) else {
        return;
    };
    assert!(server.begin([1; 16]).is_ok() && server.begin([1; 16]).is_err());
    let agreed = first & 2 != 0;
    if agreed {
        for _ in 0..4 {
            assert!(
                talk(&mut server, &mut client).is_ok(),
                "both sides of us do not understand each other"
            );
        }
        assert!(server.is_ready() && server.session() == client.session());
        server.settle();
    }
    let [one, other] = if first & 1 == 0 {
        [&mut server, &mut client]
    } else {
        [&mut client, &mut server]
    };
    for (how, piece) in pieces(data) {
        let heard = if agreed && how & 1 == 0 && !piece.is_empty() {
            if other.send(piece).is_err() {
                return;
            }
            talk(one, other)
        } else if !agreed && how & 1 == 0 {
            let mut packet = BytesMut::new();
            if cipher::seal(None, &[piece], &mut packet).is_err() {
                return;
            }
            one.feed(&packet);
            hear(one)
        } else {
            one.feed(piece);
            hear(one)
        };
        assert!(one.waiting() < 4 << 20, "it answers without bound");
        if heard.is_err() {
            return;
        }
    }
}

fn hear(one: &mut Transport) -> Result<(), Broken> {
    while let Some(message) = one.message()? {
        assert!(!message.is_empty(), "a message of nothing");
    }
    Ok(())
}

fn talk(one: &mut Transport, other: &mut Transport) -> Result<(), Broken> {
    for _ in 0..2 {
        one.feed(&other.drain());
        hear(one)?;
        other.feed(&one.drain());
        hear(other)?;
    }
    Ok(())
}

/// An algorithm, a key or certificate, and a signature: nobody signed it.
pub fn key(data: &[u8]) {
    let mut fields = Reader(data);
    let (Ok(kind), Ok(blob), Ok(signature)) = (fields.u8(), fields.string(), fields.string()) else {
        return;
    };
    let rest = fields.0;
    let at = usize::from(kind) % (2 * SIGNATURES.len());
    let plain = SIGNATURES.get(at % SIGNATURES.len()).copied().unwrap_or_default();
    let algorithm = if at < SIGNATURES.len() {
        plain.to_owned()
    } else {
        format!("{}-cert-v01@openssh.com", plain.trim_end_matches("@openssh.com"))
    };
    assert!(key::is_known(&algorithm), "{algorithm}");
    let made = key::verify(&algorithm, blob, rest, signature).is_ok();
    let other = [rest, b"!"].concat();
    assert!(
        !made || key::verify(&algorithm, blob, &other, signature).is_err(),
        "a signature of everything"
    );
    let known = Known {
        name: "host".to_owned(),
        keys: vec![b"other".to_vec()],
        authorities: vec![blob.to_vec()],
    };
    let algorithms = known.algorithms();
    assert!(algorithms.iter().all(|name| name.contains("-cert-")));
    assert!(
        known.check(&algorithm, blob, rest, signature).is_err(),
        "a host that nobody knows"
    );
    if let Ok(line) = str::from_utf8(rest) {
        let _ = key::from_line(line);
    }
    let signed = Signed {
        exchange: blob.to_vec(),
        message: rest.to_vec(),
        signature: signature.to_vec(),
    };
    let found: Option<Holder> = signed.check("nonce", &[&[0; 32]]);
    assert_eq!(found, None, "somebody signed by chance");
}

/// Both directions of SFTP, in pieces: what was asked that changes something has one record each, whatever the target answers; and room for
/// records is neither lost nor made.
pub fn sftp(data: &[u8]) {
    let (mut sftp, mut out, recorder) = (Sftp::new(1), Vec::new(), Recorder::default());
    let (all, begun) = (recorder.free(), edge::instant());
    for (whose, piece) in pieces(data) {
        let went = if whose & 1 == 0 {
            let Some(mut room) = recorder.room_now(piece.len()) else {
                break;
            };
            let went = sftp.up(piece, (&mut room, begun));
            recorder.unused(&room);
            went
        } else {
            sftp.down(piece, &mut out)
        };
        if whose & 2 != 0 {
            sftp.look(begun + Duration::from_secs(1), &mut out);
        }
        if went.is_err() {
            break;
        }
    }
    let told = sftp.told();
    sftp.cut(&mut out);
    let mut recorded = 0;
    for (room, event) in &out {
        recorder.unused(room);
        let is_told = |did| !matches!(did, "close" | "read" | "write");
        recorded += u64::from(matches!(event, Event::File { did, asked: false, .. } if is_told(*did)));
    }
    assert_eq!(recorded, told, "something has no record, or two");
    assert_eq!(recorder.free(), all, "room was lost or made");
    // A request has nine bytes at least, and what it opens is closed by itself at the end.
    assert!(out.len() <= data.len(), "it records what nobody asked for");
    let before = out.len();
    sftp.cut(&mut out);
    assert_eq!(out.len(), before, "it ends twice");
}

/// Messages of a session, of client and target: room for records is neither lost nor made, and what passes fits into a packet.
pub fn rules(data: &[u8]) {
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let is = |bit: u8| first & bit != 0;
    let place = || Place {
        host: "db".to_owned(),
        port: 5432,
    };
    let allowed = Allowed {
        shell: is(1),
        exec: is(2),
        files: is(4),
        forward: vec![place()],
        listen: vec![place()],
        agent: is(8),
    };
    let (recorder, mut rules) = (Recorder::default(), Rules::new(allowed, 4096));
    let all = recorder.free();
    for (whose, message) in pieces(data).filter(|(_, message)| !message.is_empty()) {
        let is_up = whose & 1 == 0;
        let mut room = Room::default();
        if let Some(cost) = rules.cost(is_up, message) {
            match recorder.room_now(cost) {
                Some(given) => room = given,
                // The relay would wait here.
                None => break,
            }
        }
        let then = if is_up {
            rules.up(message, &mut room, now())
        } else {
            rules.down(message, &mut room, now())
        };
        recorder.unused(&room);
        give_back(&mut rules, &recorder);
        match then {
            Ok(Then::Instead(other) | Then::Answer(other)) => assert!(other.len() < 4096),
            Ok(Then::Pass | Then::Nothing | Then::Unknown) => {}
            Err(_) => break,
        }
        if whose & 2 != 0 {
            rules.look(now());
            let _ = rules.due();
        }
    }
    for message in rules.farewell("it is over") {
        assert!(message.len() < 4096);
    }
    let _ = rules.hang_up();
    rules.cut(now());
    give_back(&mut rules, &recorder);
    assert_eq!(recorder.free(), all, "room was lost or made");
}

fn give_back(rules: &mut Rules, recorder: &Recorder) {
    for (room, _, event) in rules.shown.drain(..) {
        assert!(serde_json::to_string(&event).is_ok());
        recorder.unused(&room);
    }
}

fn now() -> Now {
    (edge::now(), edge::instant())
}

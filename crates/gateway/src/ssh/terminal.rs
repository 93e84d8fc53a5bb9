//! What a terminal shows, on its way to records: put together for some tens of milliseconds, and without a byte missing. Without IO.

use std::time::{Duration, Instant};

use daypass_core::time::Timestamp;

use super::event::{Data, Event};
use crate::record::Room;

/// So much is one record at most, and so long it waits for more.
const MUCH: usize = 16 * 1024;
const PAUSE: Duration = Duration::from_millis(30);

/// What was shown and is not recorded yet.
#[derive(Debug)]
pub(super) struct Terminal {
    channel: u32,
    bytes: Vec<u8>,
    error: bool,
    at: Timestamp,
    since: Option<Instant>,
    room: Room,
    /// What one record may have, so that it fits into a line whatever stands in it.
    most: usize,
}

/// A record of it, and the room that it has.
pub(super) type Shown = (Room, Timestamp, Event);

impl Terminal {
    /// For lines that are so long.
    pub(super) fn new(channel: u32, longest_line: usize) -> Self {
        Self {
            channel,
            bytes: Vec::new(),
            error: false,
            at: Timestamp::EPOCH,
            since: None,
            room: Room::default(),
            // A byte takes six in JSON at most, twice that with its digits beside it: text has half of a line.
            most: MUCH.min((longest_line.max(4 * 1024) - 1024) / 12),
        }
    }

    /// Something was shown.
    pub(super) fn shows(
        &mut self,
        bytes: &[u8],
        error: bool,
        room: Room,
        (at, now): (Timestamp, Instant),
        out: &mut Vec<Shown>,
    ) {
        if error != self.error {
            self.flush(out);
            self.error = error;
        }
        if self.since.is_none() {
            (self.at, self.since) = (at, Some(now));
        }
        self.bytes.extend_from_slice(bytes);
        self.room.add(room);
        if self.bytes.len() >= self.most {
            // The beginning of a letter waits for its end.
            let whole = self.bytes.len() - open_end(&self.bytes);
            self.give(whole, out);
        }
    }

    /// When it is to be recorded.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + PAUSE)
    }

    /// Records what waits for longer than that.
    pub(super) fn look(&mut self, now: Instant, out: &mut Vec<Shown>) {
        if self.due().is_some_and(|due| due <= now) {
            let whole = self.bytes.len() - open_end(&self.bytes);
            let whole = if whole == 0 { self.bytes.len() } else { whole };
            self.give(whole, out);
            // The beginning of a letter waits once more, and then by itself.
            self.since = self.since.map(|_| now);
        }
    }

    /// Records all that waits.
    pub(super) fn flush(&mut self, out: &mut Vec<Shown>) {
        self.give(self.bytes.len(), out);
    }

    fn give(&mut self, whole: usize, out: &mut Vec<Shown>) {
        let mut left = whole;
        while left > 0 {
            let mut size = left.min(self.most);
            if size < left {
                size -= open_end(self.bytes.get(..size).unwrap_or_default());
            }
            let rest = self.bytes.split_off(size.max(1));
            let piece = std::mem::replace(&mut self.bytes, rest);
            left -= piece.len();
            let event = Event::Output {
                channel: self.channel,
                error: self.error,
                data: data(piece),
            };
            out.push((std::mem::take(&mut self.room), self.at, event));
        }
        // What is left is the beginning of a letter: it is recorded with what comes, or by itself.
        self.since = self.since.filter(|_| !self.bytes.is_empty());
    }
}

/// One record, whatever stands in it: words are found beside a byte that is no text, and nothing is lost.
fn data(bytes: Vec<u8>) -> Data {
    match String::from_utf8(bytes) {
        Ok(text) => Data {
            text: text.into(),
            hex: None,
        },
        Err(none) => Data {
            text: String::from_utf8_lossy(none.as_bytes()).into_owned().into(),
            hex: Some(hex::encode(none.as_bytes())),
        },
    }
}

/// How many bytes at the end begin a letter that is not whole.
fn open_end(bytes: &[u8]) -> usize {
    for back in 1..=3.min(bytes.len()) {
        let Some(byte) = bytes.get(bytes.len() - back) else {
            break;
        };
        let length = match byte {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x80..=0xbf => continue,
            _ => break,
        };
        return if length > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::edge;

    fn bytes_of(out: &[Shown]) -> Vec<u8> {
        let one = |(_, _, event): &Shown| match event {
            Event::Output { data, .. } => match &data.hex {
                Some(hex) => hex::decode(hex).unwrap(),
                None => data.text.as_bytes().to_vec(),
            },
            _ => panic!(),
        };
        out.iter().flat_map(one).collect()
    }

    #[test]
    fn a_letter_in_two_pieces_is_one_letter() {
        let (mut terminal, mut out) = (Terminal::new(1, 1 << 20), Vec::new());
        let now = (Timestamp::EPOCH, edge::instant());
        terminal.shows(
            "a€".as_bytes().get(..2).unwrap(),
            false,
            Room::default(),
            now,
            &mut out,
        );
        terminal.look(now.1 + PAUSE, &mut out);
        terminal.shows(
            "a€b".as_bytes().get(2..).unwrap(),
            false,
            Room::default(),
            now,
            &mut out,
        );
        terminal.flush(&mut out);
        let texts = out
            .iter()
            .filter(|(_, _, event)| matches!(event, Event::Output { data, .. } if data.hex.is_none()));
        assert_eq!((texts.count(), bytes_of(&out)), (2, "a€b".into()));
    }

    #[test]
    fn a_byte_that_is_no_text_does_not_hide_the_words_beside_it() {
        let (mut terminal, mut out) = (Terminal::new(1, 1 << 20), Vec::new());
        let shown = b"\xff$ rm -rf /srv\r\n\xc3\x28\xfe\xff# ";
        let now = (Timestamp::EPOCH, edge::instant());
        terminal.shows(shown, false, Room::default(), now, &mut out);
        terminal.flush(&mut out);
        assert_eq!(bytes_of(&out), shown);
        let found = out.iter().any(
            |(_, _, event)| matches!(event, Event::Output { data, .. } if data.text.contains("rm -rf /srv")),
        );
        assert!(found, "{}", out.len());
        // However its bad bytes stand, it does not become more records, and words are found everywhere.
        for words in [1, 3, 16, 17, 100] {
            let (mut terminal, mut out) = (Terminal::new(1, 1 << 20), Vec::new());
            let shown = [&b"a".repeat(words)[..], b"\xff"].concat();
            let shown = shown.repeat((256 << 10) / shown.len());
            terminal.shows(&shown, false, Room::default(), now, &mut out);
            terminal.flush(&mut out);
            assert!(out.len() <= 17, "{}", out.len());
            assert_eq!(bytes_of(&out), shown);
            let sizes: usize = out.iter().map(|(_, _, event)| event.size()).sum();
            assert!(sizes <= 5 * shown.len(), "{sizes}");
            assert!(out.iter().all(|(_, _, event)| {
                matches!(event, Event::Output { data, .. } if data.text.contains(&"a".repeat(words)))
            }));
        }
    }

    proptest! {
        #[test]
        fn nothing_is_missing_and_every_record_fits_its_line(
            pieces in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..5000), any::<bool>()), 0..12),
            longest in 0usize..100_000,
        ) {
            let (mut terminal, mut out) = (Terminal::new(1, longest), Vec::new());
            let now = (Timestamp::EPOCH, edge::instant());
            for (bytes, due) in &pieces {
                terminal.shows(bytes, false, Room::default(), now, &mut out);
                if *due {
                    terminal.look(now.1 + PAUSE, &mut out);
                }
            }
            terminal.flush(&mut out);
            prop_assert_eq!(bytes_of(&out), pieces.concat_bytes());
            for (_, _, event) in &out {
                prop_assert!(serde_json::to_string(event).unwrap().len() + 128 <= longest.max(4096));
            }
        }
    }

    trait Concat {
        fn concat_bytes(&self) -> Vec<u8>;
    }

    impl Concat for Vec<(Vec<u8>, bool)> {
        fn concat_bytes(&self) -> Vec<u8> {
            self.iter().flat_map(|(bytes, _)| bytes.clone()).collect()
        }
    }
}

//! Frames of strangers: cut anywhere, with any length.

use super::*;

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

#[test]
fn a_head_needs_five_bytes_and_a_possible_length() {
    for cut in 0..5 {
        assert_eq!(Head::read(&b"Q\0\0\0\x04"[..cut]), Ok(None));
    }
    assert_eq!(Head::read(b"Q\0\0\0\x04"), Ok(Some(Head { kind: b'Q', body: 0 })));
    for (length, expected) in [
        (0, Malformed::Length),
        (3, Malformed::Length),
        (-1, Malformed::Length),
        (i32::MIN, Malformed::Length),
        (i32::MAX, Malformed::TooLong),
        (0x4000_0000, Malformed::TooLong),
    ] {
        let bytes = [&b"D"[..], &i32::to_be_bytes(length)].concat();
        assert_eq!(Head::read(&bytes), Err(expected), "{length}");
    }
}

#[test]
fn texts_are_bounded_names_more_so_and_data_is_not_kept() {
    let need = |kind, body| needed(Head { kind, body }, 1_000);
    assert_eq!(need(b'Q', 1_000), Ok(1_000));
    assert_eq!(need(b'Q', 1_001), Err(Malformed::TooLong));
    assert_eq!(need(b'P', 1_001), Err(Malformed::TooLong));
    assert_eq!(need(b'F', 1_001), Err(Malformed::TooLong));
    assert_eq!(need(b'E', NAME + 9), Err(Malformed::Name));
    assert_eq!(need(b'f', NAMES), Ok(NAMES));
    assert_eq!(need(b'S', 1), Err(Malformed::TooLong));
    assert_eq!(need(b'B', 100_000_000), Ok(NAMES));
    assert_eq!(need(b'd', 100_000_000), Ok(0));
    for kind in (0..=255_u8).filter(|kind| !b"QPFBEDCSHdcfX".contains(kind)) {
        assert_eq!(need(kind, 0), Err(Malformed::Kind), "{kind}");
    }
}

#[test]
fn what_follows_a_statement_in_its_frame_is_refused() {
    let read = |kind, body: &'static [u8]| {
        Front::read(
            Head {
                kind,
                body: body.len(),
            },
            body,
        )
    };
    assert_eq!(read(b'Q', b"SELECT 1\0"), Ok(Front::Query { text: b"SELECT 1" }));
    assert_eq!(read(b'Q', b"SELECT 1"), Err(Malformed::Body));
    assert_eq!(read(b'Q', b"SELECT 1\0; DROP TABLE t\0"), Err(Malformed::Body));
    assert_eq!(read(b'Q', b""), Err(Malformed::Body));
    assert_eq!(
        read(b'C', b"Xname\0"),
        Err(Malformed::Body),
        "neither statement nor portal"
    );
    assert_eq!(read(b'D', b"Sname"), Err(Malformed::Body));
}

#[test]
fn a_name_that_postgresql_compares_in_part_is_refused() {
    let name = |length: usize| [&b"x".repeat(length)[..], b"\0"].concat();
    for (kind, before, after) in [
        (b'P', &b""[..], &b"SELECT 1\0\0\0"[..]),
        (b'B', b"", b"\0\0\0\0\0\0\0"),
        (b'B', b"\0", b"\0\0\0\0\0\0"),
        (b'E', b"", b"\0\0\0\0"),
        (b'D', b"S", b""),
        (b'C', b"P", b""),
    ] {
        for (length, refused) in [(63, false), (64, true)] {
            let body = [before, &name(length), after].concat();
            let head = Head {
                kind,
                body: body.len(),
            };
            let read = Front::read(head, &body);
            assert_eq!(read == Err(Malformed::Name), refused, "{}", char::from(kind));
        }
    }
}

#[test]
fn no_text_is_in_what_is_logged_of_a_message() {
    let front = Front::Query {
        text: b"SELECT 'hunter2'",
    };
    assert_eq!(format!("{front:?}"), "Query(16 bytes)");
    let value = Value::Bytes {
        bytes: b"hunter2",
        whole: true,
        binary: false,
    };
    assert_eq!(format!("{value:?}"), "Value(7 bytes)");
    let report = Report::read(b"VERROR\0C23505\0Mhunter2\0\0").unwrap();
    assert_eq!(format!("{report:?}"), "Report(23505)");
}

#[test]
fn values_are_read_with_their_formats_and_cut_where_the_bytes_end() {
    let mut rest = Vec::new();
    rest.extend_from_slice(&[0, 2, 0, 1, 0, 0]); // binary, text
    rest.extend_from_slice(&[0, 3]);
    rest.extend_from_slice(&[0, 0, 0, 1, 7]);
    rest.extend_from_slice(&[0xff; 4]);
    rest.extend_from_slice(&[0, 0, 0, 9, b'a', b'b']);
    let bytes = |bytes, whole, binary| Value::Bytes { bytes, whole, binary };
    let read = values(&rest, 10);
    assert_eq!(
        read.here,
        [
            bytes(&[7][..], true, true),
            Value::Null,
            bytes(&b"ab"[..], false, false)
        ]
    );
    assert_eq!(read.missing, 0);
    let read = values(&rest, 1);
    assert_eq!(
        (read.here.len(), read.missing),
        (1, 2),
        "what is not read is counted"
    );
    assert_eq!(values(&[], 10), Values::default());
    // So many formats that no value is looked at: they are said to be left out.
    let hidden = values(&[0xff, 0xff, 0, 1], 10);
    assert_eq!((hidden.here.len(), hidden.missing), (0, 65_535));
    let many = [&[0x9c, 0x40][..], &[0; 80_000], &[0, 1], &[0, 0, 0, 1, b'x']].concat();
    assert_eq!(
        values(&many, 10).here,
        [bytes(&b"x"[..], true, false)],
        "40,000 formats, each zero"
    );
}

/// Splits `bytes` that come in pieces of `step`, and answers what was passed on and which heads were seen.
fn split(bytes: &[u8], step: usize, hold: usize) -> (Vec<u8>, Vec<(u8, usize)>) {
    let mut splitter = Splitter::default();
    let (mut buffer, mut out, mut heads) = (Vec::new(), Vec::new(), Vec::new());
    for chunk in bytes.chunks(step) {
        buffer.extend_from_slice(chunk);
        loop {
            match splitter.next(&buffer, hold, |_| Ok(0)).unwrap() {
                Piece::Rest(count) => out.extend(buffer.drain(..count)),
                Piece::Frame { head, end, .. } => {
                    heads.push((head.kind, head.body));
                    out.extend(buffer.drain(..end));
                }
                Piece::More(wanted) => {
                    assert!(wanted > buffer.len());
                    break;
                }
            }
        }
    }
    (out, heads)
}

#[test]
fn bytes_come_out_as_they_went_in_however_they_are_cut() {
    let bytes = [
        framed(b'T', b"columns"),
        framed(b'D', &[7; 5_000]),
        framed(b'C', b"SELECT 1\0"),
        framed(b'Z', b"I"),
    ]
    .concat();
    for step in [1, 2, 3, 4, 5, 7, 64, 4_999, 10_000] {
        for hold in [0, 100, 100_000] {
            let (out, heads) = split(&bytes, step, hold);
            assert_eq!(out, bytes, "step {step}, hold {hold}");
            assert_eq!(heads, [(b'T', 7), (b'D', 5_000), (b'C', 9), (b'Z', 1)]);
        }
    }
}

#[test]
fn a_report_is_a_list_of_fields_that_ends() {
    let report = Report::read(b"SFEHLER\0VERROR\0C42P01\0Mno such table\0\0").unwrap();
    assert!(!report.is_fatal());
    assert_eq!(report.code, Some(*b"42P01"));
    for bad in [&b""[..], b"S", b"SERROR", b"SERROR\0"] {
        assert_eq!(Report::read(bad), Err(Malformed::Body));
    }
    let cut = Report::beginning(b"SFEHLER\0VFATAL\0C42P01\0Mvery lo");
    assert!(cut.is_fatal());
    assert_eq!(cut.code, Some(*b"42P01"));
}

//! What is recorded of files, however the bytes are cut, and what ends a session.

use proptest::prelude::*;

use super::*;
use crate::edge;
use crate::ssh::wire::Writer;

fn framed(body: Writer) -> Vec<u8> {
    Writer::default().string(body.done()).done()
}

/// What the client says, at once.
fn up(sftp: &mut Sftp, bytes: &[u8]) -> Result<(), Malformed> {
    sftp.up(bytes, (&mut Room::default(), edge::instant()))
}

fn events(out: Vec<Given>) -> Vec<Event> {
    out.into_iter().map(|(_, event)| event).collect()
}

fn lines(out: Vec<Given>) -> Vec<String> {
    let line = |event: &Event| serde_json::to_string(event).unwrap();
    events(out).iter().map(line).collect()
}

fn talk(cuts: usize) -> Vec<Event> {
    let ups = [
        framed(Writer::message(kind::INIT).u32(3)),
        framed(
            Writer::message(kind::OPEN)
                .u32(1)
                .string("/etc/motd")
                .u32(2)
                .u32(0),
        ),
        framed(
            Writer::message(kind::WRITE)
                .u32(2)
                .string("h")
                .raw(&[0; 8])
                .string([7; 5000]),
        ),
        framed(
            Writer::message(kind::READ)
                .u32(3)
                .string("h")
                .raw(&[0; 8])
                .u32(100),
        ),
        framed(Writer::message(kind::CLOSE).u32(4).string("h")),
        framed(Writer::message(kind::RENAME).u32(5).string("a").string("b")),
    ];
    let downs = [
        framed(Writer::message(kind::VERSION).u32(3)),
        framed(Writer::message(kind::HANDLE).u32(1).string("h")),
        framed(Writer::message(kind::STATUS).u32(2).u32(0)),
        framed(Writer::message(kind::DATA).u32(3).string([1; 77])),
        framed(Writer::message(kind::STATUS).u32(4).u32(0)),
        framed(Writer::message(kind::STATUS).u32(5).u32(3)),
    ];
    let (mut sftp, mut out) = (Sftp::new(1), Vec::new());
    for (said, down) in ups.iter().zip(&downs) {
        said.chunks(cuts).for_each(|bytes| up(&mut sftp, bytes).unwrap());
        down.chunks(cuts)
            .for_each(|bytes| sftp.down(bytes, &mut out).unwrap());
    }
    sftp.cut(&mut out);
    events(out)
}

#[test]
fn files_are_recorded_however_the_bytes_are_cut() {
    let lines: Vec<_> = talk(10_000)
        .iter()
        .map(|event| serde_json::to_string(event).unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            r#"{"kind":"file","channel":1,"did":"open","path":"/etc/motd","flags":["write"],"status":0}"#,
            r#"{"kind":"file","channel":1,"did":"close","path":"/etc/motd","read":77,"written":5000,"status":0}"#,
            r#"{"kind":"file","channel":1,"did":"rename","path":"a","to":"b","status":3}"#,
        ]
    );
    for cuts in [1, 2, 3, 7, 299, 300, 301] {
        assert_eq!(talk(cuts), talk(10_000), "{cuts}");
    }
}

fn begun() -> Sftp {
    let mut sftp = Sftp::new(1);
    up(&mut sftp, &framed(Writer::message(kind::INIT).u32(3))).unwrap();
    sftp.down(&framed(Writer::message(kind::VERSION).u32(3)), &mut Vec::new())
        .unwrap();
    sftp
}

#[test]
fn an_answer_is_of_one_request_and_of_its_kind() {
    let stat = || framed(Writer::message(kind::STAT).u32(7).string("/nope"));
    let open = |id| {
        framed(
            Writer::message(kind::OPEN)
                .u32(id)
                .string("/etc/shadow")
                .u32(1)
                .u32(0),
        )
    };
    let mut sftp = begun();
    up(&mut sftp, &stat()).unwrap();
    assert_eq!(
        up(&mut sftp, &open(7)),
        Err(Malformed),
        "a number that waits for its answer"
    );
    for (asked, answered) in [
        (stat(), framed(Writer::message(kind::HANDLE).u32(7).string("h"))),
        (open(7), framed(Writer::message(kind::ATTRS).u32(7).u32(0))),
        (open(7), framed(Writer::message(kind::DATA).u32(7).string("x"))),
        (open(7), framed(Writer::message(kind::HANDLE).u32(8).string("h"))),
        (open(7), framed(Writer::message(kind::VERSION).u32(3))),
        (
            framed(Writer::message(kind::REMOVE).u32(7).string("a")),
            framed(Writer::message(kind::NAME).u32(7).u32(0)),
        ),
    ] {
        let mut sftp = begun();
        up(&mut sftp, &asked).unwrap();
        assert_eq!(
            sftp.down(&answered, &mut Vec::new()),
            Err(Malformed),
            "{answered:?}"
        );
    }
}

#[test]
fn only_the_version_that_is_known_is_spoken_and_said_once() {
    let (mut sftp, mut out) = (Sftp::new(1), Vec::new());
    assert!(
        up(
            &mut sftp,
            &framed(Writer::message(kind::REMOVE).u32(1).string("a"))
        )
        .is_err()
    );
    let init = framed(Writer::message(kind::INIT).u32(6));
    let mut sftp = Sftp::new(1);
    // A client that knows a newer one is content with this.
    let lowered = framed(Writer::message(kind::INIT).u32(3));
    assert_eq!(sftp.lowered(&init), Some(lowered.clone()));
    assert_eq!(sftp.lowered(&lowered), None);
    up(&mut sftp, &init).unwrap();
    assert!(
        sftp.down(&framed(Writer::message(kind::VERSION).u32(6)), &mut out)
            .is_err()
    );
    let mut sftp = begun();
    assert_eq!(sftp.lowered(&init), None);
    assert!(up(&mut sftp, &init).is_err());
    // LINK of version 6.
    let link = framed(Writer::message(21).u32(1).string("a").string("b"));
    assert!(up(&mut begun(), &link).is_err());
}

#[test]
fn what_is_kept_of_a_session_has_a_bound() {
    let mut sftp = begun();
    let remove = |id| framed(Writer::message(kind::REMOVE).u32(id).string([0xff; 4000]));
    let all = (0..1000)
        .take_while(|id| up(&mut sftp, &remove(*id)).is_ok())
        .count();
    assert!((10..20).contains(&all), "{all}");
    // Handles that nobody gave are kept too.
    let mut sftp = begun();
    let close = |id: u32| framed(Writer::message(kind::CLOSE).u32(id).string(id.to_be_bytes()));
    let all = (0..100_000).take_while(|id| up(&mut sftp, &close(*id)).is_ok());
    assert!((1_000..5_000).contains(&all.count()));
    let (mut sftp, mut out) = (begun(), Vec::new());
    let stat = |id| framed(Writer::message(kind::STAT).u32(id).string("a"));
    for id in 0..100_000_u32 {
        up(&mut sftp, &stat(id)).unwrap();
        sftp.down(&framed(Writer::message(kind::STATUS).u32(id).u32(2)), &mut out)
            .unwrap();
    }
    assert_eq!((sftp.kept, sftp.waiting()), (0, 0));
}

fn open(id: u32, path: impl AsRef<[u8]>) -> Vec<u8> {
    framed(Writer::message(kind::OPEN).u32(id).string(path).u32(1).u32(0))
}

fn handle(id: u32, handle: impl AsRef<[u8]>) -> Vec<u8> {
    framed(Writer::message(kind::HANDLE).u32(id).string(handle))
}

fn status(id: u32, code: u32) -> Vec<u8> {
    framed(Writer::message(kind::STATUS).u32(id).u32(code))
}

#[test]
fn no_honest_answer_is_too_much_and_what_was_answered_is_recorded() {
    // As much as may be is asked for before anything is answered: the longest handles come.
    for path in [0, 1, 100, 4_080] {
        let (mut sftp, mut out) = (begun(), Vec::new());
        let asked = (0..5_000_u32).take_while(|id| up(&mut sftp, &open(*id, "x".repeat(path))).is_ok());
        let asked = u32::try_from(asked.count()).unwrap();
        assert!(asked > 10, "{asked}");
        // The one that was too much is not passed on.
        let answers: Vec<u8> = (0..asked)
            .flat_map(|id| handle(id, [&id.to_be_bytes()[..], &[7; 252]].concat()))
            .collect();
        sftp.down(&answers, &mut out).unwrap();
        assert_eq!(out.len(), usize::try_from(asked).unwrap());
    }
    // Of answers in one message those before a bad one have happened.
    let (mut sftp, mut out) = (begun(), Vec::new());
    let rename = Writer::message(kind::RENAME).u32(1).string("x").string("keys");
    up(&mut sftp, &framed(rename)).unwrap();
    up(&mut sftp, &open(2, "/")).unwrap();
    let bad = framed(Writer::message(kind::NAME).u32(2).u32(0));
    assert!(sftp.down(&[status(1, 0), bad].concat(), &mut out).is_err());
    sftp.cut(&mut out);
    assert_eq!(
        lines(out),
        [
            r#"{"kind":"file","channel":1,"did":"rename","path":"x","to":"keys","status":0}"#,
            r#"{"kind":"file","channel":1,"did":"open","path":"/","flags":["read"]}"#,
        ]
    );
}

#[test]
fn a_file_that_is_asked_for_at_once_is_no_fault() {
    let (mut sftp, mut out) = (begun(), Vec::new());
    up(&mut sftp, &open(0, "/f")).unwrap();
    sftp.down(&handle(0, "h"), &mut out).unwrap();
    for id in 1..=100_000 {
        let read = Writer::message(kind::READ).u32(id).string("h").raw(&[0; 8]);
        up(&mut sftp, &framed(read.u32(32_768))).unwrap();
        assert_eq!(sftp.is_behind(), sftp.waiting() > BEHIND);
    }
    for id in 1..=100_000 {
        let data = framed(Writer::message(kind::DATA).u32(id).string([1; 10]));
        sftp.down(&data, &mut out).unwrap();
    }
    assert!(!sftp.is_behind() && sftp.small.capacity() == 0);
    sftp.cut(&mut out);
    let line = r#"{"kind":"file","channel":1,"did":"close","path":"/f","read":1000000}"#;
    assert_eq!(lines(out)[1..], [line]);
}

#[test]
fn what_has_no_answer_is_recorded_as_asked_and_what_was_written_counts() {
    let (mut sftp, mut out) = (begun(), Vec::new());
    let begun = edge::instant();
    let say = |sftp: &mut Sftp, bytes: &[u8]| sftp.up(bytes, (&mut Room::default(), begun)).unwrap();
    say(&mut sftp, &open(1, "/etc/cron.d/x"));
    let write = |id, to: &str| Writer::message(kind::WRITE).u32(id).string(to).raw(&[0; 8]);
    say(&mut sftp, &framed(write(2, "0").string([7; 500])));
    say(&mut sftp, &framed(write(3, "0").string([7; 500])));
    say(
        &mut sftp,
        &framed(Writer::message(kind::REMOVE).u32(4).string("log")),
    );
    assert_eq!(sftp.due(), Some(begun + ASKED));
    sftp.look(begun + ASKED / 2, &mut out);
    assert!(out.is_empty());
    sftp.look(begun + ASKED, &mut out);
    sftp.look(begun + 2 * ASKED, &mut out);
    let mut said = lines(std::mem::take(&mut out));
    said.sort();
    assert_eq!(
        said,
        [
            r#"{"kind":"file","channel":1,"did":"open","path":"/etc/cron.d/x","flags":["read"],"asked":true}"#,
            r#"{"kind":"file","channel":1,"did":"remove","path":"log","asked":true}"#,
        ]
    );
    assert_eq!(sftp.due(), None);
    sftp.down(&status(4, 2), &mut out).unwrap();
    sftp.cut(&mut out);
    assert_eq!(
        lines(out),
        [
            r#"{"kind":"file","channel":1,"did":"remove","path":"log","status":2}"#,
            r#"{"kind":"file","channel":1,"did":"open","path":"/etc/cron.d/x","flags":["read"]}"#,
            r#"{"kind":"file","channel":1,"did":"write","path":"handle:30","written":1000}"#,
        ]
    );
}

#[test]
fn names_that_are_no_text_are_told_apart() {
    let (mut sftp, mut out) = (begun(), Vec::new());
    for (id, name) in [(1, b"a\xff"), (2, b"a\xfe")] {
        up(
            &mut sftp,
            &framed(Writer::message(kind::REMOVE).u32(id).string(name)),
        )
        .unwrap();
        sftp.down(&status(id, 0), &mut out).unwrap();
    }
    let lines = lines(out);
    assert!(
        lines[0].contains(r"a\\xff") && lines[1].contains(r"a\\xfe"),
        "{lines:?}"
    );
}

#[test]
fn what_is_set_of_a_file_is_recorded_with_its_name() {
    let (mut sftp, mut out) = (begun(), Vec::new());
    // The second is sent before the first is answered: handles can be foreseen.
    let open = Writer::message(kind::OPEN).u32(1).string("/f").u32(2).u32(0);
    up(&mut sftp, &framed(open)).unwrap();
    let set = Writer::message(kind::FSETSTAT).u32(2).string("0").u32(1 | 2 | 4);
    let set = set.raw(&[0; 8]).u32(0).u32(7).u32(0o104_755);
    up(&mut sftp, &framed(set)).unwrap();
    sftp.down(
        &framed(Writer::message(kind::HANDLE).u32(1).string("0")),
        &mut out,
    )
    .unwrap();
    sftp.down(&framed(Writer::message(kind::STATUS).u32(2).u32(0)), &mut out)
        .unwrap();
    let line = serde_json::to_string(&out[1].1).unwrap();
    assert_eq!(
        line,
        r#"{"kind":"file","channel":1,"did":"setstat","path":"/f","size":0,"mode":"4755","owner":[0,7],"status":0}"#
    );
}

#[test]
fn a_copy_within_the_target_is_recorded_with_both_names() {
    let (mut sftp, mut out) = (begun(), Vec::new());
    for (id, path, handle) in [(1, "/from", "f"), (2, "/to", "t")] {
        up(
            &mut sftp,
            &framed(Writer::message(kind::OPEN).u32(id).string(path).u32(1).u32(0)),
        )
        .unwrap();
        sftp.down(
            &framed(Writer::message(kind::HANDLE).u32(id).string(handle)),
            &mut out,
        )
        .unwrap();
    }
    out.clear();
    let copy = Writer::message(kind::EXTENDED).u32(3).string("copy-data");
    let copy = copy.string("f").raw(&[0; 8]).raw(&9_u64.to_be_bytes());
    up(&mut sftp, &framed(copy.string("t").raw(&[0; 8]))).unwrap();
    sftp.down(&framed(Writer::message(kind::STATUS).u32(3).u32(0)), &mut out)
        .unwrap();
    sftp.cut(&mut out);
    let mut lines = lines(out);
    lines[1..].sort();
    assert_eq!(
        lines,
        [
            r#"{"kind":"file","channel":1,"did":"copy","path":"/from","to":"/to","status":0}"#,
            r#"{"kind":"file","channel":1,"did":"close","path":"/from","read":9}"#,
            r#"{"kind":"file","channel":1,"did":"close","path":"/to","written":9}"#,
        ]
    );
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
        let (mut sftp, mut out) = (Sftp::new(1), Vec::new());
        let _ = up(&mut sftp, &bytes);
        let _ = sftp.down(&bytes, &mut out);
        sftp.cut(&mut out);
    }
}

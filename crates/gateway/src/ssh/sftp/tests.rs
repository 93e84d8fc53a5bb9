//! What is recorded of files, however the bytes are cut, and what ends a session.

use proptest::prelude::*;

use super::*;
use crate::ssh::wire::Writer;

fn framed(body: Writer) -> Vec<u8> {
    Writer::default().string(body.done()).done()
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
    for (up, down) in ups.iter().zip(&downs) {
        up.chunks(cuts).for_each(|bytes| sftp.up(bytes).unwrap());
        down.chunks(cuts)
            .for_each(|bytes| sftp.down(bytes, &mut out).unwrap());
    }
    sftp.cut(&mut out);
    out
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
    sftp.up(&framed(Writer::message(kind::INIT).u32(3))).unwrap();
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
    sftp.up(&stat()).unwrap();
    assert_eq!(
        sftp.up(&open(7)),
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
        sftp.up(&asked).unwrap();
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
        sftp.up(&framed(Writer::message(kind::REMOVE).u32(1).string("a")))
            .is_err()
    );
    let init = framed(Writer::message(kind::INIT).u32(6));
    let mut sftp = Sftp::new(1);
    sftp.up(&init).unwrap();
    assert!(
        sftp.down(&framed(Writer::message(kind::VERSION).u32(6)), &mut out)
            .is_err()
    );
    let mut sftp = begun();
    assert!(sftp.up(&init).is_err());
    // LINK of version 6.
    assert!(
        begun()
            .up(&framed(Writer::message(21).u32(1).string("a").string("b")))
            .is_err()
    );
}

#[test]
fn what_is_kept_of_a_session_has_a_bound() {
    let mut sftp = begun();
    let remove = |id| framed(Writer::message(kind::REMOVE).u32(id).string([0xff; 4000]));
    let all = (0..1000).take_while(|id| sftp.up(&remove(*id)).is_ok()).count();
    assert!((1..20).contains(&all), "{all}");
    let mut sftp = begun();
    let stat = |id| framed(Writer::message(kind::STAT).u32(id).string("a"));
    let all = (0..10_000).take_while(|id| sftp.up(&stat(*id)).is_ok()).count();
    assert_eq!(all, PENDING);
    let (mut sftp, mut out) = (begun(), Vec::new());
    for id in 0..100_000_u32 {
        sftp.up(&stat(id)).unwrap();
        sftp.down(&framed(Writer::message(kind::STATUS).u32(id).u32(2)), &mut out)
            .unwrap();
    }
    assert_eq!((sftp.kept, sftp.asked.len()), (0, 0));
}

#[test]
fn what_is_set_of_a_file_is_recorded_with_its_name() {
    let (mut sftp, mut out) = (begun(), Vec::new());
    // The second is sent before the first is answered: handles can be foreseen.
    let open = Writer::message(kind::OPEN).u32(1).string("/f").u32(2).u32(0);
    sftp.up(&framed(open)).unwrap();
    let set = Writer::message(kind::FSETSTAT).u32(2).string("0").u32(1 | 2 | 4);
    let set = set.raw(&[0; 8]).u32(0).u32(7).u32(0o104_755);
    sftp.up(&framed(set)).unwrap();
    sftp.down(
        &framed(Writer::message(kind::HANDLE).u32(1).string("0")),
        &mut out,
    )
    .unwrap();
    sftp.down(&framed(Writer::message(kind::STATUS).u32(2).u32(0)), &mut out)
        .unwrap();
    let line = serde_json::to_string(&out[1]).unwrap();
    assert_eq!(
        line,
        r#"{"kind":"file","channel":1,"did":"setstat","path":"/f","size":0,"mode":"4755","owner":[0,7],"status":0}"#
    );
}

#[test]
fn a_copy_within_the_target_is_recorded_with_both_names() {
    let (mut sftp, mut out) = (begun(), Vec::new());
    for (id, path, handle) in [(1, "/from", "f"), (2, "/to", "t")] {
        sftp.up(&framed(
            Writer::message(kind::OPEN).u32(id).string(path).u32(1).u32(0),
        ))
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
    sftp.up(&framed(copy.string("t").raw(&[0; 8]))).unwrap();
    sftp.down(&framed(Writer::message(kind::STATUS).u32(3).u32(0)), &mut out)
        .unwrap();
    sftp.cut(&mut out);
    let mut lines: Vec<_> = out
        .iter()
        .map(|event| serde_json::to_string(event).unwrap())
        .collect();
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
        let _ = sftp.up(&bytes);
        let _ = sftp.down(&bytes, &mut out);
        sftp.cut(&mut out);
    }
}

//! `daypass demo`: its story holds, on a real PostgreSQL and without one; what it invites to works; nothing stays behind.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::running::{Running, daypass, ends_with};

/// What must have been told, in this order, whatever the target is.
const STORY: [&str; 9] = [
    "Ana has no access",
    "nobody reviews their own request",
    "one of two is not enough",
    "cy, of security, approves",
    "the open session was cut",
    "a new login is refused",
    "request.approved",
    "entitlement.verified_absent",
    "every step held",
];

#[track_caller]
fn tells(out: &str, story: &[&str]) {
    let mut rest = out;
    for part in story {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("no {part:?} in its place:\n{out}")
        };
        rest = after;
    }
}

#[test]
fn the_story_holds_on_a_real_postgresql() {
    let (out, err) = ends_with(&mut daypass(&["demo", "--once"]), 0);
    tells(&out, &["PostgreSQL", "127.0.0.1:"]);
    tells(&out, &STORY);
    tells(
        &out,
        &[
            "terminating connection due to administrator command",
            "pg_roles has nothing of it any more",
        ],
    );
    assert!(!out.contains('\u{1b}'), "no colours where nobody sees them");
    assert_eq!(err, "");
}

#[test]
fn the_story_holds_without_postgresql_and_says_so() {
    let (out, _) = ends_with(
        daypass(&["demo", "--once"]).env("DAYPASS_PG_BINDIR", "/nowhere"),
        0,
    );
    tells(
        &out,
        &[
            "PostgreSQL is not installed here",
            "stand-in",
            "apt-get install postgresql",
        ],
    );
    tells(&out, &STORY);
}

/// A demo that stays, with the programs that it wrote for its people.
struct Staying {
    demo: Running,
    /// Of its PostgreSQL.
    port: u16,
    bin: PathBuf,
}

impl Staying {
    fn new() -> Self {
        let mut demo = Running::start(daypass(&["demo"]));
        let on = demo.says("PostgreSQL");
        let port = on
            .split("127.0.0.1:")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let line = demo.says("export PATH=");
        let bin = line
            .trim()
            .trim_start_matches("export PATH=")
            .trim_end_matches(":$PATH")
            .into();
        demo.says("Ctrl-C here");
        Self { demo, port, bin }
    }

    /// What somebody's command answers on standard output.
    #[track_caller]
    fn run(&self, line: &str, more: &[&str], code: i32) -> String {
        let mut words = line.split(' ');
        let mut command = Command::new(self.bin.join(words.next().unwrap()));
        ends_with(command.args(words).args(more).stdin(Stdio::null()), code).0
    }
}

#[test]
fn what_it_invites_to_works_and_nothing_stays() {
    let staying = Staying::new();
    tells(
        &staying.run("ana ls", &[], 0),
        &["orders-prod/write", "2 steps: manager"],
    );
    staying.run(
        "ana request orders-prod/write --for 2m --reason",
        &["PAY-7: fix a stuck order"],
        0,
    );
    let id = staying.run("bo inbox -o name", &[], 0);
    let id = id.trim();
    staying.run("cy approve", &[id], 3);
    staying.run("bo approve", &[id], 0);
    staying.run("cy approve", &[id], 0);
    let counted = staying.run(
        "ana connect orders-prod/write -- -A -t -c",
        &["SELECT count(*) FROM orders"],
        0,
    );
    assert_eq!(counted.trim(), "4");
    let looked = staying.run(
        "ana connect orders-staging/read --reason look -- -A -t -c",
        &["SELECT 1"],
        0,
    );
    assert_eq!(looked.trim(), "1");
    tells(
        &staying.run("dee audit ls", &[], 0),
        &["grant.ended", "request.created", "grant.activated"],
    );
    staying.run("ana audit ls", &[], 3);
    staying.run("ana request orders-prod/write --for 3h --reason long", &[], 3);
    tells(&staying.run("ana", &[], 0), &["orders-prod/write", "left"]);

    let Staying { demo, port, bin } = staying;
    let mode = std::fs::metadata(bin.parent().unwrap())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700, "others do not get at the sessions in it");
    let (status, told) = demo.stop(Signal::INT);
    assert!(status.success(), "{told}");
    assert!(told.contains("Everything is stopped and removed"), "{told}");
    assert!(
        !bin.parent().unwrap().exists(),
        "nothing of the demo's folder is left"
    );
    let gone = std::net::TcpStream::connect(("127.0.0.1", port));
    assert!(gone.is_err(), "its PostgreSQL is gone");
}

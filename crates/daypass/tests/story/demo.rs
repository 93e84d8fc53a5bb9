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
    /// What it said of PostgreSQL.
    on: String,
    bin: PathBuf,
    /// What it invites to type.
    invitation: Vec<String>,
}

impl Staying {
    fn new(command: Command) -> Self {
        let mut demo = Running::start(command);
        let on = demo.says("PostgreSQL");
        let line = demo.says("export PATH=");
        let bin = line
            .trim()
            .trim_start_matches("export PATH=")
            .trim_end_matches(":$PATH")
            .into();
        demo.says("Ctrl-C here");
        let told = demo.told();
        let (_, invitation) = told.split_once("export PATH=").unwrap();
        let invitation = invitation.lines().skip(1).map(|line| line.trim().to_owned());
        let invitation = invitation.take_while(|line| !line.is_empty()).collect();
        Self {
            demo,
            on,
            bin,
            invitation,
        }
    }

    /// Of its PostgreSQL.
    fn port(&self) -> u16 {
        let after = self.on.split("127.0.0.1:").nth(1).unwrap();
        after.split(' ').next().unwrap().parse().unwrap()
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
    let staying = Staying::new(daypass(&["demo"]));
    let invited = |line: &str| staying.invitation.iter().any(|told| told.starts_with(line));
    assert!(
        invited("ana connect orders-prod/write"),
        "{:?}",
        staying.invitation
    );
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

    let port = staying.port();
    let Staying { demo, bin, .. } = staying;
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

/// Nothing but this process talks to the stand-in: what it invites to needs no client program.
#[test]
fn what_it_invites_to_without_postgresql_works_too() {
    let mut command = daypass(&["demo"]);
    command.env("DAYPASS_PG_BINDIR", "/nowhere");
    let staying = Staying::new(command);
    let path = format!("{}:{}", staying.bin.display(), std::env::var("PATH").unwrap());
    let sh = |line: &str| {
        let mut sh = Command::new("sh");
        ends_with(sh.args(["-c", line]).env("PATH", &path).stdin(Stdio::null()), 0).0
    };
    let mut id = String::new();
    for line in &staying.invitation {
        // After it, the comment for people.
        let line = line.split("   #").next().unwrap().trim_end();
        assert!(!line.contains("connect"), "no client program talks to it: {line}");
        let out = sh(&line.replace("R…", &id));
        if line == "bo inbox" {
            id = sh("bo inbox -o name").trim().to_owned();
        }
        if line == "ana" {
            // It may still be on its way.
            tells(&out, &["orders-prod/write"]);
        }
    }
    let events = sh("dee audit ls");
    let activated = events.matches("grant.activated").count();
    assert!(
        activated >= 2,
        "the play's, and staging for which ana waited: {events}"
    );
    assert!(events.contains("grant.ending"), "{events}");
    let (status, told) = staying.demo.stop(Signal::INT);
    assert!(status.success(), "{told}");
}

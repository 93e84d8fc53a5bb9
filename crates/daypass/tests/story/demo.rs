//! `daypass demo`: its story holds, on a real PostgreSQL and without one, on a real sshd and without one; what it invites to
//! works as it is printed; nothing stays behind.

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
            "The same for a host",
            "sshd took a certificate of five minutes",
            " ana web-1/shell (serial ",
            ") CA ED25519 SHA256:",
            "sshd refuses the same certificate",
            "127.0.0.1 acknowledged version ",
            " of the revocation list",
            "every step held",
        ],
    );
    assert!(!out.contains('\u{1b}'), "no colours where nobody sees them");
    assert_eq!(err, "");
}

#[test]
fn the_story_holds_without_postgresql_and_sshd_and_says_so() {
    let mut demo = daypass(&["demo", "--once"]);
    demo.env("DAYPASS_PG_BINDIR", "/nowhere")
        .env("DAYPASS_SSHD", "/nowhere");
    let (out, _) = ends_with(&mut demo, 0);
    tells(
        &out,
        &[
            "PostgreSQL is not installed here",
            "stand-in",
            "apt-get install postgresql",
            "OpenSSH's server is not installed here (apt-get install openssh-server",
        ],
    );
    tells(&out, &STORY);
    assert!(!out.contains("The same for a host"), "{out}");
}

/// A demo that stays, with the programs that it wrote for its people.
struct Staying {
    demo: Running,
    /// All that it said before it invited.
    before: String,
    bin: PathBuf,
    /// The commands that it invites to, as they are printed.
    invitation: Vec<String>,
}

impl Staying {
    fn new(command: Command) -> Self {
        let mut demo = Running::start(command);
        // Ninety days take their time; what comes after them has its own.
        demo.says("entries in the log");
        demo.says("Ctrl-C here");
        let told = demo.told();
        let (before, after) = told.split_once("export PATH=").unwrap();
        let (bin, tour) = after.split_once(":$PATH\n").unwrap();
        let named = |line: &&str| {
            let name = line.split(' ').next().unwrap();
            ["ana", "eve", "bo", "root"].contains(&name) || *line == "cy inbox"
        };
        Self {
            before: before.to_owned(),
            bin: bin.into(),
            invitation: tour
                .lines()
                .map(str::trim)
                .filter(named)
                .map(str::to_owned)
                .collect(),
            demo,
        }
    }

    /// Where something of the demo's listens.
    fn port(&self, of: &str) -> u16 {
        let (_, after) = self.before.split_once(of).unwrap();
        let (_, after) = after.split_once("127.0.0.1:").unwrap();
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    }

    /// What a line answers in a shell that has the people's commands.
    #[track_caller]
    fn sh(&self, line: &str, code: i32) -> String {
        let path = format!("{}:{}", self.bin.display(), std::env::var("PATH").unwrap());
        let mut sh = Command::new("sh");
        ends_with(sh.args(["-c", line]).env("PATH", path).stdin(Stdio::null()), code).0
    }

    /// Types all that it invites to, with more for the clients that stay open; what each answered.
    fn follow(&self) -> Vec<(String, String)> {
        let typed = |line: &String| {
            let more = match line {
                line if line.starts_with("ana connect") => " -- -A -t -c 'SELECT count(*) FROM orders'",
                line if line.starts_with("ana ssh") => " -- id -un",
                _ => "",
            };
            (line.clone(), self.sh(&format!("{line}{more}"), 0))
        };
        self.invitation.iter().map(typed).collect()
    }
}

#[track_caller]
fn answer<'a>(answers: &'a [(String, String)], line: &str) -> &'a str {
    let found = answers.iter().find(|(typed, _)| typed.starts_with(line));
    found
        .map(|(_, answer)| answer.trim())
        .unwrap_or_else(|| panic!("no {line}: {answers:?}"))
}

#[test]
fn what_it_invites_to_works_and_nothing_stays() {
    let staying = Staying::new(daypass(&["demo"]));
    assert!(
        (6..=8).contains(&staying.invitation.len()),
        "{:?}",
        staying.invitation
    );
    is_furnished(&staying);
    let answers = staying.follow();
    tells(
        answer(&answers, "ana ls"),
        &["orders-prod/write", "2 steps: manager", "env:staging/debug"],
    );
    assert_eq!(answer(&answers, "ana connect orders-prod/read"), "4");
    let user = ends_with(Command::new("id").arg("-un"), 0).0;
    assert_eq!(answer(&answers, "ana ssh web-1/shell"), user.trim());
    tells(answer(&answers, "cy inbox"), &["C"]);
    let listed = format!("{}/lists/operators", staying.bin.parent().unwrap().display());
    assert!(std::fs::read_to_string(&listed).unwrap().contains("\nana\n"));

    // What it does not print, but shows: who may not, and what the auditor sees.
    staying.sh("ana approve R --yes", 2);
    staying.sh("ana audit ls", 3);
    staying.sh("ana request orders-prod/write --for 3h --reason long", 3);
    let id = staying.sh("ana request orders-prod/write --for 2m --reason stuck -o name", 0);
    let id = id.trim();
    staying.sh(&format!("cy approve {id}"), 3);
    staying.sh(&format!("bo approve {id}"), 0);
    staying.sh(&format!("cy approve {id}"), 0);
    let password = staying.bin.with_file_name("password");
    staying.sh(&format!("bo confirm --password-stdin <{}", password.display()), 0);
    let events = staying.sh("dee audit ls --limit 1000", 0);
    for event in [
        "grant.ended",
        "request.denied",
        "grant.credential_issued",
        "change.proposed",
        "request.created",
    ] {
        assert!(events.contains(event), "no {event}: {events}");
    }
    nothing_stays(staying);
}

/// There is something to be seen in its pages: a past whose log verifies, and things that wait.
fn is_furnished(staying: &Staying) {
    let json = |line: &str| -> serde_json::Value {
        serde_json::from_str(&staying.sh(&format!("{line} -o json"), 0)).unwrap()
    };
    let key = staying.bin.with_file_name("log-key.pub");
    let verified = staying.sh(&format!("dee audit verify --key {}", key.display()), 0);
    assert!(verified.contains('✓'), "{verified}");
    let policies = json("root policy log");
    let policies = policies.as_array().unwrap();
    assert!(policies.len() >= 4, "{policies:?}");
    let first = policies.last().unwrap()["applied_at"].as_str().unwrap();
    let first: daypass_core::time::Timestamp = first.parse().unwrap();
    assert!(daypass_server::edge::now().since(first) > daypass_core::time::Span::hours(24 * 85));
    tells(&staying.sh("bo inbox", 0), &["eve", "orders-prod/read"]);
    assert!(staying.sh("ana", 0).contains("orders-staging/write"));
    let owed = json("cy inbox").to_string();
    assert!(
        owed.contains("\"review\":\"overdue\"") && owed.contains("billing-prod"),
        "{owed}"
    );

    // Its door: the address that it printed lets in whom one chooses, and no other does.
    let told = staying.demo.told();
    let (_, entrance) = told.split_once("/demo/enter/").unwrap();
    let key: String = entrance.chars().take_while(char::is_ascii_hexdigit).collect();
    let port = staying.port("Daypass server");
    let guess = "0".repeat(key.len());
    assert!(answered(port, &format!("GET /demo/enter/{guess}"), "").starts_with("HTTP/1.1 400"));
    let entered = answered(port, &format!("GET /demo/enter/{key}"), "");
    assert!(
        entered.starts_with("HTTP/1.1 303") && entered.contains("daypass-demo="),
        "{entered}"
    );
    let cookie = format!("cookie: daypass-demo={key}\r\n");
    let page = answered(port, "GET /sign-in", &cookie);
    tells(
        &page,
        &["Who do you want to be?", "Ana Ruiz", "Cy Okafor", "Root"],
    );
}

/// What the server answers, whole.
fn answered(port: u16, line: &str, headers: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "{line} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{headers}\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn nothing_stays(staying: Staying) {
    let ports = [
        staying.port("PostgreSQL"),
        staying.port("sshd"),
        staying.port("Daypass server"),
    ];
    let Staying { demo, bin, .. } = staying;
    let folder = bin.parent().unwrap().to_owned();
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "others do not get at the sessions in it");
    let (status, told) = demo.stop(Signal::INT);
    assert!(status.success(), "{told}");
    assert!(told.contains("Everything is stopped and removed"), "{told}");
    assert!(!folder.exists(), "nothing of the demo's folder is left");
    for port in ports {
        let gone = std::net::TcpStream::connect(("127.0.0.1", port));
        assert!(gone.is_err(), "what listened on {port} is gone");
    }
}

/// A session that somebody has open ends with the demo, and what is not of the demo gets in nowhere.
#[test]
fn its_sshd_takes_its_own_certificates_only_and_its_sessions_end_with_it() {
    let staying = Staying::new(daypass(&["demo"]));
    let port = staying.port("sshd").to_string();
    let mut plain = Command::new("ssh");
    plain.args([
        "-F",
        "none",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
    ]);
    plain.args([
        "-o",
        "NumberOfPasswordPrompts=0",
        "-p",
        &port,
        "127.0.0.1",
        "true",
    ]);
    let (_, said) = ends_with(plain.stdin(Stdio::null()), 255);
    assert!(said.contains("Permission denied (publickey)"), "{said}");

    let mut open = Command::new(staying.bin.join("ana"));
    open.args([
        "ssh",
        "web-1/shell",
        "--reason",
        "a look",
        "--",
        "echo in; cat; echo out",
    ]);
    let mut open = open.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(open.stdout.as_mut().unwrap()),
        &mut line,
    )
    .unwrap();
    assert_eq!(line, "in\n");
    let (status, told) = staying.demo.stop(Signal::INT);
    assert!(status.success(), "{told}");
    assert_eq!(open.wait().unwrap().code(), Some(255), "the session was cut");
}

/// Nothing but this process talks to the stand-in: what it invites to needs no client program.
#[test]
fn what_it_invites_to_without_postgresql_and_sshd_works_too() {
    let mut command = daypass(&["demo"]);
    command
        .env("DAYPASS_PG_BINDIR", "/nowhere")
        .env("DAYPASS_SSHD", "/nowhere");
    let staying = Staying::new(command);
    for (line, _) in staying.follow() {
        assert!(!line.contains("connect") && !line.contains("ssh"), "{line}");
    }
    let events = staying.sh("dee audit ls --limit 1000", 0);
    let activated = events.matches("grant.activated").count();
    assert!(activated >= 4, "the play's, eve's, ana's and staging: {events}");
    let (status, told) = staying.demo.stop(Signal::INT);
    assert!(status.success(), "{told}");
}

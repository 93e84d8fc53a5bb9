//! OpenSSH's own clients through the gateway to a real sshd: what they do, and what is recorded of it.

use std::fs;

use daypass_gateway::control::{Reason, Waited, Which};
use daypass_gateway::ssh::event::{Event, Exit};
use daypass_gateway::ssh::target::Place;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::ssh_world::{PRINCIPAL, World};
use crate::world::{err, finish, out, soon};

/// All that was shown.
fn shown(events: &[Event]) -> String {
    let text = |event: &Event| match event {
        Event::Output { data, .. } => Some(data.text.to_string()),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_and_says_how_it_ended() {
    let world = World::start().await;
    let done = world.run(&["echo out; echo err >&2; exit 7"]).await;
    assert_eq!(
        (done.status.code(), out(&done), err(&done)),
        (Some(7), "out".to_owned(), "err".to_owned())
    );
    let closings = world.judge.closings(1).await;
    assert_eq!(closings[0].reason, Reason::Left);
    let events = world.judge.events();
    let [Event::Exec { command, .. }, Event::Exit { how, down, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(command.as_deref(), Some("echo out; echo err >&2; exit 7"));
    assert_eq!(
        (how, *down, closings[0].counters.bytes_down),
        (&Exit::Status(7), 8, 8)
    );
    assert_eq!(
        shown(&events),
        "",
        "what a command writes to a pipe is not recorded"
    );
}

/// Reads on until it says so.
async fn until(stdout: &mut tokio::process::ChildStdout, seen: &mut Vec<u8>, is: impl Fn(&str) -> bool) {
    let reading = async {
        while !is(&String::from_utf8_lossy(seen)) {
            assert!(
                stdout.read_buf(seen).await.unwrap() > 0,
                "it ended: {}",
                String::from_utf8_lossy(seen)
            );
        }
    };
    let read = crate::world::for_a_while(crate::world::SOON, reading).await;
    read.unwrap_or_else(|| panic!("never: {}", String::from_utf8_lossy(seen)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_is_recorded_as_it_was_seen() {
    let world = World::start().await;
    let mut ssh = world.program("ssh");
    ssh.args(["-tt", "-l", "web/ops", "gateway"]);
    let mut child = ssh.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut seen = Vec::new();
    // A shell that is not there yet may throw away what is typed.
    until(&mut stdout, &mut seen, |text| {
        text.ends_with("# ") || text.ends_with("$ ")
    })
    .await;
    let line = b"stty -echo; echo ready-$((40 + 2)) \xe2\x82\xac; read hidden; echo $hidden | rev; exit 3\n";
    stdin.write_all(line).await.unwrap();
    until(&mut stdout, &mut seen, |text| text.contains("ready-42")).await;
    stdin.write_all(b"a-secret\n").await.unwrap();
    soon(stdout.read_to_end(&mut seen)).await.unwrap();
    assert_eq!(soon(child.wait()).await.unwrap().code(), Some(3));
    world.judge.closings(1).await;
    let events = world.judge.events();
    let text = shown(&events);
    assert_eq!(text, String::from_utf8(seen).unwrap());
    assert!(text.contains("ready-42 €") && text.contains("terces-a"), "{text}");
    assert!(
        !text.contains("a-secret"),
        "what is not echoed is not recorded: {text}"
    );
    assert!(matches!(&events[0], Event::Exec { command: None, .. }));
    assert!(matches!(&events[1], Event::Terminal { term: Some(term), .. } if term == "xterm"));
    assert!(matches!(
        events.last(),
        Some(Event::Exit {
            how: Exit::Status(3),
            ..
        })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_both_ways_and_are_recorded_by_name_and_size() {
    let world = World::start().await;
    let bytes: Vec<u8> = (0..750_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(world.path("here"), &bytes).unwrap();
    for (name, args) in [("scp", ["-q"]), ("scp", ["-O"])] {
        let there = world.path(&format!("there{}", args[0]));
        let remote = format!("scp://web%2Fops@gateway/{}", there.display());
        let mut scp = world.program(name);
        scp.args(args).arg(world.path("here")).arg(&remote);
        let done = finish(scp).await;
        assert!(done.status.success(), "{}", err(&done));
        assert!(fs::read(&there).unwrap() == bytes, "it is the same");
        let mut scp = world.program(name);
        scp.args(args).arg(&remote).arg(world.path("back"));
        let done = finish(scp).await;
        assert!(done.status.success(), "{}", err(&done));
        assert!(fs::read(world.path("back")).unwrap() == bytes, "it is the same");
    }
    world.judge.closings(4).await;
    let there = world.path("there-q").display().to_string();
    let file = |event: &Event| match event {
        Event::File {
            did: "close",
            path,
            read,
            written,
            ..
        } if **path == there => Some((*read, *written)),
        _ => None,
    };
    let files: Vec<_> = world.judge.events().iter().filter_map(file).collect();
    assert_eq!(files, [(0, 3_000_000), (3_000_000, 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn much_goes_both_ways_at_once_and_neither_waits_for_the_other() {
    let world = World::start().await;
    let bytes = vec![b'x'; 12 << 20];
    // Twice as much comes back: whoever reads one direction only while it writes the other would stand still.
    let done = World::with_input(world.ssh(&["tee /dev/stderr"]), &bytes).await;
    assert!(done.status.success());
    assert_eq!((done.stdout.len(), done.stderr.len()), (bytes.len(), bytes.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_forwarded_to_where_the_role_says() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let world = World::allowing(|allowed| {
        allowed.forward = vec![Place {
            host: "127.0.0.1".to_owned(),
            port,
        }];
    })
    .await;
    let answering = tokio::spawn(async move {
        let (mut one, _) = listener.accept().await.unwrap();
        let mut said = [0; 4];
        one.read_exact(&mut said).await.unwrap();
        one.write_all(b"pong").await.unwrap();
        said
    });
    let there = format!("127.0.0.1:{port}");
    let mut ssh = world.program("ssh");
    ssh.args(["-W", &there, "-l", "web", "gateway"]);
    let done = World::with_input(ssh, b"ping").await;
    assert_eq!(
        (out(&done), soon(answering).await.unwrap()),
        ("pong".to_owned(), *b"ping")
    );
    let mut ssh = world.program("ssh");
    ssh.args(["-W", "127.0.0.1:1", "-l", "web", "gateway"]);
    let done = finish(ssh).await;
    assert!(
        err(&done).contains("your access does not forward to there"),
        "{}",
        err(&done)
    );
    let closings = world.judge.closings(2).await;
    assert_eq!(
        (closings[0].counters.refused, closings[1].counters.refused),
        (0, 1)
    );
    let events = world.judge.events();
    let forwarded = |event: &&Event| matches!(event, Event::Forward { to, .. } if *to == there);
    assert_eq!(events.iter().filter(forwarded).count(), 1, "{events:?}");
    let closed = |event: &&Event| {
        matches!(
            event,
            Event::Closed {
                failed: false,
                up: 4,
                down: 4,
                ..
            }
        )
    };
    assert_eq!(events.iter().filter(closed).count(), 1, "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_and_ports_at_the_host_are_for_roles_that_say_so() {
    for agent in [false, true] {
        let world = World::allowing(|allowed| allowed.agent = agent).await;
        let socket = world.path("agent");
        let mut running = tokio::process::Command::new("ssh-agent");
        running.arg("-D").arg("-a").arg(&socket).kill_on_drop(true);
        let _agent = running.stdout(std::process::Stdio::null()).spawn().unwrap();
        let there = async {
            while !socket.exists() {
                tokio::task::yield_now().await;
            }
        };
        soon(there).await;
        let mut ssh = world.program("ssh");
        ssh.env("SSH_AUTH_SOCK", &socket).args([
            "-A",
            "-o",
            "IdentityAgent=SSH_AUTH_SOCK",
            "-l",
            "web",
            "gateway",
        ]);
        ssh.arg("ssh-add -l; true");
        let done = finish(ssh).await;
        assert_eq!(
            out(&done).contains("no identities"),
            agent,
            "{} {}",
            out(&done),
            err(&done)
        );
    }
    let world = World::start().await;
    let done = finish({
        let mut ssh = world.program("ssh");
        ssh.args([
            "-R",
            "0:127.0.0.1:1",
            "-o",
            "ExitOnForwardFailure=yes",
            "-l",
            "web",
            "gateway",
            "true",
        ]);
        ssh
    })
    .await;
    assert!(
        err(&done).contains("remote port forwarding failed"),
        "{}",
        err(&done)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_ended_ends_at_once_in_the_middle_of_a_copy() {
    let world = World::start().await;
    let marker = world.path("marker");
    let command = format!("touch {}; cat /dev/zero", marker.display());
    let mut ssh = world.ssh(&[&command]).spawn().unwrap();
    let mut stdout = ssh.stdout.take().unwrap();
    let mut much = vec![0; 8 << 20];
    soon(stdout.read_exact(&mut much)).await.unwrap();
    world
        .judge
        .end(Which::Every, Reason::Killed("wrong host".to_owned()));
    let reading = tokio::spawn(async move { tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await });
    let done = soon(ssh.wait_with_output()).await.unwrap();
    soon(reading).await.unwrap().unwrap();
    assert_eq!(done.status.code(), Some(255));
    assert!(
        err(&done).contains("Daypass ended this session: the session was ended: wrong host"),
        "{}",
        err(&done)
    );
    let closing = world.judge.closings(1).await.remove(0);
    assert_eq!(closing.reason, Reason::Killed("wrong host".to_owned()));
    assert!(closing.counters.bytes_down >= 8 << 20);
    let events = world.judge.events();
    assert!(
        matches!(
            events.last(),
            Some(Event::Exit {
                how: Exit::Cut(true),
                ..
            })
        ),
        "{events:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_without_a_terminal_ends_with_its_session_too() {
    let world = World::start().await;
    let mut ssh = world.ssh(&["echo $$.; exec sleep 1000"]).spawn().unwrap();
    let (mut stdout, mut seen) = (ssh.stdout.take().unwrap(), Vec::new());
    until(&mut stdout, &mut seen, |text| text.contains('.')).await;
    let seen = String::from_utf8(seen).unwrap();
    let process = format!("/proc/{}", seen.trim().trim_end_matches('.'));
    assert!(fs::exists(&process).unwrap());
    world
        .judge
        .end(Which::Every, Reason::Revoked("enough".to_owned()));
    assert_eq!(soon(ssh.wait()).await.unwrap().code(), Some(255));
    let closing = world.judge.closings(1).await.remove(0);
    assert!(closing.counters.may_work, "nobody said that it heard");
    // OpenSSH signals nobody who logged in as root, and says so in its log: whoever ends a session has to know.
    let over = async {
        while fs::exists(&process).unwrap()
            && !World::host_says("session signalling requires privilege separation")
        {
            tokio::task::yield_now().await;
        }
    };
    soon(over).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_vanishes_ends_the_session_and_the_client_is_told() {
    let world = World::start().await;
    let done = world.run(&["kill -9 $PPID"]).await;
    assert_eq!(done.status.code(), Some(255));
    assert!(
        err(&done).contains("the target ended the connection"),
        "{}",
        err(&done)
    );
    assert_eq!(world.judge.closings(1).await[0].reason, Reason::TargetLost);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_connects_waits_and_is_told_who_is_asked() {
    let world = World::ruled(|rules| rules.ask = Some(vec!["ben is asked".to_owned()])).await;
    let running = tokio::spawn(finish(world.ssh(&["echo in"])));
    world
        .judge
        .until("somebody waits", |judge| (judge.waits() > 0).then_some(()))
        .await;
    world.judge.rules().decision = Some(Waited::Still(vec!["ben looks at it".to_owned()]));
    world.judge.wake();
    world
        .judge
        .until("they wait on", |judge| (judge.waits() > 1).then_some(()))
        .await;
    world.judge.rules().decision = Some(Waited::Open(daypass_gateway::control::Ticket("any".into())));
    world.judge.wake();
    let done = soon(running).await.unwrap();
    assert_eq!(
        (out(&done), done.status.code()),
        ("in".to_owned(), Some(0)),
        "{}",
        err(&done)
    );
    assert!(
        err(&done).contains("ben is asked") && err(&done).contains("ben looks at it"),
        "{}",
        err(&done)
    );
    let opening = world.judge.openings().remove(0);
    assert_eq!(opening.target, "web/ops");
    assert!(opening.program.unwrap().starts_with("SSH-2.0-OpenSSH"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_personal_credential_opens_it_too() {
    let world = World::start().await;
    for method in ["password", "keyboard-interactive"] {
        for (user, comes_in) in [("ada:web/ops", true), ("eve:web/ops", false), ("web/ops", false)] {
            let mut ssh = world.program("ssh");
            ssh.args([
                "-o",
                &format!("PreferredAuthentications={method}"),
                "-o",
                "NumberOfPasswordPrompts=1",
            ]);
            ssh.args(["-l", user, "gateway", "echo in"]);
            world.asks(&mut ssh);
            let done = finish(ssh).await;
            assert_eq!(out(&done) == "in", comes_in, "{method} {user}: {}", err(&done));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_known_is_not_reached() {
    let world = World::ruled(|rules| {
        let host = rules.host.as_mut().unwrap();
        host.target.known.keys = vec![host.key.clone()];
    })
    .await;
    let done = world.run(&["true"]).await;
    assert!(
        err(&done).contains("host key that is not known"),
        "{}",
        err(&done)
    );
    assert_eq!(world.judge.closings(1).await[0].reason, Reason::TargetLost);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_changed_on_the_way() {
    let world = World::start().await;
    let mut ssh = world.program("ssh");
    ssh.args([
        "-o",
        "RekeyLimit=1M",
        "-l",
        "web/ops",
        "gateway",
        "tee /dev/stderr",
    ]);
    let bytes = vec![b'x'; 4 << 20];
    let done = World::with_input(ssh, &bytes).await;
    assert_eq!((done.stdout.len(), done.stderr.len()), (bytes.len(), bytes.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn sftp_does_what_it_is_told_and_each_file_is_recorded() {
    let world = World::start().await;
    fs::write(world.path("here"), "of sftp").unwrap();
    let batch = format!(
        "mkdir {0}/new\nput {0}/here {0}/new/a\nrename {0}/new/a {0}/new/b\nchmod 600 {0}/new/b\nln -s {0}/new/b {0}/new/c\n\
         get {0}/new/b {0}/back\nrm {0}/new/c\nrm {0}/new/b\nrmdir {0}/new\nls {0}\n",
        world.dir.path().display()
    );
    fs::write(world.path("batch"), batch).unwrap();
    let mut sftp = world.program("sftp");
    sftp.arg("-b")
        .arg(world.path("batch"))
        .arg("sftp://web%2Fops@gateway");
    let done = finish(sftp).await;
    assert!(done.status.success(), "{}", err(&done));
    assert_eq!(fs::read_to_string(world.path("back")).unwrap(), "of sftp");
    world.judge.closings(1).await;
    let did: Vec<_> = world
        .judge
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::File { did, status, .. } => Some((did, status)),
            _ => None,
        })
        .collect();
    let names: Vec<_> = did.iter().map(|(did, _)| *did).collect();
    let expected = [
        "mkdir", "open", "close", "rename", "setstat", "symlink", "open", "close", "remove", "remove",
        "rmdir",
    ];
    let mut rest = names.iter();
    assert!(
        expected.iter().all(|wanted| rest.any(|name| name == wanted)),
        "{names:?}"
    );
    assert!(did.iter().all(|(_, status)| *status == Some(0)), "{did:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_is_reached_by_way_of_it() {
    let (port, key, authority) = World::host();
    let world = World::allowing(|allowed| {
        allowed.forward = vec![Place {
            host: "127.0.0.1".to_owned(),
            port,
        }];
    })
    .await;
    // There the client is known by a certificate of its own.
    for name in ["id", "id.pub"] {
        fs::copy(World::key_file(name), world.path(name)).unwrap();
    }
    let mut keygen = std::process::Command::new("ssh-keygen");
    keygen.args(["-q", "-I", "ada", "-V", "-1m:+5m", "-n", PRINCIPAL, "-s"]);
    let signed = keygen.arg(authority).arg(world.path("id.pub")).output().unwrap();
    assert!(signed.status.success());
    fs::write(world.path("host_known"), format!("host {key}\n")).unwrap();
    let mut ssh = world.program("ssh");
    ssh.args(["-J", "ssh://web%2Fops@gateway", "-o", "HostKeyAlias=host", "-o"])
        .arg(format!(
            "UserKnownHostsFile={}",
            world.path("host_known").display()
        ))
        .args(["-p", &port.to_string(), "-i"])
        .arg(world.path("id"))
        .args(["127.0.0.1", "echo there; exit 5"]);
    let done = finish(ssh).await;
    assert_eq!(
        (out(&done), done.status.code()),
        ("there".to_owned(), Some(5)),
        "{}",
        err(&done)
    );
    world.judge.closings(1).await;
    let forwarded = |event: &Event| matches!(event, Event::Forward { way: "local", .. });
    assert_eq!(
        world
            .judge
            .events()
            .iter()
            .filter(|event| forwarded(event))
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_listens_where_the_role_says() {
    let (echo, _echo) = World::echo().await;
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let world = World::allowing(|allowed| {
        allowed.listen = vec![Place {
            host: "127.0.0.1".to_owned(),
            port,
        }];
    })
    .await;
    let mut ssh = world.program("ssh");
    ssh.args(["-o", "ExitOnForwardFailure=yes", "-R"]);
    ssh.arg(format!("127.0.0.1:{port}:127.0.0.1:{echo}"));
    ssh.args(["-l", "web", "gateway", "echo ready; sleep 100"]);
    let mut running = ssh.spawn().unwrap();
    let (mut stdout, mut seen) = (running.stdout.take().unwrap(), Vec::new());
    until(&mut stdout, &mut seen, |text| text.contains("ready")).await;
    let mut there = soon(tokio::net::TcpStream::connect(("127.0.0.1", port)))
        .await
        .unwrap();
    there.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    soon(there.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"ping");
    drop(there);
    world.judge.end(Which::Every, Reason::Expired);
    soon(running.wait()).await.unwrap();
    assert_eq!(world.judge.closings(1).await[0].counters.refused, 0);
    let ways: Vec<_> = world
        .judge
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Forward { way, channel, .. } => Some((way, channel)),
            _ => None,
        })
        .collect();
    assert_eq!(ways, [("listen", 0), ("remote", 2)]);
}

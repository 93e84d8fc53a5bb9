//! Clients that do what they must not.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use daypass_gateway::control::{Reason, Which};
use daypass_gateway::ssh::event::Event;
use daypass_gateway::ssh::key::{Known, PrivateKey};
use daypass_gateway::ssh::transport::{Role, Transport};
use daypass_gateway::ssh::wire::{Reader, Writer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::ssh_world::World;
use crate::world::{for_a_while, soon};

/// A client that says what a test wants.
pub(crate) struct Raw {
    stream: TcpStream,
    transport: Transport,
}

impl Raw {
    pub(crate) async fn connect(world: &World) -> Self {
        let known = Known {
            name: String::new(),
            keys: vec![world.host_key.clone()],
            authorities: Vec::new(),
        };
        let mut raw = Self {
            stream: TcpStream::connect(("127.0.0.1", world.port)).await.unwrap(),
            transport: Transport::new(Role::Client(Arc::new(known))).unwrap(),
        };
        raw.send(&Writer::message(5).string("ssh-userauth").done()).await;
        assert_eq!(raw.receive().await[0], 6);
        raw
    }

    async fn flush(&mut self) {
        let bytes = self.transport.drain();
        self.stream.write_all(&bytes).await.unwrap();
    }

    pub(crate) async fn send(&mut self, message: &[u8]) {
        self.transport.send(message).unwrap();
        self.flush().await;
    }

    pub(crate) async fn receive(&mut self) -> BytesMut {
        soon(async {
            loop {
                let next = self.transport.message().unwrap();
                self.flush().await;
                if let Some(message) = next {
                    return message;
                }
                let read = self.stream.read_buf(&mut self.transport.input).await.unwrap();
                assert!(read > 0, "the gateway hung up");
            }
        })
        .await
    }

    /// The request that a key proves, and its signature by another or the same.
    fn signed(&self, offered: &PrivateKey, signs: &PrivateKey, says: &str) -> Vec<u8> {
        self.signed_for("web/ops", offered, signs, says)
    }

    pub(crate) fn signed_for(
        &self,
        user: &str,
        offered: &PrivateKey,
        signs: &PrivateKey,
        says: &str,
    ) -> Vec<u8> {
        let asked = Writer::message(50)
            .string(user)
            .string("ssh-connection")
            .string("publickey")
            .bool(true)
            .string(says)
            .string(offered.public());
        let session = self.transport.session().unwrap();
        let signed = Writer::default()
            .string(session)
            .raw(&asked.clone().done())
            .done();
        asked.string(signs.sign(&signed)).done()
    }

    fn offer(key: &PrivateKey) -> Vec<u8> {
        let asked = Writer::message(50).string("web/ops").string("ssh-connection");
        asked
            .string("publickey")
            .bool(false)
            .string("ssh-ed25519")
            .string(key.public())
            .done()
    }

    /// One that is in.
    pub(crate) async fn inside(world: &World) -> Self {
        Self::at(world, "web/ops").await
    }

    /// One that is in there.
    pub(crate) async fn at(world: &World, user: &str) -> Self {
        let mut raw = Self::connect(world).await;
        let id = key("id");
        raw.send(&raw.signed_for(user, &id, &id, "ssh-ed25519")).await;
        assert_eq!(raw.receive().await[0], 52);
        raw
    }

    /// A channel, with a window: what the target calls it.
    pub(crate) async fn channel(&mut self, id: u32, window: u32) -> u32 {
        let open = Writer::message(90)
            .string("session")
            .u32(id)
            .u32(window)
            .u32(32_768);
        self.send(&open.done()).await;
        loop {
            let message = self.receive().await;
            if message[0] == 91 {
                let mut fields = Reader(&message[1..]);
                assert_eq!(fields.u32(), Ok(id));
                return fields.u32().unwrap();
            }
        }
    }

    /// The next message that is an answer to something.
    pub(crate) async fn answer(&mut self) -> u8 {
        loop {
            let kind = self.receive().await[0];
            if !matches!(kind, 80 | 93 | 94 | 95 | 98) {
                return kind;
            }
        }
    }
}

pub(crate) fn key(name: &str) -> PrivateKey {
    PrivateKey::from_seed(&World::seed(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_offered_proves_nothing() {
    let world = World::start().await;
    let (hers, mine) = (key("id"), key("other"));
    let mut raw = Raw::connect(&world).await;
    raw.send(&Raw::offer(&hers)).await;
    assert_eq!(raw.receive().await[0], 60);
    // Signed with one's own, under either name.
    raw.send(&raw.signed(&hers, &mine, "ssh-ed25519")).await;
    assert_eq!(raw.receive().await[0], 51);
    raw.send(&raw.signed(&mine, &mine, "ssh-ed25519")).await;
    assert_eq!(raw.receive().await[0], 51);
    // Offered after it, and before it.
    raw.send(&Raw::offer(&hers)).await;
    assert_eq!(raw.receive().await[0], 60);
    raw.send(&raw.signed(&mine, &mine, "ssh-ed25519")).await;
    assert_eq!(raw.receive().await[0], 51);
    // A signature of another connection.
    let other = Raw::connect(&world).await;
    raw.send(&other.signed(&hers, &hers, "ssh-ed25519")).await;
    assert_eq!(raw.receive().await[0], 51);
    // By another algorithm's name.
    raw.send(&raw.signed(&hers, &hers, "rsa-sha2-512")).await;
    assert_eq!(raw.receive().await[0], 51);
    raw.send(&raw.signed(&hers, &hers, "ssh-ed25519")).await;
    assert_eq!(raw.receive().await[0], 52);
    assert_eq!(world.judge.openings().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_does_anything_before_they_are_in() {
    let world = World::start().await;
    for early in [
        Writer::message(90)
            .string("session")
            .u32(0)
            .u32(1 << 20)
            .u32(32_768)
            .done(),
        Writer::message(80).string("tcpip-forward").bool(true).done(),
        Writer::message(52).done(),
        Writer::message(61).u32(1).string("a-secret-of-ada").done(),
    ] {
        let mut raw = Raw::connect(&world).await;
        raw.send(&early).await;
        assert_eq!(raw.receive().await[0], 1, "{early:?}");
    }
    let mut raw = Raw::connect(&world).await;
    let none = Writer::message(50)
        .string("web")
        .string("ssh-connection")
        .string("none")
        .done();
    for _ in 0..10 {
        raw.send(&none).await;
        assert_eq!(raw.receive().await[0], 51);
    }
    raw.send(&none).await;
    assert_eq!(raw.receive().await[0], 1, "there are so many attempts");
    assert_eq!(world.judge.openings().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_the_strict_key_exchange_is_told_so() {
    let world = World::start().await;
    let mut stream = TcpStream::connect(("127.0.0.1", world.port)).await.unwrap();
    let mut transport = Transport::new(Role::Client(Arc::new(Known::default()))).unwrap();
    let mut said = transport.drain().to_vec();
    let mark = b"kex-strict-c-v00@openssh.com";
    let at = said.windows(mark.len()).position(|bytes| bytes == mark).unwrap();
    said[at] = b'x';
    // Its list of host keys is empty; ours is put there.
    let known = Known {
        keys: vec![world.host_key.clone()],
        ..Known::default()
    };
    let mut transport = Transport::new(Role::Client(Arc::new(known))).unwrap();
    let mut said = transport.drain().to_vec();
    let at = said.windows(mark.len()).position(|bytes| bytes == mark).unwrap();
    said[at] = b'x';
    stream.write_all(&said).await.unwrap();
    let mut heard = Vec::new();
    soon(stream.read_to_end(&mut heard)).await.unwrap();
    let heard = String::from_utf8_lossy(&heard);
    assert!(heard.contains("asks for the strict key exchange"), "{heard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_is_refused_in_its_turn_and_recorded() {
    let world = World::allowing(|allowed| allowed.shell = false).await;
    let mut raw = Raw::inside(&world).await;
    for kind in [
        "x11",
        "direct-streamlocal@openssh.com",
        "tun@openssh.com",
        "forwarded-tcpip",
        "anything",
    ] {
        let open = Writer::message(90).string(kind).u32(9).u32(1 << 20).u32(32_768);
        raw.send(&open.string("/var/run/docker.sock").string("").u32(0).done())
            .await;
        assert_eq!(raw.answer().await, 92, "{kind}");
    }
    for kind in [
        "streamlocal-forward@openssh.com",
        "tcpip-forward",
        "hostkeys-prove-00@openssh.com",
        "anything",
    ] {
        let ask = Writer::message(80)
            .string(kind)
            .bool(true)
            .string("0.0.0.0")
            .u32(0);
        raw.send(&ask.done()).await;
        assert_eq!(raw.answer().await, 82, "{kind}");
    }
    let there = raw.channel(3, 1 << 20).await;
    let ask = |kind: &str| Writer::message(98).u32(there).string(kind).bool(true);
    for kind in ["x11-req", "auth-agent-req@openssh.com", "shell", "anything"] {
        raw.send(&ask(kind).done()).await;
        assert_eq!(raw.answer().await, 100, "{kind}");
    }
    for name in ["netconf", "sftp-server"] {
        raw.send(&ask("subsystem").string(name).done()).await;
        assert_eq!(raw.answer().await, 100, "{name}");
    }
    // A refused one between two that are not: each hears its own answer.
    for message in [
        ask("pty-req")
            .string("vt100")
            .u32(80)
            .u32(24)
            .u32(0)
            .u32(0)
            .string("")
            .done(),
        ask("shell").done(),
        ask("exec").string("true").done(),
        ask("exec").string("echo again").done(),
    ] {
        raw.send(&message).await;
    }
    let answers = [
        raw.answer().await,
        raw.answer().await,
        raw.answer().await,
        raw.answer().await,
    ];
    assert_eq!(answers[..3], [99, 100, 99], "{answers:?}");
    drop(raw);
    let closing = world.judge.closings(1).await.remove(0);
    assert_eq!(closing.counters.refused, 17);
    let events = world.judge.events();
    let refused = events
        .iter()
        .filter(|event| matches!(event, Event::Refused { .. }));
    assert_eq!(refused.count(), 17);
}

/// A message of SFTP.
pub(crate) fn sftp(body: Writer) -> Vec<u8> {
    Writer::default().string(body.done()).done()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_of_sftp_is_taken_for_that_of_another_request() {
    let world = World::start().await;
    let open = || Writer::message(3).u32(7).string("/etc/hostname").u32(1).u32(0);
    let stat = Writer::message(17).u32(7).string("/nope");
    for (count, second) in [open(), Writer::message(17).u32(7).string("/etc")]
        .into_iter()
        .enumerate()
    {
        let mut raw = Raw::inside(&world).await;
        let there = raw.channel(0, 1 << 20).await;
        let ask = Writer::message(98).u32(there).string("subsystem").bool(true);
        raw.send(&ask.string("sftp").done()).await;
        assert_eq!(raw.answer().await, 99);
        let both = [sftp(Writer::message(1).u32(3)), sftp(stat.clone()), sftp(second)].concat();
        raw.send(&Writer::message(94).u32(there).string(both).done())
            .await;
        let closing = world.judge.closings(count + 1).await.remove(count);
        assert_eq!(closing.reason, Reason::ProtocolViolation);
    }
    assert!(
        !world
            .judge
            .events()
            .iter()
            .any(|event| matches!(event, Event::File { status: Some(_), .. }))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_to_a_program_that_is_not_there_yet() {
    let world = World::start().await;
    let mut raw = Raw::inside(&world).await;
    let there = raw.channel(0, 1 << 20).await;
    raw.send(
        &Writer::message(94)
            .u32(there)
            .string(sftp(Writer::message(1).u32(3)))
            .done(),
    )
    .await;
    assert_eq!(world.judge.closings(1).await[0].reason, Reason::ProtocolViolation);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_are_told_of_their_surroundings_what_does_no_harm_and_it_is_recorded() {
    let world = World::start().await;
    let mut raw = Raw::inside(&world).await;
    let there = raw.channel(0, 1 << 20).await;
    let ask = |kind: &str| Writer::message(98).u32(there).string(kind).bool(true);
    for (name, value) in [
        ("LD_PRELOAD", "/tmp/a.so"),
        ("BASH_ENV", "/tmp/a"),
        ("LC_X", "rm"),
        ("LC_ALL", "$(rm -rf /)"),
        ("LANG", &"x".repeat(100)),
    ] {
        raw.send(&ask("env").string(name).string(value).done()).await;
        assert_eq!(raw.answer().await, 100, "{name}");
    }
    raw.send(&ask("env").string("LANG").string([0xff]).done()).await;
    assert_eq!(raw.answer().await, 100, "what is no text");
    raw.send(&ask("env").string("LANG").string("de_DE.UTF-8").done())
        .await;
    // Whether the target takes it is the target's.
    raw.answer().await;
    raw.send(&ask("exec").string("sleep 100").done()).await;
    assert_eq!(raw.answer().await, 99);
    // It is recorded as it begins.
    let begun = |judge: &crate::control::Judge| {
        judge.events().into_iter().find_map(|event| match event {
            Event::Exec { command, env, .. } => Some((command.unwrap(), env)),
            _ => None,
        })
    };
    let (command, env) = world.judge.until("a record", begun).await;
    assert_eq!(
        (&*command, env.get("LANG").map(String::as_str)),
        ("sleep 100", Some("de_DE.UTF-8"))
    );
    assert_eq!(env.len(), 1);
    drop(raw);
    assert_eq!(world.judge.closings(1).await[0].counters.refused, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_without_a_terminal_is_a_command() {
    let world = World::allowing(|allowed| allowed.exec = false).await;
    let mut raw = Raw::inside(&world).await;
    let there = raw.channel(0, 1 << 20).await;
    let ask = |kind: &str| Writer::message(98).u32(there).string(kind).bool(true);
    raw.send(&ask("shell").done()).await;
    assert_eq!(raw.answer().await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_stops_listening_who_did_not_ask_for_it_and_any_port_is_none() {
    let world = World::allowing(|allowed| {
        let any = daypass_gateway::ssh::target::Place {
            host: "localhost".to_owned(),
            port: 0,
        };
        allowed.listen = vec![any];
    })
    .await;
    let mut raw = Raw::inside(&world).await;
    for kind in ["tcpip-forward", "cancel-tcpip-forward"] {
        let ask = Writer::message(80).string(kind).bool(true);
        raw.send(&ask.string("localhost").u32(0).done()).await;
        assert_eq!(raw.answer().await, 82, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_of_nobody_end_the_session() {
    let world = World::start().await;
    for (count, message) in [
        Writer::message(94).u32(77).string("data").done(),
        Writer::message(93).u32(77).u32(1).done(),
        Writer::message(98).u32(77).string("shell").bool(true).done(),
        Writer::message(97).u32(77).done(),
        Writer::message(91).u32(0).u32(0).u32(0).u32(0).done(),
        Writer::message(94).u32(0).u32(1_000_000).done(),
        vec![98],
    ]
    .into_iter()
    .enumerate()
    {
        let mut raw = Raw::inside(&world).await;
        raw.send(&message).await;
        let closings = world.judge.closings(count + 1).await;
        assert_eq!(closings[count].reason, Reason::ProtocolViolation, "{message:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_stops_its_target() {
    let world = World::start().await;
    let mut raw = Raw::inside(&world).await;
    let there = raw.channel(0, u32::MAX).await;
    let ask = Writer::message(98).u32(there).string("exec").bool(false);
    raw.send(&ask.string("cat /dev/zero").done()).await;
    // It must not matter how long.
    for_a_while(Duration::from_secs(2), std::future::pending::<()>()).await;
    world.judge.end(Which::Every, Reason::Expired);
    let closing = world.judge.closings(1).await.remove(0);
    let down = closing.counters.bytes_down;
    // What sockets of this machine hold, and little more.
    assert!((1..64 << 20).contains(&down), "{down}");
    drop(raw);
}

//! Who comes first and who goes last in SSH: answers that are refusals, messages that cross an end, and people who take their time.

use std::time::Duration;

use daypass_gateway::Limits;
use daypass_gateway::control::Reason;
use daypass_gateway::ssh::event::{Event, Exit};
use daypass_gateway::ssh::wire::{Reader, Writer};
use tokio::task::JoinHandle;

use crate::ssh_hostile::{Raw, key};
use crate::ssh_many::{Says, host};
use crate::ssh_world::World;
use crate::world::{err, finish, for_a_while};

/// A host that says what a test wants is `many`, with a role that opens this.
async fn world(says: Says, exec: bool) -> (World, JoinHandle<()>) {
    let (mut target, running) = host(says).await;
    target.allowed.exec = exec;
    let world = World::ruled(|rules| {
        rules.host.as_mut().unwrap().other = Some(("many/ops".to_owned(), target));
    })
    .await;
    (world, running)
}

/// The kind of a request about a channel.
fn kind(message: &[u8]) -> &[u8] {
    match message {
        [98, rest @ ..] => Reader(&rest[4..]).string().unwrap(),
        _ => b"",
    }
}

fn ask(there: u32, kind: &str, wants_reply: bool) -> Writer {
    Writer::message(98).u32(there).string(kind).bool(wants_reply)
}

fn terminal(there: u32, wants_reply: bool) -> Vec<u8> {
    let asked = ask(there, "pty-req", wants_reply).string("vt100");
    asked.u32(80).u32(24).u32(0).u32(0).string("").done()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_without_the_terminal_that_it_needs_does_not_begin() {
    let says: Says = |message| match kind(message) {
        b"pty-req" | b"refused@daypass" => (vec![Writer::message(100).u32(0).done()], false),
        // Whoever asks for it is let in.
        b"shell" => (vec![Writer::message(99).u32(0).done()], false),
        _ => (Vec::new(), false),
    };
    for wants_reply in [true, false] {
        let (world, _host) = world(says, false).await;
        let mut raw = Raw::at(&world, "many/ops").await;
        let there = raw.channel(0, 1 << 20).await;
        raw.send(&terminal(there, wants_reply)).await;
        raw.send(&ask(there, "shell", true).done()).await;
        if wants_reply {
            assert_eq!(raw.answer().await, 100);
        }
        assert_eq!(raw.answer().await, 100, "no shell");
        let events = world.judge.events();
        assert!(
            !events.iter().any(|event| matches!(event, Event::Exec { .. })),
            "{events:?}"
        );
    }
    // Where any command may run, so may this; and the record does not say that there is a terminal.
    let (world, _host) = self::world(says, true).await;
    let mut raw = Raw::at(&world, "many/ops").await;
    let there = raw.channel(0, 1 << 20).await;
    raw.send(&terminal(there, true)).await;
    raw.send(&ask(there, "shell", true).done()).await;
    assert_eq!([raw.answer().await, raw.answer().await], [100, 99]);
    drop(raw);
    assert!(
        world.judge.closings(1).await[0].counters.may_work,
        "nothing tells it that it is over"
    );
    let events = world.judge.events();
    let terminals = events.iter().filter_map(|event| match event {
        Event::Terminal { term, .. } => Some(term.clone()),
        _ => None,
    });
    assert_eq!(terminals.collect::<Vec<_>>().last(), Some(&None), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_waits_for_its_terminal_runs_in_it() {
    let world = World::allowing(|allowed| allowed.exec = false).await;
    let mut ssh = world.program("ssh");
    ssh.args(["-tt", "-l", "web/ops", "gateway"]);
    let done = World::with_input(ssh, b"exit 3\n").await;
    assert_eq!(done.status.code(), Some(3), "{}", err(&done));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_the_target_refuses_leaves_its_channel_to_another() {
    let says: Says = |message| match kind(message) {
        b"subsystem" => (vec![Writer::message(100).u32(0).done()], false),
        b"exec" => (vec![Writer::message(99).u32(0).done()], false),
        _ => (Vec::new(), false),
    };
    for wants_reply in [true, false] {
        let (world, _host) = world(says, true).await;
        let mut raw = Raw::at(&world, "many/ops").await;
        let there = raw.channel(0, 1 << 20).await;
        raw.send(&ask(there, "subsystem", wants_reply).string("sftp").done())
            .await;
        if wants_reply {
            assert_eq!(raw.answer().await, 100);
        } else {
            // Nobody asked; the target has answered all the same once something else is.
            let failed = |judge: &crate::control::Judge| (judge.events().len() > 1).then_some(());
            world.judge.until("the record", failed).await;
        }
        // As PuTTY's and WinSCP's second way.
        raw.send(&ask(there, "exec", true).string("sftp-server").done())
            .await;
        assert_eq!(raw.answer().await, 99);
        drop(raw);
        world.judge.closings(1).await;
        let events = world.judge.events();
        let ends: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Exit { channel, how, .. } => Some((*channel, how.clone())),
                _ => None,
            })
            .collect();
        assert_eq!(
            ends,
            [(1, Exit::Failed(true)), (2, Exit::Cut(true))],
            "{events:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_heard_how_a_program_ended_is_not_told_otherwise() {
    let says: Says = |message| match kind(message) {
        b"exec" => {
            let all = vec![
                Writer::message(99).u32(0).done(),
                Writer::message(98)
                    .u32(0)
                    .string("exit-status")
                    .bool(false)
                    .u32(7)
                    .done(),
                Writer::message(96).u32(0).done(),
                Writer::message(97).u32(0).done(),
            ];
            (all, true)
        }
        _ => (Vec::new(), false),
    };
    let (world, _host) = world(says, true).await;
    let mut ssh = world.program("ssh");
    ssh.args(["-l", "many/ops", "gateway", "reboot"]);
    let done = finish(ssh).await;
    assert_eq!((done.status.code(), err(&done).as_str()), (Some(7), ""));
    assert_eq!(world.judge.closings(1).await[0].reason, Reason::Left);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_crosses_the_end_of_a_channel_is_no_fault() {
    let world = World::start().await;
    let mut raw = Raw::inside(&world).await;
    let late = [100, 99, 93, 96];
    for _ in 0..2 {
        let there = raw.channel(0, 1 << 20).await;
        raw.send(&ask(there, "exec", true).string("true").done()).await;
        raw.send(&Writer::message(97).u32(there).done()).await;
        for kind in late {
            raw.send(&Writer::message(kind).u32(there).u32(1).done()).await;
        }
        // And after the target has closed it too.
        while raw.receive().await[0] != 97 {}
        for kind in late {
            raw.send(&Writer::message(kind).u32(there).u32(1).done()).await;
        }
    }
    // But of a channel that never was it is one.
    raw.send(&Writer::message(100).u32(77).done()).await;
    assert_eq!(world.judge.closings(1).await[0].reason, Reason::ProtocolViolation);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_have_their_time_once_programs_have_agreed_on_keys_and_hear_that_it_is_over() {
    let limits = |login| Limits {
        handshake: Duration::from_millis(700),
        login,
        ..Limits::default()
    };
    let world = World::limited(limits(Duration::from_secs(60)), |_| {}).await;
    let mut raw = Raw::connect(&world).await;
    // They look for their passphrase.
    for_a_while(Duration::from_millis(1_500), std::future::pending::<()>()).await;
    let id = key("id");
    raw.send(&raw.signed_for("web/ops", &id, &id, "ssh-ed25519"))
        .await;
    assert_eq!(raw.receive().await[0], 52);

    let world = World::limited(limits(Duration::from_secs(1)), |_| {}).await;
    let mut raw = Raw::connect(&world).await;
    let bye = raw.receive().await;
    let mut fields = Reader(&bye[5..]);
    assert_eq!(bye[0], 1);
    let words = fields.text().unwrap();
    assert!(
        words.contains("nobody has proved who they are in the time"),
        "{words}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_for_a_connection_is_given_back_with_it() {
    let world = World::start().await;
    for _ in 0..5 {
        let raw = Raw::connect(&world).await;
        assert_eq!(world.judge.challenges(), 1);
        drop(raw);
        let none = |judge: &crate::control::Judge| (judge.challenges() == 0).then_some(());
        world.judge.until("it is given back", none).await;
    }
}

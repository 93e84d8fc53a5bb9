//! A thousand sessions of SSH that end at once.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use daypass_gateway::Limits;
use daypass_gateway::control::{Reason, Which};
use daypass_gateway::ssh::event::{Event, Exit};
use daypass_gateway::ssh::key::{Known, PrivateKey};
use daypass_gateway::ssh::target::SshTarget;
use daypass_gateway::ssh::transport::{Role, Transport};
use daypass_gateway::ssh::wire::{Reader, Writer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::control::Judge;
use crate::ssh_hostile::Raw;
use crate::ssh_world::{World, usual};
use crate::world::{err, now, soon};

/// How many there are, and how many of them copy a file.
const ALL: usize = 1_000;
const COPIES: usize = 10;

/// A host that lets everybody in and does nothing: with a thousand of sshd's processes their ends would be what is measured.
async fn quiet_host() -> (SshTarget, JoinHandle<()>) {
    host(|_| (Vec::new(), false)).await
}

/// What a host of a test says to a message of a channel, and whether it hangs up then.
pub(crate) type Says = fn(&[u8]) -> (Vec<Vec<u8>>, bool);

/// A host that lets everybody in, opens every channel, and says what a test wants.
pub(crate) async fn host(says: Says) -> (SshTarget, JoinHandle<()>) {
    let key = Arc::new(PrivateKey::from_seed(&[9; 32]).unwrap());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let target = SshTarget {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
        user: "quiet".to_owned(),
        // It looks at none.
        certificate: key.line(),
        known: Known {
            name: "quiet".to_owned(),
            keys: vec![key.public()],
            authorities: Vec::new(),
        },
        allowed: usual(),
    };
    let answering = tokio::spawn(async move {
        while let Ok((one, _)) = listener.accept().await {
            tokio::spawn(answer(
                one,
                Transport::new(Role::Server(Arc::clone(&key))).unwrap(),
                says,
            ));
        }
    });
    (target, answering)
}

async fn answer(mut stream: TcpStream, mut transport: Transport, says: Says) {
    transport.begin([0; 16]).unwrap();
    loop {
        let Ok(message) = transport.message() else { return };
        let mut hangs_up = false;
        match message.as_deref() {
            Some([5, ..]) => transport
                .send(&Writer::message(6).string("ssh-userauth").done())
                .unwrap(),
            Some([50, ..]) => transport.send(&[52]).unwrap(),
            Some([90, open @ ..]) => {
                let mut fields = Reader(open);
                fields.string().unwrap();
                let opened = Writer::message(91).u32(fields.u32().unwrap());
                transport
                    .send(&opened.u32(0).u32(1 << 20).u32(32_768).done())
                    .unwrap();
            }
            Some([1, ..]) => return,
            Some(other) => {
                let (said, last) = says(other);
                said.iter().for_each(|message| transport.send(message).unwrap());
                hangs_up = last;
            }
            None => {}
        }
        if stream.write_all(&transport.drain()).await.is_err() || hangs_up {
            return;
        }
        if message.is_none() && stream.read_buf(&mut transport.input).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

/// Copies a file that has no end as far as anybody waits.
fn copy(world: &World, number: usize) -> tokio::process::Child {
    let mut scp = world.program("scp");
    scp.arg(format!(
        "scp://web%2Fops@gateway/{}",
        world.path("large").display()
    ));
    scp.arg(world.path(&format!("copy-{number}"))).spawn().unwrap()
}

fn opened(events: &[Event]) -> usize {
    let is_open = |event: &&Event| matches!(event, Event::File { did: "open", .. });
    events.iter().filter(is_open).count()
}

/// Those that do not copy: a command runs in each.
async fn sessions(world: &World) -> Vec<Raw> {
    let mut sessions = Vec::new();
    for _ in 0..(ALL - COPIES) / 30 {
        let logins = (0..30).map(|_| async {
            let mut raw = Raw::at(world, "many/ops").await;
            let there = raw.channel(0, 1 << 20).await;
            let ask = Writer::message(98).u32(there).string("exec").bool(false);
            raw.send(&ask.string("sleep 1000").done()).await;
            raw
        });
        sessions.extend(futures_util::future::join_all(logins).await);
    }
    sessions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_sessions_end_at_once_ten_of_them_in_the_middle_of_a_copy() {
    let (quiet, _host) = quiet_host().await;
    let limits = Limits {
        sessions_per_person: 2 * ALL,
        ..Limits::default()
    };
    let world = World::limited(limits, |rules| {
        rules.term.renew_within = Duration::from_secs(60);
        rules.host.as_mut().unwrap().other = Some(("many/ops".to_owned(), quiet));
    })
    .await;
    let mut sessions = sessions(&world).await;
    // No disk has so much room: it is all zeros, and none of them stands there.
    fs::File::create(world.path("large"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let copies: Vec<_> = (0..COPIES).map(|number| copy(&world, number)).collect();
    let begun = |judge: &Judge| (opened(&judge.events()) == COPIES).then_some(());
    world.judge.until("ten copies", begun).await;
    assert_eq!((world.gateway.sessions(), sessions.len()), (ALL, ALL - COPIES));

    let ends = sessions.iter_mut().map(|raw| async {
        // A farewell on standard error may come before it.
        while raw.receive().await[0] != 1 {}
        now()
    });
    let begun = now();
    world.judge.end(Which::Every, Reason::Revoked("all".to_owned()));
    let mut took: Vec<_> = futures_util::future::join_all(ends)
        .await
        .into_iter()
        .map(|end| end.duration_since(begun))
        .collect();
    took.sort();
    let (half, worst) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!("1,000 sessions of SSH ended: half after {half:?}, p99 after {worst:?}");
    for running in copies {
        let done = soon(running.wait_with_output()).await.unwrap();
        assert!(
            !done.status.success() && err(&done).contains("all"),
            "{}",
            err(&done)
        );
    }
    // Above what it takes, for a debug build on a busy machine.
    assert!(worst < Duration::from_secs(2), "{worst:?}");
    drop(sessions);
    let closings = world.judge.closings(ALL).await;
    assert!(
        closings
            .iter()
            .all(|one| one.reason == Reason::Revoked("all".to_owned()))
    );
    soon(world.gateway.drained()).await;
    all_is_told(&world.judge.events());
}

/// Each program was cut, and each copy has the record of its file.
fn all_is_told(events: &[Event]) {
    let is_cut = |event: &Event| {
        matches!(
            event,
            Event::Exit {
                how: Exit::Cut(true),
                ..
            }
        )
    };
    assert_eq!(events.iter().filter(|event| is_cut(event)).count(), ALL);
    let is_copy = |event: &Event| {
        matches!(
            event,
            Event::File {
                did: "close",
                status: None,
                ..
            }
        )
    };
    assert_eq!(events.iter().filter(|event| is_copy(event)).count(), COPIES);
}

//! Files by SFTP, with clients that ask for much and take no answers.

use daypass_gateway::control::Reason;
use daypass_gateway::ssh::event::Event;
use daypass_gateway::ssh::wire::{Reader, Writer};

use crate::control::Judge;
use crate::ssh_hostile::{Raw, sftp};
use crate::ssh_world::World;

/// SFTP in a channel with this window, and what the target calls it.
async fn begun(world: &World, window: u32) -> (Raw, u32) {
    let mut raw = Raw::inside(world).await;
    let there = raw.channel(0, window).await;
    let ask = Writer::message(98).u32(there).string("subsystem").bool(true);
    raw.send(&ask.string("sftp").done()).await;
    assert_eq!(raw.answer().await, 99);
    say(&mut raw, there, &sftp(Writer::message(1).u32(3))).await;
    (raw, there)
}

async fn say(raw: &mut Raw, there: u32, bytes: &[u8]) {
    for bytes in bytes.chunks(32_000) {
        raw.send(&Writer::message(94).u32(there).string(bytes).done())
            .await;
    }
}

fn files(judge: &Judge) -> Vec<String> {
    let file = |event: &Event| match event {
        Event::File { .. } => Some(serde_json::to_string(event).unwrap()),
        _ => None,
    };
    judge.events().iter().filter_map(file).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_done_is_without_a_record_however_much_else_is_asked() {
    let world = World::start().await;
    std::fs::write(world.path("x"), "of root").unwrap();
    let (from, to) = (world.path("x").display().to_string(), world.path("y"));
    // A window for the version alone: nothing else is answered before there is more.
    let (mut raw, there) = begun(&world, 512).await;
    while raw.receive().await[0] != 94 {}
    let long = format!("{}etc/hostname", "/.".repeat(2_000) + "/");
    let open = |id, path: &str| sftp(Writer::message(3).u32(id).string(path).u32(1).u32(0));
    let mut all: Vec<u8> = (100..145).flat_map(|id| open(id, &long)).collect();
    let rename = Writer::message(18).u32(1).string(&from);
    all.extend(sftp(rename.string(to.display().to_string())));
    all.extend((200..300).flat_map(|id| open(id, "/")));
    say(&mut raw, there, &all).await;
    // The client takes no answer; it is done there all the same, and somebody who watches sees it.
    let asked = |judge: &Judge| {
        let all = files(judge);
        let is = |line: &&String| line.contains("rename") && line.contains(r#""asked":true"#);
        all.iter().any(|line| is(&line)).then_some(())
    };
    world.judge.until("it is recorded as asked", asked).await;
    raw.send(&Writer::message(93).u32(there).u32(1 << 20).done())
        .await;
    let done = |judge: &Judge| {
        let all = files(judge);
        let is = |line: &&String| line.contains("rename") && line.contains(r#""status":0"#);
        all.iter().any(|line| is(&line)).then_some(())
    };
    world.judge.until("it is recorded as done", done).await;
    drop(raw);
    assert_eq!(world.judge.closings(1).await[0].reason, Reason::Left);
    assert!(to.exists());
    let opened = |line: &&String| line.contains(r#""did":"open""#) && !line.contains("asked");
    assert_eq!(files(&world.judge).iter().filter(opened).count(), 145);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_uploaded_is_counted_although_no_answer_was_taken() {
    let world = World::start().await;
    let path = world.path("upload");
    let (mut raw, there) = begun(&world, 0).await;
    let open = Writer::message(3).u32(1).string(path.display().to_string());
    let mut all = sftp(open.u32(2 | 8).u32(0));
    // OpenSSH's first handle.
    for id in 2..12 {
        let write = Writer::message(6).u32(id).string([0; 4]);
        let write = write.raw(&(u64::from(id - 2) * 20_000).to_be_bytes());
        all.extend(sftp(write.string(vec![7; 20_000])));
    }
    say(&mut raw, there, &all).await;
    let there = |_: &Judge| {
        let size = std::fs::metadata(&path).map_or(0, |file| file.len());
        (size == 200_000).then_some(())
    };
    let asked = |judge: &Judge| (!files(judge).is_empty()).then_some(());
    world.judge.until("it is recorded as asked", asked).await;
    crate::world::soon(async {
        while there(&world.judge).is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(raw);
    world.judge.closings(1).await;
    let lines = files(&world.judge);
    let written =
        |line: &&String| line.contains(r#""path":"handle:00000000""#) && line.contains(r#""written":200000"#);
    assert_eq!(lines.iter().filter(written).count(), 1, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_all_of_a_file_at_once_has_it() {
    let world = World::start().await;
    let path = world.path("large");
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let (mut raw, there) = begun(&world, u32::MAX).await;
    let open = Writer::message(3).u32(1).string(path.display().to_string());
    say(&mut raw, there, &sftp(open.u32(1).u32(0))).await;
    // As many as a target's window takes, of little each.
    let read = |id: u32| {
        let read = Writer::message(5).u32(id).string([0; 4]);
        sftp(read.raw(&(u64::from(id) * 64).to_be_bytes()).u32(64))
    };
    let all: Vec<u8> = (2..60_002).flat_map(read).collect();
    let (mut answers, mut window) = (0_usize, 0_u64);
    say(&mut raw, there, &all).await;
    while answers < 60_000 * (4 + 9 + 64) {
        let message = raw.receive().await;
        let mut fields = Reader(message.get(5..).unwrap_or_default());
        match message[0] {
            94 => answers += fields.string().unwrap().len(),
            93 => window += u64::from(fields.u32().unwrap()),
            _ => {}
        }
    }
    assert!(
        window > 0,
        "the client gets the target's window once it has its answers"
    );
    drop(raw);
    assert_eq!(world.judge.closings(1).await[0].reason, Reason::Left);
    let lines = files(&world.judge);
    assert!(lines[1].contains(r#""read":3840000"#), "{lines:?}");
}

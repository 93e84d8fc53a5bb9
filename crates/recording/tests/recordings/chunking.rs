//! However lines come, and however small the chunks: all of them are there, in order, and no chunk breaks its limits.

use daypass_core::time::{Span, Timestamp};
use daypass_recording::{Error, Limits, Sealed, Writer};
use proptest::prelude::*;

use crate::world::{World, log};

/// What a sender and its owner do.
#[derive(Debug, Clone)]
enum Step {
    /// Sends the next lines, and before them so many that were sent already.
    Send {
        new: usize,
        again: usize,
    },
    /// Time passes.
    Wait(u64),
    Flush,
    /// The process dies, and the sender sends again what it has no answer for.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..6usize, 0..4usize).prop_map(|(new, again)| Step::Send { new, again }),
        2 => (0..7u64).prop_map(Step::Wait),
        1 => Just(Step::Flush),
        1 => Just(Step::Crash),
    ];
    proptest::collection::vec(step, 0..12)
}

/// Sends lines, and logs where so much is stored that nothing more is taken.
async fn send(writer: &mut Writer, now: Timestamp, first: u64, lines: &[String], logged: &mut Vec<Sealed>) {
    while let Err(error) = writer.write(now, first, lines).await {
        assert!(matches!(error, Error::NotLogged(16)), "{error}");
        logged.extend(log(writer));
    }
}

async fn run(limits: Limits, lines: &[String], steps: &[Step]) {
    let world = World::with(limits);
    let mut writer = world.begin("A").await;
    let (mut now, mut sent, mut logged) = (Timestamp::EPOCH, 0usize, Vec::new());
    for step in steps {
        match step {
            Step::Send { new, again } => {
                let from = sent.saturating_sub(*again);
                sent = (sent + new).min(lines.len());
                send(&mut writer, now, from as u64 + 1, &lines[from..sent], &mut logged).await;
            }
            Step::Wait(seconds) => {
                now = now + Span::seconds(*seconds);
                writer.tick(now).await.unwrap();
            }
            Step::Flush => writer.flush().await.unwrap(),
            Step::Crash => {
                // Half of what waits to be logged is; the rest is found in storage.
                let waiting = writer.sealed().to_vec();
                logged.extend_from_slice(&waiting[..waiting.len() / 2]);
                sent = usize::try_from(writer.stored()).unwrap();
                drop(writer);
                let name = crate::world::id("A");
                writer = world
                    .recordings
                    .resume(&name, world.recipients(), &logged)
                    .await
                    .unwrap();
            }
        }
        assert_eq!(writer.taken(), sent as u64);
        assert!(writer.due().is_none_or(|due| now < due), "what is due waits");
        if writer.sealed().len() > 8 {
            logged.extend(log(&mut writer));
        }
    }
    send(&mut writer, now, sent as u64 + 1, &lines[sent..], &mut logged).await;
    writer.finish().await.unwrap();
    logged.extend(log(&mut writer));
    for sealed in &logged {
        let of_chunk = &lines[sealed.first as usize - 1..sealed.last as usize];
        let bytes: usize = of_chunk.iter().map(|line| line.len() + 1).sum();
        assert!(of_chunk.len() <= limits.chunk_lines);
        assert!(bytes <= limits.chunk_bytes || of_chunk.len() == 1);
    }
    assert_eq!(world.faults("A", &logged).await, []);
    let (all, end) = world.replay("A", &logged).await;
    assert!(end.is_none(), "{end:?}");
    assert_eq!(all, lines);
}

proptest! {
    // Each case stores some ten chunks, and waits for the disk with each.
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_line_is_lost_or_twice(
        lines in proptest::collection::vec("[a-zäöü#{}\" ]{0,40}", 0..20),
        steps in steps(),
        chunk_bytes in 1..120usize,
        chunk_lines in 1..6usize,
    ) {
        let limits = Limits { chunk_bytes, chunk_lines, chunk_age: Span::seconds(5), line_bytes: 200 };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(limits, &lines, &steps));
    }
}

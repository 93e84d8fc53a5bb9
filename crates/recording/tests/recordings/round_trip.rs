//! What goes in comes out, and nothing counts before it is stored.

use daypass_core::time::Span;
use daypass_recording::{Error, Identities, Limits, Recipients};

use crate::world::{NOW, World, fault, id, lines, log, small};

#[tokio::test]
async fn what_was_written_is_replayed() {
    let world = World::new();
    let logged = world.finished("A", 8).await;
    let numbers: Vec<_> = logged
        .iter()
        .map(|c| (c.number, c.first, c.last, c.is_last))
        .collect();
    assert_eq!(
        numbers,
        [
            (0, 1, 0, false),
            (1, 1, 3, false),
            (2, 4, 6, false),
            (3, 7, 8, true)
        ]
    );
    let text = serde_json::to_string(&logged).unwrap();
    assert_eq!(
        serde_json::from_str::<Vec<daypass_recording::Sealed>>(&text).unwrap(),
        logged
    );
    let (all, end) = world.replay("A", &logged).await;
    assert_eq!(all, lines(1, 8));
    assert!(end.is_none());
    assert_eq!(world.faults("A", &logged).await, []);
    let stored = std::fs::read(world.file("A", 1)).unwrap();
    assert!(stored.starts_with(b"age-encryption.org/v1\n"));
    assert!(!stored.windows(9).any(|bytes| bytes == b"statement"));
}

#[tokio::test]
async fn a_line_counts_when_its_chunk_is_stored() {
    let world = World::new();
    let mut writer = world.begin("A").await;
    assert_eq!((writer.taken(), writer.stored(), writer.due()), (0, 0, None));
    writer.write(NOW, 1, &lines(1, 2)).await.unwrap();
    assert_eq!((writer.taken(), writer.stored()), (2, 0));
    let due = writer.due().unwrap();
    assert_eq!(due, NOW + Span::seconds(5));
    writer.tick(due - Span::millis(1)).await.unwrap();
    assert_eq!(writer.stored(), 0);
    writer.tick(due).await.unwrap();
    assert_eq!((writer.taken(), writer.stored(), writer.due()), (2, 2, None));
    writer.flush().await.unwrap();
    assert_eq!(writer.sealed().len(), 2, "an empty flush stores nothing");
    writer.write(NOW, 3, &lines(3, 3)).await.unwrap();
    writer.flush().await.unwrap();
    assert_eq!(writer.stored(), 3);
}

#[tokio::test]
async fn what_is_sent_again_is_passed_over_and_a_gap_is_refused() {
    let world = World::new();
    let mut writer = world.begin("A").await;
    writer.write(NOW, 1, &lines(1, 4)).await.unwrap();
    writer.write(NOW, 1, &lines(1, 4)).await.unwrap();
    writer.write(NOW, 3, &lines(3, 5)).await.unwrap();
    let gap = writer.write(NOW, 7, &lines(7, 8)).await.unwrap_err();
    assert!(matches!(gap, Error::Gap { expected: 6, got: 7 }), "{gap}");
    let zero = writer.write(NOW, 0, &lines(0, 9)).await.unwrap_err();
    assert!(matches!(zero, Error::LineZero), "{zero}");
    writer.finish().await.unwrap();
    writer.finish().await.unwrap();
    writer.write(NOW, 2, &lines(2, 5)).await.unwrap();
    let more = writer.write(NOW, 6, &lines(6, 6)).await.unwrap_err();
    assert!(matches!(more, Error::Finished(_)), "{more}");
    let logged = log(&mut writer);
    assert_eq!(world.replay("A", &logged).await.0, lines(1, 5));
}

#[tokio::test]
async fn a_line_that_is_too_long_or_two_is_refused_and_those_before_are_taken() {
    let world = World::new();
    let mut writer = world.begin("A").await;
    let mut batch = lines(1, 2);
    batch.push("x".repeat(201));
    let long = writer.write(NOW, 1, &batch).await.unwrap_err();
    assert_eq!(
        long.to_string(),
        "line 3 has 201 bytes, and 200 are allowed: it must be cut, and say so"
    );
    assert_eq!(writer.taken(), 2);
    let two = writer.write(NOW, 3, &["a\nb"]).await.unwrap_err();
    assert!(matches!(two, Error::TwoLines { number: 3 }), "{two}");
    let longest = "x".repeat(200);
    writer.write(NOW, 3, &[longest.as_str(), "", "#"]).await.unwrap();
    writer.finish().await.unwrap();
    let logged = log(&mut writer);
    let (all, end) = world.replay("A", &logged).await;
    assert!(end.is_none());
    assert_eq!(&all[2..], [longest.as_str(), "", "#"]);
}

#[tokio::test]
async fn each_recipient_opens_it_and_nobody_else() {
    let world = World::new();
    let other = World::new();
    let both = Recipients::read(&[
        world.pair.to_public().to_string(),
        other.pair.to_public().to_string(),
    ])
    .unwrap();
    let mut writer = world.recordings.create(&id("A"), both).await.unwrap();
    writer.write(NOW, 1, &lines(1, 2)).await.unwrap();
    writer.finish().await.unwrap();
    let logged = log(&mut writer);
    for world_of_key in [&world, &other] {
        let identities = world_of_key.identities();
        let mut replay = world.recordings.replay(&id("A"), &logged, &identities).unwrap();
        assert_eq!(replay.next().await.unwrap().unwrap().lines, lines(1, 2));
    }
    let stranger = Identities::read(&age::x25519::Identity::generate().to_string()).unwrap();
    let mut replay = world.recordings.replay(&id("A"), &logged, &stranger).unwrap();
    let error = replay.next().await.unwrap_err();
    assert_eq!(error.to_string(), "chunk 0 is not sealed for any of these keys");
    assert_eq!(
        world.faults("A", &logged).await,
        [],
        "without keys it is still whole"
    );
    drop(fault(Some(error)));
}

#[tokio::test]
async fn of_two_writers_one_is_refused() {
    let world = World::new();
    let mut writer = world.begin("A").await;
    let second = world
        .recordings
        .create(&id("A"), world.recipients())
        .await
        .unwrap_err();
    assert!(matches!(second, Error::Busy(_)), "{second}");
    let elsewhere = world.again();
    let second = elsewhere.create(&id("A"), world.recipients()).await.unwrap_err();
    assert!(matches!(second, Error::Exists(_)), "{second}");

    // Two that both go on from the same place: the first to store has it, and the other says so from then on.
    let logged = log(&mut writer);
    let mut other = elsewhere
        .resume(&id("A"), world.recipients(), &logged)
        .await
        .unwrap();
    other.write(NOW, 1, &lines(1, 3)).await.unwrap();
    for _ in 0..2 {
        let refused = writer
            .write(NOW, writer.taken() + 1, &lines(1, 3))
            .await
            .unwrap_err();
        assert!(matches!(refused, Error::Taken { number: 1, .. }), "{refused}");
    }
    assert!(matches!(
        writer.finish().await.unwrap_err(),
        Error::Taken { number: 1, .. }
    ));
    assert_eq!(writer.stored(), 0);
    other.finish().await.unwrap();
    let all: Vec<_> = logged.into_iter().chain(log(&mut other)).collect();
    assert_eq!(world.faults("A", &all).await, []);
    assert_eq!(world.replay("A", &all).await.0, lines(1, 3));
}

#[tokio::test]
async fn what_is_never_logged_stops_the_writer() {
    let world = World::with(Limits {
        chunk_lines: 1,
        ..small()
    });
    let mut writer = world.begin("A").await;
    let error = writer.write(NOW, 1, &lines(1, 20)).await.unwrap_err();
    assert!(matches!(error, Error::NotLogged(16)), "{error}");
    let mut logged = log(&mut writer);
    let again = writer.logged(&logged[3]).unwrap_err();
    assert!(matches!(again, Error::NotNext { number: 3, .. }), "{again}");
    writer.write(NOW, 1, &lines(1, 20)).await.unwrap();
    writer.finish().await.unwrap();
    logged.extend(log(&mut writer));
    assert_eq!(world.replay("A", &logged).await.0, lines(1, 20));
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for bad in [
        Limits {
            chunk_lines: 0,
            ..small()
        },
        Limits {
            chunk_bytes: 0,
            ..small()
        },
        Limits {
            line_bytes: 1 << 30,
            ..small()
        },
    ] {
        let refused = daypass_recording::Recordings::local(folder.path(), crate::world::key(1), bad);
        assert!(matches!(refused, Err(Error::Limits { .. })), "{bad:?}");
    }
}

#[tokio::test]
async fn what_was_said_is_in_no_debug_text() {
    let world = World::new();
    let mut writer = world.begin("A").await;
    let mut watcher = world.recordings.watch(&id("A")).unwrap();
    writer.write(NOW, 1, &["hunter2"]).await.unwrap();
    let line = watcher.next().await.unwrap();
    let pending = format!("{writer:?} {line:?} {watcher:?}");
    writer.finish().await.unwrap();
    let logged = log(&mut writer);
    let identities = world.identities();
    let mut replay = world.recordings.replay(&id("A"), &logged, &identities).unwrap();
    let piece = replay.next().await.unwrap().unwrap();
    assert_eq!(piece.lines, ["hunter2"]);
    let told = format!("{pending} {writer:?} {piece:?} {replay:?} {:?}", world.recordings);
    assert!(!told.contains("hunter2"), "{told}");
    assert!(!told.contains("AGE-SECRET-KEY"), "{told}");
}

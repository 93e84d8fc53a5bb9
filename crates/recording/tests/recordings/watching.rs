//! Whoever watches hears lines as they come, and never holds up the session.

use daypass_recording::{End, Limits};

use crate::world::{NOW, World, id, lines};

#[tokio::test]
async fn lines_are_heard_as_they_come() {
    let world = World::new();
    assert!(world.recordings.watch(&id("A")).is_none());
    let mut writer = world.begin("A").await;
    writer.write(NOW, 1, &lines(1, 1)).await.unwrap();
    let mut watcher = world.recordings.watch(&id("A")).unwrap();
    writer.write(NOW, 2, &lines(2, 2)).await.unwrap();
    writer.write(NOW, 1, &lines(1, 3)).await.unwrap();
    for number in 2..=3 {
        let line = watcher.next().await.unwrap();
        assert_eq!(
            (line.number, &*line.text),
            (number, lines(number, number)[0].as_str())
        );
    }
    writer.finish().await.unwrap();
    assert_eq!(watcher.next().await, Err(End::Finished));
    let mut late = world.recordings.watch(&id("A")).unwrap();
    assert_eq!(late.next().await, Err(End::Finished));
    drop(writer);
    assert!(world.recordings.watch(&id("A")).is_none());
}

#[tokio::test]
async fn a_recording_that_is_cut_is_told_so() {
    let world = World::new();
    let mut writer = world.begin("A").await;
    let mut watcher = world.recordings.watch(&id("A")).unwrap();
    writer.write(NOW, 1, &lines(1, 1)).await.unwrap();
    drop(writer);
    assert_eq!(watcher.next().await.unwrap().number, 1);
    assert_eq!(watcher.next().await, Err(End::Cut));
}

#[tokio::test]
async fn who_is_too_slow_is_dropped_with_a_word() {
    let world = World::with(Limits::default());
    let mut writer = world.begin("A").await;
    let mut slow = world.recordings.watch(&id("A")).unwrap();
    let mut quick = world.recordings.watch(&id("A")).unwrap();
    let long = "x".repeat(1 << 20);
    for number in 1..=6 {
        writer.write(NOW, number, &[&long]).await.unwrap();
        assert_eq!(quick.next().await.unwrap().number, number);
    }
    assert_eq!(writer.taken(), 6);
    // What waited is heard: four of a mebibyte are more than the queue has with what they cost besides.
    for number in 1..=3 {
        assert_eq!(slow.next().await.unwrap().number, number);
    }
    assert_eq!(slow.next().await, Err(End::TooSlow));
    writer.finish().await.unwrap();
    assert_eq!(quick.next().await, Err(End::Finished));
}

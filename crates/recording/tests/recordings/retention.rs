//! What is old goes, what is being written stays, and a removal that failed halfway goes on.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use daypass_core::time::{Span, Timestamp};
use daypass_recording::{Error, Removed};

use crate::failing::Failing;
use crate::world::{NOW, World, id, lines, log};

/// As if each chunk of a recording had been stored so many seconds after 1970.
fn stored_at(world: &World, recording: &str, seconds: u64) {
    for file in fs::read_dir(world.folder.path().join(recording)).unwrap() {
        let file = fs::File::options()
            .write(true)
            .open(file.unwrap().path())
            .unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds))
            .unwrap();
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::EPOCH + Span::seconds(seconds)
}

#[tokio::test]
async fn what_is_old_goes_once() {
    let world = World::new();
    let old = world.finished("old", 8).await;
    world.finished("kept", 8).await;
    let young = world.finished("young", 8).await;
    stored_at(&world, "old", 100);
    stored_at(&world, "kept", 100);
    stored_at(&world, "young", 200);
    let kept = id("kept");
    let expired = world
        .recordings
        .expire(at(150), |recording| *recording == kept)
        .await
        .unwrap();
    assert!(expired.failed.is_empty());
    let removed = Removed {
        recording: id("old"),
        chunks: 4,
        bytes: old.iter().map(|sealed| sealed.bytes).sum(),
        is_gone: true,
    };
    assert_eq!(expired.removed, [removed]);
    assert!(!world.folder.path().join("old").exists());
    assert_eq!((world.files("kept"), world.files("young")), (4, 4));
    assert_eq!(world.faults("young", &young).await, []);
    let again = world
        .recordings
        .expire(at(150), |recording| *recording == kept)
        .await
        .unwrap();
    assert!(again.removed.is_empty() && again.failed.is_empty());
    let all = world.recordings.expire(at(1000), |_| false).await.unwrap();
    assert_eq!(all.removed.len(), 2);
    world.finished("new", 1).await;
}

#[tokio::test]
async fn what_is_being_written_stays() {
    let world = World::new();
    let mut writer = world.begin("A").await;
    writer.write(NOW, 1, &lines(1, 3)).await.unwrap();
    stored_at(&world, "A", 100);
    let expired = world.recordings.expire(at(150), |_| false).await.unwrap();
    assert!(expired.removed.is_empty() && expired.failed.is_empty());
    assert_eq!(world.recordings.due(at(150)).await.unwrap(), []);
    let busy = world.recordings.remove(&id("A")).await.unwrap_err();
    assert!(matches!(busy, Error::Busy(_)), "{busy}");
    writer.finish().await.unwrap();
    assert_eq!(world.faults("A", &log(&mut writer)).await, []);
    drop(writer);
    stored_at(&world, "A", 100);
    let expired = world.recordings.expire(at(150), |_| false).await.unwrap();
    assert_eq!(expired.removed.len(), 1);
}

#[tokio::test]
async fn the_last_chunk_says_how_old_it_is() {
    let world = World::new();
    world.finished("A", 8).await;
    stored_at(&world, "A", 100);
    let last = fs::File::options().write(true).open(world.file("A", 3)).unwrap();
    last.set_modified(UNIX_EPOCH + Duration::from_secs(200)).unwrap();
    assert_eq!(world.recordings.due(at(200)).await.unwrap(), []);
    assert_eq!(world.recordings.due(at(201)).await.unwrap(), [id("A")]);
}

#[tokio::test]
async fn a_removal_that_fails_halfway_goes_on() {
    let mut world = World::new();
    let fails = Failing::around(&mut world);
    world.finished("A", 8).await;
    world.finished("B", 2).await;
    stored_at(&world, "A", 100);
    stored_at(&world, "B", 100);
    fails.removals_after(1);
    let expired = world.recordings.expire(at(150), |_| false).await.unwrap();
    let failed: Vec<_> = expired
        .failed
        .iter()
        .map(|(recording, _)| recording.clone())
        .collect();
    assert_eq!(failed, [id("A"), id("B")]);
    let of_each: Vec<_> = expired.removed.iter().map(|r| (r.chunks, r.is_gone)).collect();
    assert_eq!(of_each, [(1, false), (0, false)]);
    // The newest went first: what is left is old still, and its name is not free.
    assert!(!world.file("A", 3).exists() && world.file("A", 0).exists());
    let taken = world
        .recordings
        .create(&id("A"), world.recipients())
        .await
        .unwrap_err();
    assert!(matches!(taken, Error::Exists(_)), "{taken}");
    fails.never();
    let expired = world.recordings.expire(at(150), |_| false).await.unwrap();
    let of_each: Vec<_> = expired.removed.iter().map(|r| (r.chunks, r.is_gone)).collect();
    assert_eq!(of_each, [(3, true), (2, true)]);
    assert!(expired.failed.is_empty());
    assert_eq!((world.files("A"), world.files("B")), (0, 0));
}

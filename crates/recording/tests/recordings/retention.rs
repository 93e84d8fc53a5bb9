//! What is old goes, what is being written stays, and a removal that failed halfway goes on.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::time::{Duration, UNIX_EPOCH};

use daypass_core::time::{Span, Timestamp};
use daypass_recording::{Error, Fault, RecordingId, Removed};

use crate::failing::Failing;
use crate::world::{NOW, World, id, lines, log};

/// What the log says: when the last chunk of each was logged, in seconds after 1970.
fn logged<const N: usize>(all: [(&str, u64); N]) -> impl Fn(&RecordingId) -> Option<Timestamp> {
    let all = all.map(|(name, seconds)| (id(name), at(seconds)));
    move |asked| {
        let found = all.iter().find(|(recording, _)| recording == asked);
        found.map(|(_, at)| *at)
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
    let log = || logged([("old", 100), ("young", 200), ("elsewhere", 1)]);
    assert_eq!(world.recordings.due(at(100), log()).await.unwrap(), []);
    assert_eq!(world.recordings.due(at(101), log()).await.unwrap(), [id("old")]);
    let expired = world.recordings.expire(at(150), log()).await.unwrap();
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
    let again = world.recordings.expire(at(150), log()).await.unwrap();
    assert!(again.removed.is_empty() && again.failed.is_empty());
    let all = world.recordings.expire(at(1000), |_| Some(at(1))).await.unwrap();
    assert_eq!(all.removed.len(), 2);
    world.finished("new", 1).await;
}

#[tokio::test]
async fn what_is_being_written_stays() {
    let world = World::new();
    let mut writer = world.begin("A").await;
    writer.write(NOW, 1, &lines(1, 3)).await.unwrap();
    let old = || logged([("A", 100)]);
    let expired = world.recordings.expire(at(150), old()).await.unwrap();
    assert!(expired.removed.is_empty() && expired.failed.is_empty());
    assert_eq!(world.recordings.due(at(150), old()).await.unwrap(), []);
    let busy = world.recordings.remove(&id("A")).await.unwrap_err();
    assert!(matches!(busy, Error::Busy(_)), "{busy}");
    writer.finish().await.unwrap();
    assert_eq!(world.faults("A", &log(&mut writer)).await, []);
    drop(writer);
    let expired = world.recordings.expire(at(150), old()).await.unwrap();
    assert_eq!(expired.removed.len(), 1);
}

/// Whoever can write to the storage can set its times: back, so that evidence goes early, and forward, so that it stays for ever.
#[tokio::test]
async fn the_storages_own_times_decide_nothing() {
    let world = World::new();
    for (name, seconds) in [("old", 4_000_000_000), ("young", 1)] {
        world.finished(name, 8).await;
        for file in fs::read_dir(world.folder.path().join(name)).unwrap() {
            let file = fs::File::options()
                .write(true)
                .open(file.unwrap().path())
                .unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds))
                .unwrap();
        }
    }
    let log = logged([("old", 100), ("young", 200)]);
    assert_eq!(world.recordings.due(at(150), log).await.unwrap(), [id("old")]);
}

#[tokio::test]
async fn strange_names_stop_nothing_and_are_told() {
    let world = World::new();
    let all = world.finished("A", 8).await;
    world.finished("B", 2).await;
    let folder = world.folder.path().join("A");
    fs::write(folder.join("2.age"), "").unwrap();
    // No object can be called that.
    let bad = folder.join(OsStr::from_bytes(b"\xff\xfe"));
    fs::write(&bad, "").unwrap();
    assert_eq!(world.faults("A", &all).await, [Fault::Strange { objects: 2 }]);
    assert!(world.replay("A", &all).await.1.is_none());
    drop(
        world
            .recordings
            .resume(&id("A"), world.recipients(), &all)
            .await
            .unwrap(),
    );
    let expired = world.recordings.expire(at(150), |_| Some(at(1))).await.unwrap();
    let of_each: Vec<_> = expired.removed.iter().map(|r| (r.chunks, r.is_gone)).collect();
    assert_eq!(of_each, [(5, false), (2, true)]);
    assert!(matches!(&expired.failed[..], [(recording, Error::Strange(_))] if *recording == id("A")));
    assert_eq!(world.files("A"), 1);
}

#[tokio::test]
async fn a_removal_that_fails_halfway_goes_on() {
    let mut world = World::new();
    let fails = Failing::around(&mut world);
    world.finished("A", 8).await;
    world.finished("B", 2).await;
    let old = || logged([("A", 100), ("B", 100)]);
    fails.removals_after(1);
    let expired = world.recordings.expire(at(150), old()).await.unwrap();
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
    let expired = world.recordings.expire(at(150), old()).await.unwrap();
    let of_each: Vec<_> = expired.removed.iter().map(|r| (r.chunks, r.is_gone)).collect();
    assert_eq!(of_each, [(3, true), (2, true)]);
    assert!(expired.failed.is_empty());
    assert_eq!((world.files("A"), world.files("B")), (0, 0));
}

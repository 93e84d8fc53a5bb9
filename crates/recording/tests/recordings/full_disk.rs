//! A disk that is full: nothing is lost, nothing more is taken, and it goes on where there is room again.

use std::process::Command;

use daypass_recording::Error;
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::world::{NOW, World, log, small};

/// The limit is of a whole process, and so is the signal that comes with it: the test below runs in a process of its own.
#[test]
fn a_full_disk_loses_nothing() {
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "full_disk::in_a_process_of_its_own"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

fn room(bytes: Option<u64>) {
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    setrlimit(Resource::Fsize, limit).unwrap();
}

#[tokio::test]
#[ignore = "run by `a_full_disk_loses_nothing`, which gives it a process of its own"]
async fn in_a_process_of_its_own() {
    let world = World::with(daypass_recording::Limits {
        chunk_bytes: 8 << 10,
        line_bytes: 8 << 10,
        ..small()
    });
    let all: Vec<_> = ('a'..='e')
        .map(|letter| letter.to_string().repeat(2000))
        .collect();
    let mut writer = world.begin("A").await;
    room(Some(4 << 10));
    for _ in 0..2 {
        let error = writer.write(NOW, 1, &all).await.unwrap_err();
        assert!(matches!(error, Error::Storage(_)), "{error}");
        assert_eq!((writer.taken(), writer.stored()), (3, 0));
    }
    assert!(writer.finish().await.is_err());
    assert_eq!(world.files("A"), 1, "half a chunk is left behind");
    let error = world
        .recordings
        .create(&crate::world::id("B"), world.recipients())
        .await;
    assert!(error.is_ok(), "chunk 0 is small");
    room(None);
    writer.write(NOW, 1, &all).await.unwrap();
    writer.finish().await.unwrap();
    let logged = log(&mut writer);
    assert_eq!(world.faults("A", &logged).await, []);
    assert_eq!(world.replay("A", &logged).await.0, all);
}

//! A crash between the store and the log: what is ours is taken over, what is not is refused, and what stays open is cut.

use std::fs;

use daypass_recording::{Error, Fault, Recordings, Sealed, Writer};
use futures_util::FutureExt as _;

use crate::failing::Failing;
use crate::world::{NOW, World, fault, id, key, lines, log, small};

/// A recording whose process died: chunks 0 and 1 are logged, 2 is stored and not logged, line 7 was taken and is lost.
async fn crashed(world: &World) -> Vec<Sealed> {
    let mut writer = world.begin("A").await;
    writer.write(NOW, 1, &lines(1, 7)).await.unwrap();
    assert_eq!(writer.stored(), 6);
    let mut logged = log(&mut writer);
    logged.pop().unwrap();
    logged
}

async fn resume(recordings: &Recordings, world: &World, logged: &[Sealed]) -> Result<Writer, Error> {
    recordings.resume(&id("A"), world.recipients(), logged).await
}

#[tokio::test]
async fn what_was_stored_and_not_logged_is_taken_over() {
    let world = World::new();
    let mut logged = crashed(&world).await;
    assert_eq!(
        world.faults("A", &logged).await,
        [Fault::NotInLog { number: 2 }, Fault::Cut { after: 3 }]
    );
    let mut writer = resume(&world.again(), &world, &logged).await.unwrap();
    assert_eq!((writer.stored(), writer.sealed().len()), (6, 1));
    writer.write(NOW, 4, &lines(4, 8)).await.unwrap();
    writer.finish().await.unwrap();
    logged.extend(log(&mut writer));
    assert_eq!(world.faults("A", &logged).await, []);
    let (all, end) = world.replay("A", &logged).await;
    assert_eq!((all, end.is_none()), (lines(1, 8), true));
}

#[tokio::test]
async fn two_servers_that_take_over_the_same_make_no_gap_in_the_log() {
    let world = World::new();
    let mut logged = crashed(&world).await;
    let (mut one, mut two) = (
        resume(&world.again(), &world, &logged).await.unwrap(),
        resume(&world.again(), &world, &logged).await.unwrap(),
    );
    logged.extend(log(&mut one));
    logged.extend(log(&mut two));
    assert_eq!(logged.len(), 4);
    assert_eq!(world.faults("A", &logged).await, [Fault::Cut { after: 6 }]);
    drop(two);
    let mut writer = resume(&world.again(), &world, &logged).await.unwrap();
    writer.write(NOW, 7, &lines(7, 8)).await.unwrap();
    writer.finish().await.unwrap();
    logged.extend(log(&mut writer));
    assert_eq!(world.faults("A", &logged).await, []);
    assert_eq!(world.replay("A", &logged).await.0, lines(1, 8));
}

/// The client of the storage asks again by itself: the chunk lies there before the first answer.
#[tokio::test]
async fn a_chunk_that_the_storages_client_stored_twice_is_our_own() {
    let mut world = World::new();
    let fails = Failing::around(&mut world);
    fails.twice();
    let mut writer = world.begin("A").await;
    writer.write(NOW, 1, &lines(1, 4)).await.unwrap();
    writer.finish().await.unwrap();
    let logged = log(&mut writer);
    assert_eq!(logged.len(), 3);
    assert_eq!(world.faults("A", &logged).await, []);
    assert_eq!(world.replay("A", &logged).await.0, lines(1, 4));
}

/// The one thread for such work is taken: whoever asks is not kept, and nothing reaches the storage before it is sealed there.
#[test]
fn sealing_holds_nobody_up() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::new();
        let fails = Failing::around(&mut world);
        let mut writer = world.begin("A").await;
        writer.write(NOW, 1, &lines(1, 2)).await.unwrap();
        let asked = fails.asked();
        let (free, taken) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || taken.recv());
        assert!(writer.flush().now_or_never().is_none());
        assert_eq!(fails.asked(), asked);
        free.send(()).unwrap();
        busy.await.unwrap().unwrap();
        writer.flush().await.unwrap();
        assert_eq!((writer.stored(), fails.asked()), (2, asked + 1));
    });
}

#[tokio::test]
async fn without_going_on_it_is_shown_as_cut() {
    let world = World::new();
    let mut logged = crashed(&world).await;
    logged.extend(log(&mut resume(&world.again(), &world, &logged).await.unwrap()));
    assert_eq!(world.faults("A", &logged).await, [Fault::Cut { after: 6 }]);
    let (all, end) = world.replay("A", &logged).await;
    assert_eq!((all, fault(end)), (lines(1, 6), Fault::Cut { after: 6 }));
}

#[tokio::test]
async fn an_end_that_was_not_logged_is_taken_over_and_nothing_after_it() {
    let world = World::new();
    let mut logged = world.finished("A", 5).await;
    let last = logged.pop().unwrap();
    let mut writer = resume(&world.recordings, &world, &logged).await.unwrap();
    assert!(writer.is_finished());
    assert_eq!(writer.sealed(), std::slice::from_ref(&last));
    assert!(matches!(
        writer.write(NOW, 6, &lines(6, 6)).await.unwrap_err(),
        Error::Finished(_)
    ));
    drop(writer);
    logged.push(last);
    fs::copy(world.file("A", 2), world.file("A", 3)).unwrap();
    let error = resume(&world.recordings, &world, &logged).await.unwrap_err();
    assert!(matches!(error, Error::Stranger { number: 3, .. }), "{error}");
}

#[tokio::test]
async fn a_crash_before_anything_was_logged() {
    let world = World::new();
    drop(world.begin("A").await);
    let mut writer = resume(&world.recordings, &world, &[]).await.unwrap();
    assert_eq!(log(&mut writer).len(), 1);
    let error = world
        .recordings
        .resume(&id("B"), world.recipients(), &[])
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "there is no recording B");
}

#[tokio::test]
async fn what_somebody_else_put_there_is_not_taken_over() {
    let world = World::new();
    let logged = crashed(&world).await;
    let is_stranger = async |recordings: &Recordings| {
        let error = resume(recordings, &world, &logged).await.unwrap_err();
        assert!(matches!(error, Error::Stranger { number: 2, .. }), "{error}");
    };
    // Anybody can seal for a public key, and knows the form; the server's key is what they lack.
    is_stranger(&Recordings::local(world.folder.path(), key(2), small()).unwrap()).await;
    // Chunks of ours in the wrong place, or of another recording.
    world.finished("B", 8).await;
    for wrong in [world.file("A", 1), world.file("B", 2), world.file("B", 3)] {
        fs::copy(wrong, world.file("A", 2)).unwrap();
        is_stranger(&world.recordings).await;
    }
    // What is no chunk at all, and one beyond a gap.
    for bytes in [
        b"".as_slice(),
        b"age-encryption.org/v1\n-> daypass-recording-chunk A\n---",
    ] {
        fs::write(world.file("A", 2), bytes).unwrap();
        is_stranger(&world.recordings).await;
    }
    fs::rename(world.file("A", 2), world.file("A", 3)).unwrap();
    is_stranger(&world.recordings).await;
}

#[tokio::test]
async fn an_envelope_with_other_words_is_not_taken_over() {
    let world = World::new();
    let logged = crashed(&world).await;
    let bytes = fs::read(world.file("A", 2)).unwrap();
    let at = bytes
        .windows(11)
        .position(|word| word.starts_with(b" A 2 4 6 "))
        .unwrap();
    let mut forged = bytes.clone();
    forged[at + 7] = b'9';
    fs::write(world.file("A", 2), forged).unwrap();
    let error = resume(&world.recordings, &world, &logged).await.unwrap_err();
    assert!(matches!(error, Error::Stranger { number: 2, .. }), "{error}");
    fs::write(world.file("A", 2), bytes).unwrap();
    resume(&world.recordings, &world, &logged).await.unwrap();
}

#[tokio::test]
async fn a_list_that_is_wrong_is_not_gone_on_with() {
    let world = World::new();
    let mut logged = crashed(&world).await;
    logged.remove(0);
    let error = resume(&world.recordings, &world, &logged).await.unwrap_err();
    assert_eq!(fault(Some(error)), Fault::LogGap { number: 0 });
}

/// As where the writer gives up on a storage that takes long: what was begun is done all the same, and nobody heard so.
#[tokio::test]
async fn a_store_that_was_not_waited_for_is_our_own() {
    let mut world = World::new();
    let fails = Failing::around(&mut world);
    let mut writer = world.begin("A").await;
    writer.write(NOW, 1, &lines(1, 2)).await.unwrap();
    fails.silent();
    tokio::select! {
        answer = writer.flush() => panic!("the storage answered: {answer:?}"),
        () = fails.stored() => {}
    }
    fails.never();
    assert!(world.file("A", 1).exists());
    assert_eq!(writer.stored(), 0);
    writer.write(NOW, 3, &lines(3, 3)).await.unwrap();
    assert_eq!((writer.stored(), writer.taken()), (2, 3));
    writer.finish().await.unwrap();
    let logged = log(&mut writer);
    assert_eq!(logged.len(), 3);
    assert_eq!(world.faults("A", &logged).await, []);
    assert_eq!(world.replay("A", &logged).await.0, lines(1, 3));
}

/// As where the file is there and the folder could not be synced: the answer is an error, and the chunk is in its place.
#[tokio::test]
async fn a_store_that_worked_and_said_that_it_failed_is_our_own() {
    let mut world = World::new();
    let fails = Failing::around(&mut world);
    let mut writer = world.begin("A").await;
    fails.after_storing();
    let error = writer.write(NOW, 1, &lines(1, 4)).await.unwrap_err();
    assert!(matches!(error, Error::Storage(_)), "{error}");
    assert!(world.file("A", 1).exists());
    assert_eq!((writer.stored(), writer.sealed().len()), (0, 1));
    fails.never();
    writer.write(NOW, 1, &lines(1, 4)).await.unwrap();
    assert_eq!((writer.stored(), fails.overwritten()), (3, 1));
    writer.finish().await.unwrap();
    let logged = log(&mut writer);
    assert_eq!(world.faults("A", &logged).await, []);
    assert_eq!(world.replay("A", &logged).await.0, lines(1, 4));
}

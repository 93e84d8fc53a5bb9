//! Each way to tamper is found, and told by its name, by whoever has no key too.

use std::fs;

use daypass_recording::{Fault, Sealed};

use crate::failing::Failing;
use crate::world::{NOW, World, fault, id, lines, log};

/// Tampers with a recording of four chunks with eight lines, and says what is found without and with keys.
async fn after(tamper: impl AsyncFn(&World, &mut Vec<Sealed>)) -> (Vec<Fault>, u64, Fault) {
    let world = World::new();
    let mut logged = world.finished("A", 8).await;
    tamper(&world, &mut logged).await;
    let faults = world.faults("A", &logged).await;
    let (shown, end) = world.replay("A", &logged).await;
    assert_eq!(shown, lines(1, shown.len() as u64), "nothing wrong is shown");
    (faults, shown.len() as u64, fault(end))
}

#[tokio::test]
async fn a_missing_chunk() {
    let missing = Fault::Missing { number: 2 };
    let found = after(async |world, _| fs::remove_file(world.file("A", 2)).unwrap()).await;
    assert_eq!(found, (vec![missing.clone()], 3, missing.clone()));
    assert_eq!(
        missing.to_string(),
        "chunk 2 is missing: the log has it, and it is not stored"
    );
}

#[tokio::test]
async fn a_changed_chunk() {
    for at in [0, 30, 500] {
        let found = after(async |world, _| {
            let mut bytes = fs::read(world.file("A", 2)).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1;
            fs::write(world.file("A", 2), bytes).unwrap();
        })
        .await;
        let changed = Fault::Changed { number: 2 };
        assert_eq!(found, (vec![changed.clone()], 3, changed), "byte {at}");
    }
}

#[tokio::test]
async fn a_shortened_or_huge_chunk() {
    for bytes in [0, 10, 20 << 20] {
        let found = after(async |world, _| {
            let file = fs::File::options().write(true).open(world.file("A", 3)).unwrap();
            file.set_len(bytes).unwrap();
        })
        .await;
        let changed = Fault::Changed { number: 3 };
        assert_eq!(found, (vec![changed.clone()], 6, changed));
    }
}

#[tokio::test]
async fn a_huge_chunk_is_not_read() {
    let mut world = World::new();
    let logged = world.finished("A", 8).await;
    let fails = Failing::around(&mut world);
    for (bytes, read) in [(2 << 20, 2 << 20), (20 << 20, 2 << 20)] {
        let file = fs::File::options().write(true).open(world.file("A", 3)).unwrap();
        file.set_len(bytes).unwrap();
        assert_eq!(world.faults("A", &logged).await, [Fault::Changed { number: 3 }]);
        assert_eq!(fails.read(), read, "the first is, and the second is not");
    }
}

#[tokio::test]
async fn what_is_logged_twice_in_the_same_words_is_there_once() {
    let world = World::new();
    let logged = world.finished("A", 8).await;
    let mut twice = logged.clone();
    twice.insert(3, logged[2].clone());
    twice.push(logged[1].clone());
    let verdict = world.recordings.verify(&id("A"), &twice).await.unwrap();
    assert_eq!((verdict.faults, verdict.chunks, verdict.lines), (vec![], 4, 8));
    assert_eq!(world.replay("A", &twice).await.0, lines(1, 8));
    // In other words it is another chunk.
    twice[3].last += 1;
    assert!(!world.faults("A", &twice).await.is_empty());
}

#[tokio::test]
async fn exchanged_chunks() {
    let found = after(async |world, _| {
        let spare = world.folder.path().join("spare");
        fs::rename(world.file("A", 1), &spare).unwrap();
        fs::rename(world.file("A", 2), world.file("A", 1)).unwrap();
        fs::rename(&spare, world.file("A", 2)).unwrap();
    })
    .await;
    let first = Fault::Exchanged { number: 1, holds: 2 };
    let second = Fault::Exchanged { number: 2, holds: 1 };
    assert_eq!(found, (vec![first.clone(), second], 0, first));
}

#[tokio::test]
async fn a_chunk_of_another_recording() {
    let found = after(async |world, _| {
        world.finished("B", 8).await;
        fs::copy(world.file("B", 2), world.file("A", 2)).unwrap();
    })
    .await;
    let foreign = Fault::Foreign {
        number: 2,
        holds: 2,
        of: id("B"),
    };
    assert_eq!(
        foreign.to_string(),
        "chunk 2 is of another recording: what lies in its place says that it is chunk 2 of B"
    );
    assert_eq!(found, (vec![foreign.clone()], 3, foreign));
}

#[tokio::test]
async fn an_end_that_was_cut_off() {
    // From storage alone: the log still has it.
    let missing = Fault::Missing { number: 3 };
    let found = after(async |world, _| fs::remove_file(world.file("A", 3)).unwrap()).await;
    assert_eq!(found, (vec![missing.clone()], 6, missing));
    // From the list too: nothing says that it is the last.
    let cut = Fault::Cut { after: 6 };
    let found = after(async |world, logged| {
        fs::remove_file(world.file("A", 3)).unwrap();
        logged.pop();
    })
    .await;
    assert_eq!(found, (vec![cut.clone()], 6, cut.clone()));
    assert_eq!(
        cut.to_string(),
        "the recording was cut after line 6: it was never finished"
    );
    // From the list alone.
    let found = after(async |_, logged| drop(logged.pop())).await;
    assert_eq!(found, (vec![Fault::NotInLog { number: 3 }, cut.clone()], 6, cut));
    // All of it.
    let nothing = Fault::Cut { after: 0 };
    let found = after(async |world, logged| {
        fs::remove_dir_all(world.folder.path().join("A")).unwrap();
        logged.clear();
    })
    .await;
    assert_eq!(found, (vec![nothing.clone()], 0, nothing));
}

#[tokio::test]
async fn a_list_that_is_wrong() {
    let gap = Fault::LogGap { number: 1 };
    let found = after(async |_, logged| drop(logged.remove(1))).await;
    assert_eq!(found, (vec![gap.clone(), Fault::NotInLog { number: 1 }], 0, gap));

    let (faults, _, end) = after(async |_, logged| logged[2].first += 1).await;
    assert_eq!(
        (faults, end),
        (vec![Fault::LogLines { number: 2 }], Fault::LogLines { number: 2 })
    );

    let (faults, _, end) = after(async |_, logged| logged[1].is_last = true).await;
    let more = |number| Fault::AfterEnd { number };
    assert_eq!((faults, end), (vec![more(2), more(3)], more(2)));

    let (_, _, end) = after(async |_, logged| logged[2].recording = id("B")).await;
    assert_eq!(
        end,
        Fault::LogForeign {
            number: 2,
            of: id("B")
        }
    );
}

/// Who writes to storage *and* to the log replaces a chunk and its hash: the chain says that the text is not the one.
#[tokio::test]
async fn a_chunk_that_was_sealed_anew() {
    let world = World::new();
    let logged = world.finished("A", 8).await;
    let other = World::new();
    let mut writer = other
        .recordings
        .create(&id("A"), world.recipients())
        .await
        .unwrap();
    let mut forged_lines = lines(1, 8);
    forged_lines[4] = "{\"statement\":\"harmless\"}".to_owned();
    writer.write(NOW, 1, &forged_lines).await.unwrap();
    writer.finish().await.unwrap();
    let forged = log(&mut writer);
    fs::copy(other.file("A", 2), world.file("A", 2)).unwrap();
    let mut list = logged.clone();
    list[2].sealed = forged[2].sealed;
    list[2].bytes = forged[2].bytes;
    let (shown, end) = world.replay("A", &list).await;
    assert_eq!((shown.len(), fault(end)), (3, Fault::OtherText { number: 2 }));
    // With the chain's value replaced too, the next chunk does not follow.
    list[2].chain = forged[2].chain;
    let (shown, end) = world.replay("A", &list).await;
    assert_eq!((shown.len(), fault(end)), (6, Fault::OtherText { number: 3 }));
    // A file that is none of age's, logged as it is.
    fs::write(world.file("A", 1), b"nonsense").unwrap();
    let mut list = logged;
    list[1].sealed = daypass_recording::Digest::of(b"nonsense");
    assert_eq!(
        fault(world.replay("A", &list).await.1),
        Fault::Unreadable { number: 1 }
    );
}

/// Hashes that fit, and a list that says something else about them: what is sealed inside has the last word.
#[tokio::test]
async fn a_list_that_lies_about_a_whole_chunk() {
    let world = World::new();
    let logged = world.finished("A", 8).await;
    let mut longer = logged.clone();
    longer[3].last = 9;
    assert_eq!(
        world.faults("A", &longer).await,
        [],
        "without a key nobody can tell"
    );
    let (shown, end) = world.replay("A", &longer).await;
    assert_eq!((shown.len(), fault(end)), (6, Fault::OtherText { number: 3 }));
    // The end cut off from storage and list, and the chunk before called the last.
    let mut shorter = logged;
    shorter.pop();
    shorter[2].is_last = true;
    fs::remove_file(world.file("A", 3)).unwrap();
    let (shown, end) = world.replay("A", &shorter).await;
    assert_eq!((shown.len(), fault(end)), (3, Fault::OtherText { number: 2 }));
}

#[tokio::test]
async fn what_follows_a_broken_chunk_is_shown_to_who_wants_it() {
    let world = World::new();
    let logged = world.finished("A", 8).await;
    fs::remove_file(world.file("A", 2)).unwrap();
    let identities = world.identities();
    let mut replay = world.recordings.replay(&id("A"), &logged, &identities).unwrap();
    assert_eq!(replay.next().await.unwrap().unwrap().lines, lines(1, 3));
    assert!(replay.next().await.is_err());
    replay.skip();
    assert_eq!(replay.next().await.unwrap().unwrap().lines, lines(7, 8));
    assert!(replay.next().await.unwrap().is_none());
}

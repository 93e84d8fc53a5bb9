//! What stands until somebody accepts it, what is taken along to another address, and what whoever verified a log or accepts one pins.

use super::*;
use crate::failure::Failure;

async fn accepts(home: &Path, client: &Client, given: &[u8], explicit: bool) -> Option<Pinned> {
    let pin = PinFile::new(home, client.server()).read().unwrap().unwrap();
    let pinned = pin.log.as_ref().unwrap();
    let seen = (pinned, pinned.read().unwrap());
    let size = seen.1.checkpoint.size;
    let shown = Shown::ask(client, size, edge::now()).await.unwrap().unwrap();
    let guard = guard(home, client, given);
    guard
        .accepted(client, (Some(&seen), &shown), explicit)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_proved_fork_stands_until_somebody_accepts_it() {
    let (log, client) = serve().await;
    let home = tempfile::tempdir().unwrap();
    shows(&log, b"abcdefg", 1);
    command(home.path(), &client, &[]).await.unwrap();
    shows(&log, b"abcdefX", 1);
    let told = command(home.path(), &client, &[]).await.unwrap_err();
    assert!(told.contains("signed two logs"), "what it proves: {told}");
    // The first one again, and as if nothing had been.
    shows(&log, b"abcdefgh", 1);
    for _ in 0..2 {
        let told = command(home.path(), &client, &[]).await.unwrap_err();
        assert!(told.contains("nobody has accepted it"), "{told}");
        assert!(told.contains("evidence-"), "{told}");
    }
    let file = PinFile::new(home.path(), client.server());
    let pin = file.read().unwrap().unwrap();
    file.put(&Pin { forked: None, ..pin }).unwrap();
    command(home.path(), &client, &[]).await.unwrap();
}

#[tokio::test]
async fn each_finding_says_what_it_proves() {
    let (log, client) = serve().await;
    let home = tempfile::tempdir().unwrap();
    shows(&log, b"abcdefg", 1);
    command(home.path(), &client, &[]).await.unwrap();
    for (leaves, seed, proves) in [
        ("abcde", 1, "may be genuine and older"),
        ("abcdXfghij", 1, "may have been spoilt on the way"),
        ("abcdefg", 2, "anybody can write one"),
        ("abcdefX", 1, "signed two logs"),
    ] {
        shows(&log, leaves.as_bytes(), seed);
        let told = command(home.path(), &client, &[]).await.unwrap_err();
        assert!(told.contains(proves), "{leaves}: {told}");
    }
}

#[tokio::test]
async fn another_address_of_the_same_server_has_the_same_memory() {
    let (log, client) = serve().await;
    let other = Client::new(&Connection {
        server: client.server().replace("127.0.0.1", "localhost"),
        ..Connection::default()
    })
    .unwrap();
    let home = tempfile::tempdir().unwrap();
    shows(&log, b"abcdefg", 1);
    command(home.path(), &client, &[]).await.unwrap();
    shows(&log, b"abcd", 1);
    let told = command(home.path(), &other, &[]).await.unwrap_err();
    assert!(told.contains("went back"), "{told}");
    // Nor is it the same log where another key signs in its name.
    shows(&log, b"abcdefgh", 2);
    assert!(command(home.path(), &other, &[]).await.is_err());
    shows(&log, b"abcdefgh", 1);
    command(home.path(), &other, &[]).await.unwrap();
    assert_eq!(size(home.path(), &other), Some(8));
    assert_eq!(
        size(home.path(), &client),
        Some(7),
        "from then on each has its own"
    );
    // What was proved at one is known at the next.
    shows(&log, b"abcdefX", 1);
    assert!(command(home.path(), &client, &[]).await.is_err());
    std::fs::remove_file(PinFile::new(home.path(), other.server()).path()).unwrap();
    shows(&log, b"abcdefgh", 1);
    let told = command(home.path(), &other, &[]).await.unwrap_err();
    assert!(told.contains("nobody has accepted it"), "{told}");
}

#[tokio::test]
async fn a_changed_key_is_accepted_only_where_it_is_given() {
    let (log, client) = serve().await;
    let home = tempfile::tempdir().unwrap();
    shows(&log, b"abcdefg", 1);
    command(home.path(), &client, &[]).await.unwrap();
    shows(&log, b"abcd", 1);
    let same = accepts(home.path(), &client, &[], false).await.unwrap();
    assert_eq!(same.key, key_line(1));
    shows(&log, b"abcd", 2);
    assert_eq!(accepts(home.path(), &client, &[], false).await, None);
    assert_eq!(accepts(home.path(), &client, &[3], true).await, None);
    for explicit in [false, true] {
        let other = accepts(home.path(), &client, &[2], explicit).await.unwrap();
        assert_eq!((other.key, other.given), (key_line(2), true));
    }
}

#[tokio::test]
async fn what_is_accepted_is_told_in_full() {
    let (log, client) = serve().await;
    let home = tempfile::tempdir().unwrap();
    shows(&log, b"abcdefg", 1);
    command(home.path(), &client, &[]).await.unwrap();
    let pin = PinFile::new(home.path(), client.server())
        .read()
        .unwrap()
        .unwrap();
    let seen = pin.log.unwrap().read().unwrap();
    for (leaves, seed, says) in [
        ("abcd", 1, "THE LOG WENT BACK by 3 entries"),
        ("abcdefX", 1, "IT IS ANOTHER LOG"),
        ("abcXefgh", 1, "IT IS ANOTHER LOG"),
        ("abcdefgh", 2, "THE KEY IS ANOTHER ONE"),
        ("abcdefgh", 1, ""),
    ] {
        shows(&log, leaves.as_bytes(), seed);
        let shown = Shown::ask(&client, 7, edge::now()).await.unwrap().unwrap();
        let told = differences(&seen, Some((&shown, signer(seed).verifier()))).join("\n");
        assert!(
            told.contains(says) && told.is_empty() == says.is_empty(),
            "{leaves}: {told}"
        );
        assert_eq!(told.contains(&key_line(2)), seed == 2, "in full: {told}");
    }
    assert!(
        differences(&seen, None)
            .join("")
            .contains("NOTHING OF THE LOG IS SIGNED")
    );
}

#[tokio::test]
async fn a_log_that_was_verified_is_pinned_whatever_was_seen_meanwhile() {
    let (log, client) = serve().await;
    let home = tempfile::tempdir().unwrap();
    let file = PinFile::new(home.path(), client.server());
    let signer = signer(1);
    let whole = |leaves: &[u8]| {
        let leaves: Vec<Vec<u8>> = leaves.iter().map(|byte| vec![*byte]).collect();
        Whole {
            key: signer.verifier(),
            led: Vec::new(),
            size: u64::try_from(leaves.len()).unwrap(),
            note: signed(&leaves, &[1]),
        }
    };
    let is_given = || file.read().unwrap().unwrap().log.unwrap().given;
    shows(&log, b"abc", 1);
    command(home.path(), &client, &[]).await.unwrap();
    assert!(!is_given());
    file.verified(&whole(b"abcd"), edge::now()).unwrap();
    assert!(is_given());
    assert_eq!(size(home.path(), &client), Some(4));
    // Its own guard has moved the pin while the log was read.
    let home = tempfile::tempdir().unwrap();
    let file = PinFile::new(home.path(), client.server());
    shows(&log, b"abcdef", 1);
    command(home.path(), &client, &[]).await.unwrap();
    file.verified(&whole(b"abcd"), edge::now()).unwrap();
    assert!(file.read().unwrap().unwrap().log.unwrap().given);
    assert_eq!(size(home.path(), &client), Some(6), "and not back");
    std::fs::write(file.path(), "x").unwrap();
    assert!(file.verified(&whole(b"abcd"), edge::now()).is_err());
}

#[tokio::test]
async fn a_key_file_that_is_none_does_not_keep_from_revoking() {
    let (_log, client) = serve().await;
    let out = Output {
        format: Format::Table,
        quiet: false,
        streams: Streams::default(),
    };
    let blind = Blind::new(&Failure::error("/x/log-key.pub cannot be read"), out);
    let guarded = client.clone().guarded(blind);
    guarded.locks().await.unwrap();
    for route in [Route::Revoke, Route::Lock] {
        guarded.admitted(route).await.unwrap();
    }
    let refused = guarded.admitted(Route::AddRequest).await.unwrap_err();
    assert!(
        refused.to_string().contains("log-key.pub cannot be read"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_look_now_does_not_wait_for_the_minute() {
    let (log, client) = serve().await;
    let home = tempfile::tempdir().unwrap();
    shows(&log, b"abcdefg", 1);
    let guard = guard(home.path(), &client, &[]);
    let guarded = client.clone().guarded(Arc::clone(&guard) as Arc<dyn Guard>);
    guarded.admitted(Route::AddRequest).await.unwrap();
    shows(&log, b"abcd", 1);
    assert!(!guard.doubts().await);
    assert!(guard.doubts_now(&client).await.unwrap());
    assert!(guarded.admitted(Route::AddRequest).await.is_err());
    shows(&log, b"abcdefg", 1);
    assert!(!guard.doubts_now(&client).await.unwrap());
}

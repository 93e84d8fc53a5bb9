//! Which key counts: one that was given, the former one for a while, and no other.

use daypass_core::time::Span;

use super::*;
use crate::pins::pinned::OVERLAP;

#[tokio::test]
async fn a_key_that_was_given_must_have_signed_something() {
    let (log, client) = serve().await;
    let home = tempfile::tempdir().unwrap();
    let told = command(home.path(), &client, &[1]).await.unwrap_err();
    assert!(told.contains("nothing of its log is signed"), "{told}");
    // Also where it was used before, and nothing was signed then.
    command(home.path(), &client, &[]).await.unwrap();
    assert!(command(home.path(), &client, &[1]).await.is_err());
    shows(&log, b"abc", 1);
    command(home.path(), &client, &[1]).await.unwrap();
}

/// A log whose key was rotated after `abc`, from 1 to 2: these leaves more, by these keys.
fn rotated(log: &Log, more: &[u8], seeds: &[u8]) {
    let (mut leaves, link) = announced(b"abc", (1, 2));
    leaves.extend(more.iter().map(|byte| vec![*byte]));
    *log.lock().unwrap() = Some(Has {
        leaves,
        seeds: seeds.to_vec(),
        links: vec![link],
    });
}

/// Both sign, and this home has gone over.
async fn gone_over(log: &Log, client: &Client) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    shows(log, b"abc", 1);
    command(home.path(), client, &[]).await.unwrap();
    rotated(log, b"", &[1, 2]);
    command(home.path(), client, &[]).await.unwrap();
    assert_eq!(pinned(home.path(), client), (key_line(2), true, 4));
    home
}

#[tokio::test]
async fn the_former_key_alone_counts_only_where_it_is_among_those_given() {
    let (log, client) = serve().await;
    let home = gone_over(&log, &client).await;
    rotated(&log, b"d", &[1]);
    let told = command(home.path(), &client, &[2]).await.unwrap_err();
    assert!(told.contains("not signed by the key"), "{told}");
    for given in [&[1, 2][..], &[1], &[]] {
        command(home.path(), &client, given).await.unwrap();
        assert_eq!(pinned(home.path(), &client).0, key_line(2), "{given:?}: not back");
    }
    // Once the new one signed alone, giving the former one does not bring it back.
    rotated(&log, b"de", &[2]);
    command(home.path(), &client, &[]).await.unwrap();
    rotated(&log, b"def", &[1]);
    for given in [&[1][..], &[1, 2], &[]] {
        let told = command(home.path(), &client, given).await.unwrap_err();
        assert!(told.contains("not signed by the key"), "{given:?}: {told}");
    }
    assert_eq!(pinned(home.path(), &client), (key_line(2), false, 6));
}

#[tokio::test]
async fn the_former_key_alone_counts_for_so_long_after_both_signed() {
    let (log, client) = serve().await;
    let home = gone_over(&log, &client).await;
    let file = PinFile::new(home.path(), client.server());
    let both_signed = |ago: Span| {
        let mut pin = file.read().unwrap().unwrap();
        pin.log.as_mut().unwrap().beside_at = Some(edge::now() - ago);
        file.put(&pin).unwrap();
    };
    rotated(&log, b"d", &[1]);
    both_signed(Span::hours(30 * 24 - 1));
    command(home.path(), &client, &[]).await.unwrap();
    both_signed(OVERLAP + Span::minutes(1));
    assert!(command(home.path(), &client, &[]).await.is_err());
    // Both again: it begins anew.
    rotated(&log, b"de", &[1, 2]);
    command(home.path(), &client, &[]).await.unwrap();
    rotated(&log, b"def", &[1]);
    command(home.path(), &client, &[]).await.unwrap();
}

#[tokio::test]
async fn what_the_former_key_showed_alone_is_remembered_too() {
    let (log, client) = serve().await;
    let home = gone_over(&log, &client).await;
    rotated(&log, b"defg", &[1]);
    command(home.path(), &client, &[]).await.unwrap();
    assert_eq!(pinned(home.path(), &client), (key_line(2), true, 8));
    for (more, seeds, says) in [
        (&b"def"[..], &[1][..], "went back"),
        (b"def", &[1, 2], "went back"),
        (b"defX", &[1, 2], "two checkpoints of the same size"),
    ] {
        let home = gone_over(&log, &client).await;
        rotated(&log, b"defg", &[1]);
        command(home.path(), &client, &[]).await.unwrap();
        rotated(&log, more, seeds);
        let told = command(home.path(), &client, &[]).await.unwrap_err();
        assert!(told.contains(says), "{told}");
    }
    rotated(&log, b"defgh", &[1, 2]);
    command(home.path(), &client, &[]).await.unwrap();
    assert_eq!(pinned(home.path(), &client), (key_line(2), true, 9));
}

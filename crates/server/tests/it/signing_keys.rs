//! Another key for the log while it is signed: the steps, who is waited for, and what somebody with the database alone cannot do.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use daypass_api::Route;
use daypass_api::doctor::{Check, Verdict};
use daypass_api::key::{LogKey, LogRotation, RotateLog};
use daypass_core::event::{Actor, Subject, What};
use daypass_core::key::{Event, Key};
use daypass_providers::Kind as TargetKind;
use daypass_providers::memory::Memory;
use daypass_server::config::ServerConfig;
use daypass_server::{Server, SigningError, StartError, edge};
use daypass_store::{Outcome, Scope};
use daypass_testbed::Postgres;
use daypass_tlog::Note;
use daypass_tlog::key::{Signer, Verifier};

use crate::bed::{Bed, soon};
use crate::replicas::on;
use crate::signing::{all_signed, happens, on_disk, put, signed, start, verifier};

const NOW: RotateLog = RotateLog {
    now: true,
    stolen: false,
};
const STOLEN: RotateLog = RotateLog {
    now: false,
    stolen: true,
};

/// The newest checkpoint once all is signed.
async fn newest(server: &Server) -> Note {
    all_signed(server).await;
    let newest = server
        .engine()
        .store()
        .newest_checkpoint()
        .await
        .unwrap()
        .unwrap();
    Note::parse(newest.note.as_bytes()).unwrap()
}

fn key(line: &str) -> Verifier {
    line.trim_end().parse().unwrap()
}

async fn rotate(bed: &Bed, how: RotateLog) -> LogKey {
    bed.client("root").await.rotate_log_key(how).await.unwrap()
}

/// Waits until the next key is the log's.
async fn changed(bed: &Bed) -> LogKey {
    let root = bed.client("root").await;
    soon("the next key", async {
        loop {
            let key = root.log_keys().await.unwrap();
            if matches!(key.rotation, Some(LogRotation::Retiring { .. })) {
                return key;
            }
            edge::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

async fn check(bed: &Bed, about: &str) -> Option<Check> {
    let checkup = bed.client("root").await.doctor().await.unwrap();
    checkup.checks.into_iter().find(|check| check.about == about)
}

/// Puts a step into the database, as somebody does who has nothing else.
async fn slipped_in(server: &Server, event: Event) {
    let decide = move |_: &_, _| {
        Ok(Outcome::one(
            Actor::System,
            Subject::Key(Key::Log),
            What::Key(event),
        ))
    };
    let store = server.engine().store();
    store.transition(Scope::Key(Key::Log), decide).await.unwrap();
}

fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn write(file: &Path, lines: &[&str]) {
    std::fs::write(file, lines.join("\n")).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn both_keys_sign_until_the_operator_ends_that() {
    let bed = Bed::with(signed).await;
    let grant = bed.granted().await;
    let old = verifier(bed.folder.path());
    all_signed(&bed.server).await;
    let begun = rotate(&bed, RotateLog::default()).await;
    assert_eq!(begun.servers.len(), 1, "{begun:?}");
    let key_now = changed(&bed).await;
    let new = key(&key_now.key);
    assert!(
        matches!(&key_now.rotation, Some(LogRotation::Retiring { old: before, behind })
            if *before == old.to_string() && behind.is_empty()),
        "{key_now:?}"
    );
    happens(&bed.server).await;
    let note = newest(&bed.server).await;
    note.verify(&old).unwrap();
    note.verify(&new).unwrap();
    assert!(
        note.signatures()[0].is_by(&old),
        "who looks at the first only, finds the known one"
    );
    let told = bed.client("dee").await.log_key().await.unwrap();
    assert_eq!(told, format!("{new}\n").into_bytes());
    soon("the new public half", async {
        while verifier(bed.folder.path()) != new {
            edge::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    // Begun once: to say it again ends nothing.
    let again = rotate(&bed, RotateLog::default()).await;
    assert!(matches!(again.rotation, Some(LogRotation::Retiring { .. })));
    let waits = check(&bed, "log key").await.unwrap();
    assert!(waits.advice.unwrap().contains("daypass keys rotate log --now"));

    let ended = rotate(&bed, NOW).await;
    assert_eq!((key(&ended.key), &ended.rotation), (new.clone(), &None));
    assert_eq!(ended.servers[0].spare, [old.to_string()], "its line can go");
    happens(&bed.server).await;
    let note = newest(&bed.server).await;
    note.verify(&new).unwrap();
    assert!(note.verify(&old).is_err());
    // By what is served, who has the key of before comes to the one of now; so does who has a grant's proof.
    let dee = bed.client("dee").await;
    assert_eq!(dee.log_key_links().await.unwrap().links.len(), 1);
    let proof = dee.grant_proof(&grant.to_string()).await.unwrap();
    assert_eq!(proof.keys.len(), 1);
    let all = bed.log_with("key.withdrawn").await.into_iter();
    let names: Vec<_> = all
        .filter(|event| event.name.starts_with("key."))
        .map(|event| event.summary)
        .collect();
    assert!(
        names.len() == 3 && names[2].contains("signs no more"),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_server_goes_on_from_between_any_two_steps_and_takes_no_key_that_is_not_the_logs() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ServerConfig::ephemeral(folder.path());
    signed(&mut config);
    let file = folder.path().join("log-key");
    let server = start(&config).await.unwrap();
    happens(&server).await;
    all_signed(&server).await;
    let old = verifier(folder.path());
    server.stop().await;
    let first = lines(&file).remove(0);

    // It was killed when the next key was in the file, and nothing recorded: the old one signs.
    let id = old.name().as_str().strip_prefix("daypass/").unwrap();
    let (next, public) = daypass_server::new_log_key(id).unwrap();
    write(&file, &[&first, next.trim_end()]);
    let new = key(&public);
    let server = start(&config).await.unwrap();
    happens(&server).await;
    newest(&server).await.verify(&old).unwrap();
    assert!(newest(&server).await.verify(&new).is_err());
    // When it was announced.
    let next_key = new.to_string();
    slipped_in(&server, Event::Staged { next: next_key }).await;
    newest(&server).await.verify(&new).unwrap();
    server.stop().await;
    // Without the next key, the present one signs; with it alone, nothing does: it is not the log's yet.
    write(&file, &[next.trim_end()]);
    let early = start(&config).await.err().unwrap();
    assert!(
        matches!(early, StartError::Signing(SigningError::Other { .. })),
        "{early}"
    );
    write(&file, &[&first]);
    let server = start(&config).await.unwrap();
    happens(&server).await;
    newest(&server).await.verify(&old).unwrap();
    // When it is the log's.
    write(&file, &[&first, next.trim_end()]);
    let (to, from, without) = (new.to_string(), old.to_string(), Vec::new());
    slipped_in(&server, Event::Changed { to, from, without }).await;
    newest(&server).await.verify(&new).unwrap();
    server.stop().await;
    for kept in [vec![first.as_str()], vec![next.trim_end()]] {
        write(&file, &kept);
        let server = start(&config).await.unwrap();
        happens(&server).await;
        newest(&server).await;
        server.stop().await;
    }
    write(&file, &[&first, next.trim_end()]);
    let server = start(&config).await.unwrap();
    let (withdrawn, early) = (old.to_string(), false);
    slipped_in(
        &server,
        Event::Withdrawn {
            old: withdrawn,
            early,
        },
    )
    .await;
    assert!(newest(&server).await.verify(&old).is_err());
    server.stop().await;
    // The old line may go now, and alone it is refused.
    write(&file, &[&first]);
    let behind = start(&config).await.err().unwrap();
    let said = behind.to_string();
    assert!(
        said.contains(&format!("signed with {new}")) && said.contains("was rotated"),
        "{said}"
    );
    write(&file, &[next.trim_end()]);
    start(&config).await.unwrap().stop().await;
    // Also without what it signed last, and with that of a server which was away all the while.
    std::fs::remove_file(folder.path().join("log-key.signed")).unwrap();
    start(&config).await.unwrap().stop().await;
}

#[tokio::test]
async fn who_has_the_database_alone_announces_nothing() {
    let bed = Bed::with(signed).await;
    let old = verifier(bed.folder.path());
    let before = all_signed(&bed.server).await;
    let id = old.name().as_str().strip_prefix("daypass/").unwrap().to_owned();
    let (secret, evil) = daypass_server::new_log_key(&id).unwrap();
    let next = evil.trim_end().to_owned();
    slipped_in(&bed.server, Event::Staged { next }).await;
    let refused = soon("the refusal", async {
        loop {
            match check(&bed, "log").await {
                Some(log) if log.verdict == Verdict::Failing => return log,
                _ => edge::sleep(Duration::from_millis(20)).await,
            }
        }
    })
    .await;
    assert!(
        refused.found.contains("somebody wrote this into the database"),
        "{refused:?}"
    );
    let store = bed.server.engine().store();
    let newest = store.newest_checkpoint().await.unwrap().unwrap();
    assert!(newest.size <= before + 3, "nothing from there on is signed");
    // Nor does a signature of that key of theirs over it help.
    let head = store.log_head().await.unwrap();
    let tree = store.log_tree(head.size).await.unwrap();
    let mut note = Note::new(daypass_tlog::Checkpoint::of(old.name().as_str(), &tree).to_string()).unwrap();
    note.sign(&Signer::from_secret(secret.trim_end()).unwrap(), 0);
    let kept = daypass_store::KeptCheckpoint {
        size: head.size,
        note: note.to_string(),
        at: newest.at,
    };
    store.keep_checkpoint(kept).await.unwrap();
    let root = bed.client("root").await;
    for how in [RotateLog::default(), NOW, STOLEN] {
        let said = root.rotate_log_key(how).await.unwrap_err().to_string();
        assert!(said.contains("not signed here"), "{said}");
    }
    assert!(root.log_key_links().await.unwrap().links.is_empty());
}

#[tokio::test]
async fn a_stolen_key_goes_at_once_and_leads_nowhere() {
    let bed = Bed::with(signed).await;
    let old = verifier(bed.folder.path());
    all_signed(&bed.server).await;
    let ended = rotate(&bed, STOLEN).await;
    assert_eq!(ended.rotation, None);
    assert_ne!(key(&ended.key), old);
    happens(&bed.server).await;
    assert!(newest(&bed.server).await.verify(&old).is_err());
    assert!(
        bed.client("dee")
            .await
            .log_key_links()
            .await
            .unwrap()
            .links
            .is_empty()
    );
    // And once more, on from there.
    let again = rotate(&bed, STOLEN).await;
    assert_ne!(again.key, ended.key);
}

#[tokio::test]
async fn an_announcement_that_was_rolled_back_is_a_rollback() {
    let (folder, mut config, path) = on_disk();
    let (data, copy) = (path.parent().unwrap().to_owned(), folder.path().join("yesterday"));
    let file = folder.path().join("log-key");
    let server = start(&config).await.unwrap();
    happens(&server).await;
    all_signed(&server).await;
    server.stop().await;
    put(&data, &copy);
    let old = verifier(folder.path());
    let (first, id) = (
        lines(&file).remove(0),
        old.name().as_str().strip_prefix("daypass/").unwrap(),
    );
    let (next, public) = daypass_server::new_log_key(id).unwrap();
    write(&file, &[&first, next.trim_end()]);
    let server = start(&config).await.unwrap();
    let new = key(&public).to_string();
    slipped_in(&server, Event::Staged { next: new.clone() }).await;
    let (from, without) = (old.to_string(), Vec::new());
    slipped_in(
        &server,
        Event::Changed {
            to: new,
            from,
            without,
        },
    )
    .await;
    let lost = all_signed(&server).await;
    server.stop().await;
    std::fs::remove_dir_all(&data).unwrap();
    put(&copy, &data);
    let server = start(&config).await.unwrap();
    assert!(server.engine().only_takes_away());
    server.stop().await;
    config.signing_key.as_mut().unwrap().accept_rollback = Some(lost);
    let server = start(&config).await.unwrap();
    happens(&server).await;
    let note = newest(&server).await;
    note.verify(&old).unwrap();
    assert_eq!(note.signatures().len(), 1, "nothing announced the other");
    server.stop().await;
}

/// A second server on the database of the first, with a copy of its key.
async fn pair() -> (Bed, Bed) {
    let postgres = tokio::task::spawn_blocking(Postgres::shared)
        .await
        .unwrap()
        .unwrap();
    let database = postgres.create_database("keys").unwrap();
    let sharing = |config: &mut ServerConfig| {
        signed(config);
        on(postgres, &database, &config.state_dir.clone(), config);
    };
    let one = Bed::with(sharing).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = ServerConfig::ephemeral(folder.path());
    sharing(&mut config);
    std::fs::copy(one.folder.path().join("log-key"), folder.path().join("log-key")).unwrap();
    let kind: &'static Memory = one.kind;
    let server = Server::start(config, &[kind as &'static dyn TargetKind])
        .await
        .unwrap();
    let two = Bed {
        server,
        target: one.target.clone(),
        kind: one.kind,
        folder,
        http: reqwest::Client::new(),
    };
    (one, two)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_share_a_store_wait_for_each_other() {
    let (one, two) = pair().await;
    let (here, there) = (
        one.folder.path().join("log-key"),
        two.folder.path().join("log-key"),
    );
    let old = verifier(one.folder.path());
    all_signed(&one.server).await;
    soon("both to be known", async {
        while one.server.engine().store().log_servers().await.unwrap().len() < 2 {
            edge::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let begun = rotate(&one, RotateLog::default()).await;
    let Some(LogRotation::Staged { next, waiting }) = &begun.rotation else {
        panic!("{begun:?}")
    };
    assert!(
        waiting.len() == 1 && waiting[0].ends_with(there.to_str().unwrap()),
        "{waiting:?}"
    );
    let waits = check(&one, "log key").await.unwrap();
    assert!(waits.verdict == Verdict::Warning && waits.found.contains(there.to_str().unwrap()));
    // Both sign on; nobody who has only the key of before notices anything.
    for server in [&one.server, &two.server] {
        happens(server).await;
        newest(server).await.verify(&old).unwrap();
    }
    // Not to wait: the log says who was left out, and the end of the old key is refused for its sake.
    let root = one.client("root").await;
    let hurried = rotate(&one, NOW).await;
    assert!(matches!(&hurried.rotation, Some(LogRotation::Retiring { behind, .. }) if behind == waiting));
    assert_eq!(hurried.key, *next);
    let said = root.rotate_log_key(NOW).await.unwrap_err().to_string();
    assert!(said.contains(there.to_str().unwrap()), "{said}");
    happens(&two.server).await;
    newest(&two.server).await.verify(&old).unwrap();

    std::fs::copy(&here, &there).unwrap();
    happens(&two.server).await;
    soon("the copy to be seen", async {
        loop {
            let key = root.log_keys().await.unwrap();
            if matches!(&key.rotation, Some(LogRotation::Retiring { behind, .. }) if behind.is_empty()) {
                return;
            }
            happens(&two.server).await;
            edge::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
    assert_eq!(rotate(&two, NOW).await.rotation, None);
    let name = begun.servers[0].name.clone();
    one.server.stop().await;
    happens(&two.server).await;
    newest(&two.server).await.verify(&key(next)).unwrap();
    let left = two.server.engine().store().log_servers().await.unwrap();
    assert!(left.iter().all(|server| server.name != name), "{left:?}");
    let token = two.session("dee").await;
    let answer = two.call(Route::LogKey, &[], Some(&token)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

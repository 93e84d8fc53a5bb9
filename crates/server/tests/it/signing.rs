//! The signed log: what is served of it, and what the server refuses to sign.

use std::path::{Path, PathBuf};
use std::time::Duration;

use daypass_api::doctor::Verdict;
use daypass_api::log::ProofQuery;
use daypass_api::{ProblemCode, Route};
use daypass_core::event::{Actor, LogEvent, Subject, What};
use daypass_core::refusal::Code;
use daypass_core::text::Hash;
use daypass_providers::Kind as TargetKind;
use daypass_providers::memory::Memory;
use daypass_server::config::{ServerConfig, SigningConfig, StoreConfig};
use daypass_server::{Server, SigningError, StartError, edge};
use daypass_store::{Outcome, Scope};
use daypass_tlog::key::Verifier;
use daypass_tlog::tile::{Kind, Tile};
use daypass_tlog::{Checkpoint, Note, Tree, leaf, proof};
use tempfile::TempDir;

use crate::bed::{Bed, problem, soon};

/// A log on SQLite that is signed.
pub(crate) fn signed(config: &mut ServerConfig) {
    let folder = config.state_dir.clone();
    config.store = StoreConfig::Sqlite {
        path: folder.join("data/store.sqlite"),
    };
    by_key(config);
}

/// The configuration of such a server, and where its store lies.
pub(crate) fn on_disk() -> (TempDir, ServerConfig, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ServerConfig::ephemeral(folder.path());
    signed(&mut config);
    let StoreConfig::Sqlite { path } = config.store.clone() else {
        panic!("it is on SQLite")
    };
    (folder, config, path)
}

/// The log is signed, wherever it is.
pub(crate) fn by_key(config: &mut ServerConfig) {
    config.signing_key = Some(SigningConfig {
        file: config.state_dir.join("log-key"),
        state: config.state_dir.join("log-key.signed"),
        accept_rollback: None,
    });
}

pub(crate) fn verifier(folder: &Path) -> Verifier {
    let line = std::fs::read_to_string(folder.join("log-key.pub")).unwrap();
    line.trim_end().parse().unwrap()
}

fn checkpoint(note: &[u8], key: &Verifier) -> Checkpoint {
    let note = Note::parse(note).unwrap();
    note.verify(key).unwrap();
    note.text().parse().unwrap()
}

/// Waits until all that is recorded is signed.
pub(crate) async fn all_signed(server: &Server) -> u64 {
    let store = server.engine().store();
    soon("everything to be signed", async {
        loop {
            let head = store.log_head().await.unwrap();
            let newest = store.newest_checkpoint().await.unwrap();
            let all = head.size == store.last_event().await.unwrap();
            if all && newest.is_some_and(|newest| newest.size == head.size) {
                return head.size;
            }
            edge::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

#[tokio::test]
async fn the_log_is_served_as_tiles_that_prove_it() {
    let bed = Bed::with(signed).await;
    let grant = bed.granted().await;
    // More than a full tile.
    for _ in 0..260 {
        happens(&bed.server).await;
    }
    let size = all_signed(&bed.server).await;
    let key = verifier(bed.folder.path());
    let dee = bed.client("dee").await;
    let size = size.max(all_signed(&bed.server).await);
    let newest = checkpoint(&dee.log_checkpoint().await.unwrap(), &key);
    assert_eq!(
        (newest.origin.as_str(), newest.size >= size),
        (key.name().as_str(), true)
    );
    assert_eq!(dee.log_key().await.unwrap(), format!("{key}\n").into_bytes());

    let mut tree = Tree::default();
    let mut entries = Vec::new();
    for tile in Tile::all(Kind::Entries, newest.size) {
        let index = tile.to_string().replacen("tile/entries/", "", 1);
        let bytes = dee.log_entries(&index).await.unwrap();
        entries.extend(tile.entries(&bytes).unwrap().into_iter().map(<[u8]>::to_vec));
    }
    tree.extend(entries.iter().map(|entry| leaf(entry)));
    assert_eq!((tree.size(), tree.head()), (newest.size, newest.head));
    let tile = Tile::within(Kind::Hashes { level: 0 }, 0, newest.size).unwrap();
    let index = tile.to_string().replacen("tile/0/", "", 1);
    let hashes = tile.hashes(&dee.log_tile("0", &index).await.unwrap()).unwrap();
    assert_eq!(hashes[0], leaf(&entries[0]));

    let token = bed.session("dee").await;
    let full = bed
        .call(Route::AuditTile, &["0", "000"], Some(&token))
        .send()
        .await
        .unwrap();
    assert!(
        full.headers()["cache-control"]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    assert_eq!(full.bytes().await.unwrap().len(), 256 * 32);

    let query = ProofQuery {
        leaf: Some(2),
        ..ProofQuery::default()
    };
    let told = dee.log_proof(&query).await.unwrap();
    let hashes: Vec<_> = told.proof.iter().map(|hash| *hash.bytes()).collect();
    let (at, head) = (leaf(&entries[2]), *told.head.bytes());
    proof::verify_inclusion((2, &at), (told.size, &head), &hashes).unwrap();
    let query = ProofQuery {
        from: Some(3),
        size: Some(newest.size),
        leaf: None,
    };
    let told = dee.log_proof(&query).await.unwrap();
    let hashes: Vec<_> = told.proof.iter().map(|hash| *hash.bytes()).collect();
    let old: Tree = entries[..3].iter().map(|entry| leaf(entry)).collect();
    proof::verify_consistency((3, &old.head()), (newest.size, &newest.head), &hashes).unwrap();

    let told = dee.grant_proof(&grant.to_string()).await.unwrap();
    let proved = checkpoint(told.checkpoint.as_bytes(), &key);
    assert!(told.entries.len() > 4 && proved.size >= newest.size);
    assert!(
        told.words.iter().any(|words| !words.text.is_empty()),
        "the reason is among them"
    );
}

#[tokio::test]
async fn nothing_is_served_that_is_not_signed_or_not_a_tile() {
    let bed = Bed::with(signed).await;
    let size = all_signed(&bed.server).await;
    let dee = bed.session("dee").await;
    let beyond = format!("000.p/{}", size + 40);
    for (level, index) in [
        ("0", beyond.as_str()),
        ("0", "001"),
        ("1", "000"),
        ("8", "000"),
        ("0", "0"),
        ("0", "000.p/0"),
        ("0", "000.p/257"),
        ("0", "x000/000"),
        ("-1", "000"),
        ("entry", "000"),
        ("0", "../../healthz"),
        ("0", "x999/x999/x999/x999/x999/x999/999"),
    ] {
        let answer = bed
            .call(Route::AuditTile, &[level, index], Some(&dee))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 404, "{level}/{index}");
    }
    let part = bed
        .call(Route::AuditTile, &["0", "000.p/1"], Some(&dee))
        .send()
        .await
        .unwrap();
    assert_eq!(part.headers()["cache-control"], "no-store", "it grows");
    assert_eq!(part.headers()["content-type"], "application/octet-stream");
    assert_eq!(part.bytes().await.unwrap().len(), 32);
    for query in [
        "",
        "?leaf=1&from=1",
        "?leaf=99999",
        "?from=99999",
        "?leaf=0&size=99999",
        "?leaf=-1",
    ] {
        let path = format!("{}{query}", Route::AuditProof.path());
        let answer = bed
            .raw(reqwest::Method::GET, &path, Some(&dee))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16() / 100, 4, "{query}");
    }
}

#[tokio::test]
async fn a_server_without_a_key_says_so() {
    let bed = Bed::start().await;
    let dee = bed.session("dee").await;
    for route in [Route::AuditCheckpoint, Route::AuditKey] {
        let answer = bed.call(route, &[], Some(&dee)).send().await.unwrap();
        assert_eq!(problem(answer).await.code, ProblemCode::Refusal(Code::NotFound));
    }
    let checkup = bed.client("dee").await.doctor().await.unwrap();
    let log = checkup.checks.iter().find(|check| check.about == "log").unwrap();
    assert_eq!(log.verdict, Verdict::Warning, "{log:?}");
}

/// Starts a server on this configuration, with a kind of target of its own.
pub(crate) async fn start(config: &ServerConfig) -> Result<Server, StartError> {
    let kind: &'static Memory = Box::leak(Box::new(Memory::new()));
    let kinds: [&'static dyn TargetKind; 1] = [kind];
    Server::start(config.clone(), &kinds).await
}

/// Something is recorded.
pub(crate) async fn happens(server: &Server) {
    let event = LogEvent::Continued {
        signed_size: 0,
        signed_head: Hash::of(b""),
        kept_size: 0,
        kept_head: Hash::of(b""),
    };
    let decide = move |_: &_, _| Ok(Outcome::one(Actor::System, Subject::Log, What::Log(event)));
    server
        .engine()
        .store()
        .transition(Scope::Log, decide)
        .await
        .unwrap();
}

/// Copies the store's files.
pub(crate) fn put(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[tokio::test]
async fn with_a_store_that_was_put_back_access_is_only_taken_away() {
    let (folder, config, path) = on_disk();
    let data = path.parent().unwrap().to_owned();
    let copy = folder.path().join("yesterday");
    let server = start(&config).await.unwrap();
    happens(&server).await;
    let yesterday = all_signed(&server).await;
    server.stop().await;
    put(&data, &copy);

    let server = start(&config).await.unwrap();
    happens(&server).await;
    let lost = all_signed(&server).await;
    server.stop().await;
    std::fs::remove_dir_all(&data).unwrap();
    put(&copy, &data);
    let server = start(&config).await.unwrap();
    assert!(server.engine().only_takes_away());
    // What ends access is recorded, and nothing is signed.
    happens(&server).await;
    let store = server.engine().store();
    let given = |_: &_, _| {
        let added = What::Person(daypass_core::person::Change::Reactivated);
        let nobody = daypass_core::id::PersonId::from_bytes([7; 10]);
        Ok(Outcome::one(Actor::System, Subject::Person(nobody), added))
    };
    let refused = store.transition(Scope::Log, given).await.unwrap_err();
    assert!(
        matches!(&refused, daypass_store::Error::Refused(refusal) if refusal.code == Code::OnlyTakesAway),
        "{refused}"
    );
    let newest = store.newest_checkpoint().await.unwrap().unwrap();
    assert_eq!(newest.size, yesterday);
    let readiness = reqwest::get(format!("{}/readyz", server.url())).await.unwrap();
    assert_eq!(readiness.status(), 503);
    assert!(readiness.text().await.unwrap().contains("only takes access away"));
    server.stop().await;

    // Another number accepts nothing.
    let accept = |config: &ServerConfig, size| {
        let mut config = config.clone();
        config.signing_key.as_mut().unwrap().accept_rollback = Some(size);
        config
    };
    let server = start(&accept(&config, lost + 1)).await.unwrap();
    assert!(server.engine().only_takes_away());
    server.stop().await;
    let server = start(&accept(&config, lost)).await.unwrap();
    assert!(!server.engine().only_takes_away());
    happens(&server).await;
    let size = all_signed(&server).await;
    let told = server.engine().store().log_bytes(0..size).await.unwrap();
    let said = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    let entry = told
        .iter()
        .map(said)
        .find(|entry| entry.contains(&format!("\"signed_size\":{lost}")));
    // What was recorded meanwhile is part of what is gone on from.
    let kept = yesterday + 1;
    assert!(entry.is_some_and(|entry| entry.contains(&format!("\"kept_size\":{kept}"))));
    server.stop().await;
    // From here on it is the log, and the same number accepts nothing more.
    for config in [config.clone(), accept(&config, lost)] {
        let server = start(&config).await.unwrap();
        assert!(!server.engine().only_takes_away());
        server.stop().await;
    }
}

/// The file outside could not be written for a while, and the store has what was signed meanwhile: the log goes on from both.
#[tokio::test]
async fn what_the_store_itself_has_of_signatures_counts_beside_an_older_file() {
    let (folder, config, path) = on_disk();
    let (data, state) = (path.parent().unwrap(), folder.path().join("log-key.signed"));
    let (then, now) = (folder.path().join("then"), folder.path().join("now"));
    let server = start(&config).await.unwrap();
    happens(&server).await;
    all_signed(&server).await;
    server.stop().await;
    put(data, &then);
    let older = std::fs::read(&state).unwrap();
    let server = start(&config).await.unwrap();
    happens(&server).await;
    all_signed(&server).await;
    server.stop().await;
    put(data, &now);

    // An older file alone is no rollback: the server goes on from the store's.
    std::fs::write(&state, &older).unwrap();
    let server = start(&config).await.unwrap();
    assert!(!server.engine().only_takes_away());
    server.stop().await;

    // Entries that were signed are gone, and their signatures are not: the older file would not know.
    std::fs::write(&state, &older).unwrap();
    std::fs::remove_dir_all(data).unwrap();
    put(&then, data);
    let store = rusqlite::Connection::open(&path).unwrap();
    let newer = now.join(path.file_name().unwrap());
    store
        .execute("ATTACH ?1 AS newer", [newer.to_str().unwrap()])
        .unwrap();
    let text = "INSERT INTO main.checkpoints SELECT * FROM newer.checkpoints WHERE size NOT IN (SELECT size FROM main.checkpoints)";
    assert!(store.execute(text, []).unwrap() > 0);
    drop(store);
    let server = start(&config).await.unwrap();
    assert!(server.engine().only_takes_away());
    server.stop().await;
}

#[tokio::test]
async fn without_its_key_or_with_another_no_server_starts() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ServerConfig::ephemeral(folder.path());
    signed(&mut config);
    let server = start(&config).await.unwrap();
    happens(&server).await;
    all_signed(&server).await;
    server.stop().await;
    let key = folder.path().join("log-key");
    let aside = folder.path().join("aside");
    std::fs::rename(&key, &aside).unwrap();
    let gone = start(&config).await.err().unwrap();
    assert!(
        matches!(gone, StartError::Signing(SigningError::Gone { .. })),
        "{gone}"
    );

    let (other, _) = daypass_server::new_log_key("somebody-else").unwrap();
    std::fs::write(&key, other.as_bytes()).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let wrong = start(&config).await.err().unwrap();
    assert!(
        matches!(wrong, StartError::Signing(SigningError::Other { .. })),
        "{wrong}"
    );

    std::fs::rename(&aside, &key).unwrap();
    // What was signed last is lost, or was never kept: the store's newest checkpoint does.
    std::fs::remove_file(folder.path().join("log-key.signed")).unwrap();
    config.signing_key.as_mut().unwrap().state = folder.path().join("no-such-folder/signed");
    let server = start(&config).await.unwrap();
    happens(&server).await;
    all_signed(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn a_server_signs_nothing_that_does_not_go_on_from_what_it_signed() {
    let bed = Bed::with(signed).await;
    let size = all_signed(&bed.server).await;
    let path = bed.folder.path().join("data/store.sqlite");
    let hand = rusqlite::Connection::open(&path).unwrap();
    hand.busy_timeout(Duration::from_secs(10)).unwrap();
    // The head that the sequencer goes on from.
    hand.execute("UPDATE log_head SET peaks = zeroblob(length(peaks))", [])
        .unwrap();
    bed.add(
        "eve",
        daypass_core::person::Kind::Person,
        daypass_core::person::SystemRole::Member,
        None,
        None,
    )
    .await;
    let dee = bed.client("dee").await;
    let log = soon("the refusal", async {
        loop {
            let checkup = dee.doctor().await.unwrap();
            let log = checkup
                .checks
                .into_iter()
                .find(|check| check.about == "log")
                .unwrap();
            if log.verdict == Verdict::Failing {
                return log;
            }
            edge::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(
        log.found.contains("is not signed, and access is only taken away"),
        "{log:?}"
    );
    // From that moment on nothing is given, and what is due ends.
    let ana = bed.session("ana").await;
    let ask = serde_json::json!({"items": [{"resource": "staging", "role": "read"}], "reason": "PAY-7"});
    let asked = bed.call(Route::AddRequest, &[], Some(&ana)).json(&ask);
    let refused = problem(asked.send().await.unwrap()).await;
    assert_eq!(
        (refused.code, refused.status),
        (ProblemCode::Refusal(Code::OnlyTakesAway), 503)
    );
    let newest = bed
        .server
        .engine()
        .store()
        .newest_checkpoint()
        .await
        .unwrap()
        .unwrap();
    assert!(newest.size <= size + 3, "nothing behind it is signed");
    let token = bed.session("dee").await;
    let metrics = bed.call(Route::Metrics, &[], Some(&token)).send().await.unwrap();
    assert!(metrics.text().await.unwrap().contains("daypass_log_signing 0"));
}

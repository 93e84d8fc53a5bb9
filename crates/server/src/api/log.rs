//! The signed log over HTTP: checkpoint and tiles as C2SP `tlog-tiles` has them, and proofs for who reads no tiles.
//!
//! Nothing behind the newest checkpoint is served: it is nobody's word yet.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_api::log::{
    CheckpointQuery, GRANT_PROOF, GrantProof, KeyLink, KeyLinks, LogProof, ProofQuery, ProvedEntry,
    ProvedWords,
};
use daypass_api::{Problem, ProblemCode};
use daypass_core::id::RequestId;
use daypass_core::refusal::Code;
use daypass_core::text::Hash;
use daypass_store::{Entry, KeptCheckpoint};
use daypass_tlog::Note;
use daypass_tlog::proof::Proof;
use daypass_tlog::succession::Announcement;
use daypass_tlog::tile::Tile;

use crate::app::{App, Parts};
use crate::http::intake::{Json, Path, Query};
use crate::http::observe::FOREVER;
use crate::http::problem::{Answer, Failure};
use crate::proposal;
use crate::signing::line::announcements;
use crate::witnesses::with_lines;

const TEXT: &str = "text/plain; charset=utf-8";
/// The most entries in one grant's proof: some ten times what a long grant with a target that fails for a day has.
const MOST_PROVED: usize = 10_000;
const BYTES: &str = "application/octet-stream";

/// The newest checkpoint: a signed note that names the log, its size and the head of its tree (C2SP `tlog-checkpoint`).
/// With `from`, behind the proof that it goes on from the log of so many entries, as a witness is asked (C2SP `tlog-witness`).
#[utoipa::path(get, path = "/api/v1/audit/checkpoint", tag = "audit", params(CheckpointQuery), security(()),
    responses((status = 200, body = String, content_type = "text/plain"), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn checkpoint(
    State(app): State<App>,
    Query(query): Query<CheckpointQuery>,
) -> Answer<Response> {
    let store = app.engine.store();
    let newest = match query.witnessed {
        Some(true) => app.witnesses.newest(store).await?.ok_or_else(not_witnessed)?,
        _ => with_lines(store, newest(&app).await?).await?,
    };
    let text = match query.from {
        None => newest.note,
        Some(from) => proposal::of(store, &newest, from).await?.to_string(),
    };
    Ok(([(CONTENT_TYPE, TEXT)], text).into_response())
}

/// The key that checkpoints are verified with (C2SP `signed-note`). A verifier should have it by another way than from here.
#[utoipa::path(get, path = "/api/v1/audit/key", tag = "audit", security(()),
    responses((status = 200, body = String, content_type = "text/plain"), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn key(State(app): State<App>) -> Answer<Response> {
    let key = app.signing.key().ok_or_else(not_signed)?;
    let line = format!("{key}\n");
    Ok(([(CONTENT_TYPE, TEXT)], line).into_response())
}

/// Each key's announcement of the next one: who has a former key of the log comes to the present one by them, and believes nobody.
#[utoipa::path(get, path = "/api/v1/audit/key/links", tag = "audit", security(()),
    responses((status = 200, body = KeyLinks), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn links(State(app): State<App>) -> Answer<Json<KeyLinks>> {
    let links = announced(&app).await?;
    Ok(Json(KeyLinks { links }))
}

/// The announcements of this log's keys.
async fn announced(app: &Parts) -> Answer<Vec<KeyLink>> {
    let Some(key) = app.signing.key() else {
        return Ok(Vec::new());
    };
    let shown = announcements(app.engine.store(), &key).await?.into_iter();
    let link = |one: Announcement| KeyLink {
        checkpoint: String::from_utf8(one.note).unwrap_or_default(),
        entry: ProvedEntry {
            index: one.index,
            entry: STANDARD.encode(&one.entry),
            proof: one.proof.iter().map(|hash| STANDARD.encode(hash)).collect(),
        },
    };
    Ok(shown.map(link).collect())
}

/// A tile of hashes: 256 nodes, or as many of the last ones as its name says (`000.p/8`).
#[utoipa::path(get, path = "/api/v1/audit/tile/{level}/{*index}", tag = "audit",
    params(("level" = String, Path, description = "from 0, the leaves, to 7"), ("index" = String, Path, description = "such as x001/067 or 000.p/8")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn tile(
    State(app): State<App>,
    Path((level, index)): Path<(String, String)>,
) -> Answer<Response> {
    serve(&app, &format!("tile/{level}/{index}")).await
}

/// A bundle of entries: the bytes of 256 leaves, each behind its length in two bytes.
#[utoipa::path(get, path = "/api/v1/audit/tile/entries/{*index}", tag = "audit",
    params(("index" = String, Path, description = "such as x001/067 or 000.p/8")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn entries(State(app): State<App>, Path(index): Path<String>) -> Answer<Response> {
    serve(&app, &format!("tile/entries/{index}")).await
}

async fn serve(app: &Parts, path: &str) -> Answer<Response> {
    let newest = newest(app).await?;
    let unknown = |why: String| Failure::new(Code::NotFound, why);
    let tile: Tile = path
        .parse()
        .map_err(|error: daypass_tlog::tile::NoTile| unknown(error.to_string()))?;
    if !tile.is_within(newest.size) {
        let what = format!(
            "the log that is signed has {} entries, and no such tile",
            newest.size
        );
        return Err(unknown(what));
    }
    let bytes = app.engine.store().log_tile(tile).await?;
    let mut answer = ([(CONTENT_TYPE, BYTES)], Body::from(bytes)).into_response();
    if tile.is_full() {
        answer
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static(FOREVER));
    }
    Ok(answer)
}

/// A proof that an entry is in the log, or that a shorter log is its beginning.
#[utoipa::path(get, path = "/api/v1/audit/proof", tag = "audit", params(ProofQuery),
    responses((status = 200, body = LogProof), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn proof(State(app): State<App>, Query(query): Query<ProofQuery>) -> Answer<Json<LogProof>> {
    let store = app.engine.store();
    let newest = newest(&app).await?;
    let size = query.size.unwrap_or(newest.size);
    if size > newest.size {
        let what = format!("the log that is signed has {} entries, not {size}", newest.size);
        return Err(Failure::new(Code::Invalid, what));
    }
    let invalid = |error: daypass_tlog::proof::Invalid| Failure::new(Code::Invalid, error.to_string());
    let (proof, leaf) = match (query.leaf, query.from) {
        (Some(leaf), None) => {
            let proof = Proof::of_inclusion(leaf, size).map_err(invalid)?;
            let bytes = store.log_bytes(leaf..leaf.saturating_add(1)).await?;
            (proof, bytes.first().map(|bytes| daypass_tlog::leaf(bytes)))
        }
        (None, Some(from)) => (Proof::of_consistency(from, size).map_err(invalid)?, None),
        _ => {
            return Err(Failure::new(
                Code::Invalid,
                "say either leaf (an entry) or from (a shorter log)",
            )
            .hint("GET /api/v1/audit/proof?leaf=12, or ?from=100&size=200"));
        }
    };
    let tree = store.log_tree(size).await?;
    let hashes = store.log_proof(proof, size).await?;
    Ok(Json(LogProof {
        size,
        head: Hash::from_bytes(tree.head()),
        leaf: leaf.map(Hash::from_bytes),
        proof: hashes.into_iter().map(Hash::from_bytes).collect(),
    }))
}

/// All that happened to a grant, as entries of the signed log with their proofs: for a file that a stranger can verify.
#[utoipa::path(get, path = "/api/v1/grants/{id}/proof", tag = "audit", params(("id" = String, Path)),
    responses((status = 200, body = GrantProof), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn grant(State(app): State<App>, Path(id): Path<String>) -> Answer<Json<GrantProof>> {
    let store = app.engine.store();
    let grant = store.resolve_grant(&id).await?;
    let timeline = store.timeline(RequestId::from_bytes(grant.bytes())).await?;
    if timeline.len() > MOST_PROVED {
        let what = format!(
            "{} entries are about it, and one proof takes {MOST_PROVED}",
            timeline.len()
        );
        return Err(Failure::new(Code::Invalid, what).hint("daypass audit export has the whole log"));
    }
    let size = timeline.iter().map(|entry| entry.index.saturating_add(1)).max();
    app.signing.signed(size.unwrap_or_default()).await;
    let covers = |kept: &KeptCheckpoint| size.is_none_or(|size| size <= kept.size);
    // One that witnesses signed says more, where it covers all of it and whoever has the log's present key believes it.
    let witnessed = app.witnesses.newest(store).await?;
    let newest = match witnessed.filter(|kept| covers(kept) && is_by_present_key(&app, kept)) {
        Some(witnessed) => witnessed,
        None => newest(&app).await?,
    };
    if !covers(&newest) {
        return Err(Failure::new(
            ProblemCode::Unavailable,
            "the last of what happened to it is not signed yet",
        )
        .hint("try again in a second; daypass doctor says whether the log is signed at all")
        .retry_after(Duration::from_secs(1)));
    }
    let proofs = timeline
        .iter()
        .map(|entry| Proof::of_inclusion(entry.index, newest.size));
    let proofs: Result<Vec<_>, _> = proofs.collect();
    let proofs = proofs.map_err(|error| Failure::internal(&error))?;
    let proofs = store.log_proofs(proofs, newest.size).await?;
    let entries = timeline.iter().zip(proofs).map(|(entry, proof)| ProvedEntry {
        index: entry.index,
        entry: STANDARD.encode(&entry.bytes),
        proof: proof.iter().map(|hash| STANDARD.encode(hash)).collect(),
    });
    let entries = entries.collect();
    Ok(Json(GrantProof {
        format: GRANT_PROOF.to_owned(),
        grant: grant.to_string(),
        checkpoint: newest.note,
        entries,
        words: words(timeline),
        keys: announced(&app).await?,
    }))
}

/// The words that are kept of these entries' free texts.
fn words(entries: Vec<Entry>) -> Vec<ProvedWords> {
    let mut all = BTreeMap::new();
    for mut entry in entries {
        for prose in entry.event.what.prose_mut() {
            if let Some(words) = prose.words() {
                let (salt, text) = (hex::encode(words.salt), words.text.clone());
                all.insert(prose.hash(), (salt, text));
            }
        }
    }
    all.into_iter()
        .map(|(hash, (salt, text))| ProvedWords { hash, salt, text })
        .collect()
}

async fn newest(app: &Parts) -> Answer<KeptCheckpoint> {
    let newest = app.engine.store().newest_checkpoint().await?;
    newest.ok_or_else(not_signed)
}

fn is_by_present_key(app: &Parts, kept: &KeptCheckpoint) -> bool {
    let note = Note::parse(kept.note.as_bytes());
    app.signing
        .key()
        .is_some_and(|key| note.is_ok_and(|note| note.verify(&key).is_ok()))
}

fn not_witnessed() -> Failure {
    Failure::new(
        Code::NotFound,
        "no checkpoint of this log is signed by enough witnesses (yet)",
    )
    .hint("witnesses in server.yaml names who is asked to; daypass doctor says how each stands")
}

fn not_signed() -> Failure {
    Failure::new(Code::NotFound, "nothing of this log is signed (yet)")
        .hint("signing_key in server.yaml makes the server sign; daypass doctor says whether it does")
}

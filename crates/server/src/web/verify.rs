//! Verifying the log, on a page: what a checkpoint says, whether the entries add up to it, and whether it goes on from what this browser saw
//! before.
//!
//! A page is the server's own word, and says so: who wants to believe nobody has `daypass audit verify`.

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use axum::response::{Html, IntoResponse as _, Response};
use daypass_api::client::{Client, Error};
use daypass_api::log::ProofQuery;
use daypass_tlog::key::Verifier;
use daypass_tlog::proof::verify_consistency;
use daypass_tlog::tile::{Kind, Tile};
use daypass_tlog::{Checkpoint, Hash, Tree, leaf, signed};

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::visit::Visit;
use super::{Web, cookie};

/// So many entries are read again at most, in bundles of 256: what takes a second or two.
const MOST: u64 = 256 * 100;

#[derive(Template)]
#[template(path = "verify.html")]
struct Page {
    frame: Frame,
    size: u64,
    head: String,
    key: String,
    checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq)]
struct Check {
    /// Whether it holds; nothing where it was not looked at.
    holds: Option<bool>,
    found: String,
}

impl Check {
    fn new(holds: bool, good: String, bad: String) -> Self {
        Self {
            holds: Some(holds),
            found: if holds { good } else { bad },
        }
    }
}

/// The newest checkpoint, and the key that signed it.
async fn newest(api: &Client) -> Result<(Checkpoint, Verifier), Failed> {
    let key = api.log_key().await?;
    let key: Verifier = String::from_utf8_lossy(&key)
        .trim()
        .parse()
        .map_err(|error| Failed::internal(&error))?;
    let note = api.log_checkpoint().await?;
    let (checkpoint, _) = signed(&note, [&key]).map_err(|error| Failed::internal(&error))?;
    Ok((checkpoint, key))
}

/// The head that the log's entries add up to.
async fn added_up(api: &Client, size: u64) -> Result<Hash, Error> {
    let mut tree = Tree::default();
    for tile in Tile::all(Kind::Entries, size) {
        let path = tile.to_string();
        let bundle = api
            .log_entries(path.splitn(3, '/').nth(2).unwrap_or_default())
            .await?;
        // What is no bundle adds up to another head.
        for entry in tile.entries(&bundle).unwrap_or_default() {
            tree.push(leaf(entry));
        }
    }
    Ok(tree.head())
}

async fn entries(api: &Client, newest: &Checkpoint) -> Result<Check, Error> {
    let size = newest.size;
    if size > MOST {
        let found = format!(
            "its entries were not read again, for there are more than {MOST}: daypass audit verify reads all"
        );
        return Ok(Check { holds: None, found });
    }
    let holds = added_up(api, size).await? == newest.head;
    Ok(Check::new(
        holds,
        format!("each of its {size} entries was read again, and they add up to that head"),
        format!("its {size} entries add up to another head: something was changed, left out or put in"),
    ))
}

/// Whether the log goes on from what this browser saw.
async fn goes_on(api: &Client, seen: Option<(u64, Hash)>, newest: &Checkpoint) -> Result<Check, Error> {
    let Some((size, head)) = seen else {
        let found = String::from("this browser sees the log for the first time, and will remember it");
        return Ok(Check { holds: None, found });
    };
    let bad = format!("the log of {size} entries that this browser saw is not the beginning of this one");
    if size > newest.size {
        return Ok(Check::new(false, String::new(), bad));
    }
    let query = ProofQuery {
        from: Some(size),
        size: Some(newest.size),
        ..ProofQuery::default()
    };
    let proof = api.log_proof(&query).await?;
    let hashes: Vec<Hash> = proof.proof.iter().map(|hash| *hash.bytes()).collect();
    let holds = verify_consistency((size, &head), (newest.size, &newest.head), &hashes).is_ok();
    let good = format!("it goes on from the log of {size} entries that this browser saw before");
    Ok(Check::new(holds, good, bad))
}

/// See the module.
pub(super) async fn page(
    State(web): State<Web>,
    visit: Visit,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let seen = cookie::seen(&headers, web.secure);
    let asking = async {
        let frame = visit.frame(Tab::Audit, "Verify the log").await?;
        let (newest, key) = newest(&visit.api).await?;
        let checks = vec![
            Check {
                holds: Some(true),
                found: format!(
                    "its newest checkpoint, of {} entries, is signed by its key",
                    newest.size
                ),
            },
            entries(&visit.api, &newest).await?,
            goes_on(&visit.api, seen, &newest).await?,
        ];
        Ok::<_, Failed>((frame, newest, key, checks))
    };
    let (frame, newest, key, checks) = visit.from.clone().scope(asking).await?;
    // What does not fit to what was seen is not remembered in its place: it goes on being told.
    let is_good = checks.iter().all(|check| check.holds != Some(false));
    let page = Page {
        frame,
        size: newest.size,
        head: hex::encode(newest.head),
        key: key.to_string(),
        checks,
    };
    let mut answer = Html(page.render()?).into_response();
    let remembered = cookie::see((newest.size, &newest.head), web.secure).filter(|_| is_good);
    if let Some(remembered) = remembered {
        answer.headers_mut().append(SET_COOKIE, remembered);
    }
    Ok(answer)
}

//! What a person has asked for and had, for limits that count it.
//!
//! Whoever decides by a count holds that person's past still until their transaction ends: of two who would each just fit, the
//! second sees the first.

use daypass_core::grant::Grant;
use daypass_core::id::PersonId;
use daypass_core::past::{AHEAD, Asked, Held, Past, Reach};
use daypass_core::request::{Request, State};
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;

use crate::error::Result;
use crate::link::Link;
use crate::scope::Scope;
use crate::store::Store;
use crate::value::Row;
use crate::{texts, transition};

/// More denials than this, the newest, tell nothing new.
const DENIALS: usize = 500;

/// Waits until nobody else decides by the same person's past, where something of it is counted. It comes after all rows: who
/// has it waits for no row any more but those that its own rows guard.
pub(crate) async fn hold(link: &mut Link, scope: &Scope, world: &World) -> Result<()> {
    match wanted(scope, world) {
        // No login and no id of a request: those are reserved too.
        Some((who, reach)) if reach.counts() => link.reserve(&format!("past: {who}")).await,
        _ => Ok(()),
    }
}

/// Reads the past that a scope asks for. Where it is not known whose, it stays unknown.
pub(crate) async fn recall(link: &mut Link, scope: &Scope, world: &mut World, now: Timestamp) -> Result<()> {
    if let Some((who, reach)) = wanted(scope, world) {
        world.past = past(link, who, reach, now).await?;
    }
    Ok(())
}

fn wanted(scope: &Scope, world: &World) -> Option<(PersonId, Reach)> {
    let Scope::Remembering { about, who, reach } = scope else {
        return None;
    };
    let of = match about.as_ref() {
        Scope::Request(id) => world.requests.get(id).map(|request| request.ask.requester),
        Scope::Grant(id) => world.grants.get(id).map(|grant| grant.holder),
        _ => None,
    };
    who.or(of).map(|who| (who, *reach))
}

async fn past(link: &mut Link, who: PersonId, reach: Reach, now: Timestamp) -> Result<Past> {
    let mut asked = Vec::new();
    if let Some(back) = reach.uses {
        // One that was asked for ahead counts when its access begins.
        let text = "SELECT document FROM requests WHERE requester = $1 AND created_at > $2 \
                    AND state IN ('pending', 'approved') ORDER BY created_at, id";
        let rows = link
            .rows(text, &[who.into(), (now - (back + AHEAD)).into()])
            .await?;
        asked.extend(requests(&rows)?.iter().filter_map(Asked::of));
    }
    if let Some(back) = reach.denials {
        let text = "SELECT document FROM requests WHERE requester = $1 AND denied_at > $2 \
                    ORDER BY denied_at DESC, id DESC LIMIT $3";
        let rows = link
            .rows(text, &[who.into(), (now - back).into(), DENIALS.into()])
            .await?;
        let mut denied = requests(&rows)?;
        texts::open(link, &mut denied).await?;
        asked.extend(denied.iter().filter_map(Asked::of));
    }
    let held = match reach.total {
        Some(back) => held(link, who, now - back).await?,
        None => Vec::new(),
    };
    Ok(Past { reach, asked, held })
}

/// What has begun to end since then, and what is live: all that a window which reaches to the present can share time with.
///
/// One row for each extension of a grant, or one without any.
async fn held(link: &mut Link, who: PersonId, since: Timestamp) -> Result<Vec<Held>> {
    let text = "SELECT grants.document, requests.document FROM grants \
                LEFT JOIN requests ON requests.extends = grants.id AND requests.state = 'approved' \
                WHERE grants.id IN (SELECT id FROM grants WHERE holder = $1 AND over_at > $2 UNION \
                SELECT id FROM grants WHERE holder = $1 AND state IN ('scheduled', 'activating', 'active')) \
                ORDER BY grants.opened_at, grants.id";
    let rows = link.rows(text, &[who.into(), since.into()]).await?;
    let mut all: Vec<(Grant, Span)> = Vec::new();
    for row in &rows {
        let grant: Grant = row.json(0)?;
        let by = match row.maybe_text(1)? {
            Some(_) => by(&row.json(1)?),
            None => Span::ZERO,
        };
        match all.last_mut().filter(|(last, _)| last.id == grant.id) {
            Some((_, lengthened)) => *lengthened = *lengthened + by,
            None => all.push((grant, by)),
        }
    }
    let held = all
        .iter()
        .filter_map(|(grant, lengthened)| Held::of(grant, *lengthened));
    Ok(held.collect())
}

/// By how much an extension was to lengthen its grant.
const fn by(extension: &Request) -> Span {
    match &extension.state {
        State::Approved { approval, .. } => approval.duration(),
        _ => Span::ZERO,
    }
}

fn requests(rows: &[Row]) -> Result<Vec<Request>> {
    rows.iter().map(|row| row.json(0)).collect()
}

impl Store {
    /// What a person has asked for and had, as far back as is asked for. It may have changed when the answer is there: a
    /// decision asks for [`Scope::Remembering`].
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn past(&self, who: PersonId, reach: Reach) -> Result<Past> {
        if reach.is_nothing() {
            return Ok(Past::default());
        }
        let floor = self.floor().clone();
        self.read(move |link| {
            Box::pin(async move {
                let (now, _) = transition::now(link, &floor).await?;
                past(link, who, reach, now).await
            })
        })
        .await
    }
}

//! Which keys may have signed what a server shows. The one place where that is decided: keys that were given, else the one that is
//! pinned, else (the first time) the one that the server shows; and whichever these lead to by their own announcements.

use daypass_api::client::{Client, Error};
use daypass_tlog::Checkpoint;
use daypass_tlog::key::Verifier;
use daypass_tlog::succession::{Announcement, Successor, successors};

use super::pinned::Pinned;
use super::shown::{Shown, key_of};
use super::{PinGuard, Seen};
use crate::commands::audit::chain::announcement;

/// By whom what is shown is signed.
pub(super) enum By {
    /// A key that is pinned from now on.
    Key(Verifier, Led),
    /// The one that announced the pinned one, alone, while both are still in use: it counts, and the pin stays where it is.
    Former(Verifier),
}

/// How one came to a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Led {
    /// The keys that led to it, the first one first.
    pub(super) by: Vec<String>,
    /// What was just proved of that; empty where nothing is new.
    pub(super) followed: Vec<Successor>,
}

impl PinGuard {
    /// Whether the pinned key is one of those that somebody gave, or one that they led to, where somebody did.
    pub(super) fn is_by_given(&self, pinned: &Pinned) -> bool {
        let given = |key: &String| self.given.iter().any(|given| given.to_string() == *key);
        self.given.is_empty() || given(&pinned.key) || pinned.led.iter().any(given)
    }

    /// By whom it is signed; `None` where by nobody who may.
    pub(super) async fn by(
        &self,
        client: &Client,
        seen: Option<&Seen<'_>>,
        shown: &Shown,
    ) -> Result<Option<By>, Error> {
        let pinned = seen.filter(|(pinned, _)| self.is_by_given(pinned));
        let led = pinned.map_or([].as_slice(), |(pinned, _)| pinned.led.as_slice());
        let mut known: Vec<Verifier> = pinned.iter().map(|(_, seen)| seen.key.clone()).collect();
        // A key that the pinned one came after does not come back, whoever gives it: it counts as the former one, for a while.
        let given = self.given.iter();
        known.extend(given.filter(|key| !led.contains(&key.to_string())).cloned());
        if known.is_empty() {
            known.push(key_of(client).await?);
        }
        let own = shown.signed_by(&known).cloned();
        let former = pinned.and_then(|(pinned, _)| self.former(pinned, shown));
        // Somebody signed it beside a key that is known, under the log's name: as a rule the key that comes next.
        let next = || shown.others(&known, led).next().is_some();
        let begins = match &own {
            Some(own) if next() => std::slice::from_ref(own),
            Some(_) => &[],
            None if former.is_some() => &[],
            None => known.as_slice(),
        };
        if !begins.is_empty()
            && let Some(followed) = follow(client, (begins, led), shown, own.is_some()).await?
            && let (Some(first), Some(last)) = (followed.first(), followed.last())
        {
            let first = first.from.to_string();
            let before = pinned.filter(|(pinned, _)| pinned.key == first);
            let mut by = before.map_or(Vec::new(), |(pinned, _)| pinned.led.clone());
            by.extend(followed.iter().map(|one| one.from.to_string()));
            return Ok(Some(By::Key(last.key.clone(), Led { by, followed })));
        }
        let Some(own) = own else {
            return Ok(former.map(By::Former));
        };
        let by = match pinned {
            Some((pinned, _)) if pinned.key == own.to_string() => pinned.led.clone(),
            _ => Vec::new(),
        };
        let followed = Vec::new();
        Ok(Some(By::Key(own, Led { by, followed })))
    }

    /// The key that announced the pinned one, where it signed what is shown and counts: for some time after both signed, and where keys were
    /// given only if it is among them.
    fn former(&self, pinned: &Pinned, shown: &Shown) -> Option<Verifier> {
        let former = pinned.former(shown.at)?;
        let counts = self.given.is_empty() || self.given.contains(&former);
        (counts && shown.is_by(&former)).then_some(former)
    }
}

/// From one of these keys to one that signed what is shown and that nobody has come beyond. `is_known`: another one signed it already, so
/// that nothing hangs on this.
async fn follow(
    client: &Client,
    (begins, led): (&[Verifier], &[String]),
    shown: &Shown,
    is_known: bool,
) -> Result<Option<Vec<Successor>>, Error> {
    let links = match client.log_key_links().await {
        Ok(links) => links.links,
        // A server of an older version has no such call, and never rotated its key.
        Err(Error::Problem(problem)) if is_known || problem.status == 404 => return Ok(None),
        Err(Error::NotDaypass { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let links: Vec<Announcement> = links.iter().filter_map(announcement).collect();
    for key in begins {
        let mut followed = successors(key, &links);
        while let Some(last) = followed.last() {
            if shown.is_by(&last.key) && !led.contains(&last.key.to_string()) {
                return Ok(Some(followed));
            }
            followed.pop();
        }
    }
    Ok(None)
}

/// Whether what a key signed when it announced the next one can be of the log that is shown: a shorter log, or another one of the
/// same size, is not the one that announced it.
pub(super) fn contradicts(followed: &[Successor], shown: &Checkpoint, seen: Option<&Checkpoint>) -> bool {
    let differs = |one: &Checkpoint, other: &Checkpoint| one.size == other.size && one.head != other.head;
    followed.iter().map(|one| &one.checkpoint).any(|announced| {
        announced.size > shown.size
            || differs(announced, shown)
            || seen.is_some_and(|seen| differs(announced, seen))
    })
}

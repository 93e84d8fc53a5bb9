//! Membership of an Entra group. It bears no mark of who made it, so it is noted before it is made.
//!
//! A note says `given` from before the first call on, and `taken` from after a removal on. What is there without a note stood before and
//! is left alone. What is there although we took it is drift: somebody put it back, or a call of ours took effect late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use daypass_core::entitlement::{Fault, Spec};
use reqwest::Method;
use serde_json::json;

use super::client::Api;
use super::config;
use super::ids::{short, text};
use super::provider::{Connected, seen};
use super::role::principal;
use crate::command::keys;
use crate::config::misconfigured;
use crate::{Error, Inspection, Notebook, Progress};

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Membership {
    /// The group's object id.
    pub(super) group: String,
    /// The member's.
    pub(super) principal: String,
    /// Whether PIM keeps its limit.
    pub(super) pim: bool,
}

impl Membership {
    /// What a spec gives.
    pub(super) fn read(spec: &Spec) -> Result<Self, Error> {
        let group = config::group(&spec.resource).map_err(|problems| misconfigured("resource", &problems))?;
        let pim = config::membership(&spec.role).map_err(|problems| misconfigured("role", &problems))?;
        let principal = principal(spec)?;
        Ok(Self {
            group,
            principal,
            pim,
        })
    }

    /// The key of it: the same for whoever grants the same to the same person.
    pub(super) fn key(&self) -> String {
        let kind = if self.pim { "grouppim" } else { "group" };
        format!("{kind}-{}", short(&[kind, &self.group, &self.principal]))
    }
}

/// What is noted of a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Given,
    Taken,
}

/// A note: `given GROUP PRINCIPAL`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    state: State,
    membership: Membership,
}

impl Note {
    fn text(&self) -> String {
        let state = match self.state {
            State::Given => "given",
            State::Taken => "taken",
        };
        let Membership { group, principal, .. } = &self.membership;
        format!("{state} {group} {principal}")
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let state = match words.next()? {
            "given" => State::Given,
            "taken" => State::Taken,
            _ => return None,
        };
        let (group, principal) = (words.next()?.to_owned(), words.next()?.to_owned());
        let whole = words.next().is_none();
        whole.then_some(Self {
            state,
            membership: Membership {
                group,
                principal,
                pim: false,
            },
        })
    }
}

impl Connected {
    fn notebook(&self) -> Result<&Arc<dyn Notebook>, Error> {
        self.notebook.as_ref().ok_or_else(|| {
            let what = "this server keeps no notes, without which a membership of ours could not be told from one that stood \
                        before";
            Error::new(Fault::Misconfigured, what)
        })
    }

    /// What names of notes begin with. A slash never is in a key as it is told.
    fn noted_under(&self) -> String {
        format!("azure-group/{}/", self.asker)
    }

    async fn note(&self, key: &str, membership: &Membership, state: State) -> Result<(), Error> {
        let note = Note {
            state,
            membership: membership.clone(),
        };
        let name = format!("{}{}", self.noted_under(), keys::told(key));
        self.notebook()?.write(&name, &note.text()).await
    }

    async fn strike(&self, key: &str) -> Result<(), Error> {
        let name = format!("{}{}", self.noted_under(), keys::told(key));
        self.notebook()?.strike(&name).await
    }

    async fn noted(&self) -> Result<BTreeMap<String, Note>, Error> {
        let Some(notebook) = &self.notebook else {
            return Ok(BTreeMap::new());
        };
        let under = self.noted_under();
        let all = notebook.notes(&under).await?;
        let read = |(name, text): (String, String)| {
            let key = keys::heard(name.strip_prefix(&under)?)?;
            Some((key, Note::read(&text)?))
        };
        Ok(all.into_iter().filter_map(read).collect())
    }

    /// What names of notes of memberships that PIM keeps begin with.
    fn scheduled_under(&self) -> String {
        format!("azure-group-pim/{}/", self.asker)
    }

    /// Notes where PIM keeps a membership for us: that is never struck, for PIM says whether it is there, and whose it is.
    pub(super) async fn note_schedule(&self, key: &str, membership: &Membership) -> Result<(), Error> {
        let note = Note {
            state: State::Given,
            membership: membership.clone(),
        };
        let name = format!("{}{}", self.scheduled_under(), keys::told(key));
        match &self.notebook {
            Some(notebook) => notebook.write(&name, &note.text()).await,
            // The ledger has it, which is enough for all but finding what the ledger lost.
            None => Ok(()),
        }
    }

    /// Where PIM keeps memberships for us, or did.
    pub(super) async fn scheduled_at(&self) -> Result<BTreeMap<String, Membership>, Error> {
        let Some(notebook) = &self.notebook else {
            return Ok(BTreeMap::new());
        };
        let under = self.scheduled_under();
        let all = notebook.notes(&under).await?;
        let read = |(name, text): (String, String)| {
            let key = keys::heard(name.strip_prefix(&under)?)?;
            Some((key, Note::read(&text)?.membership))
        };
        Ok(all.into_iter().filter_map(read).collect())
    }

    /// Puts somebody into a group, unless they are there.
    pub(super) async fn add_member(&self, key: &str, wanted: &Membership) -> Result<Progress, Error> {
        self.notebook()?;
        let mut noted = self.noted().await?;
        let note = noted.remove(key);
        let given = note.is_some_and(|note| note.state == State::Given && note.membership == *wanted);
        if self.has_member(wanted).await? {
            if given {
                return Ok(Progress::Done);
            }
            // From now on it is somebody else's, whatever was noted.
            self.strike(key).await?;
            return Err(standing(wanted));
        }
        // What was taken under another key, and is given under this one now, is no drift of that one.
        for (other, note) in noted {
            if note.state == State::Taken && note.membership == *wanted {
                self.strike(&other).await?;
            }
        }
        self.note(key, wanted, State::Given).await?;
        let doing = "adding the member";
        let path = format!("/v1.0/groups/{}/members/$ref", wanted.group);
        let reference = format!(
            "{}/v1.0/directoryObjects/{}",
            self.client.graph_at(),
            wanted.principal
        );
        let body = json!({"@odata.id": reference});
        let added = self
            .client
            .call(Api::Graph, Method::POST, &path, Some(&body), doing)
            .await?;
        match added {
            Ok(_) => Ok(Progress::Done),
            Err(refusal) if refusal.status == 400 && refusal.message.contains("already exist") => {
                if given {
                    return Ok(Progress::Done);
                }
                // A read that lagged did not show what stood before.
                self.strike(key).await?;
                Err(standing(wanted))
            }
            Err(refusal) => {
                // A plain no: nothing was put in, and what somebody puts in by hand now is not ours.
                let is_no =
                    (400..500).contains(&refusal.status) && ![408, 409, 429].contains(&refusal.status);
                if is_no && !given {
                    self.strike(key).await?;
                }
                Err(refusal.error(doing))
            }
        }
    }

    /// Takes somebody out of a group, where we put them there.
    pub(super) async fn remove_member(&self, key: &str) -> Result<Progress, Error> {
        let Some(note) = self.noted().await?.remove(key) else {
            return Ok(Progress::Done);
        };
        let Membership { group, principal, .. } = &note.membership;
        let doing = "removing the member";
        let path = format!("/v1.0/groups/{group}/members/{principal}/$ref");
        let removed = self
            .client
            .call(Api::Graph, Method::DELETE, &path, None, doing)
            .await?;
        match removed {
            Ok(_) => {}
            Err(refusal) if refusal.status == 404 => {}
            Err(refusal) => return Err(refusal.error(doing)),
        }
        if note.state == State::Given {
            self.note(key, &note.membership, State::Taken).await?;
        }
        Ok(Progress::Done)
    }

    /// Whether somebody is in a group whom we put there.
    pub(super) async fn is_member(&self, key: &str) -> Result<Inspection, Error> {
        match self.noted().await?.remove(key) {
            Some(note) => {
                let Membership { group, principal, .. } = &note.membership;
                Ok(seen(self.members(group).await?.contains(principal), None))
            }
            None => Ok(seen(false, None)),
        }
    }

    /// The keys of all memberships of ours that are there.
    pub(super) async fn members_noted(&self) -> Result<Vec<String>, Error> {
        let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut keys = Vec::new();
        for (key, note) in self.noted().await? {
            let Membership { group, principal, .. } = note.membership;
            if !groups.contains_key(&group) {
                let members = self.members(&group).await?;
                groups.insert(group.clone(), members);
            }
            if groups
                .get(&group)
                .is_some_and(|members| members.contains(&principal))
            {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// Who is in a group, or may be, because we put them there; what PIM keeps for us aside.
    pub(super) async fn put_into(&self, group: &str) -> Result<BTreeSet<String>, Error> {
        let all = self.noted().await?.into_values();
        let there = all.filter(|note| note.membership.group.eq_ignore_ascii_case(group));
        Ok(there.map(|note| note.membership.principal).collect())
    }

    pub(super) async fn has_member(&self, wanted: &Membership) -> Result<bool, Error> {
        Ok(self.members_of(&wanted.group).await?.contains(&wanted.principal))
    }

    /// The direct members of a group. One that was deleted has none.
    async fn members(&self, group: &str) -> Result<BTreeSet<String>, Error> {
        match self.members_of(group).await {
            Err(error) if error.fault == Fault::NotFound => Ok(BTreeSet::new()),
            members => members,
        }
    }

    async fn members_of(&self, group: &str) -> Result<BTreeSet<String>, Error> {
        let path = format!("/v1.0/groups/{group}/members?$select=id&$top=999");
        let all = self
            .client
            .list(Api::Graph, &path, "reading the group's members")
            .await?;
        Ok(all
            .iter()
            .map(|member| text(member, "/id").to_ascii_lowercase())
            .collect())
    }
}

fn standing(wanted: &Membership) -> Error {
    Error::new(
        Fault::AlreadyStanding,
        format!(
            "{} is a member of {} already, and not by this Daypass",
            wanted.principal, wanted.group
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_again() {
        let note = Note {
            state: State::Taken,
            membership: Membership {
                group: "g".to_owned(),
                principal: "p".to_owned(),
                pim: false,
            },
        };
        assert_eq!(Note::read(&note.text()), Some(note));
        for odd in ["", "given", "given g", "held g p", "given g p more"] {
            assert_eq!(Note::read(odd), None, "{odd}");
        }
    }
}

//! Events on the wire: the live stream says that something happened, the audit trail says all of it.

use daypass_api::event as api;
use daypass_core::deed::Deed;
use daypass_core::event::{Actor, Event, LogEvent, PolicyEvent, Subject, What};
use daypass_core::id::PersonId;
use daypass_core::name::Name;
use daypass_core::person::Change;
use daypass_core::review::Review;
use daypass_core::{change, entitlement, grant, key, lock, request};
use daypass_engine::{Snapshot, told as told_edit};
use daypass_store::Entry;

use super::lock::on as on_lock;
use super::person::fingerprint;
use super::words;
use crate::http::problem::{Answer, Failure};

/// One message of the live stream.
#[must_use]
pub(crate) fn told(entry: &Entry, people: &Snapshot) -> api::Event {
    api::Event {
        seq: entry.index,
        at: entry.event.at,
        name: entry.event.what.name().to_owned(),
        subject: subject(&entry.event),
        actor: actor(&entry.event, people),
    }
}

/// One entry of the audit trail.
///
/// # Errors
/// Where the event has no JSON form, which its types rule out.
pub(crate) fn audit(entry: &Entry, people: &Snapshot) -> Answer<api::AuditEvent> {
    Ok(api::AuditEvent {
        seq: entry.index,
        at: entry.event.at,
        name: entry.event.what.name().to_owned(),
        subject: subject(&entry.event),
        actor: actor(&entry.event, people),
        summary: summary(&entry.event, people),
        data: serde_json::to_value(&entry.event.what).map_err(|error| Failure::internal(&error))?,
        leaf: entry.leaf,
    })
}

fn subject(event: &Event) -> api::Subject {
    api::Subject {
        kind: event.subject.kind().to_owned(),
        id: event.subject.id(),
    }
}

fn actor(event: &Event, people: &Snapshot) -> Option<String> {
    match event.actor {
        Actor::Person(person) => Some(people.login(person)),
        Actor::System => None,
    }
}

/// What happened in one line, for people.
#[must_use]
fn summary(event: &Event, people: &Snapshot) -> String {
    match &event.what {
        What::Request(what) => of_request(what, people),
        What::Grant(what) => of_grant(what),
        What::Entitlement(what) => of_entitlement(what),
        What::Person(change) => of_person(change, people),
        What::Lock(what) => of_lock(what, &event.subject, people),
        What::Change(what) => of_change(what, people),
        What::Policy(PolicyEvent::Applied {
            revision, summary, ..
        }) => {
            let short: String = revision.to_string().chars().take(12).collect();
            format!("revision {short} is in force ({} changes)", summary.len())
        }
        What::Log(LogEvent::Continued {
            signed_size,
            kept_size,
            ..
        }) => format!(
            "the operator went on from {kept_size} entries, where {signed_size} had been signed: the store was put back from a copy"
        ),
        What::Key(what) if event.subject == Subject::Key(key::Key::Log) => of_log_key(what),
        What::Key(what) => of_key(what),
        What::Session(what) => super::session::told(what, people),
    }
}

fn of_key(what: &key::Event) -> String {
    use key::Event as E;
    match what {
        E::Resealed { id, values } => format!("everything is sealed by {id} now ({values} sealed anew)"),
        E::Staged { next } => format!("hosts are told to trust {next}, which signs nothing yet"),
        E::Changed { to, from, without } if without.is_empty() => {
            format!("{to} signs in the place of {from}")
        }
        E::Changed { to, from, without } => format!(
            "{to} signs in the place of {from}, without waiting for {}",
            without.join(", ")
        ),
        E::Withdrawn { old, early: false } => format!("hosts are told to trust {old} no more"),
        E::Withdrawn { old, early: true } => {
            format!("hosts are told to trust {old} no more, before what it signed had run out")
        }
    }
}

fn of_log_key(what: &key::Event) -> String {
    use key::Event as E;
    match what {
        E::Resealed { .. } => of_key(what),
        E::Staged { next } => format!("the log's key says that the next one is {next}"),
        E::Changed { to, from, without } if without.is_empty() => {
            format!("{to} is the log's key; {from} signs beside it")
        }
        E::Changed { to, from, without } => format!(
            "{to} is the log's key; {from} signs beside it; these servers did not have it: {}",
            without.join(", ")
        ),
        E::Withdrawn { old, early: false } => format!("{old} signs no more"),
        E::Withdrawn { old, early: true } => {
            format!("{old} signs no more, and is not to be believed: somebody else may have it")
        }
    }
}

fn of_change(what: &change::Event, people: &Snapshot) -> String {
    use change::Event as E;
    match what {
        E::Proposed { change } => {
            let who = people.login(change.proposer);
            match &change.proposal {
                change::Proposal::Policy {
                    revision, summary, ..
                } => {
                    let short: String = revision.to_string().chars().take(12).collect();
                    let changes = summary.len();
                    format!("{who} proposes another policy, revision {short} ({changes} changes)")
                }
                change::Proposal::Directory { edit } => {
                    format!("{who} proposes: {}", told_edit(edit, people, false).join("; "))
                }
            }
        }
        E::Reviewed { review, .. } => {
            let who = reviewer(review, people);
            format!("{who} approves step {}", review.step + 1)
        }
        E::Escalated { due_at } => format!("nobody answered; others are asked until {due_at}"),
        E::Applied { review } => {
            let who = reviewer(review, people);
            format!("{who} approves, the last that was needed: it is carried out")
        }
        E::Denied { review } => format!("{} denies it", reviewer(review, people)),
        E::Withdrawn => "taken back".to_owned(),
        E::Lapsed { why } => why.to_string(),
    }
}

/// Who reviewed, and in whose place: `bo for ana`.
fn reviewer(review: &Review, people: &Snapshot) -> String {
    in_place(review.reviewer, review.on_behalf, people)
}

fn in_place(who: PersonId, absent: Option<PersonId>, people: &Snapshot) -> String {
    let absent = absent.map(|absent| people.login(absent));
    daypass_api::request::in_whose_place(&people.login(who), absent.as_deref())
}

fn of_lock(what: &lock::Event, subject: &Subject, people: &Snapshot) -> String {
    let name = match subject {
        Subject::Lock(on) => on_lock(on, people).name().to_owned(),
        _ => String::new(),
    };
    let (done, why) = match what {
        lock::Event::Locked { why, .. } => ("locked", why),
        lock::Event::Unlocked { why, .. } => ("unlocked", why),
    };
    words(why).map_or_else(
        || format!("{name} was {done}"),
        |why| format!("{name} was {done}: {why}"),
    )
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items
        .into_iter()
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

fn of_request(what: &request::Event, people: &Snapshot) -> String {
    use request::Event as E;
    match what {
        E::Created { request } => {
            let verb = if request.path.break_glass.is_some() {
                "BREAKS THE GLASS for"
            } else if request.ask.extends.is_some() {
                "asks for more time on"
            } else {
                "asks for"
            };
            let who = people.login(request.ask.requester);
            let (items, path) = (list(&request.ask.items), &request.path);
            format!(
                "{who} {verb} {items} for {} (rule {})",
                request.ask.duration, path.rule
            )
        }
        E::Reviewed { review, .. } => {
            format!("{} approves step {}", reviewer(review, people), review.step + 1)
        }
        E::Escalated { due_at } => format!("nobody answered; others are asked until {due_at}"),
        E::Approved {
            review: Some(review),
            approval,
        } => {
            let who = reviewer(review, people);
            format!(
                "{who} approves, the last that was needed: {} for {}",
                list(approval.items()),
                approval.duration()
            )
        }
        E::Approved {
            review: None,
            approval,
        } => {
            format!(
                "its rule asks nobody: {} for {}",
                list(approval.items()),
                approval.duration()
            )
        }
        E::Denied { review } => format!("{} denies it", reviewer(review, people)),
        E::Withdrawn => "taken back".to_owned(),
        E::Lapsed { .. } => "nobody answered in time".to_owned(),
        E::Acknowledged {
            by,
            comment,
            on_behalf,
            ..
        } => {
            let who = in_place(*by, *on_behalf, people);
            let said = words(comment).map_or_else(String::new, |comment| format!(": {comment}"));
            format!("{who} reviewed what was done with the glass broken{said}")
        }
        E::ReviewOverdue => "nobody reviewed in time what was done with the glass broken".to_owned(),
    }
}

fn of_grant(what: &grant::Event) -> String {
    use grant::Event as E;
    match what {
        E::Opened { grant } => {
            let how = if grant.break_glass {
                " with the glass broken"
            } else {
                ""
            };
            format!("opened{how}: {}", list(grant.parts.iter().map(grant::Part::item)))
        }
        E::Begun { window_ends } => format!("being provisioned, until {window_ends} at the latest"),
        E::Activated { expires_at, .. } => format!("all of it is there; ends at {expires_at}"),
        E::Extended { expires_at, .. } => format!("ends at {expires_at} now"),
        E::CredentialIssued {
            item,
            certificate: Some(signed),
        } => format!(
            "certificate {} for {item} was signed for its holder's key {}, as {}, until {}",
            signed.serial,
            signed.key,
            list(&signed.principals),
            signed.valid_before
        ),
        E::CredentialIssued { item, .. } => format!("credentials for {item} were given to its holder"),
        E::Ending { reason } => format!("being taken away: {}", reason.name()),
        E::Overdue => "its removal takes longer than it should".to_owned(),
        E::Told {
            connector,
            deeds,
            unsaid,
            lost,
            ..
        } => done(connector, deeds, *unsaid, *lost),
        E::Ended { evidence } => {
            let residue = evidence.iter().filter(
                |one| matches!(&one.proof, grant::Proof::TargetRead { residue, .. } if !residue.is_empty()),
            );
            match residue.count() {
                0 => "seen to be gone".to_owned(),
                count => format!("seen to be gone; {count} of its items left something behind"),
            }
        }
    }
}

/// How many of the things that were done are said in words; all of them stand in the entry.
const DEEDS_SAID: usize = 3;

fn done(connector: &Name, deeds: &[Deed], unsaid: u64, lost: bool) -> String {
    let said = deeds.iter().take(DEEDS_SAID).map(|deed| {
        let outcome = deed.outcome.as_ref().map(|outcome| format!(" ({outcome})"));
        format!("{} on {}{}", deed.what, deed.on, outcome.unwrap_or_default())
    });
    let said = list(said);
    let more = deeds.len().saturating_sub(DEEDS_SAID);
    let more = u64::try_from(more).unwrap_or(u64::MAX).saturating_add(unsaid);
    match (deeds.len(), more, lost) {
        (_, _, true) => {
            format!("{connector} could not be asked what was done with it; nobody tries any more")
        }
        (0, _, _) => format!("{connector} tells of nothing that was done with it"),
        (_, 0, _) => format!("{connector} tells what was done with it: {said}"),
        _ => format!("{connector} tells what was done with it: {said}; and {more} more"),
    }
}

fn of_entitlement(what: &entitlement::Event) -> String {
    use entitlement::Event as E;
    match what {
        E::Intended { spec, intent, .. } => {
            format!("{} is about to be provisioned until {}", spec.item, intent.until)
        }
        E::Provisioned { until: Some(until) } => {
            format!("seen at the target, which ends it at {until} by itself")
        }
        E::Provisioned { until: None } => "seen at the target".to_owned(),
        E::Removing { .. } => "about to be taken away".to_owned(),
        E::Revoked => "taken away; nobody has looked yet".to_owned(),
        E::VerifiedAbsent {
            shown_by: Some(by), ..
        } => format!("it is not usable any more: {by}"),
        E::VerifiedAbsent { residue, .. } if residue.is_empty() => {
            "the target was read: it is gone".to_owned()
        }
        E::VerifiedAbsent { residue, .. } => {
            format!("the target was read: it is gone; left behind: {}", list(residue))
        }
        E::Failing { fault, doing, detail } => format!("{doing} fails ({fault}): {detail}"),
        E::DriftFound { key } => format!(
            "what stood at {key} was not what the grants give: added or changed by hand, or left by a crash"
        ),
    }
}

fn of_person(change: &Change, people: &Snapshot) -> String {
    match change {
        Change::Added { person } => match person.owner {
            None => format!("{} was added", people.login(person.id)),
            Some(owner) => format!(
                "{} was added, a service account that {} answers for",
                people.login(person.id),
                people.login(owner)
            ),
        },
        Change::Owner { owner } => {
            format!(
                "{} answers for it now; its tokens have ended",
                people.login(*owner)
            )
        }
        Change::Groups { groups } if groups.is_empty() => "belongs to no group now".to_owned(),
        Change::Groups { groups } => format!("belongs to {} now", list(groups)),
        Change::Manager {
            manager: Some(manager),
        } => format!("is managed by {} now", people.login(*manager)),
        Change::Manager { manager: None } => "has no manager now".to_owned(),
        Change::Role { role } => format!("is {} now", daypass_api::person::SystemRole::from(*role).as_str()),
        // The address itself is for those who may read the directory.
        Change::Mail { mail: Some(_) } => "has another mail address now".to_owned(),
        Change::Mail { mail: None } => "has no mail address now".to_owned(),
        Change::Handle {
            namespace,
            handle: Some(handle),
        } => format!("is {handle} in {namespace} now"),
        Change::Handle {
            namespace,
            handle: None,
        } => format!("has no handle in {namespace} now"),
        Change::Credentials => "the password was set".to_owned(),
        Change::TokenIssued {
            token,
            expires_at,
            key: Some(key),
        } => {
            let (token, key) = (token.short(), fingerprint(key));
            format!("a key of their own opens the gateway until {expires_at}: {key} ({token})")
        }
        Change::TokenIssued {
            token, expires_at, ..
        } => {
            format!("token {} was issued until {expires_at}", token.short())
        }
        Change::TokenRevoked { token } => format!("token {} was revoked", token.short()),
        Change::Delegated { delegation } => {
            let (to, from, until) = (people.login(delegation.to), delegation.from, delegation.until);
            let why = delegation.why.as_ref().and_then(words);
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            format!("{to} reviews in their place from {from} until {until}{why}")
        }
        Change::DelegationEnded { to } => {
            format!("{} no longer reviews in their place", people.login(*to))
        }
        Change::Deactivated => "switched off".to_owned(),
        Change::Reactivated => "switched on again".to_owned(),
    }
}

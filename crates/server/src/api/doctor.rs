//! Looks everything over at once, for people: what does not work, what will not work when it is needed, and what to do.
//!
//! Nothing in here decides anything; each check asks what the part in question asks itself.

use axum::extract::State;
use daypass_api::Problem;
use daypass_api::doctor::{Check, Checkup};
use daypass_core::grant::{Grant, State as GrantState};
use daypass_core::person::{Kind, Person, SystemRole};
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;
use daypass_engine::{Current, owner_locked};
use daypass_policy::{Lack, Membership, Vacancy, cared_for};
use daypass_store::{Backlog, Counts, GrantFilter};
use futures_util::future::join_all;

use crate::api::page::aside;
use crate::app::{App, Parts};
use crate::edge;
use crate::http::intake::Json;
use crate::http::problem::Answer;
use crate::signing::Standing;
use crate::witnesses::View;

/// What waits for longer than this on a channel is worth a look.
const STUCK: Span = Span::minutes(15);
/// How many grants and names are told one by one.
const FEW: usize = 5;
/// How many overdue grants are counted.
const MOST: usize = 1_000;

/// Looks everything over and says what is wrong. What connectors say is some seconds old at most.
#[utoipa::path(get, path = "/api/v1/doctor", tag = "health",
    responses((status = 200, body = Checkup), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn look(State(app): State<App>) -> Answer<Json<Checkup>> {
    let store = app.engine.store();
    let now = store.now().await?;
    let current = app.engine.current();
    let mut checks = vec![reconciler(&app)];
    checks.extend(of_policy(&app, &current, now).await?);
    checks.extend(connectors(&app, &current).await);
    checks.extend(super::gateways_doctor::looked_over(&app, &current));
    checks.extend(super::keys::looked_over(&app, &current, now).await);
    checks.extend(super::log_key::looked_over(&app).await);
    checks.push(overdue(&ending(&app).await?));
    checks.push(reviews(&store.counts().await?));
    checks.extend(notices(&app, &store.notices_waiting(now).await?, now));
    checks.push(administrators(&current));
    checks.extend(orphans(&current, &app.engine.locked_now().await?));
    checks.push(transport(&app));
    checks.push(log(&app));
    checks.extend(witnesses(&app));
    Ok(Json(Checkup { checks, at: now }))
}

fn reconciler(app: &Parts) -> Check {
    if app.reconciles(edge::instant()) {
        Check::good("reconciler", "looks at what is due")
    } else {
        let advice = "see the server's log; what is due is neither given nor taken away meanwhile";
        Check::failing("reconciler", "has not looked lately", advice)
    }
}

/// What is found by running the policy: on a thread of its own, for one who asks at a time.
async fn of_policy(app: &Parts, current: &Current, now: Timestamp) -> Answer<Vec<Check>> {
    let _turn = app.doctor_turn.lock().await;
    let current = current.clone();
    aside(move || {
        let mut checks = vec![policy(&current)];
        let vacancies = current.policy.vacancies(current.directory.as_ref(), now);
        let settle = current.policy.settle();
        checks.extend(vacancies.iter().map(|found| vacancy(found, settle)));
        checks
    })
    .await
}

/// The policy in force, and whether its own tests still pass: they did when it was put in force, perhaps by another version.
fn policy(current: &Current) -> Check {
    let policy = &current.policy;
    if policy.sources().is_empty() {
        let advice = "daypass policy apply FILE";
        return Check::failing("policy", "none is in force: nobody may have anything", advice);
    }
    let outcomes = policy.run_tests();
    let failed = outcomes.iter().filter(|outcome| !outcome.passed).count();
    let revision = policy.revision().to_string();
    let short: String = revision.chars().take(12).collect();
    if failed > 0 {
        let of = counted(outcomes.len(), "test", "tests");
        let fail = if failed == 1 { "fails" } else { "fail" };
        let found = format!("{failed} of {of} of revision {short} {fail}");
        return Check::failing("policy", found, "daypass policy test FILE says which");
    }
    if outcomes.is_empty() {
        let found = format!("revision {short} is in force and has no tests");
        return Check::warning(
            "policy",
            found,
            "add `tests`: a policy whose tests fail is never put in force",
        );
    }
    let found = format!(
        "revision {short} is in force, and its {}",
        counted(outcomes.len(), "test passes", "tests pass")
    );
    Check::good("policy", found)
}

/// A set with too few people. `settle`: how long an account has to be left alone before it reviews.
fn vacancy(vacancy: &Vacancy, settle: Span) -> Check {
    let Vacancy {
        who, rules, location, ..
    } = vacancy;
    let rules: Vec<&str> = rules.iter().map(daypass_core::name::Name::as_str).collect();
    let one = rules.len() == 1;
    let admit = if one { "admits" } else { "admit" };
    let (rules, about) = (listed(&rules), format!("people {}", vacancy.set));
    let fill = filled(&vacancy.of, &vacancy.lack);
    match vacancy.lack {
        Lack::Reviewers { have, need } => {
            let have = match have {
                0 => String::from("nobody of them"),
                have => format!("only {have} of them"),
            };
            let asks = if one { "asks" } else { "ask" };
            let found = format!(
                "{rules} {asks} {need} of {who} to review ({location:#}), and {have} may now: what waits for them goes unanswered, \
                 unless others are asked after silence"
            );
            let advice = match settle {
                Span::ZERO => fill,
                settle => format!("{fill}; whoever is new or was changed may review {settle} later"),
            };
            Check::warning(about, found, advice)
        }
        Lack::Askers => {
            let found = format!("nobody is in {who}: {rules} {admit} nobody ({location:#})");
            Check::warning(about, found, format!("{fill}, or take the rule away"))
        }
    }
}

/// How somebody comes to be in a set of people.
fn filled(of: &Membership, lack: &Lack) -> String {
    match (of, lack) {
        (Membership::Group(group), _) => format!("daypass group add {group} LOGIN"),
        (Membership::Logins(_), Lack::Reviewers { .. }) => String::from(
            "the set names logins: daypass user add LOGIN for those that are missing, or name others in the policy",
        ),
        (Membership::Logins(_), Lack::Askers) => String::from(
            "the set names logins: daypass user add LOGIN or daypass service add LOGIN --owner PERSON for one of them, \
             or name others in the policy",
        ),
        (Membership::Schedule, _) => {
            String::from("no command adds anybody to it: name a group or logins in the policy instead")
        }
    }
}

async fn connectors(app: &Parts, current: &Current) -> Vec<Check> {
    let probes = current.connectors.iter().map(|(name, provider)| async move {
        let about = format!("connector {name}");
        match app.probes.ask(name, provider).await {
            Ok(()) => Check::good(about, "can do its work"),
            Err(error) => {
                let found = format!("{}: {}", error.fault, error.detail);
                let advice = "its page in docs/providers says what it needs; until then nothing ends there that has no limit of its own";
                Check::failing(about, found, advice)
            }
        }
    });
    join_all(probes).await
}

async fn ending(app: &Parts) -> Answer<Vec<Grant>> {
    let filter = GrantFilter {
        states: vec!["ending".to_owned()],
        ..GrantFilter::default()
    };
    Ok(app.engine.store().grants(filter, None, MOST).await?.items)
}

fn overdue(ending: &[Grant]) -> Check {
    let overdue: Vec<String> = ending
        .iter()
        .filter(|grant| matches!(grant.state, GrantState::Ending { overdue: true, .. }))
        .map(|grant| grant.id.short().to_string())
        .collect();
    if overdue.is_empty() {
        return Check::good("overdue", "no grant is overdue");
    }
    let ids: Vec<&str> = overdue.iter().map(String::as_str).collect();
    let found = format!(
        "{} not seen to be gone in time: {}",
        counted(overdue.len(), "grant is", "grants are"),
        listed(&ids)
    );
    Check::failing(
        "overdue",
        found,
        "daypass status ID says what stands in the way; it is tried for ever",
    )
}

fn reviews(counts: &Counts) -> Check {
    let Counts {
        reviews_owed: owed,
        reviews_overdue: overdue,
        ..
    } = counts;
    match (owed, overdue) {
        (_, 1..) => {
            let found = format!("{overdue} of the reviews that are owed after an emergency are overdue");
            Check::warning(
                "emergencies",
                found,
                "daypass inbox shows them to who may give them",
            )
        }
        (1.., _) => Check::good("emergencies", format!("reviews owed, none overdue: {owed}")),
        _ => Check::good("emergencies", "no review is owed"),
    }
}

fn notices(app: &Parts, waiting: &[Backlog], now: Timestamp) -> Vec<Check> {
    if app.notices.is_empty() {
        let advice = "name webhooks or a mail server in server.yaml (docs/notices.md)";
        return vec![Check::warning(
            "notices",
            "go nowhere: nobody is told what waits for them",
            advice,
        )];
    }
    let one = |channel: &String| {
        let about = format!("notices by {channel}");
        let Some(backlog) = waiting.iter().find(|backlog| backlog.channel == *channel) else {
            return Check::good(about, "nothing waits");
        };
        let old = backlog.oldest.is_some_and(|oldest| now.since(oldest) > STUCK);
        if backlog.dead > 0 {
            let found = format!("{} given up", counted(backlog.dead, "notice was", "notices were"));
            return Check::failing(about, found, "the server's log says why; see docs/notices.md");
        }
        if old {
            let found = format!(
                "{} waiting for more than {STUCK}",
                counted(backlog.waiting, "notice has been", "notices have been")
            );
            return Check::warning(about, found, "the server's log says what the other side answers");
        }
        Check::good(about, counted(backlog.waiting, "notice waits", "notices wait"))
    };
    app.notices.iter().map(one).collect()
}

fn administrators(current: &Current) -> Check {
    let administrators = current
        .directory
        .people()
        .filter(|person| {
            person.active && person.kind == Kind::Person && person.role == SystemRole::Administrator
        })
        .count();
    if administrators < 2 {
        let advice = "daypass user role LOGIN administrator: who is alone cannot be helped when they lose their password";
        Check::warning("administrators", "there is one alone", advice)
    } else {
        Check::good("administrators", format!("there are {administrators}"))
    }
}

/// Service accounts that nobody answers for, and those whose owner is locked: they get nothing.
fn orphans(current: &Current, locks: &World) -> Vec<Check> {
    let directory = current.directory.as_ref();
    let mut services: Vec<&Person> = directory
        .people()
        .filter(|person| person.active && person.kind == Kind::Service)
        .collect();
    services.sort_by_key(|one| one.login.text());
    let logins = |services: &[&Person]| {
        let logins: Vec<&str> = services.iter().map(|one| one.login.text()).collect();
        listed(&logins)
    };
    let (cared, orphaned): (Vec<_>, Vec<_>) = services
        .into_iter()
        .partition(|one| cared_for(one, directory).is_ok());
    let shut: Vec<_> = cared
        .iter()
        .copied()
        .filter(|one| owner_locked(current, locks, one.id).is_some())
        .collect();
    let mut checks = Vec::new();
    if !orphaned.is_empty() {
        let found = format!("nobody answers for {}; they get nothing", logins(&orphaned));
        let advice =
            "daypass service owner LOGIN PERSON; their tokens end then, and the owner makes new ones";
        checks.push(Check::failing("service accounts", found, advice));
    }
    if !shut.is_empty() {
        let found = format!("who answers for {} is locked; they get nothing", logins(&shut));
        let advice = "daypass unlock PERSON, or daypass service owner LOGIN PERSON";
        checks.push(Check::warning("service accounts", found, advice));
    }
    if checks.is_empty() && !cared.is_empty() {
        let found = format!("each of the {} has an owner", cared.len());
        checks.push(Check::good("service accounts", found));
    }
    checks
}

fn transport(app: &Parts) -> Check {
    if app.over_tls {
        Check::good("transport", "clients come over TLS")
    } else {
        let advice =
            "that is for one machine only; give `tls` in server.yaml, or stand behind a proxy that has it";
        Check::warning("transport", "clients come without TLS", advice)
    }
}

/// Whether the log is signed.
fn log(app: &Parts) -> Check {
    let key = app.signing.key().map(|key| key.to_string()).unwrap_or_default();
    match app.signing.standing() {
        Standing::Off => {
            let advice = "give signing_key in server.yaml, and start the server anew (docs/audit.md)";
            Check::warning(
                "log",
                "is not signed: nobody can tell whether it was rewritten",
                advice,
            )
        }
        Standing::Signed { size, outside: true } => {
            Check::good("log", format!("{size} entries are signed by {key}"))
        }
        Standing::Signed { size, outside: false } => {
            let found = format!(
                "{size} entries are signed by {key}, and what was signed cannot be kept outside the store"
            );
            let advice = "let signing_key.state in server.yaml name a file that the server can write";
            Check::warning("log", found, advice)
        }
        Standing::Held(why) => {
            let advice =
                "docs/audit.md (another key for the log) says what to do; other servers may sign meanwhile";
            Check::failing("log", format!("is not signed here: {why}"), advice)
        }
        Standing::Refused(why) => {
            let found = format!(
                "is not signed, and access is only taken away: the store does not go on from what was signed: {why}"
            );
            let advice = "somebody put the store back from a copy or rewrote it: daypass audit verify, and docs/audit.md";
            Check::failing("log", found, advice)
        }
    }
}

/// How the log's witnesses stand: who lags, and who signed another log.
fn witnesses(app: &Parts) -> Vec<Check> {
    let newest = match app.signing.standing() {
        Standing::Signed { size, .. } => size,
        Standing::Off | Standing::Refused(_) | Standing::Held(_) => 0,
    };
    let check = |(key, view): (daypass_tlog::key::Verifier, View)| {
        let about = format!("witness {}", key.name());
        match view {
            View::Cosigned(size, at) => {
                let lag = newest.saturating_sub(size);
                Check::good(
                    about,
                    format!("signed {size} entries on {at}; {lag} have come since"),
                )
            }
            View::New => Check::warning(about, "was not asked yet: nothing is signed", "wait a second"),
            View::Away(why) => {
                let advice = "it is asked again, and nothing waits for it; whoever verifies and demands its signature is given older checkpoints";
                Check::warning(about, format!("does not sign: {why}"), advice)
            }
            View::Conflict(why) => {
                let advice = "somebody put the store back from a copy or rewrote it: docs/audit.md, \"When a witness says no\"";
                Check::failing(about, why, advice)
            }
        }
    };
    app.witnesses.views().into_iter().map(check).collect()
}

fn counted(n: impl TryInto<u64>, one: &str, many: &str) -> String {
    match n.try_into().unwrap_or(u64::MAX) {
        0 => String::from("nothing waits"),
        1 => format!("1 {one}"),
        n => format!("{n} {many}"),
    }
}

/// The first few by name, the others by number.
fn listed(names: &[&str]) -> String {
    let shown: Vec<&str> = names.iter().copied().take(FEW).collect();
    match names.len().saturating_sub(FEW) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

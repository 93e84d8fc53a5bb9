//! Delegation: who may vote in whose place, who counts as one with whom, and that it never makes more of anybody.

use daypass_core::id::PersonId;
use daypass_core::refusal::Code;
use daypass_core::request::{Request, State};
use daypass_core::review::{Step, Voter};
use daypass_policy::{Decision, Directory as _, Lack, Policy};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

use crate::office::{Office, ask, id, load, now, policy};
use crate::review::{made, refused, vote, waiting};

const POLICY: &str = "
version: 1
defaults: {duration: 1h, max: 4h, pending: 8h, delegates: [deputies, security]}
people:
  engineers: {group: engineering}
  leads: {group: eng-leads}
  security: {group: security}
  deputies: {logins: [dep, dup, ana]}
connectors: [{name: pg, kind: postgres}]
resources:
  - {name: orders, kind: postgres, connector: pg, labels: {env: production}, roles: {read: {}, write: {}, drop: {}}}
rules:
  - name: write
    allow: engineers
    to: {env: production}
    roles: [write]
    approval: [{from: leads, within: 15m}, {from: security, within: 30m, else: {escalate: leads, within: 15m}}]
  - {name: drop, allow: engineers, to: {env: production}, roles: [drop], approval: [{from: leads, count: 2, within: 15m}]}
  - {name: read, allow: engineers, to: {env: production}, roles: [read], approval: [{from: manager, within: 15m}]}
";

/// ana asks; bo and li lead; cy is security; dep and dup may be delegates and are asked nowhere.
fn office(away: &str) -> Office {
    let staff = "
        ana engineering manager=bo
        bo eng-leads
        li eng-leads
        cy security
        dep marketing
        dup marketing
        eve marketing";
    let mut lines: Vec<String> = staff.lines().map(str::to_owned).collect();
    for word in away.split_whitespace() {
        let (login, how) = word.split_once(':').unwrap();
        let line = lines
            .iter_mut()
            .find(|line| line.trim().starts_with(login))
            .unwrap();
        line.push_str(&format!(" {how}"));
    }
    Office::new(&lines.join("\n"))
}

/// In whose place the last vote was cast.
fn last_for(request: &Request, office: &Office) -> String {
    let last = request.reviews().last().unwrap();
    let absent = last.on_behalf.map(|absent| office.login(absent).to_owned());
    absent.unwrap_or_else(|| String::from("themselves"))
}

#[test]
fn a_delegate_votes_where_who_is_away_may() {
    let policy = policy(POLICY);
    let here = office("");
    let request = made(&policy, &here, "ana orders/write");
    refused(&policy, &here, &request, "dep", "not-reviewer");
    let office = office("bo:to=dep");
    assert_eq!(waiting(&policy, &office, &request), "bo dep li");
    let request = vote(&policy, &office, &request, "dep").unwrap();
    assert_eq!(last_for(&request, &office), "bo");
    assert_eq!(waiting(&policy, &office, &request), "cy");
    refused(&policy, &office, &request, "dep", "already-reviewed");
    refused(&policy, &office, &request, "bo", "already-reviewed");
    let request = vote(&policy, &office, &request, "cy").unwrap();
    assert_eq!(request.state.name(), "approved");
}

#[test]
fn the_manager_may_be_away_too() {
    let (policy, office) = (policy(POLICY), office("bo:to=dep"));
    let request = made(&policy, &office, "ana orders/read");
    refused(&policy, &office, &request, "dup", "not-reviewer");
    let request = vote(&policy, &office, &request, "dep").unwrap();
    assert_eq!(
        (request.state.name(), last_for(&request, &office).as_str()),
        ("approved", "bo")
    );
}

#[test]
fn who_is_asked_themselves_votes_in_their_own_right() {
    let text = POLICY.replace("logins: [dep, dup, ana]", "logins: [li]");
    let (policy, office) = (policy(&text), office("bo:to=li"));
    let request = made(&policy, &office, "ana orders/write");
    let request = vote(&policy, &office, &request, "li").unwrap();
    assert_eq!(last_for(&request, &office), "themselves");
    // Their voice is that of who delegated to them: neither has another one.
    refused(&policy, &office, &request, "bo", "already-reviewed");
}

#[test]
fn outside_its_time_and_without_the_policys_leave_it_is_nothing() {
    let with = policy(POLICY);
    for away in [
        "bo:will=dep",
        "bo:was=dep",
        "bo:to=eve",
        "bo:to=nobody",
        "bo:to=dep,off",
    ] {
        let mut office = office(away.trim_end_matches(",off"));
        if away.ends_with(",off") {
            office = Office::new("ana engineering\nbo eng-leads to=dep\nli eng-leads\ncy security\ndep off");
        }
        let request = made(&with, &office, "ana orders/write");
        for who in ["dep", "eve"] {
            assert!(vote(&with, &office, &request, who).is_err(), "{who}, {away}");
        }
        assert_eq!(waiting(&with, &office, &request), "bo li", "{away}");
    }
    let without = policy(&POLICY.replace(", delegates: [deputies, security]", ""));
    let office = office("bo:to=dep");
    let request = made(&without, &office, "ana orders/write");
    refused(&without, &office, &request, "dep", "not-reviewer");
    let dep = office.by_login("dep").unwrap();
    let refusal = without.may_be_delegate(dep).unwrap_err();
    assert_eq!(refusal.code, Code::Forbidden);
    let eve = with.may_be_delegate(office.by_login("eve").unwrap()).unwrap_err();
    let told = "delegate to one of deputies (ana, dep, dup), security";
    assert_eq!((eve.code, eve.hint.as_deref()), (Code::Forbidden, Some(told)));
}

#[test]
fn the_requester_reviews_for_nobody_and_nobody_for_them() {
    let policy = policy(POLICY);
    // ana asks, and is the delegate of bo.
    let to_her = office("bo:to=ana");
    let request = made(&policy, &to_her, "ana orders/write");
    refused(&policy, &to_her, &request, "ana", "own-request");
    assert_eq!(
        waiting(&policy, &to_her, &request),
        "bo li",
        "bo is asked as ever"
    );
    assert!(vote(&policy, &to_her, &request, "bo").is_ok());
    // li asks, who leads, and has delegated to dep.
    let from_her = Office::new("li engineering,eng-leads to=dep\nbo eng-leads\ncy security\ndep x");
    let request = made(&policy, &from_her, "li orders/write");
    refused(&policy, &from_her, &request, "dep", "not-reviewer");
    assert_eq!(waiting(&policy, &from_her, &request), "bo");
}

#[test]
fn what_was_delegated_to_somebody_is_not_handed_on() {
    let (policy, office) = (policy(POLICY), office("bo:to=dep dep:to=dup"));
    let request = made(&policy, &office, "ana orders/write");
    refused(&policy, &office, &request, "dup", "not-reviewer");
    assert_eq!(waiting(&policy, &office, &request), "bo dep li");
}

#[test]
fn a_delegate_is_held_to_what_every_reviewer_is() {
    let policy = policy(POLICY);
    let staff = "ana engineering\nbo eng-leads to=dep\nli eng-leads\ncy security\n";
    let fresh = Office::new(&format!("{staff}dep x new"));
    let request = made(&policy, &fresh, "ana orders/write");
    refused(&policy, &fresh, &request, "dep", "may-not-review");
    assert_eq!(waiting(&policy, &fresh, &request), "bo li");
    let service = Office::new(&format!("{staff}dep x service"));
    assert!(vote(&policy, &service, &request, "dep").is_err());
    // And so is who is away: settling, switched off, or no longer asked, they have nothing to delegate.
    for bo in [
        "bo eng-leads new to=dep",
        "bo eng-leads off to=dep",
        "bo other to=dep",
    ] {
        let office = Office::new(&format!(
            "ana engineering\n{bo}\nli eng-leads\ncy security\ndep x"
        ));
        refused(&policy, &office, &request, "dep", "not-reviewer");
    }
}

#[test]
fn a_vote_in_somebodys_place_is_looked_at_again_at_every_count() {
    let policy = policy(POLICY);
    let mut office = office("bo:to=dep");
    let request = made(&policy, &office, "ana orders/write");
    let request = vote(&policy, &office, &request, "dep").unwrap();
    let stands = |office: &Office| {
        let (review, step) = (&request.reviews()[0], &request.path.steps[0]);
        policy
            .may_review(&request, step, true, Voter::Did(review), office, now())
            .is_ok()
    };
    assert!(stands(&office));
    let over = Office::new("ana engineering\nbo eng-leads to=dep\nli eng-leads\ncy security\ndep x");
    let (review, step) = (&request.reviews()[0], &request.path.steps[0]);
    let later = now() + daypass_core::time::Span::hours(5);
    let still = policy.may_review(&request, step, true, Voter::Did(review), &over, later);
    assert!(
        still.is_ok(),
        "that it has run out since does not undo it: {still:?}"
    );
    let mut left = office.clone();
    left.leave("bo", "eng-leads");
    assert!(!stands(&left), "bo leads no more");
    let text = POLICY.replace("logins: [dep, dup, ana]", "logins: [dup]");
    let narrower = crate::office::policy(&text);
    let review = Voter::Did(&request.reviews()[0]);
    assert!(
        narrower
            .may_review(&request, step, true, review, &office, now())
            .is_err()
    );
    office.back("bo");
    assert!(!stands(&office), "it was taken back");
    // The last vote does not complete a chain of which one counts no longer.
    let request = vote(&policy, &office, &request, "cy").unwrap();
    assert_eq!(request.state.name(), "pending");
}

#[test]
fn who_delegates_and_their_delegate_are_one_where_people_are_counted() {
    let text = POLICY.replace("logins: [dep, dup, ana]", "logins: [dep, dup, ana, li]");
    let (policy, both) = (policy(&text), office(""));
    let asks = "ana orders/drop";
    assert!(matches!(ask(&policy, &both, asks), Decision::Allowed(_)));
    // Two leads, one of whom is the other's delegate; two leads with one delegate; a circle.
    for away in ["bo:to=li", "bo:to=dep li:to=dep", "bo:to=dep dep:to=li"] {
        let office = office(away);
        let Decision::Refused(refusal) = ask(&policy, &office, asks) else {
            panic!("{away}")
        };
        assert_eq!(refusal.code, Code::NoReviewer, "{away}");
        let lack = policy
            .vacancies(&office, now())
            .into_iter()
            .find(|one| one.set.as_str() == "leads");
        assert_eq!(
            lack.map(|one| one.lack),
            Some(Lack::Reviewers { have: 1, need: 2 }),
            "{away}"
        );
    }
    // Two with two delegates are two.
    let office = office("bo:to=dep li:to=dup");
    let request = made(&policy, &office, asks);
    let request = vote(&policy, &office, &request, "dep").unwrap();
    refused(&policy, &office, &request, "bo", "already-reviewed");
    let request = vote(&policy, &office, &request, "dup").unwrap();
    assert_eq!(request.state.name(), "approved");
}

#[test]
fn one_delegate_of_two_has_one_voice_and_they_wait_or_come_back() {
    let (policy, mut office) = (policy(POLICY), office(""));
    let request = made(&policy, &office, "ana orders/drop");
    office = crate::delegation::office("bo:to=dep li:to=dep");
    let request = vote(&policy, &office, &request, "dep").unwrap();
    let first = last_for(&request, &office);
    let other = if first == "bo" { "li" } else { "bo" };
    refused(&policy, &office, &request, "dep", "already-reviewed");
    refused(&policy, &office, &request, other, "already-reviewed");
    assert_eq!(waiting(&policy, &office, &request), "");
    // Whoever is back ends their delegation, and is heard.
    office.back(other);
    assert_eq!(waiting(&policy, &office, &request), other);
    let request = vote(&policy, &office, &request, other).unwrap();
    assert_eq!(request.state.name(), "approved");
}

#[test]
fn a_step_whose_people_have_counted_by_way_of_a_delegate_escalates_at_once() {
    let (policy, office) = (policy(POLICY), office("bo:to=cy"));
    let request = made(&policy, &office, "ana orders/write");
    // cy is security and the delegate of a lead: what they answer there they cannot answer here.
    let request = vote(&policy, &office, &request, "cy").unwrap();
    assert_eq!(last_for(&request, &office), "bo");
    assert_eq!(waiting(&policy, &office, &request), "li");
}

#[test]
fn the_sets_of_delegates_must_be_there_and_be_readable() {
    for (sets, expect) in [
        ("[nobody]", "there is no set of people nobody"),
        ("manager", "there is no set of people manager"),
        ("[]", "\"delegates\" is empty"),
        ("{a: b}", "one value"),
        ("[duty]", "duty is a schedule"),
    ] {
        let text = POLICY
            .replace("[deputies, security]", sets)
            .replace("people:\n", "people:\n  duty: {schedule: 'x:y'}\n");
        let found = load(&text).unwrap_err().to_string();
        assert!(found.contains(expect), "{sets}: {found}");
    }
    let (before, after) = (
        policy(&POLICY.replace(", delegates: [deputies, security]", "")),
        policy(POLICY),
    );
    let lines = Policy::diff(Some(&before), &after);
    assert_eq!(lines, ["~ defaults: delegates nobody → deputies, security"]);
}

const PEOPLE: [&str; 6] = ["ana", "bo", "cy", "di", "ed", "flo"];

/// Everybody but ana, who asks, with somebody's delegation or none.
fn staffed(away: &[Option<&str>]) -> Office {
    let groups = [
        "engineering",
        "eng-leads",
        "eng-leads,security",
        "security",
        "eng-leads",
        "other",
    ];
    let lines = PEOPLE
        .iter()
        .zip(groups)
        .zip(away)
        .map(|((login, groups), away)| {
            let to = away
                .filter(|to| to != login)
                .map_or_else(String::new, |to| format!("to={to}"));
            format!("{login} {groups} {to}")
        });
    Office::new(&lines.collect::<Vec<_>>().join("\n"))
}

/// Everybody votes in this order, whatever comes of it.
fn voted(policy: &Policy, office: &Office, request: &Request, order: &[&str]) -> Request {
    order.iter().fold(request.clone(), |request, who| {
        vote(policy, office, &request, who).unwrap_or(request)
    })
}

fn counted(request: &Request) -> Vec<PersonId> {
    request
        .reviews()
        .iter()
        .flat_map(daypass_core::review::Review::voices)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(20_261_121), ..ProptestConfig::default() })]

    /// However people delegate and vote: nobody counts twice, neither as themselves nor by way of another; no chain is
    /// completed by fewer people than it asks for; and none is allowed by delegations that was not without them.
    #[test]
    fn delegations_never_make_more_of_anybody(
        away in vec(proptest::option::of(select(PEOPLE.to_vec())), PEOPLE.len()),
        order in Just(PEOPLE.repeat(3)).prop_shuffle(),
        asks in select(vec!["ana orders/write", "ana orders/drop"]),
    ) {
        let text = POLICY.replace("logins: [dep, dup, ana]", "logins: [ana, bo, cy, di, ed, flo]");
        let (policy, here, office) = (policy(&text), staffed(&[None; 6]), staffed(&away));
        if matches!(ask(&policy, &here, asks), Decision::Refused(_)) {
            prop_assert!(matches!(ask(&policy, &office, asks), Decision::Refused(_)));
        }
        let request = made(&policy, &here, asks);
        let after = voted(&policy, &office, &request, &order);
        let voices = counted(&after);
        let distinct: std::collections::BTreeSet<_> = voices.iter().collect();
        prop_assert_eq!(distinct.len(), voices.len(), "somebody was heard twice");
        prop_assert!(!voices.contains(&id("ana")), "the requester was heard");
        let linked = |one: PersonId, other: PersonId| {
            office.delegation(one).is_some_and(|found| found.to == other)
        };
        for one in after.reviews() {
            for other in after.reviews().iter().filter(|other| other.reviewer != one.reviewer) {
                prop_assert!(!linked(one.reviewer, other.reviewer), "a pair was heard twice");
            }
        }
        let wanted: u32 = request.path.steps.iter().map(|step: &Step| step.count.max(1)).sum();
        if matches!(after.state, State::Approved { .. }) {
            prop_assert!(after.reviews().len() >= usize::try_from(wanted).unwrap());
        }
        // What is said to be possible is: some order of votes completes it.
        if matches!(ask(&policy, &office, asks), Decision::Allowed(_)) {
            let mut pairs = PEOPLE.iter().flat_map(|one| PEOPLE.map(|other| [*one, other]));
            prop_assert!(pairs.any(|order| {
                matches!(voted(&policy, &office, &request, &order).state, State::Approved { .. })
            }), "it was said that this can be completed");
        }
    }
}

/// Whoever has one voice with somebody whom a later step needs: the refusal says that it is for the delegation, and no list says
/// that it waits for them.
#[test]
fn who_is_needed_elsewhere_by_a_delegation_is_told_so_and_not_waited_for() {
    let text = POLICY
        .replace(", else: {escalate: leads, within: 15m}", "")
        .replace("logins: [dep, dup, ana]", "logins: [bo, dep]");
    let (policy, away) = (policy(&text), office("cy:to=bo"));
    let request = made(&policy, &away, "ana orders/write");
    assert_eq!(waiting(&policy, &away, &request), "li", "bo is cy at step 2");
    let told = |login: &str, office: &Office| policy.may_agree(&request, id(login), office, now());
    let refusal = told("bo", &away).unwrap_err();
    assert_eq!(refusal.code, Code::NoReviewer);
    assert_eq!(
        refusal.what,
        "delegations make cy and you one voice, which counts once in the whole chain, and cy is needed at step 2, \
         which asks security: too few others could review it once you count at step 1"
    );
    assert!(refusal.hint.unwrap().ends_with("daypass delegate --end"));
    assert_eq!(told("li", &away), Ok(None));
    // Back again, cy is there for step 2, and bo for step 1.
    let here = office("");
    assert_eq!(waiting(&policy, &here, &request), "bo li");
    assert_eq!(told("bo", &here), Ok(None));
    let request = vote(&policy, &away, &request, "li").unwrap();
    assert_eq!(waiting(&policy, &away, &request), "bo cy", "now it is their turn");
}

/// A preview that fails for delegations alone says that it is for them, and not who is away.
#[test]
fn a_preview_that_delegations_stop_says_so() {
    let text = POLICY
        .replace(", else: {escalate: leads, within: 15m}", "")
        .replace("logins: [dep, dup, ana]", "logins: [bo]");
    let policy = policy(&text);
    let hint = |office: &Office| match ask(&policy, office, "ana orders/write") {
        Decision::Refused(refusal) => refusal.hint.unwrap(),
        Decision::Allowed(allowed) => panic!("{allowed:?}"),
    };
    let bound = Office::new("ana engineering manager=bo\nbo eng-leads\ncy security to=bo");
    assert!(hint(&bound).starts_with("delegations make some of those whom it asks one voice"));
    assert!(!hint(&bound).contains("cy"), "who is away is nobody's business");
    let few = Office::new("ana engineering manager=bo\nbo eng-leads");
    assert!(
        hint(&few).starts_with("nobody reviews their own request"),
        "{}",
        hint(&few)
    );
}

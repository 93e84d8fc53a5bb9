//! Change control over accounts: what the policy covers waits for those whom it asks, and is done by the last of them, once and whole.

use daypass_core::change::{Change, Lapse, State};
use daypass_core::id::ChangeId;
use daypass_core::person::{Kind, Person, SystemRole};
use daypass_core::refusal::Code;
use daypass_core::text::Hash;
use daypass_core::time::Span;
use daypass_engine::{ChangeVerdict, Error, Lockable, NewPerson, NewToken, told};
use daypass_policy::{Directory as _, Effect, Source};
use daypass_store::TokenKind;
use futures_util::future::join_all;

use crate::house::{House, POLICY, code, name, person};

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA";

fn source(covers: &str) -> [Source; 1] {
    [Source {
        name: "policy.yaml".into(),
        text: format!(
            "{POLICY}policy: {{approval: [{{from: security, within: 4h, else: deny}}], covers: {covers}}}\n"
        ),
    }]
}

/// A house in which security must agree to these.
async fn covering(covers: &str) -> House {
    let house = House::new().await;
    let applied = house
        .engine
        .apply_policy(house.caller("root"), &source(covers))
        .await;
    assert!(applied.unwrap().change.is_none());
    house
}

async fn whole() -> House {
    covering("[policy, people, groups, credentials]").await
}

/// The change that came of it, and nothing else.
#[track_caller]
fn waits<T>(outcome: Result<T, Error>) -> Change {
    match outcome {
        Err(Error::Waits(change)) => *change,
        Err(other) => panic!("it does not wait: {other}"),
        Ok(_) => panic!("it was done at once"),
    }
}

async fn decide(house: &House, who: &str, change: &Change, agrees: bool) -> Result<Change, Error> {
    let verdict = ChangeVerdict {
        agrees,
        digest: change.digest,
        comment: None,
    };
    let caller = house.caller(who);
    house.engine.review_change(caller, change.id, verdict).await
}

async fn agree(house: &House, who: &str, change: &Change) -> Result<Change, Error> {
    decide(house, who, change, true).await
}

async fn found(house: &House, id: ChangeId) -> Change {
    house.engine.store().change(id).await.unwrap().unwrap()
}

fn known(house: &House, login: &str) -> Person {
    house.engine.find(login).unwrap()
}

async fn join(house: &House, who: &str, login: &str, group: &str) -> Result<Person, Error> {
    let caller = house.caller(who);
    house
        .engine
        .change_groups(caller, login, [name(group)].into(), [].into())
        .await
}

fn why(change: &Change) -> Option<Lapse> {
    match change.state {
        State::Lapsed { why, .. } => Some(why),
        _ => None,
    }
}

async fn bot(house: &House) -> Person {
    let bot = NewPerson {
        kind: Kind::Service,
        owner: Some(name("root")),
        ..person("bot", &[])
    };
    house.engine.add_person(house.caller("root"), bot).await.unwrap()
}

fn new_token(scope: &str) -> NewToken {
    NewToken {
        hash: Hash::of(scope.as_bytes()),
        kind: TokenKind::Api {
            scopes: [scope.to_owned()].into(),
        },
        name: "nightly".into(),
        lifetime: Span::hours(1),
    }
}

/// Every kind, one after the other: nothing before the last review, all of it with it.
#[tokio::test]
async fn each_kind_of_change_waits_and_is_done_by_the_last_review() {
    let house = whole().await;
    let (engine, root) = (&house.engine, house.caller("root"));

    let joins = waits(join(&house, "root", "ana", "on-call").await);
    assert!(!known(&house, "ana").groups.contains("on-call"));
    let words = told(
        match &joins.proposal {
            daypass_core::change::Proposal::Directory { edit } => edit,
            daypass_core::change::Proposal::Policy { .. } => panic!("of an account"),
        },
        &engine.current().directory,
        true,
    );
    assert_eq!(words, ["+ ana joins on-call"]);
    assert!(matches!(
        agree(&house, "cy", &joins).await.unwrap().state,
        State::Applied { .. }
    ));
    assert!(known(&house, "ana").groups.contains("on-call"));
    assert_eq!(
        known(&house, "ana").changed_at,
        house.now(),
        "and settles from now on"
    );

    let role = waits(engine.set_role(root, "ana", SystemRole::Auditor).await);
    assert_eq!(known(&house, "ana").role, SystemRole::Member);
    agree(&house, "cy", &role).await.unwrap();
    assert_eq!(known(&house, "ana").role, SystemRole::Auditor);

    let manager = waits(engine.set_manager(root, "ana", Some("di")).await);
    agree(&house, "cy", &manager).await.unwrap();
    assert_eq!(known(&house, "ana").manager, Some(known(&house, "di").id));

    let mail = waits(engine.set_mail(root, "ana", Some("ana@example.com")).await);
    assert!(known(&house, "ana").mail.is_none());
    agree(&house, "cy", &mail).await.unwrap();
    assert_eq!(known(&house, "ana").mail.unwrap().text(), "ana@example.com");

    let eve = NewPerson {
        password: Some(HASH.into()),
        mail: Some("eve@example.com".into()),
        ..person("eve", &["engineering"])
    };
    let added = waits(engine.add_person(root, eve).await);
    assert_eq!(code(engine.find("eve").map_err(Error::from)), Code::UnknownPerson);
    agree(&house, "cy", &added).await.unwrap();
    let eve = known(&house, "eve");
    assert_eq!(
        (eve.changed_at, eve.mail.unwrap().text()),
        (house.now(), "eve@example.com")
    );
    assert_eq!(
        engine.store().password(eve.id).await.unwrap().as_deref(),
        Some(HASH)
    );

    engine.deactivate(root, "eve").await.unwrap();
    let back = waits(engine.reactivate(root, "eve").await);
    agree(&house, "cy", &back).await.unwrap();
    assert!(known(&house, "eve").active);
    engine.store().verify().await.unwrap();
}

#[tokio::test]
async fn what_is_not_covered_and_what_only_tightens_waits_for_nobody() {
    let house = covering("[policy, groups]").await;
    let (engine, root) = (&house.engine, house.caller("root"));
    engine.set_role(root, "ana", SystemRole::Auditor).await.unwrap();
    engine.add_person(root, person("eve", &[])).await.unwrap();
    // Whoever comes as a member of a group has joined it.
    waits(engine.add_person(root, person("mal", &["security"])).await);
    let leaves = engine.change_groups(root, "cy", [].into(), [name("security")].into());
    waits(leaves.await);
    // Nothing is to change.
    join(&house, "root", "ana", "engineering").await.unwrap();

    let house = whole().await;
    let (engine, root) = (&house.engine, house.caller("root"));
    let own = engine.issue_token(house.caller("ana"), known(&house, "ana").id, new_token("read"));
    let own = own.await.unwrap();
    engine.revoke_token(root, own.id).await.unwrap();
    let on = Lockable::Person(String::from("ana"));
    engine.lock(root, &on, "laptop stolen").await.unwrap();
    engine.deactivate(root, "ana").await.unwrap();
    assert_eq!(
        code(join(&house, "bo", "di", "x").await),
        Code::Forbidden,
        "who may not do it may not propose it"
    );
}

/// Neither who proposes it nor whose account it is: not even where they are whom the policy asks.
#[tokio::test]
async fn nobody_agrees_to_their_own() {
    let house = whole().await;
    let (engine, root) = (&house.engine, house.caller("root"));
    let change = waits(engine.set_role(root, "cy", SystemRole::Administrator).await);
    assert_eq!(code(agree(&house, "cy", &change).await), Code::OwnRequest);
    assert_eq!(code(agree(&house, "root", &change).await), Code::OwnRequest);
    let awaited = |who: &str| engine.change_awaits(house.caller(who).person, &change, house.now());
    assert!(!awaited("cy").is_any() && awaited("di").is_any());
    agree(&house, "di", &change).await.unwrap();
    let own = waits(join(&house, "cy", "cy", "eng-leads").await);
    assert_eq!(code(agree(&house, "cy", &own).await), Code::OwnRequest);
    // Where only they are left, it is not proposed at all.
    engine.deactivate(root, "di").await.unwrap();
    assert_eq!(code(join(&house, "root", "cy", "x").await), Code::NoReviewer);
    assert_eq!(code(join(&house, "cy", "ana", "x").await), Code::NoReviewer);
    waits(join(&house, "root", "ana", "x").await);
}

#[tokio::test]
async fn a_proposed_password_is_kept_beside_and_gone_whatever_becomes_of_it() {
    let mut house = whole().await;
    let root = house.caller("root");
    let ana = known(&house, "ana").id;
    let secret =
        async |house: &House, change: &Change| house.engine.store().change_secret(change.id).await.unwrap();
    let set = async |house: &House| house.engine.set_password(root, "ana", None, HASH.into()).await;

    let denied = waits(set(&house).await);
    assert_eq!(secret(&house, &denied).await.as_deref(), Some(HASH));
    assert_eq!(house.engine.store().password(ana).await.unwrap(), None);
    assert_eq!(
        code(set(&house).await),
        Code::Exists,
        "it would be the first one's"
    );
    decide(&house, "cy", &denied, false).await.unwrap();
    assert_eq!(secret(&house, &denied).await, None);

    let withdrawn = waits(set(&house).await);
    house.engine.withdraw_change(root, withdrawn.id).await.unwrap();
    assert_eq!(secret(&house, &withdrawn).await, None);

    let silent = waits(set(&house).await);
    house.live(Span::hours(5)).await;
    assert_eq!(why(&found(&house, silent.id).await), Some(Lapse::Silence));
    assert_eq!(secret(&house, &silent).await, None);

    let stale = waits(set(&house).await);
    let next = source("[policy, credentials]");
    house.engine.load_policy(&next).await.unwrap();
    assert_eq!(why(&found(&house, stale.id).await), Some(Lapse::Stale));
    assert_eq!(secret(&house, &stale).await, None);
    assert_eq!(house.engine.store().password(ana).await.unwrap(), None);

    let token = new_token("request");
    let own = house
        .engine
        .issue_token(house.caller("ana"), ana, token)
        .await
        .unwrap();
    let done = waits(set(&house).await);
    agree(&house, "cy", &done).await.unwrap();
    assert_eq!(secret(&house, &done).await, None);
    assert_eq!(
        house.engine.store().password(ana).await.unwrap().as_deref(),
        Some(HASH)
    );
    assert!(
        house.engine.store().token(own.hash).await.unwrap().is_none(),
        "all sessions and tokens end"
    );
    let told = house.words().await;
    assert!(!told.contains("argon2id"), "the log knows of no password");
    house.engine.store().verify().await.unwrap();
}

#[tokio::test]
async fn a_token_of_a_service_works_from_the_last_review_on() {
    let house = covering("[policy, credentials]").await;
    let (engine, root) = (&house.engine, house.caller("root"));
    let bot = bot(&house).await;
    let new = new_token("read");
    let change = waits(engine.issue_token(root, bot.id, new.clone()).await);
    assert!(engine.store().token(new.hash).await.unwrap().is_none());
    house.pass(Span::hours(3));
    agree(&house, "cy", &change).await.unwrap();
    let issued = engine.store().token(new.hash).await.unwrap().unwrap();
    assert_eq!(
        issued.expires_at,
        house.now() + Span::hours(1),
        "it counts from now"
    );
    assert_eq!((issued.name.as_str(), issued.kind), ("nightly", new.kind.clone()));
    assert_eq!(engine.store().change_secret(change.id).await.unwrap(), None);
    let told = house.words().await;
    assert!(
        !told.contains(&new.hash.to_string()),
        "no hash of a secret is in the log"
    );
    engine.store().verify().await.unwrap();
}

#[tokio::test]
async fn what_is_no_longer_as_it_was_is_not_changed() {
    let house = covering("[policy, groups]").await;
    let (engine, root) = (&house.engine, house.caller("root"));
    let max = NewPerson {
        role: SystemRole::Administrator,
        ..person("max", &[])
    };
    engine.add_person(root, max).await.unwrap();
    let first = waits(join(&house, "root", "ana", "on-call").await);
    let again = waits(join(&house, "root", "ana", "on-call").await);
    assert_eq!(first.id, again.id, "said twice, it waits once");
    assert_eq!(code(join(&house, "max", "ana", "on-call").await), Code::Exists);
    let both = [name("on-call"), name("night")].into();
    let wider = waits(
        engine
            .change_groups(house.caller("max"), "ana", both, [].into())
            .await,
    );
    let other = waits(join(&house, "root", "ana", "day").await);
    agree(&house, "cy", &first).await.unwrap();
    let lapsed = found(&house, wider.id).await;
    assert_eq!(why(&lapsed), Some(Lapse::Overtaken), "they saw her join two");
    assert_eq!(code(agree(&house, "di", &wider).await), Code::AlreadyDecided);
    agree(&house, "cy", &other).await.unwrap();
    // What happens elsewhere shows when somebody agrees: nothing comes of it then.
    let late = waits(join(&house, "root", "ana", "night").await);
    engine.deactivate(root, "ana").await.unwrap();
    let lapsed = agree(&house, "cy", &late).await.unwrap();
    assert_eq!(why(&lapsed), Some(Lapse::Overtaken));
    assert!(engine.current().effects(&lapsed, house.now()).is_none());
    engine.store().verify().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_done_now_is_not_agreed_to() {
    let house = covering("[policy, people]").await;
    let (engine, root) = (&house.engine, house.caller("root"));
    assert_eq!(
        code(engine.set_role(root, "root", SystemRole::Member).await),
        Code::InUse
    );
    let mal = waits(engine.add_person(root, person("mal", &[])).await);
    assert_eq!(
        code(engine.add_person(root, person("MAL", &[])).await),
        Code::Exists
    );
    let managed = NewPerson {
        manager: Some(name("bo")),
        ..person("eve", &[])
    };
    let eve = waits(engine.add_person(root, managed).await);
    engine.deactivate(root, "bo").await.unwrap();
    assert_eq!(code(agree(&house, "cy", &eve).await), Code::UnknownPerson);
    assert!(
        found(&house, eve.id).await.reviews().is_empty(),
        "it waits, and can be denied"
    );
    decide(&house, "cy", &eve, false).await.unwrap();
    // The login is taken by the time the second one is agreed to.
    engine.withdraw_change(root, mal.id).await.unwrap();
    let first = waits(engine.add_person(root, person("mal", &[])).await);
    agree(&house, "cy", &first).await.unwrap();
    assert_eq!(
        code(engine.add_person(root, person("mal", &[])).await),
        Code::Exists
    );
}

#[tokio::test]
async fn many_last_reviews_carry_it_out_once() {
    let house = covering("[policy, credentials]").await;
    let reviewers: Vec<String> = (0..24).map(|number| format!("sec{number}")).collect();
    for login in &reviewers {
        let new = person(login, &["security"]);
        house.engine.add_person(house.caller("root"), new).await.unwrap();
    }
    let set = house
        .engine
        .set_password(house.caller("root"), "ana", None, HASH.into());
    let change = waits(set.await);
    let votes = reviewers.iter().map(|who| agree(&house, who, &change));
    let outcomes = join_all(votes).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for refused in outcomes.into_iter().filter(Result::is_err) {
        assert_eq!(code(refused), Code::AlreadyDecided);
    }
    let log = house.log().await;
    assert_eq!(
        log.iter().filter(|name| **name == "person.credentials").count(),
        1
    );
}

/// A server that has not heard of the cover yet does nothing without it.
#[tokio::test]
async fn another_server_asks_as_well() {
    let house = House::new().await;
    let there = house.beside().await;
    let covers = source("[policy, people, groups]");
    house
        .engine
        .apply_policy(house.caller("root"), &covers)
        .await
        .unwrap();
    let root = house.caller("root");
    let change = waits(there.set_role(root, "ana", SystemRole::Administrator).await);
    agree(&house, "cy", &change).await.unwrap();
    let joins = there.change_groups(root, "ana", [name("x")].into(), [].into());
    let joins = waits(joins.await);
    let verdict = ChangeVerdict {
        agrees: true,
        digest: joins.digest,
        comment: None,
    };
    there
        .review_change(house.caller("di"), joins.id, verdict)
        .await
        .unwrap();
    house.engine.refresh_directory().await.unwrap();
    assert!(known(&house, "ana").groups.contains("x"));
    house.engine.store().verify().await.unwrap();
}

#[tokio::test]
async fn a_cover_that_nobody_could_fill_is_not_put_in_force() {
    let house = House::new().await;
    let root = house.caller("root");
    for who in ["cy", "di"] {
        house.engine.deactivate(root, who).await.unwrap();
    }
    let covers = source("[policy, people, groups]");
    let refused = house.engine.apply_policy(root, &covers).await;
    assert_eq!(code(refused), Code::NoReviewer);
    join(&house, "root", "ana", "security").await.unwrap();
    house.engine.apply_policy(root, &covers).await.unwrap();
}

/// Reviewers are shown what it would do, by the policy that there is.
#[tokio::test]
async fn what_somebody_would_gain_is_known_before() {
    let house = whole().await;
    let root = house.caller("root");
    let change = waits(join(&house, "root", "bo", "engineering").await);
    let effects = |change: &Change| house.engine.current().effects(change, house.now());
    let shown = effects(&change).unwrap().unwrap();
    assert!(shown.reviews.is_empty());
    assert!(!shown.plan.changes.is_empty() && shown.plan.people == 1);
    assert!(shown.plan.changes.iter().all(|one| one.effect == Effect::Gained));
    let reviewer = waits(join(&house, "root", "ana", "security").await);
    let shown = effects(&reviewer).unwrap().unwrap();
    assert!(
        shown.reviews[0].starts_with("+ may review what asks security"),
        "{:?}",
        shown.reviews
    );
    let new = waits(
        house
            .engine
            .add_person(root, person("eve", &["engineering"]))
            .await,
    );
    let shown = effects(&new).unwrap().unwrap();
    assert!(!shown.plan.changes.is_empty());
    house.engine.deactivate(root, "ana").await.unwrap();
    assert!(
        effects(&reviewer).unwrap().is_err(),
        "it could not be done any more"
    );
    let eve = house.engine.current().directory.by_login("eve").is_none();
    assert!(eve, "asking changes nothing");
}

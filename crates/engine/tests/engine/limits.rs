//! Limits by what a person has had: they hold at every look, whatever waits, begins late, or comes at the same time.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use daypass_core::entitlement::Fault;
use daypass_core::grant::State;
use daypass_core::id::GrantId;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::Request;
use daypass_core::review::Decision as Vote;
use daypass_core::time::{Span, Timestamp};
use daypass_engine::{Engine, Error, Made, NewRequest, Verdict};
use daypass_policy::{Decision, Source};
use daypass_providers::memory::{Op, Trouble};
use daypass_store::{PostgresOptions, PostgresTls, Store};
use daypass_testbed::Postgres;
use futures_util::future::join_all;

use crate::house::{House, POLICY, asked, code};

async fn load(house: &House, text: &str) {
    let sources = [Source {
        name: "policy.yaml".into(),
        text: text.into(),
    }];
    house.engine.load_policy(&sources).await.unwrap();
}

async fn with(guardrail: &str) -> House {
    let house = House::new().await;
    load(&house, &guarded(guardrail)).await;
    house
}

fn guarded(guardrail: &str) -> String {
    let glass = "  - {name: emergency, allow: engineers, to: {env: production}, max: 2h, break_glass: {page: leads, review_by: leads, within: 1d}}\n";
    format!("{POLICY}{glass}guardrails: [{{name: no-standing, {guardrail}}}]\n")
}

async fn ask(house: &House, item: &str, change: impl FnOnce(&mut NewRequest)) -> Result<Made, Error> {
    let mut new = asked(&[item]);
    change(&mut new);
    house.engine.request(house.caller("ana"), new, None).await
}

fn long(minutes: u64) -> impl Fn(&mut NewRequest) {
    move |new| new.duration = Some(Span::minutes(minutes))
}

#[track_caller]
fn refusal<T>(result: Result<T, Error>) -> Refusal {
    match result {
        Err(Error::Refused(refusal)) => refusal,
        Err(other) => panic!("a failure, no refusal: {other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

async fn expires_at(house: &House, id: GrantId) -> Timestamp {
    match house.grant(id).await.state {
        State::Active { expires_at, .. } => expires_at,
        other => panic!("{other:?}"),
    }
}

/// One after the other, they do not become standing access.
#[tokio::test]
async fn serial_requests_end_where_the_total_does() {
    let mut house = with("to: {env: staging}, max_total: 2h/24h").await;
    let began = house.now();
    for _ in 0..2 {
        let made = ask(&house, "staging/read", long(60)).await.unwrap();
        house.live(Span::hours(1)).await;
        assert_eq!(house.state(made.grant.unwrap().id).await, "ended");
    }
    let refused = refusal(ask(&house, "staging/read", long(60)).await);
    assert_eq!(refused.code, Code::OverTotal);
    assert!(refused.what.contains("no-standing (policy.yaml:"), "{refused}");
    assert!(refused.what.contains("at most 2h in any 1d"), "{refused}");
    assert!(refused.what.contains("nothing of that is left"), "{refused}");
    let again = began + Span::hours(24);
    let hint = refused.hint.unwrap();
    assert!(hint.contains(&format!("1h fits again from {again} on")), "{hint}");
    // Preview, the list of what there is, and the request say the same.
    let mut new = asked(&["staging/read"]);
    long(60)(&mut new);
    let preview = house.engine.preview(house.caller("ana"), &new).await.unwrap();
    assert!(matches!(preview.decision, Decision::Refused(other) if other.code == Code::OverTotal));
    house.live((again - Span::minutes(1)).since(house.now())).await;
    assert_eq!(code(ask(&house, "staging/read", long(60)).await), Code::OverTotal);
    house.live(Span::minutes(1)).await;
    ask(&house, "staging/read", long(60)).await.unwrap();
}

#[tokio::test]
async fn what_ended_counts_as_long_as_it_was() {
    let mut house = with("to: {env: staging}, max_total: 2h/24h").await;
    let made = ask(&house, "staging/read", long(120)).await.unwrap();
    house.live(Span::minutes(30)).await;
    let id = made.grant.unwrap().id;
    house.engine.release(house.caller("ana"), id).await.unwrap();
    house.live(Span::minutes(30)).await;
    // Nobody was there to notice its end, which counts all the same from its deadline.
    ask(&house, "staging/read", long(30)).await.unwrap();
    house.reconcile().await;
    house.pass(Span::hours(5));
    house.reconcile().await;
    assert_eq!(code(ask(&house, "staging/read", long(61)).await), Code::OverTotal);
    ask(&house, "staging/read", long(60)).await.unwrap();
}

#[tokio::test]
async fn an_extension_counts_what_it_adds_also_when_it_ended() {
    let mut house = with("to: {env: staging}, max_total: 90m/24h").await;
    let made = ask(&house, "staging/read", long(30)).await.unwrap();
    house.reconcile().await;
    let id = made.grant.unwrap().id;
    let extend = |minutes| {
        move |new: &mut NewRequest| {
            new.items.clear();
            new.extends = Some(id);
            new.duration = Some(Span::minutes(minutes));
        }
    };
    assert_eq!(
        code(ask(&house, "staging/read", extend(61)).await),
        Code::OverTotal
    );
    ask(&house, "staging/read", extend(40)).await.unwrap();
    house.pass(Span::hours(4));
    house.reconcile().await;
    assert_eq!(house.state(id).await, "ended");
    assert_eq!(code(ask(&house, "staging/read", long(21)).await), Code::OverTotal);
    ask(&house, "staging/read", long(20)).await.unwrap();
}

#[tokio::test]
async fn emergencies_are_not_exempt() {
    let mut house = with("max_total: 90m/24h").await;
    ask(&house, "staging/read", long(60)).await.unwrap();
    house.live(Span::hours(1)).await;
    let glass = |minutes| {
        let mut new = asked(&["orders/write"]);
        new.duration = Some(Span::minutes(minutes));
        house.engine.break_glass(house.caller("ana"), new, None)
    };
    assert_eq!(code(glass(31).await), Code::OverTotal);
    glass(30).await.unwrap();
}

async fn review(house: &House, who: &str, request: &Request, vote: Vote) -> Result<Made, Error> {
    let verdict = Verdict {
        vote,
        digest: request.digest,
        comment: Some("ask for less".into()),
    };
    house.engine.review(house.caller(who), request.id, verdict).await
}

/// Each fits alone. The one whose last review comes second is not approved, and a reviewer may approve what still fits.
#[tokio::test]
async fn of_two_that_wait_the_second_sees_the_first() {
    let mut house = with("to: {env: production}, max_total: 3h/24h").await;
    let first = ask(&house, "orders/write", long(120)).await.unwrap().request;
    let later = house.now() + Span::hours(5);
    let second = ask(&house, "orders/read", |new| {
        new.duration = Some(Span::hours(2));
        new.start = Some(later);
    });
    let second = second.await.unwrap().request;
    for request in [&first, &second] {
        house.approve("bo", request).await.unwrap();
    }
    house.approve("cy", &first).await.unwrap();
    house.reconcile().await;
    let refused = refusal(house.approve("cy", &second).await);
    assert_eq!(refused.code, Code::OverTotal);
    assert!(refused.what.contains("no-standing"), "{refused}");
    assert!(
        refused
            .hint
            .as_deref()
            .unwrap()
            .starts_with("1h can still be approved"),
        "{refused:?}"
    );
    let less = |minutes| Vote::Approve {
        duration: Some(Span::minutes(minutes)),
        items: None,
    };
    assert_eq!(
        code(review(&house, "cy", &second, less(61)).await),
        Code::OverTotal
    );
    let made = review(&house, "cy", &second, less(60)).await.unwrap();
    let id = made.grant.unwrap().id;
    house.live(Span::hours(5)).await;
    assert_eq!(expires_at(&house, id).await, later + Span::hours(1));
}

#[tokio::test]
async fn a_total_that_a_new_policy_brings_is_looked_at_before_access_begins() {
    let mut house = with("to: {env: staging}, max_total: 4h/24h").await;
    let start = house.now() + Span::hours(1);
    let made = ask(&house, "staging/read", |new| {
        new.duration = Some(Span::hours(1));
        new.start = Some(start);
    });
    let id = made.await.unwrap().grant.unwrap().id;
    load(&house, &guarded("to: {env: staging}, max_total: 30m/24h")).await;
    house.live(Span::hours(2)).await;
    let grant = house.grant(id).await;
    match grant.state {
        State::Ended {
            reason, active_since, ..
        } => {
            assert_eq!((reason.name(), active_since), ("ineligible", None));
        }
        other => panic!("{other:?}"),
    }
}

/// Two at the same moment share their time. One that begins late must not last longer than the other for it.
#[tokio::test]
async fn what_begins_late_ends_when_it_was_counted_to_end() {
    let mut house = with("max_total: 1h/24h").await;
    let first = ask(&house, "staging/read", long(60))
        .await
        .unwrap()
        .grant
        .unwrap()
        .id;
    house.reconcile().await;
    let ends = expires_at(&house, first).await;
    let second = ask(&house, "staging/read", long(60))
        .await
        .unwrap()
        .grant
        .unwrap()
        .id;
    let third = ask(&house, "staging/read", long(60))
        .await
        .unwrap()
        .grant
        .unwrap()
        .id;
    house.engine.release(house.caller("ana"), third).await.unwrap();
    house.pass(Span::minutes(2));
    house.reconcile().await;
    assert_eq!(expires_at(&house, second).await, ends);
    assert_eq!(house.state(third).await, "ended");
}

#[tokio::test]
async fn what_begins_much_too_late_does_not_begin() {
    let mut house = with("max_total: 1h/24h").await;
    ask(&house, "staging/read", long(60)).await.unwrap();
    house.reconcile().await;
    let second = ask(&house, "staging/read", long(60))
        .await
        .unwrap()
        .grant
        .unwrap()
        .id;
    house.pass(Span::minutes(6));
    house.reconcile().await;
    assert_eq!(house.ended_reason(second).await, "ineligible");
}

#[tokio::test]
async fn uses_count_what_waits_and_what_was_approved() {
    let house = House::new().await;
    let rule = "approval:\n      - {from: leads";
    let text = POLICY.replace(rule, &format!("when: {{uses: 2/day}}\n    {rule}"));
    let text = text.replace("defaults: {", "defaults: {cool_down: 0, ");
    assert_ne!(text, POLICY);
    load(&house, &text).await;
    let first = ask(&house, "orders/read", long(10)).await.unwrap().request;
    let second = ask(&house, "orders/read", long(10)).await.unwrap().request;
    let refused = refusal(ask(&house, "orders/write", long(10)).await);
    assert_eq!(refused.code, Code::Uses);
    let next = house.now() + Span::hours(24);
    assert!(
        refused.hint.as_deref().unwrap().contains(&next.to_string()),
        "{refused:?}"
    );
    house
        .engine
        .withdraw(house.caller("ana"), first.id)
        .await
        .unwrap();
    let third = ask(&house, "orders/read", long(10)).await.unwrap().request;
    assert_eq!(code(ask(&house, "orders/read", long(10)).await), Code::Uses);
    // Their own use is no reason to refuse them.
    for request in [&second, &third] {
        house.approve("bo", request).await.unwrap();
    }
    house.approve("cy", &second).await.unwrap();
    review(&house, "cy", &third, Vote::Deny).await.unwrap();
    ask(&house, "orders/read", long(10)).await.unwrap();
    assert_eq!(code(ask(&house, "orders/read", long(10)).await), Code::Uses);
    house.pass(Span::hours(24));
    ask(&house, "orders/read", long(10)).await.unwrap();
    ask(&house, "orders/read", long(10)).await.unwrap();
}

#[tokio::test]
async fn a_denial_is_not_asked_away() {
    let house = House::new().await;
    let made = ask(&house, "orders/write", long(60)).await.unwrap().request;
    let waiting = ask(&house, "orders/write", long(30)).await.unwrap().request;
    let denied = house.now();
    review(&house, "bo", &made, Vote::Deny).await.unwrap();
    house.pass(Span::minutes(4));
    let refused = refusal(ask(&house, "orders/write", long(10)).await);
    assert_eq!(refused.code, Code::CoolDown);
    assert_eq!(
        refused.what,
        format!("bo denied you orders/write at {denied}: \"ask for less\"")
    );
    let from = denied + Span::minutes(5);
    assert_eq!(
        refused.hint.unwrap(),
        format!("it can be asked for again from {from} on")
    );
    ask(&house, "orders/read", long(10)).await.unwrap();
    house.approve("bo", &waiting).await.unwrap();
    house.pass(Span::minutes(1));
    ask(&house, "orders/write", long(10)).await.unwrap();
}

/// Of what could not be set up as a whole a part may have been there: asked for again and again, that is no way around the total.
#[tokio::test]
async fn what_was_never_all_there_counts_while_it_was_set_up() {
    let mut house = with("to: {env: staging}, max_total: 60m/24h").await;
    for _ in 0..50 {
        house
            .target
            .fail_next(Op::Provision, Trouble::Fails(Fault::Unavailable));
    }
    let made = ask(&house, "staging/read", long(60)).await.unwrap();
    house.reconcile().await;
    house.pass(Span::minutes(4));
    let id = made.grant.unwrap().id;
    house.engine.release(house.caller("ana"), id).await.unwrap();
    house.reconcile().await;
    assert_eq!(house.grant(id).await.active_since(), None);
    assert_eq!(code(ask(&house, "staging/read", long(57)).await), Code::OverTotal);
    ask(&house, "staging/read", long(56)).await.unwrap();
}

/// It was opened long before any window of the total, which came later than it.
#[tokio::test]
async fn a_long_grant_of_the_past_counts_under_a_total_that_comes_later() {
    let mut house = House::new().await;
    let hundred_days = POLICY.replace("approval: none, max: 2h", "approval: none, max: 100d");
    load(&house, &hundred_days).await;
    let day = 24 * 60;
    let made = ask(&house, "staging/read", long(95 * day)).await.unwrap();
    house.reconcile().await;
    house.pass(Span::minutes(94 * day));
    let id = made.grant.unwrap().id;
    house.engine.release(house.caller("ana"), id).await.unwrap();
    house.reconcile().await;
    load(&house, &guarded("to: {env: staging}, max_total: 1h/24h")).await;
    assert_eq!(code(ask(&house, "staging/read", long(1)).await), Code::OverTotal);
}

/// Of more uses than a new policy gives the surplus goes, not all.
#[tokio::test]
async fn where_uses_become_fewer_the_first_stay() {
    let mut house = House::new().await;
    let uses = |uses: &str| {
        let given = format!("to: {{env: staging}}, when: {{uses: {uses}}}, approval: none");
        POLICY.replace("to: {env: staging}, approval: none", &given)
    };
    load(&house, &uses("2/day")).await;
    let mut made = Vec::new();
    for hours in [2, 1] {
        let start = Some(house.now() + Span::hours(hours));
        let ask = ask(&house, "staging/read", |new| new.start = start);
        made.push(ask.await.unwrap().grant.unwrap().id);
    }
    load(&house, &uses("1/day")).await;
    house.pass(Span::minutes(61));
    house.reconcile().await;
    house.pass(Span::minutes(60));
    house.reconcile().await;
    let [later, first] = made.try_into().unwrap();
    assert!(house.grant(first).await.active_since().is_some());
    assert_eq!(house.ended_reason(later).await, "ineligible");
}

/// The denial counts from when it came, however long ago the request was made and whatever requests may wait now.
#[tokio::test]
async fn a_denial_of_what_had_waited_long_is_not_asked_away_either() {
    let house = House::new().await;
    let waits = POLICY
        .replace("within: 30m", "within: 1d")
        .replace("pending: 2h", "pending: 2d");
    load(&house, &waits).await;
    let made = ask(&house, "orders/write", long(60)).await.unwrap().request;
    house.pass(Span::hours(20));
    load(&house, POLICY).await;
    review(&house, "bo", &made, Vote::Deny).await.unwrap();
    assert_eq!(code(ask(&house, "orders/write", long(10)).await), Code::CoolDown);
}

fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start().unwrap())
}

async fn postgres() -> House {
    let made = tokio::task::spawn_blocking(|| server().create_database("limits").unwrap());
    let options = PostgresOptions {
        host: String::from("127.0.0.1"),
        port: server().port(),
        database: made.await.unwrap(),
        user: String::from("postgres"),
        password: Some(server().password().into()),
        tls: PostgresTls::Disabled,
        connections: 16,
        patience: Duration::from_secs(60),
    };
    let store = Store::open_postgres(&options, "test").await.unwrap();
    let now = store.now().await.unwrap().micros();
    House::on(store, Arc::new(AtomicI64::new(now))).await
}

/// Sixteen at once, at two servers. `each` says how the request of this number is made.
async fn at_once(house: &House, key: &str, each: impl Fn(u64, &mut NewRequest)) -> Vec<Result<Made, Error>> {
    let servers: Vec<Arc<Engine>> = vec![Arc::clone(&house.engine), Arc::new(house.beside().await)];
    let ana = house.caller("ana");
    let tasks = (0..16).map(|number| {
        let mut new = asked(&["staging/read"]);
        each(number, &mut new);
        let engine = Arc::clone(&servers[usize::try_from(number % 2).unwrap()]);
        // Servers of this house draw the same numbers.
        let key = format!("{key}{number}");
        tokio::spawn(async move { engine.request(ana, new, Some(&key)).await })
    });
    let tasks: Vec<_> = tasks.collect();
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

fn granted(answers: Vec<Result<Made, Error>>, otherwise: Code) -> usize {
    let (good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    for answer in bad {
        assert_eq!(code(answer), otherwise);
    }
    good.len()
}

async fn at_once_they_never_exceed(house: House) {
    load(&house, &guarded("max_total: 3h/24h")).await;
    let now = house.engine.store().now().await.unwrap();
    // No two share any of their time, all of them lie in one window.
    let hours = at_once(&house, "hours", |number, new| {
        new.duration = Some(Span::hours(1));
        new.start = Some(now + Span::hours(number + 1));
    });
    assert_eq!(granted(hours.await, Code::OverTotal), 3);
    let rule = "approval: none, max: 2h";
    load(
        &house,
        &POLICY.replace(rule, &format!("{rule}, when: {{uses: 8/day}}")),
    )
    .await;
    assert_eq!(
        granted(at_once(&house, "uses", |_, _| {}).await, Code::Uses),
        5,
        "with the three before"
    );
}

#[tokio::test]
async fn at_once_they_never_exceed_in_memory() {
    at_once_they_never_exceed(House::new().await).await;
}

#[tokio::test]
async fn at_once_they_never_exceed_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(AtomicI64::new(1_800_000_000_000_000));
    let hands = Arc::clone(&clock);
    let reading = move || Timestamp::from_micros(hands.load(std::sync::atomic::Ordering::SeqCst));
    let path = folder.path().join("store.sqlite");
    let store = Store::open_sqlite(&path, Arc::new(reading), "test")
        .await
        .unwrap();
    at_once_they_never_exceed(House::on(store, clock).await).await;
}

#[tokio::test]
async fn at_once_they_never_exceed_on_postgres() {
    at_once_they_never_exceed(postgres().await).await;
}

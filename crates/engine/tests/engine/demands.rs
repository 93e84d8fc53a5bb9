//! What is demanded beside approval, through the life of a request: fresh proofs, steps of guardrails, recordings, who hears.

use daypass_core::id::RequestId;
use daypass_core::refusal::Code;
use daypass_core::review::Decision as Vote;
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use daypass_engine::notices::{Channel, Rules};
use daypass_engine::{Caller, Error, Lockable, LookBack, Made, NewRequest, NewToken, Proof, Verdict, Via};
use daypass_policy::{Decision, Source};
use daypass_store::{Claim, TokenKind, TokenRow};

use crate::house::{House, POLICY, asked, code};

const GLASS: &str = "
  - {name: glass, allow: engineers, to: {env: production}, break_glass: {page: security, review_by: security, within: 1h}}
";

async fn put(house: &House, text: &str) {
    let name = String::from("policy.yaml");
    let source = Source {
        name,
        text: text.into(),
    };
    house.engine.load_policy(&[source]).await.unwrap();
}

/// The usual policy with an emergency and with this guardrail over production.
fn guarded(guard: &str) -> String {
    format!("{POLICY}{GLASS}guardrails:\n  - {{name: guard, to: {{env: production}}, max: 2h{guard}}}\n")
}

async fn house(guard: &str) -> House {
    let house = House::new().await;
    put(&house, &guarded(guard)).await;
    house
}

/// Somebody whose session proved who they are so long ago.
fn proved(house: &House, who: &str, ago: Span) -> Caller {
    Caller {
        via: Via::Session {
            confirmed_at: house.now() - ago,
        },
        ..house.caller(who)
    }
}

async fn review(house: &House, caller: Caller, id: RequestId, vote: Vote) -> Result<Made, Error> {
    let digest = house.request(id).await.digest;
    let verdict = Verdict {
        vote,
        digest,
        comment: None,
    };
    house.engine.review(caller, id, verdict).await
}

const YES: Vote = Vote::Approve {
    duration: None,
    items: None,
};

#[tokio::test]
async fn who_asks_must_have_proved_it_within_the_time() {
    let house = house(", mfa: 10m").await;
    let ten = Span::minutes(10);
    for (ago, fresh) in [
        (Span::ZERO, true),
        (Span::from_micros(ten.micros() - 1), true),
        (ten, false),
        (ten + Span::seconds(1), false),
    ] {
        for glass in [false, true] {
            let ana = proved(&house, "ana", ago);
            let asked = asked(&["orders/write"]);
            let made = if glass {
                house.engine.break_glass(ana, asked, None).await
            } else {
                house.engine.request(ana, asked, None).await
            };
            if fresh {
                made.unwrap();
            } else {
                assert_eq!(code(made), Code::MfaRequired, "{ago}, emergency: {glass}");
            }
        }
    }
    // A clock that was set back must not make a proof last longer.
    let ahead = Caller {
        via: Via::Session {
            confirmed_at: house.now() + Span::seconds(1),
        },
        ..house.caller("ana")
    };
    let made = house.engine.request(ahead, asked(&["orders/write"]), None).await;
    assert_eq!(code(made), Code::MfaRequired);
    let token = Caller {
        via: Via::Token,
        ..house.caller("ana")
    };
    let made = house.engine.request(token, asked(&["orders/write"]), None).await;
    let Err(Error::Refused(refusal)) = made else {
        panic!("a token proves nothing")
    };
    assert_eq!(refusal.code, Code::MfaRequired);
    assert!(refusal.hint.unwrap().contains("API token"));
    // What asks for nothing is had as ever.
    house
        .engine
        .request(token, asked(&["staging/read"]), None)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_preview_supposes_that_one_proves_it_where_one_can() {
    let house = house(", mfa: 10m").await;
    let ana = proved(&house, "ana", Span::hours(1));
    let preview = house
        .engine
        .preview(ana, &asked(&["orders/write"]))
        .await
        .unwrap();
    let Decision::Allowed(allowed) = preview.decision else {
        panic!("it is possible")
    };
    assert_eq!(allowed.path.demands.mfa, Some(Span::minutes(10)));
    let token = Caller {
        via: Via::Token,
        ..ana
    };
    let preview = house
        .engine
        .preview(token, &asked(&["orders/write"]))
        .await
        .unwrap();
    assert!(matches!(preview.decision, Decision::Refused(refusal) if refusal.code == Code::MfaRequired));
}

#[tokio::test]
async fn an_extension_and_a_repetition() {
    let mut house = house(", mfa: 10m").await;
    let ana = proved(&house, "ana", Span::ZERO);
    let made = house
        .engine
        .request(ana, asked(&["orders/write"]), Some("key"))
        .await
        .unwrap();
    let grant = house.agreed(&made.request).await;
    house.reconcile().await;
    let more = || NewRequest {
        items: Default::default(),
        extends: Some(grant),
        duration: Some(Span::minutes(30)),
        ..asked(&[])
    };
    let stale = proved(&house, "ana", Span::minutes(10));
    let extended = house.engine.request(stale, more(), None).await;
    assert_eq!(code(extended), Code::MfaRequired);
    house.engine.request(ana, more(), None).await.unwrap();
    // What was made is found again, whoever comes when.
    let again = house
        .engine
        .request(stale, asked(&["orders/write"]), Some("key"))
        .await
        .unwrap();
    assert!(!again.fresh && again.request.id == made.request.id);
}

#[tokio::test]
async fn who_reviews_must_have_proved_it_too() {
    let house = house(", mfa: 10m").await;
    let ana = proved(&house, "ana", Span::ZERO);
    let made = |asked| house.engine.request(ana, asked, None);
    let id = made(asked(&["orders/write"])).await.unwrap().request.id;
    let ten = Span::minutes(10);
    for vote in [YES, Vote::Deny] {
        let late = review(&house, proved(&house, "bo", ten), id, vote).await;
        assert_eq!(code(late), Code::MfaRequired);
    }
    // Who may not review is not sent to prove anything.
    let ed = review(&house, proved(&house, "ed", ten), id, YES).await;
    assert_eq!(code(ed), Code::NotReviewer);
    let just = Span::from_micros(ten.micros() - 1);
    review(&house, proved(&house, "bo", just), id, YES).await.unwrap();
    review(&house, proved(&house, "cy", just), id, YES).await.unwrap();

    let glass = house
        .engine
        .break_glass(ana, asked(&["orders/read"]), None)
        .await
        .unwrap();
    let look = || LookBack {
        digest: glass.request.digest,
        comment: "right call".into(),
        revoke: false,
    };
    let id = glass.request.id;
    let late = house
        .engine
        .acknowledge(proved(&house, "di", ten), id, look())
        .await;
    assert_eq!(code(late), Code::MfaRequired);
    house
        .engine
        .acknowledge(proved(&house, "di", just), id, look())
        .await
        .unwrap();
}

#[tokio::test]
async fn the_mfa_of_a_step_is_that_steps_alone() {
    let house = House::new().await;
    let step = "{from: leads, within: 30m, else: deny}";
    put(
        &house,
        &POLICY.replace(step, "{from: leads, within: 30m, mfa: 5m}"),
    )
    .await;
    let hour = Span::hours(1);
    let ana = proved(&house, "ana", hour);
    let made = house
        .engine
        .request(ana, asked(&["orders/write"]), None)
        .await
        .unwrap();
    let id = made.request.id;
    let bo = review(&house, proved(&house, "bo", Span::minutes(5)), id, YES).await;
    assert_eq!(code(bo), Code::MfaRequired);
    review(&house, proved(&house, "bo", Span::minutes(4)), id, YES)
        .await
        .unwrap();
    review(&house, proved(&house, "cy", hour), id, YES).await.unwrap();
}

#[tokio::test]
async fn a_guardrail_that_came_since_is_held_against_what_was_frozen() {
    for (guard, expect) in [
        (", steps: [{from: security, within: 10m}]", Code::NotEligible),
        (", mfa: 10m", Code::NotEligible),
        (", record: required", Code::Recording),
    ] {
        let mut house = house("").await;
        let made = house.ask("ana", &["orders/write"]).await.unwrap();
        house.approve("bo", &made.request).await.unwrap();
        put(&house, &guarded(guard)).await;
        let Err(Error::Refused(refusal)) = house.approve("cy", &made.request).await else {
            panic!("{guard}: it lacks what is demanded")
        };
        assert_eq!(refusal.code, expect, "{guard}: {refusal}");
        assert!(refusal.hint.is_some(), "{guard}");
        // It ends as what nobody answers does.
        house.live(Span::hours(2)).await;
        assert_eq!(house.request(made.request.id).await.state.name(), "lapsed");
    }
}

#[tokio::test]
async fn a_guardrail_that_came_before_the_access_began_ends_it() {
    for guard in [
        ", steps: [{from: security, within: 10m}]",
        ", mfa: 10m",
        ", record: required",
    ] {
        let mut house = house("").await;
        let made = house.ask("ana", &["orders/write"]).await.unwrap();
        let grant = house.agreed(&made.request).await;
        put(&house, &guarded(guard)).await;
        house.reconcile().await;
        assert_eq!(house.state(grant).await, "ended", "{guard}");
        assert_eq!(house.ended_reason(grant).await, "ineligible", "{guard}");
    }
}

#[tokio::test]
async fn a_guardrails_step_is_asked_like_any_other() {
    let house = house(", steps: [{from: security, within: 10m}]").await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    house.approve("bo", &made.request).await.unwrap();
    assert!(house.approve("cy", &made.request).await.unwrap().grant.is_none());
    assert_eq!(
        code(house.approve("cy", &made.request).await),
        Code::AlreadyReviewed,
        "one person counts once in the whole chain"
    );
    assert!(house.approve("di", &made.request).await.unwrap().grant.is_some());
}

#[tokio::test]
async fn what_must_be_recorded_and_cannot_be_is_had_by_nobody() {
    let house = house(", record: required").await;
    assert_eq!(code(house.ask("ana", &["orders/write"]).await), Code::Recording);
    let ana = house.caller("ana");
    let glass = house
        .engine
        .break_glass(ana, asked(&["orders/write"]), None)
        .await;
    assert_eq!(code(glass), Code::Recording);
    house.ask("ana", &["staging/read"]).await.unwrap();
}

/// A session as a login makes it.
async fn session(house: &House, who: &str, n: u8) -> TokenRow {
    let new = NewToken {
        hash: Hash::of(&[n]),
        kind: TokenKind::Session,
        name: "laptop".into(),
        lifetime: Span::hours(12),
    };
    let caller = house.caller(who);
    house
        .engine
        .issue_token(caller, caller.person, new)
        .await
        .unwrap()
}

async fn confirmed_at(house: &House, n: u8) -> Option<Timestamp> {
    let row = house.engine.store().token(Hash::of(&[n])).await.unwrap();
    row.and_then(|row| row.confirmed_at)
}

async fn password(house: &House, who: &str, hash: &str) {
    let root = house.caller("root");
    house
        .engine
        .set_password(root, who, None, hash.into())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_proof_serves_its_own_session_and_nobody_else() {
    let house = House::new().await;
    for who in ["ana", "bo"] {
        password(&house, who, "right").await;
    }
    let (one, _other) = (session(&house, "ana", 1).await, session(&house, "ana", 2).await);
    let bos = session(&house, "bo", 3).await;
    let (ana, logged_in) = (house.caller("ana"), house.now());
    assert_eq!(
        confirmed_at(&house, 1).await,
        Some(one.created_at),
        "a login is a proof"
    );
    house.pass(Span::minutes(30));
    let proof = Proof::new(ana.person, "right");
    let at = house.engine.confirm(ana, one.id, proof).await.unwrap();
    assert!(at >= house.now());
    assert_eq!(confirmed_at(&house, 1).await, Some(at));
    assert!(confirmed_at(&house, 2).await.unwrap() < logged_in + Span::minutes(1));
    // Somebody else's session, by one's own proof; and one's own, by somebody else's proof.
    house.engine.confirm(ana, bos.id, proof).await.unwrap();
    assert!(confirmed_at(&house, 3).await.unwrap() < logged_in + Span::minutes(1));
    let forged = Proof::new(house.caller("bo").person, "right");
    assert_eq!(
        code(house.engine.confirm(ana, one.id, forged).await),
        Code::Forbidden
    );
    let token = Caller {
        via: Via::Token,
        ..ana
    };
    assert!(house.engine.confirm(token, one.id, proof).await.is_err());
}

#[tokio::test]
async fn an_api_token_is_never_confirmed() {
    let house = House::new().await;
    password(&house, "ana", "right").await;
    let ana = house.caller("ana");
    let new = NewToken {
        hash: Hash::of(&[9]),
        kind: TokenKind::Api {
            scopes: [String::from("request")].into(),
        },
        name: "ci".into(),
        lifetime: Span::hours(12),
    };
    let row = house.engine.issue_token(ana, ana.person, new).await.unwrap();
    let proof = Proof::new(ana.person, "right");
    house.engine.confirm(ana, row.id, proof).await.unwrap();
    assert_eq!(confirmed_at(&house, 9).await, None);
}

#[tokio::test]
async fn an_account_that_changed_is_locked_or_off_confirms_nothing() {
    let house = House::new().await;
    let ana = house.caller("ana");
    let proof = Proof::new(ana.person, "right");
    password(&house, "ana", "right").await;
    password(&house, "ana", "another").await;
    let one = session(&house, "ana", 1).await;
    let stale = house.engine.confirm(ana, one.id, proof).await;
    assert_eq!(code(stale), Code::Stale, "another password was set");

    password(&house, "ana", "right").await;
    let two = session(&house, "ana", 2).await;
    let root = house.caller("root");
    let on = Lockable::Person("ana".into());
    house.engine.lock(root, &on, "stolen").await.unwrap();
    assert_eq!(code(house.engine.confirm(ana, two.id, proof).await), Code::Locked);
    house.engine.unlock(root, &on, "back").await.unwrap();
    house.engine.confirm(ana, two.id, proof).await.unwrap();
    house.engine.deactivate(root, "ana").await.unwrap();
    assert_eq!(
        code(house.engine.confirm(ana, two.id, proof).await),
        Code::NotEligible
    );
}

/// Who is told what by mail since the last time: `grant.active to di`.
async fn told(house: &House) -> Vec<String> {
    let rules = Rules {
        channels: vec![Channel {
            name: "mail".into(),
            personal: true,
            kinds: None,
        }],
        ending_before: Span::minutes(10),
        max_age: Span::hours(72),
    };
    house.log().await;
    while house.engine.queue_notices(&rules, u64::MAX).await.unwrap() {}
    let claim = Claim {
        channel: "mail".into(),
        worker: "test".into(),
        now: house.now() + Span::hours(24),
        until: house.now() + Span::hours(25),
        limit: 1_000,
    };
    let store = house.engine.store();
    let mut all = Vec::new();
    for row in store.claim_notices(&claim).await.unwrap() {
        store
            .settle_notice(&row, "test", daypass_store::Fate::Done)
            .await
            .unwrap();
        let who = row.recipient.map(|id| house.engine.current().directory.login(id));
        if row.notice.starts_with("grant.") && row.notice != "grant.ending_soon" {
            all.push(format!("{} to {}", row.notice, who.unwrap_or_default()));
        }
    }
    all.sort();
    all
}

#[tokio::test]
async fn whom_a_rule_names_hear_when_it_is_there_and_when_it_has_ended() {
    let mut house = House::new().await;
    let root = house.caller("root");
    for login in ["ana", "bo", "cy", "di"] {
        let mail = format!("{login}@example.com");
        house.engine.set_mail(root, login, Some(&mail)).await.unwrap();
    }
    // Engineers too: who holds it is not told of it by that.
    let text = format!("{POLICY}{GLASS}")
        .replace("max: 2h}", "max: 2h, notify: [security, leads, engineers]}")
        .replace("within: 1h}}", "within: 1h}, notify: [security, leads]}");
    put(&house, &text).await;
    told(&house).await;
    let grant = house
        .ask("ana", &["staging/read"])
        .await
        .unwrap()
        .grant
        .unwrap()
        .id;
    house.reconcile().await;
    assert_eq!(
        told(&house).await,
        ["grant.active to bo", "grant.active to cy", "grant.active to di"]
    );
    let ana = house.caller("ana");
    house.engine.release(ana, grant).await.unwrap();
    house.reconcile().await;
    assert_eq!(
        told(&house).await,
        ["grant.ended to bo", "grant.ended to cy", "grant.ended to di"]
    );
    // By a rule without it nobody hears.
    house.granted(&["orders/read"]).await;
    assert_eq!(told(&house).await, [""; 0]);
    // Whom the emergency told that it was taken are not told once more that it is there.
    let made = house
        .engine
        .break_glass(ana, asked(&["orders/write"]), None)
        .await
        .unwrap();
    house.reconcile().await;
    assert_eq!(told(&house).await, ["grant.active to bo"]);
    house.engine.release(ana, made.grant.unwrap().id).await.unwrap();
    house.reconcile().await;
    assert_eq!(
        told(&house).await,
        ["grant.ended to bo", "grant.ended to cy", "grant.ended to di"]
    );
}

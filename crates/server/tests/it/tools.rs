//! Questions about rights, over HTTP: who may ask what about whom, and what the answers say.

use std::collections::BTreeSet;

use daypass_api::explain::{Explain, Fit};
use daypass_api::grant::GrantState;
use daypass_api::lock::{ChangeLock, LockOn};
use daypass_api::plan::Effect;
use daypass_api::policy::{PolicyFile, PolicyFiles};
use daypass_api::preview::Preview;
use daypass_api::why::{Phase, WhyQuery};
use daypass_core::person::{Kind, SystemRole};
use daypass_core::refusal::Code;
use daypass_core::time::Span;

use crate::bed::{Bed, POLICY};

fn files(text: &str) -> Vec<PolicyFile> {
    vec![PolicyFile {
        name: "policy.yaml".into(),
        text: text.into(),
    }]
}

fn about(subject: &str, item: &str) -> Explain {
    let item: daypass_core::name::Item = item.parse().unwrap();
    Explain {
        subject: Some(subject.into()),
        items: BTreeSet::from([item.into()]),
        environments: BTreeSet::new(),
        duration: None,
        at: None,
        start: None,
        from: None,
        ticket: None,
        break_glass: false,
        files: None,
    }
}

fn why(subject: &str, what: &str) -> WhyQuery {
    let (resource, role) = what
        .split_once('/')
        .map_or((what, None), |(resource, role)| (resource, Some(role)));
    WhyQuery {
        subject: subject.into(),
        resource: resource.parse().unwrap(),
        role: role.map(|role| role.parse().unwrap()),
        at: None,
    }
}

#[tokio::test]
async fn an_explanation_is_given_of_oneself_and_of_others_to_who_sees_all() {
    let bed = Bed::start().await;
    let (ana, dee) = (bed.client("ana").await, bed.client("dee").await);
    let answer = dee.explain_policy(&about("ana", "orders/write")).await.unwrap();
    let Preview::Allowed(path) = &answer.decision else {
        panic!("{answer:?}")
    };
    assert_eq!(path.rule.as_str(), "prod-write");
    let fits: Vec<_> = answer
        .rules
        .iter()
        .map(|rule| (rule.rule.as_str(), rule.fit))
        .collect();
    assert_eq!(fits, [("prod-write", Fit::Taken)]);
    assert_eq!(
        ana.explain_policy(&about("ana", "orders/write"))
            .await
            .unwrap()
            .decision,
        answer.decision
    );
    let nobody_named = Explain {
        subject: None,
        ..about("", "orders/write")
    };
    assert_eq!(ana.explain_policy(&nobody_named).await.unwrap().subject, "ana");

    // Whether there is such a person is not told either.
    for other in ["bo", "nobody-of-this-name"] {
        let refused = ana
            .explain_policy(&about(other, "orders/write"))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Some(Code::Forbidden.into()), "{other}");
    }
    let unknown = dee
        .explain_policy(&about("nobody-of-this-name", "orders/write"))
        .await;
    assert_eq!(unknown.unwrap_err().code(), Some(Code::UnknownPerson.into()));

    let long = Explain {
        duration: Some(Span::hours(3)),
        ..about("ana", "orders/write")
    };
    let refused = dee.explain_policy(&long).await.unwrap();
    assert!(
        matches!(&refused.decision, Preview::Refused(refused) if refused.code == "over-max"),
        "{refused:?}"
    );
    assert_eq!(refused.rules[0].code.as_deref(), Some("over-max"));
}

#[tokio::test]
async fn another_policy_is_asked_by_administrators_and_comes_in_force_by_no_question() {
    let bed = Bed::start().await;
    let root = bed.client("root").await;
    let other = POLICY.replace("roles: [write]\n", "roles: [write, read]\n");
    let candidate = Explain {
        files: Some(files(&other)),
        ..about("ana", "orders/read")
    };
    for login in ["ana", "dee"] {
        let client = bed.client(login).await;
        let refused = client.explain_policy(&candidate).await.unwrap_err();
        assert_eq!(refused.code(), Some(Code::Forbidden.into()));
    }
    let before = root.policy().await.unwrap().revision;
    let answer = root.explain_policy(&candidate).await.unwrap();
    assert_eq!(answer.rules.len(), 2, "{answer:?}");
    assert_ne!(answer.policy_revision, before);
    assert_eq!(root.policy().await.unwrap().revision, before);
    let torn = Explain {
        files: Some(files("version: 9\n")),
        ..about("ana", "orders/read")
    };
    let refused = root.explain_policy(&torn).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::PolicyInvalid.into()));
}

#[tokio::test]
async fn a_lock_is_told_before_what_the_policy_says() {
    let bed = Bed::start().await;
    let lock = ChangeLock {
        on: LockOn::Person("ana".into()),
        reason: "stolen".into(),
    };
    bed.client("root").await.lock(&lock).await.unwrap();
    let answer = bed
        .client("dee")
        .await
        .explain_policy(&about("ana", "staging/read"))
        .await
        .unwrap();
    assert_eq!(answer.locked.unwrap().code, "locked");
    assert!(matches!(answer.decision, Preview::Allowed(_)));
}

#[tokio::test]
async fn a_plan_names_who_gains_and_who_loses() {
    let bed = Bed::start().await;
    bed.add("eve", Kind::Person, SystemRole::Member, Some("engineering"), None)
        .await;
    let next = POLICY
        .replace("approval: none, max: 8h", "approval: none, max: 2h")
        .replace(
            "  - {name: prod-read, allow: engineers,",
            "  - {name: prod-read, allow: security,",
        );
    let plan = PolicyFiles {
        files: files(&next),
        replaces: None,
    };
    let before = bed.client("root").await.policy().await.unwrap().revision;
    let plan = bed.client("dee").await.plan_policy(&plan).await.unwrap();
    assert_eq!((plan.from, plan.left_out, plan.roles), (before, 0, 3));
    let told: Vec<_> = plan
        .changes
        .iter()
        .map(|change| {
            let items: Vec<_> = change.items.iter().map(ToString::to_string).collect();
            (change.effect, change.people.join(","), items.join(","))
        })
        .collect();
    let of = |effect, people: &str, item: &str| (effect, people.to_owned(), item.to_owned());
    // The only one of security cannot agree to their own request: they gain nothing.
    assert_eq!(
        told,
        [
            of(Effect::Shorter, "ana,eve", "staging/read"),
            of(Effect::Lost, "ana,eve", "orders/read"),
        ]
    );
    assert_eq!(bed.client("root").await.policy().await.unwrap().revision, before);
    let torn = PolicyFiles {
        files: files("version: 1\nrules: [{name: x}]\n"),
        replaces: None,
    };
    let torn = bed.client("root").await.plan_policy(&torn).await.unwrap();
    assert!(torn.to.is_none() && !torn.diagnostics.is_empty() && torn.changes.is_empty());
}

#[tokio::test]
async fn why_somebody_has_access_is_their_request_and_who_agreed() {
    let bed = Bed::start().await;
    bed.add("eve", Kind::Person, SystemRole::Member, Some("engineering"), None)
        .await;
    let grant = bed.granted().await;
    let active = bed.reaches(grant, GrantState::Active).await;
    for who in ["dee", "root", "ana", "bo", "cy"] {
        let answer = bed
            .client(who)
            .await
            .why(&why("ana", "orders/write"))
            .await
            .unwrap();
        let [held] = answer.grants.as_slice() else {
            panic!("{who}: {answer:?}")
        };
        assert_eq!((held.grant.id, held.phase), (grant, Phase::Active), "{who}");
        assert_eq!(held.request.rule.as_str(), "prod-write");
        let agreed: Vec<_> = held.request.steps.iter().flat_map(|step| &step.reviews).collect();
        assert_eq!(agreed.len(), 2, "{agreed:?}");
        assert!(answer.otherwise.is_empty() && answer.complete);
    }
    // Who may not see it learns no more than of somebody whom there is not.
    let eve = bed.client("eve").await;
    for other in ["ana", "nobody-of-this-name"] {
        let refused = eve.why(&why(other, "orders/write")).await.unwrap_err();
        assert_eq!(refused.code(), Some(Code::NotFound.into()), "{other}");
    }
    let dee = bed.client("dee").await;
    let other_role = dee.why(&why("ana", "orders/read")).await.unwrap();
    assert!(other_role.grants.is_empty());
    assert_eq!(other_role.otherwise.len(), 1, "what the policy would give");
    assert_eq!(dee.why(&why("ana", "orders")).await.unwrap().grants.len(), 1);

    bed.client("ana").await.release(grant).await.unwrap();
    let ended = bed.reaches(grant, GrantState::Ended).await;
    let now = dee.why(&why("ana", "orders")).await.unwrap();
    assert!(now.grants.is_empty());
    assert_eq!(now.otherwise.len(), 2, "role by role");
    let at = |at| WhyQuery {
        at: Some(at),
        ..why("ana", "orders")
    };
    let since = active.activated_at.unwrap();
    let then = dee.why(&at(since)).await.unwrap();
    assert_eq!(then.grants[0].phase, Phase::Active);
    assert_eq!(then.grants[0].grant.state, GrantState::Ended);
    let gone = dee.why(&at(ended.ended_at.unwrap())).await.unwrap();
    assert!(gone.grants.is_empty() && gone.otherwise.is_empty());
    let before = dee.why(&at(since - Span::hours(1))).await.unwrap();
    assert!(before.grants.is_empty() && before.otherwise.is_empty());
    let to_come = dee.why(&at(since + Span::hours(10))).await.unwrap_err();
    assert_eq!(to_come.code(), Some(Code::Invalid.into()));
}

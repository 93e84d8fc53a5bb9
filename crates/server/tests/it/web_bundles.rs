//! Several roles as one, in a browser without a script: environments in the catalogue, roles that are asked for together, and an
//! agreement to some of them.

use daypass_api::request::RequestState;
use daypass_core::time::Span;
use daypass_policy::Source;

use crate::bed::{Bed, POLICY};
use crate::environments::environments;
use crate::web_policy::{Browser, to};

/// The bed's policy, otherwise.
async fn policy(bed: &Bed, changes: &[(&str, &str)]) {
    let mut text = String::from(POLICY);
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let name = String::from("policy.yaml");
    let source = Source { name, text };
    bed.server.engine().load_policy(&[source]).await.unwrap();
}

/// Both roles on `orders` go by one rule.
const TOGETHER: (&str, &str) = ("roles: [read], approval", "roles: [read, write], approval");

#[tokio::test]
async fn an_environment_is_found_in_the_catalogue_and_asked_for_as_one() {
    let bed = Bed::start().await;
    environments(&bed, "{env: staging}").await;
    let ana = Browser::of(&bed, "ana").await;
    let page = ana.page("/catalogue").await;
    assert!(page.contains(r#"href="/ask/env:test/look""#), "{page}");
    assert!(
        page.contains("env:live"),
        "what is not for her is there too: {page}"
    );
    let page = ana.page("/catalogue?q=env:test").await;
    assert!(
        page.contains("/ask/env:test/look") && !page.contains("env:live"),
        "{page}"
    );
    assert!(!ana.page("/catalogue?env=production").await.contains("env:test"));

    let page = ana.page("/ask/env:test/look").await;
    assert!(page.contains("Nobody has to agree"), "{page}");
    let made = ana.send("/ask/env:test/look", &[("reason", "PAY-7")]).await;
    let page = ana.page(&to(&made)).await;
    assert!(page.contains("staging/read"), "{page}");
    assert_eq!(ana.get("/ask/env:/look").await.status(), 404);
}

#[tokio::test]
async fn roles_are_asked_for_together_and_later_and_some_are_agreed_to() {
    let bed = Bed::start().await;
    policy(&bed, &[TOGETHER]).await;
    let (ana, cy) = (Browser::of(&bed, "ana").await, Browser::of(&bed, "cy").await);
    let start = bed.server.engine().store().now().await.unwrap() + Span::hours(1);
    let typed = start.to_string().replace('T', " ");
    let typed = typed.get(..16).unwrap();
    let address = format!(
        "/ask/orders/read?with=orders%2Fwrite&start={}",
        typed.replace(' ', "+")
    );
    let page = ana.page(&address).await;
    assert!(
        page.contains("All of this as one") && page.contains("security"),
        "{page}"
    );
    assert!(page.contains(&format!(r#"value="{typed}""#)), "{page}");

    let form = [
        ("reason", "PAY-7"),
        ("with", "orders/write, orders/read"),
        ("start", typed),
    ];
    let made = to(&ana.send("/ask/orders/read", &form).await);
    let id = made.trim_start_matches("/requests/");
    let asked = bed.client("ana").await.request(id).await.unwrap();
    assert_eq!(asked.items.len(), 2);
    assert_eq!(
        asked.start.unwrap().to_string().get(..16),
        start.to_string().get(..16)
    );

    let page = cy.page("/approvals").await;
    assert!(
        page.contains(r#"name="take:orders/read" "#) && page.contains("checked"),
        "{page}"
    );
    let digest = asked.digest.to_string();
    let mut form = vec![
        ("decision", "approve"),
        ("digest", digest.as_str()),
        ("parts", "2"),
    ];
    let refused = cy.send(&format!("{made}/review"), &form).await;
    assert_eq!(refused.status(), 400);
    let page = refused.text().await.unwrap();
    assert!(
        page.contains("nothing is ticked") && !page.contains(" checked"),
        "{page}"
    );
    form.push(("take:orders/read", "on"));
    cy.send(&format!("{made}/review"), &form).await;
    let agreed = bed.client("cy").await.request(id).await.unwrap();
    assert_eq!(agreed.state, RequestState::Approved);
    let page = ana.page(&made).await;
    assert!(page.contains("approved, only orders/read"), "{page}");
    let grant = bed
        .client("ana")
        .await
        .grant(&agreed.grant.unwrap().to_string())
        .await
        .unwrap();
    let items: Vec<_> = grant.items.iter().map(ToString::to_string).collect();
    assert_eq!(items, ["orders/read"]);
}

#[tokio::test]
async fn what_cannot_be_asked_for_together_comes_back_as_it_was_typed() {
    let bed = Bed::start().await;
    let ana = Browser::of(&bed, "ana").await;
    for (name, value, told) in [
        ("with", "orders", "orders"),
        ("with", "orders/write <b>", "&#60;b&#62;"),
        ("start", "tomorrow", "in UTC"),
    ] {
        let form = [("reason", "PAY-7"), (name, value)];
        let refused = ana.send("/ask/orders/read", &form).await;
        assert_eq!(refused.status(), 400, "{value}");
        let page = refused.text().await.unwrap();
        assert!(
            page.contains(told) && page.contains("<details class=\"more\" open"),
            "{page}"
        );
        assert!(!page.contains("<b>"), "{page}");
    }
}

/// What a reviewer leaves out is not given, whoever agrees to it later: it is not offered to them.
#[tokio::test]
async fn whoever_is_asked_later_sees_what_is_left() {
    let bed = Bed::start().await;
    let both = ("roles: [write]", "roles: [read, write]");
    let nobody_else = (
        "name: prod-read, allow: engineers",
        "name: prod-read, allow: security",
    );
    policy(&bed, &[both, nobody_else]).await;
    let ana = Browser::of(&bed, "ana").await;
    let form = [("reason", "PAY-7"), ("with", "orders/write")];
    let made = to(&ana.send("/ask/orders/read", &form).await);
    let digest = bed
        .client("bo")
        .await
        .request(made.trim_start_matches("/requests/"))
        .await
        .unwrap()
        .digest
        .to_string();
    let answer = [
        ("decision", "approve"),
        ("digest", digest.as_str()),
        ("parts", "some"),
        ("take:orders/read", "on"),
    ];
    let bo = Browser::of(&bed, "bo").await;
    assert_eq!(bo.send(&format!("{made}/review"), &answer).await.status(), 303);
    let cy = Browser::of(&bed, "cy").await;
    let page = cy.page("/approvals").await;
    assert!(page.contains("agreed only to orders/read"), "{page}");
    assert!(
        page.contains("take:orders/read") && !page.contains("take:orders/write"),
        "{page}"
    );
    // What is ticked and is none of the request's is refused, and so is what cannot be read: neither stands for all of it.
    for (other, status) in [("take:staging/read", 422), ("take:orders", 400)] {
        let mut more = answer.to_vec();
        more.push((other, "on"));
        assert_eq!(
            cy.send(&format!("{made}/review"), &more).await.status(),
            status,
            "{other}"
        );
    }
    assert_eq!(cy.send(&format!("{made}/review"), &answer).await.status(), 303);
    let page = ana.page(&made).await;
    assert!(page.contains("approved") && !page.contains("Ask again"), "{page}");
}

#[tokio::test]
async fn what_is_foretold_is_of_what_is_typed() {
    let bed = Bed::start().await;
    let ana = Browser::of(&bed, "ana").await;
    let page = ana.page("/ask/staging/read?start=tomorrow").await;
    assert!(
        page.contains("in UTC") && !page.contains("Nobody has to agree"),
        "{page}"
    );
    let start = bed.server.engine().store().now().await.unwrap() + Span::hours(1);
    let page = ana
        .page(&format!("/ask/staging/read?start={start}&for=30m"))
        .await;
    assert!(
        page.contains("access begins then") && page.contains("not before"),
        "{page}"
    );
    let command = format!("daypass request staging/read --for 30m --start {start}");
    assert!(page.contains(&command), "{page}");
    let page = ana.page("/break-glass/staging/read").await;
    assert!(
        !page.contains(r#"name="start""#) && page.contains(r#"name="with""#),
        "{page}"
    );
}

#[tokio::test]
async fn how_long_people_usually_take_is_said_before_one_asks() {
    const SAID: &str = "Half of what was lately agreed to here took no longer than";
    let bed = Bed::start().await;
    // People are asked for both.
    policy(
        &bed,
        &[(
            "approval: none",
            "approval: [{from: security, within: 30m, else: deny}]",
        )],
    )
    .await;
    let ana = Browser::of(&bed, "ana").await;
    for _ in 0..4 {
        bed.granted().await;
    }
    assert!(
        !ana.page("/ask/orders/write").await.contains(SAID),
        "it would tell of few"
    );
    bed.granted().await;
    let page = ana.page("/ask/orders/write").await;
    assert!(page.contains(SAID) && page.contains("1 min"), "{page}");
    assert!(
        !ana.page("/ask/staging/read").await.contains(SAID),
        "of other resources"
    );
}

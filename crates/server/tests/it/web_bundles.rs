//! Several roles as one, in a browser without a script: environments in the catalogue, roles that are asked for together, and an
//! agreement to some of them.

use daypass_api::request::RequestState;
use daypass_core::time::Span;
use daypass_policy::Source;

use crate::bed::{Bed, POLICY};
use crate::environments::environments;
use crate::web_policy::{Browser, to};

/// The bed's policy, in which both roles on `orders` go by one rule.
async fn together(bed: &Bed) {
    let source = Source {
        name: String::from("policy.yaml"),
        text: POLICY.replace("roles: [read], approval", "roles: [read, write], approval"),
    };
    bed.server.engine().load_policy(&[source]).await.unwrap();
}

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
    together(&bed).await;
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

#[tokio::test]
async fn how_long_people_usually_take_is_said_before_one_asks() {
    let bed = Bed::start().await;
    let ana = Browser::of(&bed, "ana").await;
    assert!(!ana.page("/ask/orders/write").await.contains("Usually agreed"));
    bed.granted().await;
    let page = ana.page("/ask/orders/write").await;
    assert!(
        page.contains("Usually agreed to within") && page.contains("median of 1"),
        "{page}"
    );
    assert!(!ana.page("/ask/staging/read").await.contains("Usually agreed"));
}

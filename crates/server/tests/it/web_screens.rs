//! What the screens show and take, as a browser without a script has them: what is found, what somebody may do, and a form that was refused.

use daypass_api::catalogue::ResourceQuery;
use daypass_api::grant::{GrantState, Revoke};
use daypass_api::request::RequestQuery;
use reqwest::Response;

use crate::bed::Bed;
use crate::web_policy::Browser;

async fn shown(answer: Response, status: u16) -> String {
    assert_eq!(answer.status(), status, "{}", answer.url());
    answer.text().await.unwrap()
}

#[tokio::test]
async fn what_is_searched_for_is_found_by_the_api_page_by_page() {
    let bed = Bed::start().await;
    let ana = bed.client("ana").await;
    let found = async |q: &str| {
        let query = ResourceQuery {
            q: Some(q.to_owned()),
            ..ResourceQuery::default()
        };
        let items = ana.resources(&query).await.unwrap().items;
        items
            .iter()
            .map(|offer| offer.item.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("WRI orders").await, ["orders/write"]);
    assert_eq!(found("env=prod read").await, ["orders/read"]);
    assert_eq!(found("memory").await.len(), 3);
    assert_eq!(found("orders staging").await, [""; 0]);

    // Each page goes on where the one before ended, among what was searched for.
    let mut query = ResourceQuery {
        q: Some(String::from("orders")),
        limit: Some(1),
        ..ResourceQuery::default()
    };
    let first = ana.resources(&query).await.unwrap();
    query.cursor = first.next;
    let second = ana.resources(&query).await.unwrap();
    assert_eq!(second.items[0].item.to_string(), "orders/write");
    assert_eq!(second.next, None);

    let browser = Browser::of(&bed, "ana").await;
    let page = shown(browser.get("/catalogue?q=write").await, 200).await;
    assert!(
        page.contains("/ask/orders/write") && !page.contains("/ask/orders/read"),
        "{page}"
    );
    let page = shown(browser.get("/catalogue?env=staging").await, 200).await;
    assert!(
        page.contains("/ask/staging/read") && !page.contains("/ask/orders/"),
        "{page}"
    );
    assert!(
        page.contains("<option>production</option>"),
        "the others can still be chosen: {page}"
    );
}

#[tokio::test]
async fn why_access_ended_is_said_and_only_who_may_end_it_is_offered_that() {
    let bed = Bed::start().await;
    let id = bed.granted().await;
    bed.reaches(id, GrantState::Active).await;
    let request = format!(
        "/requests/{}",
        bed.client("dee")
            .await
            .grant(&id.to_string())
            .await
            .unwrap()
            .request
    );
    for (who, may) in [("ana", true), ("bo", true), ("root", true), ("dee", false)] {
        let grant = bed.client(who).await.grant(&id.to_string()).await.unwrap();
        assert_eq!(grant.endable, may, "{who}");
        let page = shown(Browser::of(&bed, who).await.get(&request).await, 200).await;
        assert_eq!(page.contains("End access"), may, "{who}");
    }
    let why = Revoke {
        reason: Some(String::from("that was enough")),
    };
    bed.client("bo").await.revoke(id, &why).await.unwrap();
    let ended = bed.reaches(id, GrantState::Ended).await;
    assert!(!ended.endable);
    assert!(
        !bed.client("root")
            .await
            .grant(&id.to_string())
            .await
            .unwrap()
            .endable
    );
    let ana = Browser::of(&bed, "ana").await;
    for place in [request.as_str(), "/"] {
        let page = shown(ana.get(place).await, 200).await;
        assert!(page.contains("revoked by bo: that was enough"), "{place}: {page}");
    }
}

#[tokio::test]
async fn whoever_is_asked_sees_what_it_would_do_and_what_was_asked_before() {
    let bed = Bed::start().await;
    let before = bed.ask("ana", "staging/read").await;
    let asked = bed.ask("ana", "orders/write").await;
    // Its effect is told to who is asked and to who may read the policy.
    for (who, told) in [("bo", true), ("dee", true), ("ana", false)] {
        let seen = bed
            .client(who)
            .await
            .request(&asked.id.to_string())
            .await
            .unwrap();
        let effects: Vec<_> = seen
            .effects
            .iter()
            .map(|effect| effect.role.to_string())
            .collect();
        let expected: &[&str] = if told { &[r#"{"can":["write"]}"#] } else { &[] };
        assert_eq!(effects, expected, "{who}");
    }
    let page = shown(Browser::of(&bed, "bo").await.get("/approvals").await, 200).await;
    assert!(
        page.contains("can: [&#34;write&#34;]") || page.contains("can: [&quot;write&quot;]"),
        "{page}"
    );

    // Whoever may not see the others is not shown them, however they ask.
    let theirs = RequestQuery {
        requester: Some(String::from("ana")),
        ..RequestQuery::default()
    };
    for (who, expected) in [
        ("ana", vec![asked.id, before.id]),
        ("dee", vec![asked.id, before.id]),
        ("robot", vec![]),
    ] {
        let found = bed.client(who).await.requests(&theirs).await.unwrap().items;
        let found: Vec<_> = found.iter().map(|request| request.id).collect();
        assert_eq!(found, expected, "{who}");
    }
    let nobody = RequestQuery {
        requester: Some(String::from("nobody-of-that-name")),
        ..RequestQuery::default()
    };
    assert_eq!(bed.client("dee").await.requests(&nobody).await.unwrap().items, []);
}

#[tokio::test]
async fn what_is_found_in_the_log_can_be_taken_along() {
    let bed = Bed::start().await;
    bed.granted().await;
    bed.log_with("request.approved").await;
    let dee = Browser::of(&bed, "dee").await;
    let answer = dee.get("/audit/events.ndjson?name=request").await;
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    let file = shown(answer, 200).await;
    let events: Vec<daypass_api::event::AuditEvent> = file
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        events.len() >= 3 && events.iter().all(|event| event.subject.kind == "request"),
        "{file}"
    );
    assert!(events.is_sorted_by_key(|event| event.seq), "the oldest first");

    // A last day is one of them.
    let day: String = events[0].at.to_string().chars().take(10).collect();
    let of_that_day = shown(
        dee.get(&format!(
            "/audit/events.ndjson?name=request&since={day}&until={day}"
        ))
        .await,
        200,
    )
    .await;
    assert!(of_that_day.starts_with(file.lines().next().unwrap()));
    let before = shown(dee.get("/audit/events.ndjson?until=2000-01-01").await, 200).await;
    assert_eq!(before, "");
    let page = shown(dee.get("/audit?until=2000-01-01").await, 200).await;
    assert!(page.contains("Nothing of that kind"), "{page}");
    // What it is about is a click away, also for a grant.
    let page = shown(dee.get("/audit?name=grant").await, 200).await;
    assert!(
        page.contains(&format!("/requests/{}", events[0].subject.id)),
        "{page}"
    );
    shown(
        Browser::of(&bed, "ana").await.get("/audit/events.ndjson").await,
        403,
    )
    .await;
}

#[tokio::test]
async fn a_form_that_is_refused_comes_back_with_what_was_typed() {
    let bed = Bed::start().await;
    let asked = bed.ask("ana", "orders/write").await;
    let (path, digest) = (format!("/requests/{}/review", asked.id), asked.digest.to_string());
    let bo = Browser::of(&bed, "bo").await;
    let form = [
        ("decision", "approve"),
        ("digest", digest.as_str()),
        ("for", "1 h 30 min"),
        ("comment", "go \"on\" <b>now</b>"),
    ];
    let page = shown(bo.send(&path, &form).await, 400).await;
    assert!(
        page.contains(r#"role="alert""#) && page.contains("a number and a unit"),
        "{page}"
    );
    assert!(
        page.contains(r#"value="1 h 30 min""#) && page.contains(&path),
        "{page}"
    );
    assert!(page.contains("now") && !page.contains("<b>now"), "{page}");
    // What the API refuses, too.
    let stale = [
        ("decision", "deny"),
        ("digest", &"0".repeat(64)),
        ("comment", "use the replica"),
    ];
    let page = shown(bo.send(&path, &stale).await, 409).await;
    assert!(
        page.contains(r#"role="alert""#) && page.contains("use the replica"),
        "{page}"
    );

    let id = bed.granted().await;
    bed.reaches(id, GrantState::Active).await;
    let ana = Browser::of(&bed, "ana").await;
    let more = [("for", "for ever"), ("reason", "the import is slow")];
    let page = shown(ana.send(&format!("/grants/{id}/extend"), &more).await, 400).await;
    assert!(
        page.contains(r#"value="for ever""#) && page.contains("the import is slow"),
        "{page}"
    );
    let long = "x".repeat(20_000);
    let revoke = [("reason", long.as_str())];
    let page = shown(ana.send(&format!("/grants/{id}/revoke"), &revoke).await, 400).await;
    assert!(page.contains(r#"role="alert""#) && page.contains(&long), "{page}");
    let away = [("to", "cy"), ("until", "soon"), ("reason", "at sea")];
    let page = shown(ana.send("/account/away", &away).await, 400).await;
    assert!(page.contains("this browser") && page.contains("at sea"), "{page}");
}

#[tokio::test]
async fn a_period_that_is_chosen_counts_over_days_that_were_typed_before() {
    let bed = Bed::start().await;
    let dee = Browser::of(&bed, "dee").await;
    let chosen = async |query: &str| {
        let page = shown(dee.get(&format!("/reports?{query}")).await, 200).await;
        let from = page.contains(r#"value="2026-01-05""#);
        let period = page.contains(r#"<option value="7" selected>"#);
        (from, period)
    };
    assert_eq!(chosen("days=7&was=30&from=2026-01-05").await, (false, true));
    assert_eq!(chosen("days=7&was=7&from=2026-01-05").await, (true, false));
    assert_eq!(chosen("days=&was=7&from=2026-01-05").await, (true, false));
}

//! The inventory over HTTP and as a page: standing access, drift, what is found, to whom, and how old it is.

use daypass_api::access::MatrixQuery;
use daypass_api::grant::GrantState;
use daypass_api::standing::{DriftKind, InventoryQuery, StandingQuery, Survey};
use daypass_api::why::WhyQuery;
use daypass_core::name::Name;
use daypass_core::refusal::Code;
use daypass_providers::memory::Op;

use crate::bed::{Bed, soon};

fn connector() -> Name {
    "box".parse().unwrap()
}

/// Has the target surveyed, and waits until that is through.
async fn surveyed(bed: &Bed) -> Survey {
    let root = bed.client("root").await;
    let before = root.standing(&StandingQuery::default()).await.unwrap().surveys;
    root.survey(&connector()).await.unwrap();
    soon("the survey", async {
        loop {
            let now = root.standing(&StandingQuery::default()).await.unwrap().surveys;
            let [one] = &now[..] else { panic!("{now:?}") };
            if one.under_way.is_none() && !one.asked_for && one.seen_at > before[0].seen_at {
                return one.clone();
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// A bed where ana, somebody whom nobody knows, and too many others have something for good.
async fn furnished() -> Bed {
    let bed = Bed::start().await;
    bed.target.stand_by_hand("ana", None, &["write"]);
    bed.target.stand_by_hand("<b>mallory</b>", None, &["read"]);
    bed.target.stand_by_hand("zed", Some("shed"), &["read"]);
    surveyed(&bed).await;
    bed
}

#[tokio::test]
async fn standing_access_is_listed_in_pages_with_what_gives_it_instead() {
    let bed = furnished().await;
    let dee = bed.client("dee").await;
    let query = StandingQuery {
        limit: Some(2),
        ..StandingQuery::default()
    };
    let first = dee.standing(&query).await.unwrap();
    assert_eq!(first.items.len(), 2);
    let cursor = first.next.clone();
    let rest = dee.standing(&StandingQuery { cursor, ..query }).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (1, None));
    let of = |who: &str| StandingQuery {
        subject: Some(who.to_owned()),
        ..StandingQuery::default()
    };
    let ana = dee.standing(&of("ana")).await.unwrap().items.remove(0);
    assert_eq!(
        (ana.right.as_str(), ana.on.as_str(), ana.guessed),
        ("can write", "the target", true)
    );
    assert_eq!(ana.login.as_deref(), Some("ana"));
    let by: Vec<_> = ana
        .given_by
        .iter()
        .map(|one| (one.item.to_string(), one.eligible))
        .collect();
    assert_eq!(by, [("orders/write".to_owned(), Some(true))]);
    let mallory = dee.standing(&of("<b>mallory</b>")).await.unwrap().items.remove(0);
    assert_eq!((mallory.login, mallory.given_by[0].eligible), (None, None));
    let zed = dee.standing(&of("zed")).await.unwrap().items.remove(0);
    assert!(zed.given_by.is_empty() && zed.place.is_none());
    assert_eq!(zed.offer.unwrap().resource_name.as_str(), "shed");
    let refused = bed.client("ana").await.standing(&query_all()).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::Forbidden.into()));
    let refused = bed.client("dee").await.survey(&connector()).await.unwrap_err();
    assert_eq!(
        refused.code(),
        Some(Code::Forbidden.into()),
        "who reads does not keep targets busy"
    );
}

fn query_all() -> StandingQuery {
    StandingQuery::default()
}

#[tokio::test]
async fn why_says_what_stands_to_whom_may_see_it() {
    let bed = furnished().await;
    let query = |role: Option<&str>| WhyQuery {
        subject: "ana".into(),
        resource: "orders".parse().unwrap(),
        role: role.map(|role| role.parse().unwrap()),
        at: None,
    };
    let dee = bed.client("dee").await;
    let why = dee.why(&query(None)).await.unwrap();
    assert_eq!((why.grants.len(), why.standing.len()), (0, 1));
    assert_eq!(dee.why(&query(Some("write"))).await.unwrap().standing.len(), 1);
    assert!(dee.why(&query(Some("read"))).await.unwrap().standing.is_empty());
    let own = bed.client("ana").await.why(&query(None)).await.unwrap();
    assert!(own.standing.is_empty(), "what targets tell is for auditors");
}

#[tokio::test]
async fn the_page_says_it_in_words_and_nothing_of_a_target_is_markup() {
    let bed = furnished().await;
    let dee = bed.session("dee").await;
    let page = async |path: &str, token: &str| {
        let call = bed.raw(reqwest::Method::GET, path, None);
        let answer = call
            .header("cookie", format!("daypass={token}"))
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, html) = page("/standing", &dee).await;
    assert_eq!(status, 200, "{html}");
    for part in ["ana may ask for orders/write", "not told", "by name", "surveyed"] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(
        html.contains("&#60;b&#62;mallory") && !html.contains("<b>mallory"),
        "{html}"
    );
    assert!(!html.contains("Look anew"), "that is for administrators");
    let (status, html) = page("/who?also=eligible", &dee).await;
    assert!(
        status == 200 && html.contains("for good") && html.contains("may ask"),
        "{html}"
    );
    assert!(html.contains("not in the directory, at box"), "{html}");
    let (status, html) = page("/health", &dee).await;
    assert!(status == 200 && html.contains("Surveyed"), "{html}");
    let ana = bed.session("ana").await;
    assert_eq!(page("/standing", &ana).await.0, 403);
    let (status, html) = page("/who", &ana).await;
    assert!(status == 200 && !html.contains("for good"), "{html}");
}

#[tokio::test]
async fn drift_and_what_is_found_say_what_is_to_be_done() {
    let bed = furnished().await;
    let dee = bed.client("dee").await;
    let drift = dee.drift(&InventoryQuery::default()).await.unwrap();
    let told: Vec<_> = drift
        .items
        .iter()
        .map(|one| (one.drift, one.what.as_str()))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(drift.items.iter().all(|one| one.drift == DriftKind::Standing));
    let ana = drift
        .items
        .iter()
        .find(|one| one.login.as_deref() == Some("ana"))
        .unwrap();
    assert!(ana.todo.contains("ana may ask for orders/write"), "{}", ana.todo);
    let found = dee.found(&connector(), &InventoryQuery::default()).await.unwrap();
    let names: Vec<_> = found.items.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["shed"]);
    let nowhere = dee
        .found(&"nowhere".parse().unwrap(), &InventoryQuery::default())
        .await
        .unwrap_err();
    assert_eq!(nowhere.code(), Some(Code::NotFound.into()));
    // What is taken away by hand is gone with the next survey.
    bed.target.remove_by_hand("ana");
    surveyed(&bed).await;
    assert_eq!(
        dee.drift(&InventoryQuery::default()).await.unwrap().items.len(),
        1
    );
}

#[tokio::test]
async fn a_survey_that_is_under_way_says_how_far_it_is_and_keeps_what_was_known() {
    let bed = furnished().await;
    let root = bed.client("root").await;
    bed.target.hold(Op::Survey);
    root.survey(&connector()).await.unwrap();
    bed.target.has_held(Op::Survey, 1).await;
    let now = root.standing(&query_all()).await.unwrap();
    assert!(now.surveys[0].under_way.is_some());
    assert_eq!(now.items.len(), 3, "what was seen before is shown meanwhile");
    // Access is given and ends all the same.
    let grant = bed.ask("ana", "staging/read").await.grant.unwrap();
    bed.reaches(grant, GrantState::Active).await;
    bed.client("ana").await.release(grant).await.unwrap();
    bed.reaches(grant, GrantState::Ended).await;
    bed.target.let_go(Op::Survey);
    let connectors = root.connectors().await.unwrap().items;
    assert_eq!(connectors[0].survey.as_ref().unwrap().standing, Some(3));
}

#[tokio::test]
async fn the_matrix_has_standing_and_eligible_beside_what_is_held() {
    let bed = furnished().await;
    let grant = bed.ask("ana", "staging/read").await.grant.unwrap();
    bed.reaches(grant, GrantState::Active).await;
    let all = MatrixQuery {
        standing: Some(true),
        eligible: Some(true),
        ..MatrixQuery::default()
    };
    let dee = bed.client("dee").await;
    let matrix = dee.access_matrix(&all).await.unwrap();
    let row = |login: &str| {
        let at = matrix.people.iter().position(|one| one.login == login).unwrap();
        u32::try_from(at).unwrap()
    };
    let column = |name: &str| {
        let at = matrix
            .resources
            .iter()
            .position(|one| one.name.as_str() == name)
            .unwrap();
        u32::try_from(at).unwrap()
    };
    let cell = |login: &str, name: &str| {
        let at = (row(login), column(name));
        matrix
            .cells
            .iter()
            .find(|cell| (cell.person, cell.resource) == at)
    };
    let orders = cell("ana", "orders").unwrap();
    assert_eq!(orders.standing.len(), 1);
    assert_eq!(orders.standing[0].role.as_ref().unwrap().as_str(), "write");
    let eligible: Vec<_> = orders.eligible.iter().map(Name::as_str).collect();
    assert_eq!(eligible, ["read", "write"]);
    let staging = cell("ana", "staging").unwrap();
    assert_eq!(
        (staging.held.len(), staging.eligible.len()),
        (1, 0),
        "what one holds is not asked for again"
    );
    assert!(matrix.people.iter().any(|one| one.outside == Some(connector())));
    assert!(
        matrix.people.last().unwrap().outside.is_some(),
        "who is not in the directory stands last"
    );
    let held = dee.access_matrix(&MatrixQuery::default()).await.unwrap();
    assert_eq!(
        (held.people.len(), held.resources.len()),
        (1, 1),
        "without them it is as before"
    );
    // Others see what they may ask for, and of nobody what they have for good.
    let own = bed.client("bo").await.access_matrix(&all).await.unwrap();
    assert!(
        own.people
            .iter()
            .all(|one| one.login == "bo" || one.login == "ana")
    );
    assert!(own.cells.iter().all(|cell| cell.standing.is_empty()));
    let robot = MatrixQuery {
        person: Some("zed".into()),
        ..all
    };
    assert!(
        dee.access_matrix(&robot).await.unwrap().people.is_empty(),
        "it is about no resource of the policy"
    );
}

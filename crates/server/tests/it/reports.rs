//! Reports and who has what, over HTTP and as pages: what each says, and to whom.

use daypass_api::access::{AccessQuery, MatrixQuery, Way};
use daypass_api::grant::GrantState;
use daypass_api::report::{Part, ReportQuery};
use daypass_api::request::{Decision, NewReview};
use daypass_api::{Client, Route};
use daypass_core::person::{Kind, SystemRole};
use daypass_core::refusal::Code;
use reqwest::Method;

use crate::bed::{Bed, approval, problem};

/// Ana reads staging at once and writes to orders by the agreement of bo and cy; eve reads staging, and is denied orders.
async fn lived_in() -> Bed {
    let bed = Bed::start().await;
    bed.add("eve", Kind::Person, SystemRole::Member, Some("engineering"), None)
        .await;
    let both = [
        bed.ask("ana", "staging/read").await.grant.unwrap(),
        bed.ask("eve", "staging/read").await.grant.unwrap(),
        bed.granted().await,
    ];
    let no = bed.ask("eve", "orders/read").await;
    let review = NewReview {
        decision: Decision::Deny,
        comment: Some("not today".to_owned()),
        ..approval(&no)
    };
    bed.client("cy").await.review(no.id, &review).await.unwrap();
    for grant in both {
        bed.reaches(grant, GrantState::Active).await;
    }
    bed
}

#[tokio::test]
async fn a_report_says_what_became_of_requests_and_where() {
    let bed = lived_in().await;
    let auditor = bed.client("dee").await;
    let all = auditor.report(&ReportQuery::default()).await.unwrap();
    let requests = all.requests;
    assert_eq!((requests.made, requests.instant, requests.agreed), (4, 2, 1));
    assert_eq!(
        (requests.denied, requests.pending, requests.emergencies),
        (1, 0, 0)
    );
    assert_eq!(
        all.over_time.iter().map(|slot| slot.requests.made).sum::<u64>(),
        4
    );
    assert_eq!(all.over_time.len(), 30);
    assert_eq!(
        all.over_time.last().unwrap().requests.made,
        4,
        "today is the last day"
    );
    assert_eq!(all.time_to_approve.count, 1);
    assert_eq!(all.environments, ["production", "staging"]);
    assert_eq!((all.grants.opened, all.grants.active), (3, 3));
    assert_eq!(all.standing.grants_now, 3);
    assert!(!all.standing.inventory, "nobody has looked at what stands");
    assert_eq!(all.standing.pairs, 3);
    let busiest: Vec<_> = all
        .busiest
        .iter()
        .map(|one| (one.resource.as_str(), one.requests))
        .collect();
    assert_eq!(busiest, [("orders", 2), ("staging", 2)]);
    let staging = ReportQuery {
        env: Some("staging".to_owned()),
        ..ReportQuery::default()
    };
    let staging = auditor.report(&staging).await.unwrap();
    assert_eq!((staging.requests.made, staging.grants.opened), (2, 2));
    assert_eq!(staging.env.as_deref(), Some("staging"));
    for part in Part::ALL {
        let table = all.table(part);
        assert!(
            table.rows.iter().all(|row| row.len() == table.head.len()),
            "{part:?}"
        );
    }
    let before = ReportQuery {
        until: Some(all.from),
        ..ReportQuery::default()
    };
    assert_eq!(auditor.report(&before).await.unwrap().requests.made, 0);
}

#[tokio::test]
async fn what_cannot_be_reported_on_is_refused() {
    let bed = Bed::start().await;
    let dee = bed.session("dee").await;
    for query in [
        "env=nowhere",
        "env=%27%3B--",
        "from=2026-01-01T00:00:00Z&until=2025-01-01T00:00:00Z",
        "from=2000-01-01T00:00:00Z",
        "from=yesterday",
        "resource=orders",
    ] {
        let path = format!("{}?{query}", Route::Reports.path());
        let answer = bed.raw(Method::GET, &path, Some(&dee)).send().await.unwrap();
        let problem = problem(answer).await;
        assert_eq!(problem.code, Code::Invalid.into(), "{query}: {problem:?}");
    }
}

async fn listed(client: &Client, query: AccessQuery) -> Vec<String> {
    let page = client.access(&query).await.unwrap();
    let one = |held: &daypass_api::access::Holding| format!("{} {}", held.holder, held.item);
    page.items.iter().map(one).collect()
}

fn of(person: Option<&str>) -> AccessQuery {
    AccessQuery {
        person: person.map(str::to_owned),
        ..AccessQuery::default()
    }
}

#[tokio::test]
async fn everybody_sees_of_others_what_they_may_see_otherwise() {
    let bed = lived_in().await;
    let all = ["ana orders/write", "ana staging/read", "eve staging/read"];
    for login in ["dee", "root"] {
        let client = bed.client(login).await;
        assert_eq!(listed(&client, of(None)).await, all, "{login}");
        assert_eq!(listed(&client, of(Some("ana"))).await, all[..2]);
    }
    // Bo manages ana, and was asked about one of the two.
    assert_eq!(listed(&bed.client("bo").await, of(None)).await, all[..1]);
    // Cy agreed to it too and manages nobody: they find it through its request.
    assert!(listed(&bed.client("cy").await, of(None)).await.is_empty());
    assert_eq!(listed(&bed.client("ana").await, of(None)).await, all[..2]);
    let eve = bed.client("eve").await;
    assert_eq!(listed(&eve, of(None)).await, all[2..]);
    for other in ["ana", "nobody-of-this-name"] {
        assert!(
            listed(&eve, of(Some(other))).await.is_empty(),
            "both look the same"
        );
    }
    let matrix = eve.access_matrix(&MatrixQuery::default()).await.unwrap();
    assert_eq!(
        (matrix.all_people, matrix.all_resources, matrix.all_held),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn who_has_what_is_filtered_and_paged() {
    let bed = lived_in().await;
    let auditor = bed.client("dee").await;
    let filtered = async |change: &dyn Fn(&mut AccessQuery)| {
        let mut query = AccessQuery::default();
        change(&mut query);
        listed(&auditor, query).await.len()
    };
    assert_eq!(
        filtered(&|query| query.group = Some("engineering".to_owned())).await,
        3
    );
    assert_eq!(
        filtered(&|query| query.group = Some("security".to_owned())).await,
        0
    );
    assert_eq!(
        filtered(&|query| query.env = Some("production".to_owned())).await,
        1
    );
    assert_eq!(
        filtered(&|query| query.resource = Some("staging".to_owned())).await,
        2
    );
    assert_eq!(
        filtered(&|query| query.label = Some("env=staging".to_owned())).await,
        2
    );
    assert_eq!(filtered(&|query| query.label = Some("env".to_owned())).await, 3);
    assert_eq!(filtered(&|query| query.label = Some("team".to_owned())).await, 0);
    let mut query = AccessQuery {
        limit: Some(2),
        ..AccessQuery::default()
    };
    let first = auditor.access(&query).await.unwrap();
    query.cursor = first.next;
    let last = auditor.access(&query).await.unwrap();
    assert_eq!((first.items.len(), last.items.len(), last.next), (2, 1, None));
    let held = &first.items[0];
    assert_eq!((held.by.way, held.by.state), (Way::Reviewed, GrantState::Active));
    assert!(held.by.until.is_some() && held.env.as_deref() == Some("production"));
}

#[tokio::test]
async fn a_part_of_the_matrix_says_what_the_whole_is() {
    let bed = lived_in().await;
    let auditor = bed.client("dee").await;
    let query = MatrixQuery {
        row: Some(1),
        rows: Some(1),
        column: Some(1),
        columns: Some(1),
        by_group: Some(true),
        ..MatrixQuery::default()
    };
    let part = auditor.access_matrix(&query).await.unwrap();
    assert_eq!((part.all_people, part.all_resources, part.all_held), (2, 2, 3));
    assert_eq!((part.people.len(), part.people[0].login.as_str()), (1, "eve"));
    assert_eq!(part.resources[0].name.as_str(), "staging");
    assert_eq!(part.cells.len(), 1);
    assert_eq!((part.cells[0].person, part.cells[0].resource), (0, 0));
    assert_eq!(part.cells[0].held[0].role.as_str(), "read");
    let beyond = MatrixQuery {
        row: Some(4_000_000_000),
        ..MatrixQuery::default()
    };
    assert!(auditor.access_matrix(&beyond).await.unwrap().people.is_empty());
    let dee = bed.session("dee").await;
    for query in ["rows=0", "columns=201", "row=-1", "env=a%20b", "label=%3Dx"] {
        let path = format!("{}?{query}", Route::AccessMatrix.path());
        let answer = bed.raw(Method::GET, &path, Some(&dee)).send().await.unwrap();
        assert_eq!(problem(answer).await.code, Code::Invalid.into(), "{query}");
    }
}

/// A page as somebody's browser sees it: its status, its kind and its text.
async fn page(bed: &Bed, login: &str, path: &str) -> (u16, String, String) {
    let session = bed.session(login).await;
    let call = bed
        .raw(Method::GET, path, None)
        .header("cookie", format!("daypass={session}"));
    let answer = call.send().await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (answer.status().as_u16(), kind, answer.text().await.unwrap())
}

#[tokio::test]
async fn pages_show_both_and_give_tables_out() {
    let bed = lived_in().await;
    let (status, _, html) = page(&bed, "dee", "/reports").await;
    assert_eq!(status, 200, "{html}");
    for part in [
        "Time to approve",
        "Busiest resources",
        "is not in this figure",
        "role=\"img\"",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("style="), "the policy of contents forbids it");
    let (status, _, html) = page(&bed, "dee", "/reports?days=7&env=staging").await;
    assert!(
        status == 200 && html.contains("/reports/busiest.csv?days=7&#38;env=staging"),
        "{html}"
    );
    let (status, kind, csv) = page(&bed, "dee", "/reports/busiest.csv").await;
    assert_eq!((status, kind.as_str()), (200, "text/csv; charset=utf-8"));
    assert_eq!(
        csv,
        "resource,requests,people,denied\r\norders,2,2,1\r\nstaging,2,2,0\r\n"
    );
    assert_eq!(page(&bed, "dee", "/reports/../secrets.csv").await.0, 404);
    assert_eq!(page(&bed, "dee", "/reports/nothing.csv").await.0, 404);
    assert_eq!(page(&bed, "dee", "/reports?from=tomorrow").await.0, 400);
    for path in ["/reports", "/reports/busiest.csv"] {
        assert_eq!(page(&bed, "ana", path).await.0, 403, "{path}");
    }
    let (status, _, html) = page(&bed, "dee", "/who?by=group").await;
    assert_eq!(status, 200);
    assert!(
        html.contains("engineering") && html.contains("orders") && html.contains(">eve</a>"),
        "{html}"
    );
    let (_, _, html) = page(&bed, "eve", "/who").await;
    assert!(!html.contains("orders") && !html.contains(">ana</a>"), "{html}");
    let hostile = "/who?person=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&tag=x";
    let (status, _, html) = page(&bed, "dee", hostile).await;
    assert!(status == 200 && !html.contains("<script>alert"), "{html}");
}

//! Telling that a ticket is closed: who may, and what it shows.

use daypass_api::grant::GrantState;
use daypass_api::preview::Preview;
use daypass_api::request::NewRequest;
use daypass_api::ticket::CloseTicket;
use daypass_api::{ProblemCode, Route};
use daypass_core::refusal::Code;
use daypass_policy::Source;
use serde_json::json;

use crate::bed::{Bed, POLICY, ask, problem};

async fn bed() -> Bed {
    let bed = Bed::start().await;
    let source = Source {
        name: "policy.yaml".to_owned(),
        text: POLICY.replace(
            "approval: none, max: 8h",
            "approval: none, max: 8h, when: {ticket: required}, end_when: [ticket_closed, idle 30m]",
        ),
    };
    bed.server.engine().load_policy(&[source]).await.unwrap();
    bed
}

fn asked() -> NewRequest {
    NewRequest {
        ticket: Some("PAY-7".to_owned()),
        ..ask("staging/read")
    }
}

fn close(ticket: &str) -> CloseTicket {
    CloseTicket {
        ticket: ticket.to_owned(),
    }
}

#[tokio::test]
async fn what_was_granted_for_a_ticket_ends_with_it() {
    let bed = bed().await;
    let (ana, root) = (bed.client("ana").await, bed.client("root").await);
    let Preview::Allowed(path) = ana.preview(&asked()).await.unwrap() else {
        panic!("it is refused")
    };
    assert_eq!(path.end_when, ["ticket_closed", "idle 30m"]);
    let request = ana.add_request(&asked()).await.unwrap();
    assert_eq!(request.end_when, path.end_when);
    let grant = request.grant.unwrap();
    let seen = ana.grant(&grant.to_string()).await.unwrap();
    assert_eq!(seen.end_when, path.end_when);
    assert!(
        root.ticket_closed(&close("PAY-8"))
            .await
            .unwrap()
            .grants
            .is_empty()
    );
    let closed = root.ticket_closed(&close("PAY-7")).await.unwrap();
    assert_eq!(closed.grants, [grant]);
    let over = ana.grant(&grant.to_string()).await.unwrap();
    assert!(
        matches!(over.state, GrantState::Ending | GrantState::Ended),
        "{over:?}"
    );
    assert_eq!(over.ended_reason.as_deref(), Some("completed"));
}

#[tokio::test]
async fn a_token_for_tickets_can_do_this_and_nothing_else() {
    let bed = bed().await;
    let token = bed.api_token("root", &["tickets"]).await;
    let call = bed
        .call(Route::TicketClosed, &[], Some(&token))
        .json(&close("PAY-7"));
    assert_eq!(call.send().await.unwrap().status(), 200);
    for route in [Route::Whoami, Route::Requests, Route::Lock, Route::AddRequest] {
        let answer = problem(bed.call(route, &[], Some(&token)).send().await.unwrap()).await;
        assert_eq!(answer.code, Code::Forbidden.into(), "{route:?}");
    }
    let members = bed.api_token("ana", &["tickets"]).await;
    let call = bed
        .call(Route::TicketClosed, &[], Some(&members))
        .json(&close("PAY-7"));
    assert_eq!(
        problem(call.send().await.unwrap()).await.code,
        Code::Forbidden.into()
    );
    for body in [
        json!({}),
        json!({"ticket": ""}),
        json!({"ticket": "a\u{7}b"}),
        json!({"ticket": "x", "grants": []}),
    ] {
        let call = bed.call(Route::TicketClosed, &[], Some(&token)).json(&body);
        let answer = problem(call.send().await.unwrap()).await;
        assert_eq!(answer.code, ProblemCode::from(Code::Invalid), "{body}");
    }
}

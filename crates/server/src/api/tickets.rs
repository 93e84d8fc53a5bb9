//! Tickets: somebody tells that one is closed.

use axum::extract::State;
use daypass_api::Problem;
use daypass_api::ticket::{CloseTicket, TicketClosed};

use crate::app::App;
use crate::http::access::Identity;
use crate::http::intake::Json;
use crate::http::problem::Answer;

/// Tells that a ticket is closed. What was granted for it, by a rule that ends access then, begins to end.
#[utoipa::path(post, path = "/api/v1/tickets/closed", tag = "tickets", request_body = CloseTicket,
    responses((status = 200, body = TicketClosed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn closed(
    State(app): State<App>,
    identity: Identity,
    Json(body): Json<CloseTicket>,
) -> Answer<Json<TicketClosed>> {
    let grants = app.engine.ticket_closed(identity.caller, &body.ticket).await?;
    Ok(Json(TicketClosed {
        ticket: body.ticket.trim().to_owned(),
        grants,
    }))
}

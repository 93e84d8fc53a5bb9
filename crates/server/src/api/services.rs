//! Service accounts: what there is beside what every account has. They are made, listed and switched off as people are.

use axum::extract::State;
use axum::http::StatusCode;
use daypass_api::Problem;
use daypass_api::change::Proposed;
use daypass_api::person::{Person, SetOwner};

use crate::api::edited::Edited;
use crate::api::people::answered;
use crate::app::App;
use crate::http::access::Identity;
use crate::http::intake::{Json, Path};
use crate::http::problem::Answer;

/// Says who answers for a service account. All of its tokens end: who answered for it until now knows them.
#[utoipa::path(post, path = "/api/v1/people/{login}/owner", tag = "people", params(("login" = String, Path)),
    request_body = SetOwner, responses((status = 200, body = Person), (status = 202, body = Proposed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn owner(
    State(app): State<App>,
    identity: Identity,
    Path(login): Path<String>,
    Json(body): Json<SetOwner>,
) -> Answer<Edited<Person>> {
    let owner = body.owner.as_str();
    let account = app.engine.set_owner(identity.caller, &login, owner).await;
    answered(&app, StatusCode::OK, account).await
}

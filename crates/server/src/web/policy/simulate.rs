//! The simulator: a question to the policy in force, and what each rule says to it. The question is in the address, so that it can be sent
//! to somebody.

use askama::Template;
use axum::extract::Query;
use axum::response::Html;
use daypass_api::catalogue::ResourceQuery;
use daypass_api::environment::EnvironmentQuery;
use daypass_api::page::MAX_LIMIT;
use daypass_api::person::PersonQuery;

use super::outcome::Outcome;
use super::question::Asked;
use crate::web::failed::Failed;
use crate::web::frame::{Frame, Tab};
use crate::web::visit::Visit;
use crate::web::words::is_named;

#[derive(Template)]
#[template(path = "policy/simulate.html")]
struct Page {
    frame: Frame,
    view: &'static str,
    question: Asked,
    outcome: Option<Outcome>,
    people: Vec<String>,
    roles: Vec<String>,
    /// What a terminal would be told.
    command: String,
}

/// See the module.
pub(super) async fn page(visit: Visit, Query(question): Query<Asked>) -> Result<Html<String>, Failed> {
    let asking = async {
        let frame = visit.frame(Tab::Policy, "Policy").await?;
        let people = PersonQuery {
            limit: Some(MAX_LIMIT),
            ..PersonQuery::default()
        };
        let roles = ResourceQuery {
            limit: Some(MAX_LIMIT),
            ..ResourceQuery::default()
        };
        let people = visit.api.people(&people).await?.items;
        let roles = visit.api.resources(&roles).await?.items;
        let environments = visit.api.environments(&EnvironmentQuery::default()).await?.items;
        let outcome = match question.explain(None) {
            Some(Ok(asked)) => Some(visit.api.explain_policy(&asked).await.map_err(Failed::from)),
            Some(Err(failed)) => Some(Err(failed)),
            None => None,
        };
        Ok::<_, Failed>((frame, (people, roles, environments), outcome))
    };
    let (frame, (people, roles, environments), outcome) = visit.from.clone().scope(asking).await?;
    let roles = roles.iter().map(|offer| offer.item.to_string());
    let page = Page {
        frame,
        view: "simulate",
        people: people.into_iter().map(|person| person.login).collect(),
        roles: roles
            .chain(environments.iter().map(|offer| offer.environment.to_string()))
            .collect(),
        outcome: outcome.map(Outcome::of),
        command: command(&question),
        question,
    };
    Ok(Html(page.render()?))
}

/// The same question, as it is typed. See [`is_named`].
fn command(question: &Asked) -> String {
    let or = |text: &str, else_: &str| {
        let text = text.trim();
        if is_named(text) { text } else { else_ }.to_owned()
    };
    format!(
        "daypass policy explain {} {}",
        or(&question.who, "SUBJECT"),
        or(&question.what, "RESOURCE/ROLE")
    )
}

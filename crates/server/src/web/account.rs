//! One's own account: who one is to Daypass, where one is signed in, and who reviews while one is away. What is not known any more can be ended
//! here.

use askama::Template;
use axum::extract::Path;
use axum::response::{Html, Redirect};
use daypass_api::delegation::DelegationQuery;
use daypass_api::login::{Token, TokenQuery, Via};
use daypass_core::id::TokenId;
use daypass_core::time::Timestamp;

use super::away;
use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::visit::Visit;
use super::words::When;
use crate::edge;

#[derive(Template)]
#[template(path = "account.html")]
struct Page {
    frame: Frame,
    display: String,
    groups: Vec<String>,
    manager: Option<String>,
    role: String,
    tokens: Vec<Row>,
    away: Vec<away::Row>,
    today: String,
}

struct Row {
    id: String,
    name: String,
    kind: String,
    began: When,
    until: When,
}

impl Row {
    fn of(token: Token, now: Timestamp) -> Self {
        let kind = match token.via {
            Via::Session => "signed in".to_owned(),
            Via::Token { scopes, .. } => {
                let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
                format!("API token: {}", scopes.join(", "))
            }
            Via::Gateway => "credential for the gateway".to_owned(),
            Via::SshKey { fingerprint } => format!("SSH key {fingerprint}"),
        };
        Self {
            id: token.id.to_string(),
            name: token.name,
            kind,
            began: When::new(token.created_at, now),
            until: When::new(token.expires_at, now),
        }
    }
}

/// See the module.
pub(super) async fn page(visit: Visit) -> Result<Html<String>, Failed> {
    let asking = async {
        let frame = visit.frame(Tab::Account, "Your account").await?;
        let away = visit.api.delegations(&DelegationQuery::default()).await?.items;
        let tokens = visit.api.tokens(&TokenQuery::default()).await?.items;
        Ok::<_, Failed>((frame, tokens, away))
    };
    let (frame, tokens, away) = visit.from.clone().scope(asking).await?;
    let now = edge::now();
    let me = &visit.me.person;
    let page = Page {
        frame,
        display: me.display.clone(),
        groups: me.groups.iter().map(ToString::to_string).collect(),
        manager: me.manager.clone(),
        role: format!("{:?}", me.role).to_lowercase(),
        tokens: tokens.into_iter().map(|token| Row::of(token, now)).collect(),
        away: away
            .into_iter()
            .map(|one| away::Row::of(one, me.login.as_str(), now))
            .collect(),
        today: now.to_string().chars().take("2026-11-22".len()).collect(),
    };
    Ok(Html(page.render()?))
}

/// Ends a session or token of one's own.
pub(super) async fn end(visit: Visit, Path(id): Path<TokenId>) -> Result<Redirect, Failed> {
    visit.from.clone().scope(visit.api.revoke_token(id)).await?;
    Ok(Redirect::to("/account"))
}

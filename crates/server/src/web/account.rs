//! One's own account: who one is to Daypass, where one is signed in, and who reviews while one is away. What is not known any more can be ended
//! here.

use askama::Template;
use axum::extract::Path;
use axum::response::{Redirect, Response};
use daypass_api::delegation::DelegationQuery;
use daypass_api::login::{Token, TokenQuery, Via};
use daypass_core::id::TokenId;
use daypass_core::time::Timestamp;

use super::away::{self, Away};
use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::refused::{Refused, answer};
use super::visit::Visit;
use super::words::When;
use crate::edge;

#[derive(Template)]
#[template(path = "account.html")]
struct Page {
    frame: Frame,
    display: String,
    groups: Vec<String>,
    /// What targets call them, each with its namespace.
    handles: Vec<(String, String)>,
    manager: Option<String>,
    role: &'static str,
    tokens: Vec<Row>,
    away: Vec<away::Row>,
    today: String,
    refused: Option<Refused<Away>>,
    /// What is in the form of who is away.
    typed: Away,
}

struct Row {
    id: String,
    name: String,
    /// It is what this very page was asked with.
    is_here: bool,
    kind: String,
    began: When,
    until: When,
}

impl Row {
    fn of(token: Token, here: Option<TokenId>, now: Timestamp) -> Self {
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
            is_here: Some(token.id) == here,
            id: token.id.to_string(),
            name: token.name,
            kind,
            began: When::new(token.created_at, now),
            until: When::new(token.expires_at, now),
        }
    }
}

/// See the module.
pub(super) async fn page(visit: Visit) -> Result<Response, Failed> {
    shown(&visit, None).await
}

/// The same, and that what was typed about being away was not taken.
pub(super) async fn shown(visit: &Visit, refused: Option<Refused<Away>>) -> Result<Response, Failed> {
    let asking = async {
        let frame = visit.frame(Tab::Account, "Your account").await?;
        let away = visit.api.delegations(&DelegationQuery::default()).await?.items;
        let tokens = visit.api.tokens(&TokenQuery::default()).await?.items;
        Ok::<_, Failed>((frame, tokens, away))
    };
    let (frame, tokens, away) = visit.from.clone().scope(asking).await?;
    let now = edge::now();
    let (me, here) = (&visit.me.person, visit.me.token);
    let page = Page {
        frame,
        display: me.display.clone(),
        groups: me.groups.iter().map(ToString::to_string).collect(),
        handles: me
            .handles
            .iter()
            .map(|(namespace, handle)| (namespace.to_string(), handle.clone()))
            .collect(),
        manager: me.manager.clone(),
        role: me.role.as_str(),
        tokens: tokens
            .into_iter()
            .map(|token| Row::of(token, here, now))
            .collect(),
        away: away
            .into_iter()
            .map(|one| away::Row::of(one, me.login.as_str(), now))
            .collect(),
        today: now.to_string().chars().take("2026-11-22".len()).collect(),
        typed: refused.as_ref().map(|one| one.typed.clone()).unwrap_or_default(),
        refused,
    };
    Ok(answer(page.render()?, page.refused.as_ref()))
}

/// Ends a session or token of one's own.
pub(super) async fn end(visit: Visit, Path(id): Path<TokenId>) -> Result<Redirect, Failed> {
    visit.from.clone().scope(visit.api.revoke_token(id)).await?;
    Ok(Redirect::to("/account"))
}

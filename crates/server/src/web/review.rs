//! Answering a request, or looking back at an emergency: by the form that its page and the list of approvals have.

use std::collections::{BTreeMap, BTreeSet};

use axum::Form;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use daypass_api::break_glass::Acknowledge;
use daypass_api::item::Item;
use daypass_api::request::{Decision, NewReview};
use daypass_core::id::RequestId;
use daypass_core::name as core;
use daypass_core::text::Hash;
use serde::Deserialize;

use super::failed::Failed;
use super::refused::{Refusal, Refused};
use super::request::{Typed, shown};
use super::visit::{Visit, within_this_site};

/// What the name of a part begins with.
const TICKED: &str = "take:";

#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    decision: Decision,
    digest: Hash,
    #[serde(default, rename = "for")]
    less: String,
    #[serde(default)]
    comment: String,
    back: Option<String>,
    /// That there are parts to tick.
    parts: Option<String>,
    /// What is ticked of them, by [`TICKED`] and its name: a form has each name once.
    #[serde(flatten)]
    rest: BTreeMap<String, String>,
}

impl Answer {
    /// The parts that are ticked, exactly, where there are any to tick. What is none of the request's, the API refuses.
    fn ticked(&self) -> Result<Option<BTreeSet<Item>>, Failed> {
        let ticked = self.rest.keys().filter_map(|name| name.strip_prefix(TICKED));
        let ticked = ticked
            .map(|item| item.parse::<core::Item>().map(Item::from))
            .collect::<Result<BTreeSet<Item>, _>>()
            .map_err(|bad| Failed::invalid(bad.to_string()))?;
        Ok((self.parts.is_some() || !ticked.is_empty()).then_some(ticked))
    }

    /// As the API takes it.
    fn review(&self) -> Result<NewReview, Failed> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let items = self.ticked()?.filter(|_| self.decision == Decision::Approve);
        if items.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(Failed::invalid(
                "nothing is ticked: choose what to agree to, or deny it",
            ));
        }
        let duration = given(&self.less).map(|text| text.parse()).transpose();
        Ok(NewReview {
            decision: self.decision,
            digest: self.digest,
            duration: duration
                .map_err(|_| Failed::invalid("a length is a number and a unit, such as 30m or 2h"))?,
            items,
            comment: given(&self.comment),
        })
    }
}

/// Answers it.
pub(super) async fn review(
    visit: Visit,
    Path(id): Path<RequestId>,
    headers: HeaderMap,
    Form(said): Form<Answer>,
) -> Result<Response, Failed> {
    let done: Result<(), Refusal> = async {
        let review = said.review()?;
        visit.from.clone().scope(visit.api.review(id, &review)).await?;
        Ok(())
    }
    .await;
    match done {
        Ok(()) => Ok(Redirect::to(within_this_site(said.back.as_deref())).into_response()),
        Err(refusal) => {
            let typed = || Typed {
                parts: said.ticked().ok().flatten(),
                comment: said.comment,
                less: said.less,
                ..Typed::default()
            };
            let refused = Refused::beside(refusal, &headers, typed)?;
            shown(&visit, &id.to_string(), Some(refused)).await
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Looked {
    digest: Hash,
    comment: String,
    revoke: Option<String>,
    back: Option<String>,
}

/// Records that whoever looks has looked at an emergency.
pub(super) async fn acknowledge(
    visit: Visit,
    Path(id): Path<RequestId>,
    headers: HeaderMap,
    Form(looked): Form<Looked>,
) -> Result<Response, Failed> {
    let look = Acknowledge {
        digest: looked.digest,
        comment: looked.comment,
        revoke: looked.revoke.is_some(),
    };
    let done = visit.from.clone().scope(visit.api.acknowledge(id, &look)).await;
    if let Err(error) = done {
        let typed = || Typed {
            comment: look.comment,
            ..Typed::default()
        };
        let refused = Refused::beside(error, &headers, typed)?;
        return shown(&visit, &id.to_string(), Some(refused)).await;
    }
    Ok(Redirect::to(within_this_site(looked.back.as_deref())).into_response())
}

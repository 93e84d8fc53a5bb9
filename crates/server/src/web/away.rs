//! Who reviews in one's place while one is away: what was arranged, arranging it, and taking it back.

use axum::Form;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use daypass_api::delegation::{Delegation, DelegationState, NewDelegation};
use daypass_core::time::Timestamp;
use serde::Deserialize;

use super::account;
use super::failed::Failed;
use super::refused::{Refusal, Refused};
use super::visit::Visit;
use super::words::{When, day_over, midnight};
use crate::edge;

/// One arrangement.
pub(super) struct Row {
    pub(super) of: String,
    pub(super) to: String,
    /// Whoever looks is the one who is away.
    pub(super) is_mine: bool,
    pub(super) state: &'static str,
    pub(super) class: &'static str,
    pub(super) from: When,
    pub(super) until: When,
    pub(super) reason: Option<String>,
}

impl Row {
    pub(super) fn of(one: Delegation, me: &str, now: Timestamp) -> Self {
        let (state, class) = match one.state {
            DelegationState::Planned => ("planned", "scheduled"),
            DelegationState::Active => ("active", "active"),
            DelegationState::Void => ("void: the policy, a lock or an account stands in the way", "bad"),
        };
        Self {
            is_mine: one.of == me,
            of: one.of,
            to: one.to,
            state,
            class,
            from: When::new(one.from, now),
            until: When::new(one.until, now),
            reason: one.reason,
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Away {
    pub(super) to: String,
    #[serde(default)]
    pub(super) from: String,
    pub(super) until: String,
    #[serde(default)]
    pub(super) reason: String,
}

impl Away {
    fn delegation(&self, now: Timestamp) -> Result<NewDelegation, Failed> {
        let from = match self.from.trim() {
            "" => None,
            day => Some(midnight(day)?).filter(|from| *from > now),
        };
        Ok(NewDelegation {
            to: self.to.trim().to_owned(),
            from,
            // The last day is one of those on which one is away.
            until: day_over(&self.until)?,
            reason: Some(self.reason.trim().to_owned()).filter(|reason| !reason.is_empty()),
        })
    }
}

/// Arranges it.
pub(super) async fn leave(
    visit: Visit,
    headers: HeaderMap,
    Form(away): Form<Away>,
) -> Result<Response, Failed> {
    let done: Result<(), Refusal> = async {
        let delegation = away.delegation(edge::now())?;
        visit.from.clone().scope(visit.api.delegate(&delegation)).await?;
        Ok(())
    }
    .await;
    match done {
        Ok(()) => Ok(Redirect::to("/account").into_response()),
        Err(refusal) => {
            let refused = Refused::beside(refusal, &headers, || away)?;
            account::shown(&visit, Some(refused)).await
        }
    }
}

/// Takes it back.
pub(super) async fn come_back(visit: Visit, Path(login): Path<String>) -> Result<Redirect, Failed> {
    visit.from.clone().scope(visit.api.end_delegation(&login)).await?;
    Ok(Redirect::to("/account"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_away_is_one_of_them_and_a_day_that_has_begun_begins_now() {
        let now: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
        let away = |from: &str, until: &str| {
            let away = Away {
                to: " bo ".to_owned(),
                from: from.to_owned(),
                until: until.to_owned(),
                reason: " ".to_owned(),
            };
            away.delegation(now)
        };
        let made = away("", "2026-11-24").unwrap();
        assert_eq!(made.until, "2026-11-25T00:00:00Z".parse().unwrap());
        assert_eq!((made.to.as_str(), made.from, made.reason), ("bo", None, None));
        assert_eq!(away("2026-11-22", "2026-11-22").unwrap().from, None);
        let later = away("2026-11-23", "2026-11-23").unwrap();
        assert_eq!(later.from, Some("2026-11-23T00:00:00Z".parse().unwrap()));
        for (from, until) in [("soon", "2026-11-24"), ("", ""), ("", "24.11.2026")] {
            assert!(away(from, until).is_err(), "{from} {until}");
        }
    }
}

//! Asking for a role, or taking it in an emergency: the form on one side, on the other what would happen, from the function that also decides.

use std::collections::BTreeSet;

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use daypass_api::client::{Client, Error};
use daypass_api::item::Item;
use daypass_api::preview::{Preview, StepPreview};
use daypass_api::request::{NewRequest, Request};
use daypass_core::environment::{BadWanted, Wanted};
use daypass_core::time::Timestamp;
use serde::Deserialize;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::proof;
use super::visit::Visit;
use super::words::{When, length};
use crate::edge;

/// What a preview is asked with, which nobody reads, where nothing is typed yet.
const NOT_SAID_YET: &str = "(not said yet)";

#[derive(Template)]
#[template(path = "ask.html")]
struct Page {
    frame: Frame,
    wanted: Wanted,
    way: Way,
    typed: Typed,
    outlook: Outlook,
    command: String,
    /// Why it was not taken.
    failed: Option<Failed>,
    /// Sent twice, it asks once.
    key: String,
}

/// How somebody comes to a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// They ask, and whoever the rule names agrees before.
    Usual,
    /// They take it, and whoever the rule names looks at it after.
    Emergency,
}

impl Way {
    fn title(self, wanted: &Wanted) -> String {
        match self {
            Self::Usual => format!("Ask for {wanted}"),
            Self::Emergency => format!("Take {wanted} in an emergency"),
        }
    }

    fn path(self, wanted: &Wanted) -> String {
        match self {
            Self::Usual => format!("/ask/{wanted}"),
            Self::Emergency => format!("/break-glass/{wanted}"),
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::Usual => "request",
            Self::Emergency => "break-glass",
        }
    }

    async fn preview(self, api: &Client, asked: &NewRequest) -> Result<Preview, Error> {
        match self {
            Self::Usual => api.preview(asked).await,
            Self::Emergency => api.preview_break_glass(asked).await,
        }
    }

    async fn send(self, api: &Client, asked: &NewRequest) -> Result<Request, Error> {
        match self {
            Self::Usual => api.add_request(asked).await,
            Self::Emergency => api.break_glass(asked).await,
        }
    }
}

/// What is in the form.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Typed {
    #[serde(default)]
    reason: String,
    #[serde(default, rename = "for")]
    duration: String,
    #[serde(default)]
    ticket: String,
    /// What else is asked for, as one with it.
    #[serde(default)]
    with: String,
    /// Not before then.
    #[serde(default)]
    start: String,
    #[serde(default)]
    key: String,
}

/// What would happen.
enum Outlook {
    Allowed(Box<Allowed>),
    Refused { what: String, hint: Option<String> },
}

struct Allowed {
    /// What all would be asked for.
    items: Vec<Item>,
    steps: Vec<Asked>,
    /// When it begins, where that is not at once.
    start: Option<When>,
    /// How long half of the others waited lately, at most.
    usually: Option<String>,
    length: String,
    /// The same as it is typed.
    span: String,
    max: String,
    ends_because: Option<String>,
    end_when: Vec<String>,
    rule: String,
    location: String,
    pending: String,
    recording: Option<String>,
    mfa: Option<String>,
    /// Of an emergency: what is owed for it.
    owed: Option<Owed>,
}

struct Owed {
    /// The set of people that hears of it at once.
    page: String,
    review_by: String,
    within: String,
}

struct Asked {
    from: String,
    count: u32,
    reviewers: Vec<String>,
    within: String,
    escalates_to: Option<String>,
}

impl From<StepPreview> for Asked {
    fn from(step: StepPreview) -> Self {
        Self {
            from: step.from,
            count: step.count,
            reviewers: step.reviewers,
            within: length(step.within),
            escalates_to: step.escalates_to,
        }
    }
}

impl From<Failed> for Outlook {
    fn from(failed: Failed) -> Self {
        Self::Refused {
            what: failed.what,
            hint: failed.hint,
        }
    }
}

impl From<Preview> for Outlook {
    fn from(preview: Preview) -> Self {
        match preview {
            Preview::Allowed(path) => Self::Allowed(Box::new(Allowed {
                items: path.items,
                steps: path.steps.into_iter().map(Into::into).collect(),
                start: None,
                usually: path.usually.map(length),
                length: length(path.duration),
                span: path.duration.to_string(),
                max: length(path.max),
                ends_because: path.ends_because,
                end_when: path.end_when,
                rule: path.rule.to_string(),
                location: path.location,
                pending: length(path.pending),
                recording: path.recording,
                mfa: path.mfa.map(length),
                owed: path.break_glass.map(|terms| Owed {
                    page: terms.page,
                    review_by: terms.review_by,
                    within: length(terms.within),
                }),
            })),
            Preview::Refused(refused) => Self::Refused {
                what: refused.detail,
                hint: refused.hint,
            },
        }
    }
}

impl Typed {
    /// As a request; what is wrong with it where it is none.
    fn request(&self, wanted: &Wanted) -> Result<NewRequest, Failed> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let duration = given(&self.duration).map(|text| text.parse());
        let mut asked = NewRequest {
            duration: duration
                .transpose()
                .map_err(|_| Failed::invalid("a length is a number and a unit, such as 30m, 2h or 1h30m"))?,
            start: given(&self.start).map(|text| instant(&text)).transpose()?,
            reason: given(&self.reason),
            ticket: given(&self.ticket),
            ..plain(wanted)
        };
        let with = self
            .with
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|word| !word.is_empty());
        for word in with {
            add(&mut asked, self::wanted(word)?);
        }
        Ok(asked)
    }

    /// What to type for the same, but for the reason. Only what is a role, a length or an instant is put into a command that somebody may copy.
    fn command(&self, way: Way, wanted: &Wanted) -> String {
        let mut command = format!("daypass {} {wanted}", way.command());
        let Ok(asked) = self.request(wanted) else {
            return command + " --reason \"…\"";
        };
        let environments = asked.environments.iter().map(ToString::to_string);
        let items = asked.items.iter().map(ToString::to_string);
        for with in environments
            .chain(items)
            .filter(|with| *with != wanted.to_string())
        {
            command.push_str(&format!(" {with}"));
        }
        if let Some(length) = asked.duration {
            command.push_str(&format!(" --for {length}"));
        }
        if let Some(start) = asked.start {
            command.push_str(&format!(" --start {start}"));
        }
        command + " --reason \"…\""
    }

    /// What is seldom said is said here.
    fn says_more(&self) -> bool {
        !self.with.trim().is_empty() || !self.start.trim().is_empty()
    }
}

/// An instant, as it is written everywhere, or as people write it: `2026-11-24 09:00`, in UTC.
fn instant(text: &str) -> Result<Timestamp, Failed> {
    let short = || format!("{}:00Z", text.trim_end_matches('Z').replacen(' ', "T", 1)).parse();
    text.parse()
        .or_else(|_| short())
        .map_err(|_| Failed::invalid("when it begins is written as 2026-11-24 09:00, in UTC"))
}

/// A role on a resource, or of an environment.
fn wanted(text: &str) -> Result<Wanted, Failed> {
    text.parse()
        .map_err(|bad: BadWanted| Failed::invalid(bad.to_string()))
}

/// What an address names.
fn named(resource: &str, role: &str) -> Result<Wanted, Failed> {
    wanted(&format!("{resource}/{role}")).map_err(|_| Failed::not_found("there is no such resource or role"))
}

async fn shown(
    visit: &Visit,
    (way, wanted): (Way, Wanted),
    mut typed: Typed,
    failed: Option<Failed>,
) -> Result<Response, Failed> {
    let asking = async {
        let frame = visit.frame(Tab::Catalogue, &way.title(&wanted)).await?;
        // Of what cannot be read nothing is foretold: it would be said of something else than is typed.
        let outlook = match typed.request(&wanted) {
            Ok(asked) => foretold(visit, way, asked).await,
            Err(failed) => failed.into(),
        };
        Ok::<_, Failed>((frame, outlook))
    };
    let (frame, outlook) = visit.from.clone().scope(asking).await?;
    let status = failed.as_ref().map_or(StatusCode::OK, Failed::status);
    if typed.key.is_empty() {
        typed.key = hex::encode(edge::random::<16>());
    }
    let key = typed.key.clone();
    let page = Page {
        command: typed.command(way, &wanted),
        frame,
        wanted,
        way,
        typed,
        outlook,
        failed,
        key,
    };
    Ok((status, Html(page.render()?)).into_response())
}

/// What would happen, also before a reason is typed.
async fn foretold(visit: &Visit, way: Way, mut asked: NewRequest) -> Outlook {
    asked.reason.get_or_insert_with(|| String::from(NOT_SAID_YET));
    let start = asked.start;
    match way.preview(&visit.api, &asked).await.map(Outlook::from) {
        Ok(Outlook::Allowed(mut allowed)) => {
            allowed.start = start.map(|at| When::new(at, edge::now()));
            Outlook::Allowed(allowed)
        }
        Ok(refused) => refused,
        Err(error) => Failed::from(error).into(),
    }
}

/// A request for it with nothing else.
fn plain(wanted: &Wanted) -> NewRequest {
    let mut asked = NewRequest {
        items: BTreeSet::new(),
        environments: BTreeSet::new(),
        duration: None,
        start: None,
        reason: None,
        ticket: None,
    };
    add(&mut asked, wanted.clone());
    asked
}

fn add(asked: &mut NewRequest, wanted: Wanted) {
    match wanted {
        Wanted::Item(item) => asked.items.insert(item.into()),
        Wanted::Environment(role) => asked.environments.insert(role.into()),
    };
}

/// See the module.
pub(super) async fn page(
    visit: Visit,
    Path((resource, role)): Path<(String, String)>,
    Query(typed): Query<Typed>,
) -> Result<Response, Failed> {
    shown(&visit, (Way::Usual, named(&resource, &role)?), typed, None).await
}

/// The same for an emergency.
pub(super) async fn emergency(
    visit: Visit,
    Path((resource, role)): Path<(String, String)>,
    Query(typed): Query<Typed>,
) -> Result<Response, Failed> {
    shown(&visit, (Way::Emergency, named(&resource, &role)?), typed, None).await
}

/// Asks.
pub(super) async fn send(
    visit: Visit,
    Path((resource, role)): Path<(String, String)>,
    Form(typed): Form<Typed>,
) -> Result<Response, Failed> {
    sent(&visit, (Way::Usual, named(&resource, &role)?), typed).await
}

/// Takes it.
pub(super) async fn take(
    visit: Visit,
    Path((resource, role)): Path<(String, String)>,
    Form(typed): Form<Typed>,
) -> Result<Response, Failed> {
    sent(&visit, (Way::Emergency, named(&resource, &role)?), typed).await
}

async fn sent(visit: &Visit, (way, wanted): (Way, Wanted), typed: Typed) -> Result<Response, Failed> {
    let asked = match typed.request(&wanted) {
        Ok(asked) => asked,
        Err(failed) => return shown(visit, (way, wanted), typed, Some(failed)).await,
    };
    let api = if typed.key.is_empty() {
        visit.api.clone()
    } else {
        visit.api.keyed(typed.key.clone())
    };
    match visit.from.clone().scope(way.send(&api, &asked)).await {
        Ok(made) => Ok(Redirect::to(&format!("/requests/{}", made.id)).into_response()),
        // It is asked for elsewhere, and comes back as it is.
        Err(error) if proof::is_wanted(error.code()) => Err(error.into()),
        Err(error) => {
            // Changed, it is another request.
            let typed = Typed {
                key: String::new(),
                ..typed
            };
            shown(visit, (way, wanted), typed, Some(error.into())).await
        }
    }
}

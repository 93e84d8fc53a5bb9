//! One session: who, where, when and how it ended, with the others of its grant; and the head of the pages that look into it.

use askama::Template;
use axum::extract::Path;
use axum::response::Html;
use daypass_api::session::{Session, SessionCounters, SessionQuery, SessionState};
use daypass_core::id::SessionId;
use daypass_core::time::Timestamp;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::records::shown;
use super::visit::Visit;
use super::words::{When, counted, length};
use crate::edge;

/// So many of the same grant are listed.
const OTHERS: u32 = 50;

#[derive(Template)]
#[template(path = "session.html")]
struct Page {
    frame: Frame,
    one: Head,
    /// The request that led to its grant.
    request: Option<String>,
    others: Vec<Other>,
}

/// What all pages of one session say of it.
pub(super) struct Head {
    pub(super) id: String,
    pub(super) short: String,
    pub(super) holder: String,
    pub(super) item: String,
    pub(super) place: Option<String>,
    pub(super) is_live: bool,
    pub(super) state: &'static str,
    /// Whether something was recorded and is still there, and whoever looks may look into it.
    pub(super) has_recording: bool,
    /// Whether they may watch it.
    pub(super) may_watch: bool,
    pub(super) endable: bool,
    here: Here,
    about: About,
}

/// On which of its pages one is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Here {
    Details,
    Recording,
    Watch,
}

/// All that is known of it.
pub(super) struct About {
    protocol: String,
    program: Option<String>,
    source: Option<String>,
    gateway: String,
    credential: Option<String>,
    opened: When,
    closed: Option<When>,
    lasted: String,
    ended: Option<String>,
    kill: Option<Kill>,
    counters: Vec<(&'static str, String)>,
    /// Something happened that the recording does not show, or the target may still work.
    warnings: Vec<String>,
    recording: String,
    grant: String,
}

struct Kill {
    by: String,
    at: When,
    reason: Option<String>,
}

/// Another one of its grant.
struct Other {
    id: String,
    short: String,
    what: String,
    opened: When,
    state: &'static str,
}

/// Its state, in one word.
const fn state(session: &Session) -> &'static str {
    match session.state {
        SessionState::Open => "live",
        SessionState::Ending => "ending",
        SessionState::Closed => "over",
    }
}

fn program(session: &Session) -> String {
    let program = session.program.clone();
    program.unwrap_or_else(|| session.protocol.to_string())
}

impl Head {
    /// Of this one.
    pub(super) fn of(session: &Session, here: Here, now: Timestamp) -> Self {
        let recording = session.recording.as_ref();
        let may_look = session.may_look == Some(true);
        Self {
            id: session.id.to_string(),
            short: session.id.short(),
            holder: session.holder.clone(),
            item: session.item.to_string(),
            place: session.place.clone(),
            is_live: session.state != SessionState::Closed,
            state: state(session),
            has_recording: may_look && recording.is_some_and(|recording| recording.removed_at.is_none()),
            may_watch: may_look && recording.is_some() && session.state != SessionState::Closed,
            endable: session.endable,
            here,
            about: About::of(session, now),
        }
    }

    /// Whether one is at its details.
    pub(super) fn is_details(&self) -> bool {
        self.here == Here::Details
    }

    /// Whether one is at its recording.
    pub(super) fn is_recording(&self) -> bool {
        self.here == Here::Recording
    }

    /// Whether one watches it.
    pub(super) fn is_watch(&self) -> bool {
        self.here == Here::Watch
    }
}

impl About {
    fn of(session: &Session, now: Timestamp) -> Self {
        let counters = session.counters;
        let kill = session.kill.as_ref().map(|kill| Kill {
            by: kill.by.clone(),
            at: When::new(kill.at, now),
            reason: kill.reason.as_deref().map(shown),
        });
        Self {
            protocol: session.protocol.to_string(),
            program: session.program.clone(),
            source: session.source.clone(),
            gateway: session.gateway.to_string(),
            credential: session.credential.map(|token| token.to_string()),
            opened: When::new(session.opened_at, now),
            closed: session.closed_at.map(|at| When::new(at, now)),
            lasted: length(session.closed_at.unwrap_or(now).since(session.opened_at)),
            ended: session.reason.as_ref().map(|reason| reason.replace('_', " ")),
            kill,
            counters: counters.map(counts).unwrap_or_default(),
            warnings: counters.map(warnings).unwrap_or_default(),
            recording: recording(session),
            grant: session.grant.short(),
        }
    }
}

fn counts(counters: SessionCounters) -> Vec<(&'static str, String)> {
    vec![
        ("To the target", bytes(counters.bytes_up)),
        ("From the target", bytes(counters.bytes_down)),
        ("Recorded", counted(counters.recorded, "record", "records")),
        ("Refused", counted(counters.refused, "statement", "statements")),
    ]
}

fn warnings(counters: SessionCounters) -> Vec<String> {
    let missing = (counters.unrecorded > 0).then(|| {
        format!(
            "{} could not be delivered: something happened that the recording does not show",
            counted(counters.unrecorded, "record", "records")
        )
    });
    let works = counters
        .may_work
        .then(|| String::from("the target may still be working on what the session began"));
    missing.into_iter().chain(works).collect()
}

/// What of it can be looked at.
fn recording(session: &Session) -> String {
    let Some(recording) = &session.recording else {
        return String::from("none");
    };
    let lines = counted(recording.lines, "record", "records");
    match (recording.removed_at, session.state) {
        (Some(_), _) => String::from("removed: its time was over"),
        (None, SessionState::Closed) if !recording.complete => format!("{lines}, cut: its end is missing"),
        (None, SessionState::Closed) => lines,
        (None, _) => format!("{lines} so far"),
    }
}

fn bytes(count: u64) -> String {
    match count {
        ..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{} kB", count / 1_000),
        _ => format!("{} MB", count / 1_000_000),
    }
}

/// See the module. Nothing of the recording is shown here: that would be an event.
pub(super) async fn page(visit: Visit, Path(id): Path<SessionId>) -> Result<Html<String>, Failed> {
    let asking = async {
        let session = visit.api.session(&id.to_string()).await?;
        let title = format!("Session {}", session.id.short());
        let frame = visit.frame(Tab::Sessions, &title).await?;
        let query = SessionQuery {
            grant: Some(session.grant.to_string()),
            limit: Some(OTHERS),
            ..SessionQuery::default()
        };
        let others = visit.api.sessions(&query).await?;
        // Who sees the session need not see the grant: then there is no link to what it came of.
        let grant = visit.api.grant(&session.grant.to_string()).await.ok();
        Ok::<_, Failed>((session, frame, others, grant))
    };
    let (session, frame, others, grant) = visit.from.clone().scope(asking).await?;
    let now = edge::now();
    let other = |one: &Session| Other {
        id: one.id.to_string(),
        short: one.id.short(),
        what: match &one.place {
            Some(place) => format!("{} at {place}", program(one)),
            None => program(one),
        },
        opened: When::new(one.opened_at, now),
        state: state(one),
    };
    let page = Page {
        frame,
        one: Head::of(&session, Here::Details, now),
        request: grant.map(|grant| grant.request.to_string()),
        others: others
            .items
            .iter()
            .filter(|one| one.id != id)
            .map(other)
            .collect(),
    };
    Ok(Html(page.render()?))
}

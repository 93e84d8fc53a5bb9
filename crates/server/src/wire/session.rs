//! Sessions on the wire: as whoever may see one sees it, and what happened to one in a line.

use daypass_api::session as api;
use daypass_core::session::{Event, Recording, Session, State};
use daypass_engine::Snapshot;

use super::words;

/// A session as somebody sees it who may; that this one may end it, the caller of this says.
#[must_use]
pub(crate) fn session(session: &Session, people: &Snapshot) -> api::Session {
    let (closed_at, reason, counters) = match &session.state {
        State::Open | State::Ending { .. } => (None, None, None),
        State::Closed {
            at, reason, counters, ..
        } => (Some(*at), Some(reason.name().to_owned()), *counters),
    };
    let kill = session.kill().map(|kill| api::Killed {
        by: people.login(kill.by),
        at: kill.at,
        reason: words(&kill.why),
    });
    api::Session {
        id: session.id,
        grant: session.grant,
        holder: people.login(session.holder),
        item: session.item.clone().into(),
        protocol: session.protocol.clone(),
        place: session.place.clone(),
        credential: session.credential,
        gateway: session.gateway.name.clone(),
        source: words(&session.source),
        program: session.program.as_ref().and_then(words),
        state: match &session.state {
            State::Open => api::SessionState::Open,
            State::Ending { .. } => api::SessionState::Ending,
            State::Closed { .. } => api::SessionState::Closed,
        },
        opened_at: session.opened_at,
        closed_at,
        reason,
        kill,
        endable: false,
        counters: counters.map(Into::into),
        recording: session.recording.as_ref().map(recording),
        may_look: None,
    }
}

const fn recording(recording: &Recording) -> api::SessionRecording {
    api::SessionRecording {
        chunks: recording.chunks,
        lines: recording.lines,
        complete: recording.is_complete,
        removed_at: recording.removed_at,
    }
}

/// What happened to one in a line, for people.
#[must_use]
pub(super) fn told(what: &Event, people: &Snapshot) -> String {
    match what {
        Event::Opened { session } => {
            let from = words(&session.source).map_or_else(String::new, |source| format!(" from {source}"));
            let recorded = if session.recording.is_some() {
                "recorded"
            } else {
                "not recorded"
            };
            let (who, item, gateway) = (people.login(session.holder), &session.item, &session.gateway);
            let place = session
                .place
                .as_ref()
                .map_or_else(String::new, |place| format!(" ({place})"));
            let with = session
                .credential
                .map_or_else(String::new, |id| format!(", with {}", id.short()));
            format!(
                "{who} connected to {item}{place}{from}{with} by way of {} ({recorded})",
                gateway.name
            )
        }
        Event::Recorded { chunk } => {
            let end = if chunk.is_last { ", the last" } else { "" };
            let (number, last) = (chunk.number, chunk.last);
            format!("chunk {number} of its recording is stored{end}: up to line {last}")
        }
        Event::Killed { by, why } => {
            let by = people.login(*by);
            words(why).map_or_else(|| format!("{by} ends it"), |why| format!("{by} ends it: {why}"))
        }
        Event::Closed {
            reason,
            counters,
            cut,
        } => {
            let mut told = format!("it is over: {reason}");
            if *cut {
                told.push_str("; its recording has no end");
            }
            match counters.map(|counters| counters.unrecorded) {
                Some(0) => {}
                Some(missing) => told.push_str(&format!("; {missing} records of it are missing")),
                None => told.push_str("; nobody could say what was done in it"),
            }
            told
        }
        Event::Watched => "somebody watches it".to_owned(),
        Event::Replayed => "somebody looks at its recording".to_owned(),
        Event::RecordingRemoved => "its recording is removed: its time is over".to_owned(),
    }
}

//! Notices about changes of the policy: who hears of them, and in which words. Pure.

use std::collections::BTreeSet;

use daypass_core::change::{Change, Event, Proposal, State};
use daypass_core::id::PersonId;
use daypass_core::review::Voter;
use daypass_core::time::Timestamp;

use super::audience::{Around, Notice, Scene, notice};
use super::kind::Kind;
use super::words::Writer;

/// How many lines of what would change are told.
const MOST_LINES: usize = 20;

/// What an event of a change leads to.
pub(super) fn of(change: &Change, happened: &Event, at: Timestamp, scene: &Scene<'_>) -> Vec<Notice> {
    let instead = |people: BTreeSet<PersonId>| {
        scene
            .policy
            .instead_of(&people, change.proposer, scene.directory, at)
    };
    let waiting = || asked(change, scene, at);
    match happened {
        Event::Proposed { .. } => vec![notice(Kind::ChangeAsked, at, instead(waiting()))],
        Event::Reviewed { review, step, .. } if *step != review.step => {
            vec![notice(Kind::ChangeAsked, at, instead(waiting()))]
        }
        // The step goes on waiting for those who were asked.
        Event::Reviewed { .. } => Vec::new(),
        Event::Escalated { .. } => {
            let mut more = waiting();
            if let Some((_, step)) = change.open_step() {
                let policy = scene.policy;
                for person in policy.reviewers(change.proposer, step, false, scene.directory, at) {
                    more.remove(&person);
                }
            }
            vec![notice(Kind::ChangeAsked, at, instead(more))]
        }
        Event::Applied { .. } | Event::Denied { .. } | Event::Lapsed { .. } => {
            vec![notice(Kind::ChangeDecided, at, [change.proposer])]
        }
        Event::Withdrawn => vec![notice(Kind::ChangeDecided, at, [])],
    }
}

/// Who is asked themselves and has not answered. Who is away has peace: their delegate is written to.
fn asked(change: &Change, scene: &Scene<'_>, at: Timestamp) -> BTreeSet<PersonId> {
    let (Some((_, step)), State::Pending { escalated, .. }) = (change.open_step(), &change.state) else {
        return BTreeSet::new();
    };
    let own = |person: &PersonId| {
        let (asked, voter) = ((step, *escalated), Voter::Would(*person));
        let right = scene
            .policy
            .may_review_change(change, asked, voter, scene.directory, at);
        matches!(right, Ok(None))
    };
    let waiting = scene.policy.change_waits_for(change, scene.directory, at);
    waiting.into_iter().filter(own).collect()
}

/// Whether a change still waits for this person.
pub(super) fn waits(around: &Around, scene: &Scene<'_>, person: PersonId, now: Timestamp) -> bool {
    let waits = |change: &Change| {
        scene
            .policy
            .change_waits_for(change, scene.directory, now)
            .contains(&person)
    };
    around.change.as_ref().is_some_and(waits)
}

impl Writer<'_> {
    pub(super) fn of_change(&mut self, change: &Change, happened: &Event) {
        let (id, who) = (change.id.short(), self.login(change.proposer));
        self.letter.page = Some(format!("changes/{}", change.id));
        self.fact("change", change.id.to_string());
        self.fact("proposer", who.as_str());
        let Proposal::Policy {
            revision, summary, ..
        } = &change.proposal;
        self.fact("revision", revision.to_string());
        let decided = match happened {
            Event::Proposed { .. } | Event::Reviewed { .. } | Event::Escalated { .. } => None,
            Event::Applied { review } => Some(("is in force", Some(review), review.comment.as_ref())),
            Event::Denied { review } => Some(("was denied", Some(review), review.comment.as_ref())),
            Event::Withdrawn => Some(("was taken back", None, None)),
            Event::Lapsed { why } => {
                self.say(format!("Nothing comes of it: {why}."));
                Some(("has lapsed", None, None))
            }
        };
        let Some((outcome, by, comment)) = decided else {
            self.letter.subject = format!("To review: another policy, by {who}");
            self.say(format!("{who} proposes another policy ({id}). It comes in force when those agree whom the present one asks."));
            for line in summary.iter().take(MOST_LINES) {
                self.say(line.as_str());
            }
            if summary.len() > MOST_LINES {
                self.say(format!("… and {} more", summary.len() - MOST_LINES));
            }
            self.command(format!("daypass change show {id}"));
            self.command(format!("daypass approve {id}"));
            self.command(format!("daypass deny {id} --reason \"…\""));
            return;
        };
        self.letter.subject = format!("Another policy {outcome}");
        let by = by.map(|by| self.reviewer(by));
        let by = by.map_or_else(String::new, |by| format!(", by {by}"));
        self.say(format!("The policy that {who} proposed ({id}) {outcome}{by}."));
        self.quote("Comment", comment);
        self.fact("outcome", outcome);
        self.command(format!("daypass change show {id}"));
    }
}

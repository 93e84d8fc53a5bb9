//! Notices about changes that wait for others, of the policy and of accounts: who hears of them, and in which words. Pure.

use std::collections::BTreeSet;

use daypass_core::change::{Change, Event, Proposal, State};
use daypass_core::id::PersonId;
use daypass_core::review::{Review, Voter};
use daypass_core::time::Timestamp;

use super::audience::{Around, Notice, Scene, notice};
use super::kind::Kind;
use super::words::Writer;
use crate::edits::told;

/// How many lines of what would change are told.
const MOST_LINES: usize = 20;

/// What an event of a change leads to.
pub(super) fn of(change: &Change, happened: &Event, at: Timestamp, scene: &Scene<'_>) -> Vec<Notice> {
    let instead = |people: BTreeSet<PersonId>| scene.policy.instead_of(&people, change, scene.directory, at);
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
                for person in policy.reviewers(change, step, false, scene.directory, at) {
                    more.remove(&person);
                }
            }
            vec![notice(Kind::ChangeAsked, at, instead(more))]
        }
        Event::Applied { .. } | Event::Denied { .. } | Event::Lapsed { .. } => {
            vec![notice(
                Kind::ChangeDecided,
                at,
                [scene.hears_for(change.proposer)],
            )]
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
        let (what, lines) = match &change.proposal {
            Proposal::Policy {
                revision, summary, ..
            } => {
                self.fact("revision", revision.to_string());
                (What::Policy, summary.clone())
            }
            Proposal::Directory { edit } => (What::Account, told(edit, self.directory, false)),
        };
        let decided = match happened {
            Event::Proposed { .. } | Event::Reviewed { .. } | Event::Escalated { .. } => {
                return self.asks(change, what, &lines);
            }
            Event::Applied { review } => (what.done(), Some(review)),
            Event::Denied { review } => ("was denied", Some(review)),
            Event::Withdrawn => ("was taken back", None),
            Event::Lapsed { why } => {
                self.say(format!("Nothing comes of it: {why}."));
                ("has lapsed", None)
            }
        };
        let (outcome, review): (&str, Option<&Review>) = decided;
        let by = review.map(|review| self.reviewer(review));
        let by = by.map_or_else(String::new, |by| format!(", by {by}"));
        match what {
            What::Policy => {
                self.letter.subject = format!("Another policy {outcome}");
                self.say(format!("The policy that {who} proposed ({id}) {outcome}{by}."));
            }
            What::Account => {
                self.letter.subject = format!("A change of an account {outcome}");
                self.say(format!("What {who} proposed ({id}) {outcome}{by}."));
                self.lines(&lines);
            }
        }
        self.quote("Comment", review.and_then(|review| review.comment.as_ref()));
        self.fact("outcome", outcome);
        self.command(format!("daypass change show {id}"));
    }

    fn asks(&mut self, change: &Change, what: What, lines: &[String]) {
        let (id, who) = (change.id.short(), self.login(change.proposer));
        match what {
            What::Policy => {
                self.letter.subject = format!("To review: another policy, by {who}");
                self.say(format!("{who} proposes another policy ({id}). It comes in force when those agree whom the present one asks."));
            }
            What::Account => {
                self.letter.subject = format!("To review: a change of an account, by {who}");
                self.say(format!("{who} proposes to change an account ({id}). It is done when those agree whom the policy asks."));
            }
        }
        self.lines(lines);
        self.command(format!("daypass change show {id}"));
        self.command(format!("daypass approve {id}"));
        self.command(format!("daypass deny {id} --reason \"…\""));
    }

    fn lines(&mut self, lines: &[String]) {
        for line in lines.iter().take(MOST_LINES) {
            self.say(line.as_str());
        }
        if lines.len() > MOST_LINES {
            self.say(format!("… and {} more", lines.len() - MOST_LINES));
        }
    }
}

/// What a change is about.
#[derive(Clone, Copy)]
enum What {
    Policy,
    Account,
}

impl What {
    const fn done(self) -> &'static str {
        match self {
            Self::Policy => "is in force",
            Self::Account => "is done",
        }
    }
}

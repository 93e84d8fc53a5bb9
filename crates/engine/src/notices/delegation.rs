//! Notices about delegations: who hears of them, and in which words. Pure.

use std::collections::BTreeSet;

use daypass_core::event::{Actor, Event, Subject, What};
use daypass_core::id::PersonId;
use daypass_core::person::Change;
use daypass_policy::Directory as _;

use super::audience::{Notice, notice};
use super::kind::Kind;
use super::words::Writer;
use crate::directory::Snapshot;

/// What a change of the directory leads to: the delegate hears of it, and so does who delegated. If it was somebody else in their
/// name, they must know; who takes it back themselves does.
pub(super) fn of(event: &Event) -> Vec<Notice> {
    let (Subject::Person(of), What::Person(change)) = (&event.subject, &event.what) else {
        return Vec::new();
    };
    match change {
        Change::Delegated { delegation } => {
            vec![notice(Kind::DelegationMade, event.at, [delegation.to, *of])]
        }
        Change::DelegationEnded { to } => {
            let mut people = BTreeSet::from([*to]);
            people.extend((event.actor != Actor::Person(*of)).then_some(*of));
            vec![notice(Kind::DelegationEnded, event.at, people)]
        }
        _ => Vec::new(),
    }
}

/// Those who were away when this happened and have this reader as their delegate, by their logins.
fn absent(event: &Event, directory: &Snapshot, reader: PersonId) -> Vec<String> {
    let all = directory.delegators(reader).into_iter();
    let away = all.filter(|of| directory.delegation(*of).is_some_and(|one| one.covers(event.at)));
    away.map(|of| directory.login(of)).collect()
}

impl Writer<'_> {
    /// A word to a delegate who is asked: it may be in somebody's place.
    pub(super) fn in_whose_place(&mut self, event: &Event, directory: &Snapshot, reader: Option<PersonId>) {
        let absent = reader.map_or_else(Vec::new, |reader| absent(event, directory, reader));
        if !absent.is_empty() {
            let absent = absent.join(", ");
            self.say(format!(
                "You are the delegate of {absent}: where they are asked and you are not, you answer in their place."
            ));
            self.fact("delegate_of", absent);
        }
    }

    pub(super) fn of_delegation(&mut self, event: &Event, reader: Option<PersonId>) {
        let (Subject::Person(of), What::Person(change)) = (&event.subject, &event.what) else {
            return;
        };
        let who = self.login(*of);
        match change {
            Change::Delegated { delegation } => {
                let to = self.login(delegation.to);
                let (from, until) = (delegation.from, delegation.until);
                self.letter.subject = format!("{who} delegates to {to} until {until}");
                self.say(format!(
                    "{who} is away: from {from} until {until} {to} reviews in their place, where {who} is asked."
                ));
                self.quote("Reason", delegation.why.as_ref());
                self.fact("of", who);
                self.fact("to", to);
                self.fact("from", from.to_string());
                self.fact("until", until.to_string());
                self.command(String::from("daypass inbox"));
            }
            Change::DelegationEnded { to } => {
                let (to, by) = (self.login(*to), event.actor);
                self.letter.subject = format!("{who} no longer delegates to {to}");
                self.say(format!("{who} no longer delegates to {to}."));
                if let Actor::Person(by) = by
                    && by != *of
                {
                    let by = self.login(by);
                    self.say(format!("{by} took the delegation back."));
                }
                if reader == Some(*of) {
                    self.say("What waits for you is yours to answer again.");
                }
                self.fact("of", who);
                self.fact("to", to);
                self.command(String::from("daypass delegate"));
            }
            _ => {}
        }
    }
}

//! What is told: a subject, a few sentences and the facts, put together from the event and what it is about. Pure.
//!
//! Texts of people are quoted and never part of a subject or a sentence of ours: whoever writes a reason must not be able to
//! write in Daypass's name. There are no secrets here to leave out; the reason of a lock is for administrators only.

use std::fmt::Write as _;

use daypass_core::break_glass::Owed;
use daypass_core::event::{Actor, Event, Subject, What};
use daypass_core::grant::{self, Evidence, Grant, Proof, Reason};
use daypass_core::id::PersonId;
use daypass_core::lock::{self, On};
use daypass_core::person::SystemRole;
use daypass_core::request::{self, Request};
use daypass_core::review::Review;
use daypass_core::text::{Prose, is_hostile};
use daypass_core::time::Timestamp;
use daypass_policy::Directory as _;
use serde_json::{Map, Value, json};

use super::audience::{Around, escalated_step};
use super::kind::Kind;
use crate::directory::Snapshot;

/// A notice in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// One line: names of the policy and logins only, never a text of somebody.
    pub subject: String,
    /// What happened, in order.
    pub lines: Vec<Line>,
    /// Commands to go on with.
    pub commands: Vec<String>,
    /// Where more is to be seen, below the address of the server's pages: `requests/R…`.
    pub page: Option<String>,
    /// The same for programs.
    pub facts: Map<String, Value>,
}

/// A part of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A sentence of ours.
    Say(String),
    /// A text of somebody, as they wrote it but for what only disturbs.
    Quote {
        /// What it is: `Reason`.
        label: &'static str,
        /// Its lines.
        text: String,
    },
}

/// Puts a notice into words for this reader; `None`: for a channel that hears of everything.
#[must_use]
pub fn letter(
    kind: Kind,
    event: &Event,
    around: &Around,
    directory: &Snapshot,
    reader: Option<PersonId>,
) -> Letter {
    let mut writer = Writer {
        letter: Letter {
            subject: String::new(),
            lines: Vec::new(),
            commands: Vec::new(),
            page: None,
            facts: Map::new(),
        },
        event,
        directory,
        reader,
    };
    let created = match &event.what {
        What::Request(request::Event::Created { request }) => Some(request.as_ref()),
        _ => None,
    };
    let request = created.or(around.request.as_ref());
    if let Some(request) = request {
        writer.of_request(kind, request);
    }
    if let (What::Grant(happened), Some(grant)) = (&event.what, &around.grant) {
        writer.of_grant(kind, grant, request, happened);
    }
    if let (What::Change(happened), Some(change)) = (&event.what, &around.change) {
        writer.of_change(change, happened);
    }
    if matches!(event.what, What::Person(_)) {
        writer.of_delegation(event, reader);
    }
    if let (Subject::Lock(on), What::Lock(happened)) = (&event.subject, &event.what) {
        writer.of_lock(on, happened);
    }
    let mut letter = writer.letter;
    if letter.subject.is_empty() {
        kind.name().clone_into(&mut letter.subject);
    }
    letter.subject = one_line(&letter.subject);
    letter
}

pub(super) struct Writer<'a> {
    pub(super) letter: Letter,
    event: &'a Event,
    pub(super) directory: &'a Snapshot,
    reader: Option<PersonId>,
}

impl Writer<'_> {
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.letter.lines.push(Line::Say(text.into()));
    }

    pub(super) fn quote(&mut self, label: &'static str, prose: Option<&Prose>) {
        let text = prose.map_or("", Prose::text);
        if !text.trim().is_empty() {
            let text = harmless(text);
            self.letter.lines.push(Line::Quote { label, text });
        }
    }

    pub(super) fn fact(&mut self, name: &str, value: impl Into<Value>) {
        self.letter.facts.insert(name.to_owned(), value.into());
    }

    pub(super) fn command(&mut self, text: String) {
        self.letter.commands.push(text);
    }

    pub(super) fn login(&self, id: PersonId) -> String {
        self.directory.login(id)
    }

    /// Who reviewed, and in whose place: `bo for ana`.
    pub(super) fn reviewer(&self, review: &Review) -> String {
        let by = self.login(review.reviewer);
        review
            .on_behalf
            .map(|of| format!("{by} for {}", self.login(of)))
            .unwrap_or(by)
    }

    fn actor(&self) -> Option<String> {
        match self.event.actor {
            Actor::Person(id) => Some(self.login(id)),
            Actor::System => None,
        }
    }

    fn of_request(&mut self, kind: Kind, request: &Request) {
        let ask = &request.ask;
        self.letter.page = Some(format!("requests/{}", request.id));
        let items: Vec<String> = ask.items.iter().map(ToString::to_string).collect();
        self.fact(
            "request",
            json!({
                "id": request.id.to_string(),
                "requester": self.login(ask.requester),
                "items": items,
                "duration": ask.duration.to_string(),
                "rule": request.path.rule.to_string(),
                "reason": harmless(ask.reason.text()),
                "ticket": ask.ticket.as_ref().map(|ticket| harmless(ticket.text())),
                "extends": ask.extends.map(|grant| grant.to_string()),
                "break_glass": request.path.break_glass.is_some(),
                "created_at": request.created_at.to_string(),
            }),
        );
        let What::Request(happened) = &self.event.what else {
            return;
        };
        match kind {
            Kind::ReviewAsked | Kind::ReviewReminder if request.path.break_glass.is_none() => {
                self.review(kind, request, happened);
            }
            Kind::ReviewReminder | Kind::BreakGlass | Kind::BreakGlassOverdue | Kind::BreakGlassReviewed => {
                self.emergency(kind, request, happened);
            }
            _ => self.decided(request, happened),
        }
    }

    fn what(&self, request: &Request) -> String {
        let items: Vec<String> = request.ask.items.iter().map(ToString::to_string).collect();
        let more = if request.ask.extends.is_some() {
            " more"
        } else {
            ""
        };
        format!("{} for {}{more}", items.join(", "), request.ask.duration)
    }

    fn review(&mut self, kind: Kind, request: &Request, happened: &request::Event) {
        let (who, what, short) = (
            self.login(request.ask.requester),
            self.what(request),
            request.id.short(),
        );
        let (step, due_at) = match happened {
            request::Event::Reviewed { step, due_at, .. } => (*step, *due_at),
            request::Event::Escalated { due_at } => {
                let open = escalated_step(request, self.event.at, *due_at);
                (open.map_or(0, |(index, _)| index), *due_at)
            }
            _ => match &request.state {
                request::State::Pending { due_at, step, .. } => (*step, *due_at),
                _ => (0, request.expires_at()),
            },
        };
        let again = if kind == Kind::ReviewReminder {
            "Still waiting: "
        } else {
            ""
        };
        self.letter.subject = format!("{again}{who} asks for {what}");
        self.say(format!("{who} asks for {what} (rule {}).", request.path.rule));
        self.quote("Reason", Some(&request.ask.reason));
        self.quote("Ticket, as given", request.ask.ticket.as_ref());
        let steps = request.path.steps.len();
        let mut asks = format!("Whoever is asked should answer by {}", clock(due_at));
        if steps > 1 {
            let _infallible = write!(asks, "; this is step {} of {steps}", step + 1);
        }
        self.say(asks + ".");
        if matches!(happened, request::Event::Escalated { .. }) {
            self.say("Those who were asked first have not answered in time.");
        }
        self.in_whose_place(self.event, self.directory, self.reader);
        self.fact("step", step + 1);
        self.fact("steps", steps);
        self.fact("due_at", due_at.to_string());
        self.command(format!("daypass approve {short}"));
        self.command(format!("daypass deny {short} --reason \"…\""));
    }

    fn decided(&mut self, request: &Request, happened: &request::Event) {
        use request::Event as E;
        let (what, short) = (self.what(request), request.id.short());
        let whose = self.of_another(request.ask.requester);
        let (outcome, comment) = match happened {
            E::Approved { review, approval } => {
                let items: Vec<String> = approval.items().iter().map(ToString::to_string).collect();
                let got = format!("{} for {}", items.join(", "), approval.duration());
                self.letter.subject = format!("Approved: {whose}{got}");
                if request.path.steps.is_empty() {
                    self.say(format!("{got} was approved: its rule asks nobody."));
                } else {
                    let by: Vec<String> = approval
                        .reviews()
                        .iter()
                        .map(|review| self.reviewer(review))
                        .collect();
                    self.say(format!("{got} was approved by {}.", by.join(", ")));
                }
                if approval.duration() < request.ask.duration || *approval.items() != request.ask.items {
                    self.say(format!("That is less than was asked for: {what}."));
                }
                self.fact("duration", approval.duration().to_string());
                self.fact("items", items);
                self.command(String::from("daypass status"));
                (
                    "approved",
                    review.as_ref().and_then(|review| review.comment.as_ref()),
                )
            }
            E::Denied { review } => {
                self.letter.subject = format!("Denied: {whose}{what}");
                let by = self.reviewer(review);
                self.say(format!("{what} was denied by {by}."));
                ("denied", review.comment.as_ref())
            }
            E::Withdrawn => {
                self.letter.subject = format!("Taken back: {what}");
                let by = self.login(request.ask.requester);
                self.say(format!("{by} took back the request for {what}."));
                ("withdrawn", None)
            }
            _ => {
                self.letter.subject = format!("Lapsed: {whose}{what}");
                self.say(format!(
                    "Nobody answered the request for {what} in time, or the right to it was lost."
                ));
                ("lapsed", None)
            }
        };
        if let Some(comment) = comment {
            self.fact("comment", harmless(comment.text()));
            self.quote("Comment", Some(comment));
        }
        self.fact("outcome", outcome);
        let by = self.actor();
        self.fact("by", by);
        if outcome != "approved" {
            self.say(format!("It is request {short}."));
        }
    }

    /// Whose it is, where a person reads it whose own it is not: an owner hears for their service accounts.
    fn of_another(&self, who: PersonId) -> String {
        match self.reader {
            Some(reader) if reader != who => format!("{}: ", self.login(who)),
            _ => String::new(),
        }
    }

    fn emergency(&mut self, kind: Kind, request: &Request, happened: &request::Event) {
        let (who, what, short) = (
            self.login(request.ask.requester),
            self.what(request),
            request.id.short(),
        );
        let mine = self.reader == Some(request.ask.requester);
        match kind {
            Kind::BreakGlass => {
                self.letter.subject = format!("EMERGENCY: {who} took {what}");
                self.say(format!(
                    "{who} broke the glass: {what}, granted at once by rule {}, without anybody's agreement.",
                    request.path.rule
                ));
                if mine {
                    self.say("If that was not you, somebody acts in your name: tell an administrator now.");
                }
            }
            Kind::BreakGlassReviewed => {
                let by = self.actor().unwrap_or_default();
                self.letter.subject = format!("Looked at: the emergency access to {what}");
                self.say(format!("{by} looked at what was done in the emergency."));
                if let request::Event::Acknowledged { comment, .. } = happened {
                    self.fact("comment", harmless(comment.text()));
                    self.quote("Comment", Some(comment));
                }
                self.fact("by", by);
                return;
            }
            Kind::BreakGlassOverdue => {
                self.letter.subject = format!("Not looked at: the emergency access of {who} to {what}");
                self.say(format!(
                    "Nobody has looked in time at the emergency access of {who} to {what}."
                ));
            }
            _ => {
                self.letter.subject = format!("Still to be looked at: {who} took {what} in an emergency");
                self.say(format!(
                    "{who} took {what} in an emergency; nobody has looked at that yet."
                ));
            }
        }
        self.quote("Reason", Some(&request.ask.reason));
        self.quote("Ticket, as given", request.ask.ticket.as_ref());
        if let (Some(Owed::Due { due_at, .. }), false) = (request.owed(), mine) {
            let due_at = *due_at;
            self.say(format!("Somebody else has to look at it by {}.", clock(due_at)));
            self.fact("due_at", due_at.to_string());
        }
        if !mine {
            self.command(format!("daypass review {short} --comment \"…\""));
            self.command(format!("daypass revoke {short} --reason \"…\""));
        }
    }

    fn of_grant(&mut self, kind: Kind, grant: &Grant, request: Option<&Request>, happened: &grant::Event) {
        let items: Vec<String> = grant.parts.iter().map(|part| part.item().to_string()).collect();
        let (what, who) = (items.join(", "), self.login(grant.holder));
        let short = request.map_or_else(|| grant.id.short(), |request| request.id.short());
        let mut facts = json!({
            "id": grant.id.to_string(), "holder": who, "items": items, "break_glass": grant.break_glass,
        });
        self.letter.page = Some(format!("requests/{}", grant.request));
        let mine = self.reader.is_none_or(|reader| reader == grant.holder);
        let whose = if mine && self.reader.is_some() {
            what.clone()
        } else {
            format!("{who}: {what}")
        };
        match happened {
            grant::Event::Activated { expires_at, .. } | grant::Event::Extended { expires_at, .. } => {
                if let Some(facts) = facts.as_object_mut() {
                    facts.insert(String::from("expires_at"), expires_at.to_string().into());
                }
                if kind == Kind::EndingSoon {
                    self.letter.subject = format!("Ends soon: {whose}");
                    self.say(format!(
                        "{what} ends at {}, and open connections with it.",
                        clock(*expires_at)
                    ));
                    if mine {
                        self.command(format!("daypass extend {short} --for 30m --reason \"…\""));
                        self.command(format!("daypass release {short}"));
                    } else {
                        self.command(format!("daypass revoke {short}"));
                    }
                } else {
                    self.letter.subject = format!("Ready: {whose}");
                    self.say(format!("{what} is there, until {}.", clock(*expires_at)));
                    self.way_in(mine, &who, items.first());
                }
            }
            grant::Event::Ending { reason } => {
                self.letter.subject = format!("Ending: {whose}");
                let why = self.reason(reason);
                self.say(format!("{what} is being taken away: {why}."));
                self.said(reason);
            }
            grant::Event::Overdue => {
                self.letter.subject = format!("OVERDUE: {who}: {what} is not gone");
                self.say(format!(
                    "{what}, held by {who}, should be gone, and the target does not show that. It is tried again and again."
                ));
                if let grant::State::Ending { reason, .. } | grant::State::Ended { reason, .. } = &grant.state
                {
                    let why = self.reason(reason);
                    self.say(format!("It ends because {why}."));
                    self.said(reason);
                }
            }
            grant::Event::Ended { evidence } => {
                self.letter.subject = format!("Ended: {whose}");
                let (grant::State::Ending { reason, .. } | grant::State::Ended { reason, .. }) = &grant.state
                else {
                    return;
                };
                let why = self.reason(reason);
                self.say(format!("{what} has ended: {why}. {}", seen(evidence)));
                self.said(reason);
            }
            _ => {}
        }
        self.fact("grant", facts);
    }

    /// How its holder gets in. Others hear of it as well, where its rule says so; it is not theirs to connect to.
    fn way_in(&mut self, mine: bool, who: &str, item: Option<&String>) {
        if mine {
            self.command(format!("daypass connect {}", item.map_or("", String::as_str)));
        } else {
            self.say(format!("{who} holds it."));
        }
    }

    /// What somebody wrote who ended a grant.
    fn said(&mut self, reason: &Reason) {
        if let Reason::Revoked { why: Some(why), .. } = reason {
            self.fact("comment", harmless(why.text()));
            self.quote("Comment", Some(why));
        }
    }

    /// Why a grant ends, in words.
    fn reason(&mut self, reason: &Reason) -> String {
        self.fact("reason", reason.name());
        match reason {
            Reason::Expired => String::from("its time is over"),
            Reason::Revoked { by, .. } => {
                let by = self.login(*by);
                self.fact("by", by.clone());
                format!("{by} revoked it")
            }
            Reason::Released => String::from("it was given back"),
            Reason::Completed => String::from("its work is done"),
            Reason::Locked => String::from("its holder or a resource of it was locked"),
            Reason::Ineligible { .. } => String::from("the right to it was lost"),
            Reason::Removed => String::from("it was taken away by hand at the target"),
            Reason::Failed { .. } => String::from("it could not be provisioned in time"),
        }
    }

    fn of_lock(&mut self, on: &On, happened: &lock::Event) {
        let (verb, by, why) = match happened {
            lock::Event::Locked { by, why } => ("locked", *by, why),
            lock::Event::Unlocked { by, why } => ("unlocked", *by, why),
        };
        let by = self.login(by);
        let (what, mine) = match on {
            On::Person(person) => (self.login(*person), self.reader == Some(*person)),
            On::Resource(name) => (name.to_string(), false),
        };
        let capital = if verb == "locked" { "Locked" } else { "Unlocked" };
        self.letter.subject = if mine {
            format!("{capital}: your account")
        } else {
            format!("{capital}: {what}")
        };
        self.say(if mine {
            format!("Your account was {verb}.")
        } else {
            format!("{by} {verb} {what}.")
        });
        match (on, verb) {
            (On::Person(_), "locked") => self.say("What is held ends now, and nothing new comes about."),
            (On::Resource(_), "locked") => self.say("What is held of it ends now, and nobody gets it."),
            _ => self.say("What has ended meanwhile stays ended."),
        }
        if self.reads_reasons() {
            self.quote("Reason", Some(why));
        }
        self.fact("locked", verb == "locked");
        self.fact("on", on.to_string());
        self.fact("what", what);
        self.fact("by", by);
    }

    /// Whether the reader may see why something was locked.
    fn reads_reasons(&self) -> bool {
        let person = self.reader.and_then(|reader| self.directory.person(reader));
        person.is_some_and(|person| person.active && person.role != SystemRole::Member)
    }
}

/// How it is known that a grant is over.
fn seen(evidence: &[Evidence]) -> &'static str {
    let never = |one: &Evidence| matches!(one.proof, Proof::NeverProvisioned);
    if evidence.iter().all(never) {
        "Nothing had been set up at the target."
    } else if evidence
        .iter()
        .any(|one| matches!(one.proof, Proof::HeldBy { .. }))
    {
        "What another grant holds as well goes with that one."
    } else {
        "The target was seen without it."
    }
}

/// An instant as people read it, to the minute: `2026-11-21 12:09 UTC`. Programs get it in full.
fn clock(at: Timestamp) -> String {
    let full: String = at.to_string().chars().take(16).collect();
    format!("{} UTC", full.replace('T', " "))
}

/// A text in one line.
fn one_line(text: &str) -> String {
    harmless(text).replace('\n', " ")
}

/// A text without what only disturbs: what [`is_hostile`] says, but line breaks.
fn harmless(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace(['\r', '\t'], " ")
        .chars()
        .filter(|c| *c == '\n' || !is_hostile(*c))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hidden_is_passed_on() {
        assert_eq!(
            harmless("a\u{61c}b\u{200b}\u{e0041}\u{202e}\u{1b}c\r\nd\te"),
            "abc\nd e"
        );
    }
}

//! What must hold besides the person and the resource: the conditions of a rule, and what guardrails forbid.
//!
//! A condition that cannot be evaluated is unmet. One that names a time also bounds the access: it never outlives the window.

use std::collections::BTreeSet;
use std::fmt;

use daypass_core::name::{Item, Name};
use daypass_core::person::Person;
use daypass_core::planted;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::time::Timestamp;

use crate::addition::Addition;
use crate::diagnostic::At;
use crate::document::{Guardrail, Rule};
use crate::expression::{Expression, Facts};
use crate::limit::Uses;
use crate::nearest::quote;
use crate::origin::{Foreign, Origin};
use crate::refuse::{spaced, verb};
use crate::ticket::Wanted;
use crate::window::{Openings, Window};
use crate::{Ask, Policy};

/// The conditions of a rule; all of them must hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct When {
    /// One of these windows is open; nothing is asked where there is none.
    pub(crate) windows: Vec<(Name, At)>,
    /// A ticket is named, of one of these formats.
    pub(crate) ticket: Option<Wanted>,
    /// It was not used more often than this.
    pub(crate) uses: Option<Uses>,
    /// This holds for each item.
    pub(crate) expression: Option<Expression>,
    /// What nothing here can tell yet.
    pub(crate) unknown: Vec<Unknown>,
}

/// A condition whose source comes later: it is read, and never met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// An incident is open.
    Incident,
    /// The person is on call, by this schedule.
    OnCall(String),
    /// What is known of the person or their machine is no more than this risk.
    Risk(String),
}

impl fmt::Display for Unknown {
    /// As it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incident => f.write_str("incident: open"),
            Self::OnCall(schedule) => write!(f, "oncall: {schedule}"),
            Self::Risk(level) => write!(f, "risk: {level}"),
        }
    }
}

impl Unknown {
    /// What is not known, for a sentence.
    const fn of(&self) -> &'static str {
        match self {
            Self::Incident => "incidents",
            Self::OnCall(_) => "who is on call",
            Self::Risk(_) => "risks",
        }
    }
}

/// A condition that does not hold.
#[derive(Debug, Clone)]
pub(crate) enum Unmet<'p> {
    /// None of the rule's windows is open; when one is, if that can be told.
    Closed(Option<Timestamp>),
    /// A guardrail forbids access in a window that is open; until when, if that can be told.
    Forbidden(&'p Guardrail, Option<Timestamp>),
    /// No ticket was named, or none of the wanted format.
    Ticket(&'p Wanted),
    /// The expression does not hold for this item; why that could not be told, where it could not.
    Expression(&'p Expression, Item, Option<String>),
    /// It is asked from where the rule admits nobody.
    Origin(&'p Origin, Foreign),
    /// Nothing here can tell whether it holds.
    Unknown(&'p Unknown),
}

/// How hard it is to do something about a condition, the easiest first. Of a rule's reasons the hardest is told, and of the
/// rules the one whose reason is the easiest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hardness {
    /// Ask for less.
    Less,
    /// Say more.
    More,
    /// Wait.
    Later,
    /// It holds at another time, for another resource, or for another person.
    Elsewhere,
    /// Somebody else must do something first.
    Others,
}

impl Unmet<'_> {
    pub(crate) const fn hardness(&self) -> Hardness {
        match self {
            Self::Ticket(_) => Hardness::More,
            Self::Closed(_) | Self::Forbidden(..) => Hardness::Later,
            Self::Expression(..) | Self::Origin(..) => Hardness::Elsewhere,
            Self::Unknown(_) => Hardness::Others,
        }
    }
}

/// What an answer takes as given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Supposing {
    /// Nothing but what was asked.
    Nothing,
    /// What a request may still add: for a list of what is possible.
    TheRest,
    /// All conditions, of rules and of guardrails, that can hold at all: for what a policy could ever lead to.
    Conditions,
}

/// When access is over at the latest, and which words of the policy say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndsBy {
    pub(crate) at: Timestamp,
    pub(crate) why: String,
}

/// What the conditions of a rule come to, where all of them hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Met {
    /// What bounds the access in time.
    pub(crate) ends_by: Option<EndsBy>,
    /// What a request must still add so that they do.
    pub(crate) depends: BTreeSet<Addition>,
}

impl Policy {
    /// Whether all conditions of a rule hold, and nothing is forbidden; with what bounds the access in time, and on what else it
    /// depends.
    ///
    /// What is asked about is the time of the access, not of the asking: with a start, that one.
    ///
    /// `supposing`: what a request can add (a ticket, a length, a start) is taken as given. From where it is asked is known, and no
    /// request can say otherwise. Of several reasons the hardest is told.
    pub(crate) fn conditions<'p>(
        &'p self,
        rule: &'p Rule,
        ask: &Ask<'_>,
        person: &Person,
        supposing: Supposing,
    ) -> Result<Met, Unmet<'p>> {
        if let Some(unknown) = rule.when.unknown.first() {
            return Err(Unmet::Unknown(unknown));
        }
        if supposing == Supposing::Conditions {
            return Ok(Met::default());
        }
        let at = ask.begins();
        if let Some(origin) = &rule.origin {
            origin
                .admits(ask.from)
                .map_err(|foreign| Unmet::Origin(origin, foreign))?;
        }
        let mut depends = match &rule.when.expression {
            Some(expression) => self.holds((rule, expression), ask, person, at, supposing)?,
            None => BTreeSet::new(),
        };
        let forbidden = self.forbidden(ask.items, at)?;
        let window = self.within(&rule.when, at)?;
        if let Some(wanted) = &rule.when.ticket
            && !self.is_ticket(wanted, ask.ticket)
        {
            match supposing {
                Supposing::Nothing => return Err(Unmet::Ticket(wanted)),
                Supposing::TheRest | Supposing::Conditions => depends.insert(Addition::Ticket),
            };
        }
        let ends_by = [forbidden, window].into_iter().flatten();
        Ok(Met {
            ends_by: ends_by.min_by_key(|ends_by| ends_by.at),
            depends,
        })
    }

    /// Whether the rule's expression holds for every item; with what a request must still add for that.
    fn holds<'p>(
        &self,
        (rule, expression): (&Rule, &'p Expression),
        ask: &Ask<'_>,
        person: &Person,
        start: Timestamp,
        supposing: Supposing,
    ) -> Result<BTreeSet<Addition>, Unmet<'p>> {
        let usual = || self.bounds(rule, ask.items).duration;
        let duration = ask.duration.unwrap_or_else(usual);
        let mut depends = BTreeSet::new();
        for item in ask.items {
            let Some(resource) = self.resource(item.resource.as_str()) else {
                let why = String::from("there is no such resource");
                return Err(Unmet::Expression(expression, item.clone(), Some(why)));
            };
            let facts = Facts {
                person,
                resource,
                item,
                duration,
                ticket: ask.ticket,
                extends: ask.extends,
                break_glass: ask.break_glass,
                start,
                now: ask.now,
            };
            match expression.holds(&facts) {
                Ok(true) => {}
                _ if supposing == Supposing::TheRest && expression.is_open(&facts) => {
                    depends.extend(&expression.additions);
                }
                Ok(false) => return Err(Unmet::Expression(expression, item.clone(), None)),
                Err(why) => return Err(Unmet::Expression(expression, item.clone(), Some(why))),
            }
        }
        Ok(depends)
    }

    /// Whether one of the rule's windows is open, and when all of them are closed.
    fn within(&self, when: &When, at: Timestamp) -> Result<Option<EndsBy>, Unmet<'_>> {
        if when.windows.is_empty() {
            return Ok(None);
        }
        let windows: Vec<&Window> = when
            .windows
            .iter()
            .filter_map(|(name, _)| self.window(name))
            .collect();
        let openings = Openings::around(windows.iter().copied(), at).ok_or(Unmet::Closed(None))?;
        let closes = openings
            .closes(at)
            .ok_or_else(|| Unmet::Closed(openings.opens(at)))?;
        let names: Vec<&str> = when.windows.iter().map(|(name, _)| name.as_str()).collect();
        let zone = windows
            .first()
            .map_or_else(|| closes.to_string(), |window| window.zone.shown(closes));
        let why = format!("the window {} closes at {zone}", names.join(" or "));
        Ok(Some(EndsBy { at: closes, why }))
    }

    /// Whether a guardrail forbids access now, and when one does for the first time.
    fn forbidden(&self, items: &BTreeSet<Item>, at: Timestamp) -> Result<Option<EndsBy>, Unmet<'_>> {
        let mut first: Option<EndsBy> = None;
        for guardrail in self.over(items) {
            if guardrail.forbid.is_empty() {
                continue;
            }
            let windows = guardrail.forbid.iter().filter_map(|(name, _)| self.window(name));
            let openings = Openings::around(windows, at).ok_or(Unmet::Forbidden(guardrail, None))?;
            if let Some(until) = openings.closes(at) {
                return Err(Unmet::Forbidden(guardrail, Some(until)));
            }
            if let Some(opens) = openings.opens(at)
                && !planted::is(planted::Fault::ForbidOnlyNow)
                && first.as_ref().is_none_or(|earlier| opens < earlier.at)
            {
                let why = format!("the guardrail {} forbids access from then on", guardrail.name);
                first = Some(EndsBy { at: opens, why });
            }
        }
        Ok(first)
    }

    pub(crate) fn window(&self, name: &Name) -> Option<&Window> {
        self.index
            .window(name)
            .and_then(|place| self.document.windows.get(place))
    }

    /// A condition that does not hold, in words.
    pub(crate) fn unmet(&self, rule: &Rule, unmet: &Unmet<'_>, ask: &Ask<'_>) -> Refusal {
        let cited = self.cite(rule);
        match unmet {
            Unmet::Ticket(wanted) => self.no_ticket(&cited, wanted, ask),
            Unmet::Origin(origin, foreign) => from_elsewhere(&cited, origin, *foreign),
            Unmet::Expression(expression, item, why) => {
                let place = expression.at.location(&self.sources);
                let text = quote(&expression.text);
                let why = why.as_ref().map_or_else(
                    || format!("and for {item} it does not"),
                    |why| format!("which cannot be told for {item} and counts as not met: {why}"),
                );
                let what = format!("the rule {cited} gives access only where {text} holds, {why}");
                let hint = if ask.reads_policy {
                    format!("the condition is at {place:#}")
                } else {
                    self.whom_to_ask(item)
                };
                Refusal::new(Code::Condition, what).hint(hint)
            }
            Unmet::Unknown(unknown) => {
                let what = format!(
                    "the rule {cited} gives access only where {unknown} holds, and this version knows nothing of {}: \
                     the condition counts as not met",
                    unknown.of()
                );
                Refusal::new(Code::Condition, what).hint("no request can meet it; ask for a rule without it")
            }
            Unmet::Closed(opens) => {
                let windows = self.windows_told(&rule.when.windows);
                let when = if ask.start.is_some_and(|start| start > ask.now) {
                    "at the start that was asked for"
                } else {
                    "now"
                };
                let what = format!(
                    "the rule {cited} gives access only in the window {windows}, which is not open {when}"
                );
                let hint = opens.map_or_else(
                    || String::from("it opens at no time that can be told"),
                    |opens| self.open_at(opens, &rule.when.windows, ask),
                );
                Refusal::new(Code::Window, what).hint(hint)
            }
            Unmet::Forbidden(guardrail, until) => {
                let place = guardrail.at.location(&self.sources);
                let windows = self.windows_told(&guardrail.forbid);
                let what = format!(
                    "the guardrail {} ({place:#}) forbids access in the window {windows}",
                    guardrail.name
                );
                let hint = until.map_or_else(
                    || String::from("whether it is open cannot be told, so it counts as open"),
                    |until| self.open_at(until, &guardrail.forbid, ask),
                );
                Refusal::new(Code::Window, what).hint(hint)
            }
        }
    }

    /// No ticket, or not of a format that is wanted.
    fn no_ticket(&self, cited: &str, wanted: &Wanted, ask: &Ask<'_>) -> Refusal {
        let formats = self.formats_told(wanted);
        let what = match ask.ticket {
            None => format!("the rule {cited} needs a ticket{formats}"),
            Some(given) if formats.is_empty() => {
                format!("{} is no ticket that the rule {cited} takes", quote(given))
            }
            Some(given) => format!(
                "{} is no ticket{formats}, which the rule {cited} needs",
                quote(given)
            ),
        };
        let hint = format!("daypass {} {} --ticket …", verb(ask), spaced(ask.items));
        Refusal::new(Code::Ticket, what).hint(hint)
    }

    /// From when on it can be had, as the clock there shows it, and the command that asks for that.
    fn open_at(&self, from: Timestamp, windows: &[(Name, At)], ask: &Ask<'_>) -> String {
        let window = windows.first().and_then(|(name, _)| self.window(name));
        let shown = window.map_or_else(|| from.to_string(), |window| window.zone.shown(from));
        if ask.extends || ask.break_glass {
            return format!("not before {shown}");
        }
        format!(
            "not before {shown}: daypass {} {} --start {from}",
            verb(ask),
            spaced(ask.items)
        )
    }

    /// `patching (sat 22:00–23:30 Europe/Madrid)`
    fn windows_told(&self, windows: &[(Name, At)]) -> String {
        let told: Vec<String> = windows
            .iter()
            .map(|(name, _)| {
                self.window(name)
                    .map_or_else(|| name.to_string(), |window| format!("{name} ({window})"))
            })
            .collect();
        told.join(" or ")
    }
}

/// Asked from an address that the rule does not admit, or that is not certain.
fn from_elsewhere(cited: &str, origin: &Origin, foreign: Foreign) -> Refusal {
    let (what, hint) = match foreign {
        Foreign::Outside(from) => (
            format!("the rule {cited} is for those who ask from {origin}, and this comes from {from}"),
            "ask from one of these networks",
        ),
        Foreign::Unknown => (
            format!("the rule {cited} asks from where this comes, and the address is not certain"),
            "an administrator can name the proxies before this server: trusted_proxies in server.yaml",
        ),
    };
    Refusal::new(Code::Source, what).hint(hint)
}

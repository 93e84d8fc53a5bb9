//! What a request may add to the names of what it asks for: a list of what is possible does not know it yet.

use std::collections::BTreeSet;

use crate::amend::Amendment;
use crate::document::Rule;
use crate::nearest::quote;
use crate::{Ask, Policy};

/// Something that whoever asks may say, or leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Addition {
    /// For how long.
    Duration,
    /// From when on.
    Start,
    /// A ticket.
    Ticket,
}

impl Addition {
    const ALL: [Self; 3] = [Self::Duration, Self::Start, Self::Ticket];

    /// Its field of `request` in an expression.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Start => "start",
            Self::Ticket => "ticket",
        }
    }

    /// The one of this field.
    pub(crate) fn of_field(field: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|addition| addition.field() == field)
    }
}

/// On what a request must still say it depends whether a rule gives something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depends {
    /// What decides. Never nothing.
    pub on: BTreeSet<Addition>,
    /// What the rule asks for, or what stands in the way of what does not say it; in a sentence without a full stop.
    pub why: String,
    /// What to ask instead, where that is known to the minute.
    pub hint: Option<String>,
}

impl Policy {
    /// What a rule asks for that a request must still say, or say otherwise; `None` where it depends on nothing.
    pub(crate) fn depends(
        &self,
        rule: &Rule,
        (on, amendment): (BTreeSet<Addition>, Option<Amendment>),
        ask: &Ask<'_>,
    ) -> Option<Depends> {
        let own = (!on.is_empty()).then(|| self.asks_for(rule, &on, ask));
        let (otherwise, because) = match amendment {
            Some(Amendment { on, because, .. }) => (on, Some(because)),
            None => (BTreeSet::new(), None),
        };
        let (what, hint) = because.map(|because| (because.what, because.hint)).unzip();
        let why: Vec<String> = own.into_iter().chain(what).collect();
        let depends = Depends {
            on: on.union(&otherwise).copied().collect(),
            why: why.join("; "),
            hint: hint.flatten(),
        };
        (!depends.on.is_empty()).then_some(depends)
    }

    /// What a rule asks for, of what a request must still add.
    fn asks_for(&self, rule: &Rule, on: &BTreeSet<Addition>, ask: &Ask<'_>) -> String {
        let cited = self.cite(rule);
        let mut asks = Vec::new();
        if let Some(wanted) = rule
            .when
            .ticket
            .as_ref()
            .filter(|wanted| !self.is_ticket(wanted, ask.ticket))
        {
            asks.push(format!("needs a ticket{}", self.formats_told(wanted)));
        }
        let expression = rule.when.expression.as_ref();
        if let Some(expression) = expression.filter(|one| !one.additions.is_disjoint(on)) {
            asks.push(format!(
                "gives access only where {} holds",
                quote(&expression.text)
            ));
        }
        format!("the rule {cited} {}", asks.join(", and "))
    }
}

//! What sessions through the gateway keep: which statements pass, what of them is recorded, and what a failing recording does.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use daypass_core::demand::{Demands, Recording};
use daypass_core::name::Item;

use crate::Policy;
use crate::diagnostic::At;
use crate::document::{Access, Resource};

/// The kind of resource whose statements can be told apart.
pub(crate) const WITH_STATEMENTS: &str = "postgres";

/// What a session under a grant of one item keeps, by the policy in force.
///
/// The statements that it may not send are a seat belt: what the role may do at its target is what enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayTerms {
    /// Whether the values that are bound to statements are recorded too.
    pub values: bool,
    /// What becomes of a session that can no longer be recorded.
    pub on_failure: OnFailure,
    /// Nothing that changes anything.
    pub read_only: bool,
    /// Nothing that makes, changes or drops tables, roles and the like.
    pub no_ddl: bool,
    /// No UPDATE or DELETE of all rows.
    pub qualified: bool,
}

/// What becomes of a session that can no longer be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// It ends.
    #[default]
    End,
    /// It goes on, and is marked as not wholly recorded.
    Continue,
}

impl OnFailure {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Continue => "continue",
        }
    }
}

/// How the sessions of a resource are recorded, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watch {
    pub(crate) at: At,
    pub(crate) values: bool,
    pub(crate) values_at: At,
    pub(crate) on_failure: OnFailure,
    pub(crate) on_failure_at: At,
}

/// Statements that are refused, as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) at: At,
    /// Never empty.
    pub(crate) classes: BTreeSet<Class>,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&in_words(&self.classes))
    }
}

/// A class of statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Whatever makes, changes or drops tables, roles and the like.
    Ddl,
    /// UPDATE and DELETE without WHERE.
    UnqualifiedWrite,
    /// Whatever is more than reading, the other two included.
    Write,
}

impl Class {
    pub(crate) const ALL: [Self; 3] = [Self::Ddl, Self::UnqualifiedWrite, Self::Write];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ddl => "ddl",
            Self::UnqualifiedWrite => "unqualified-write",
            Self::Write => "write",
        }
    }
}

impl FromStr for Class {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut all = Self::ALL.into_iter();
        all.find(|class| class.as_str() == text).ok_or(())
    }
}

fn in_words(classes: &BTreeSet<Class>) -> String {
    let words: Vec<&str> = classes.iter().map(|class| class.as_str()).collect();
    format!("deny {}", words.join(", "))
}

impl Policy {
    /// What a session under a grant of this item keeps, by the policy in force and by what was `agreed` to with the grant: who
    /// agreed because it is recorded agreed to nothing that goes on unrecorded, whatever the policy says since.
    ///
    /// `None` where there is no such item, or none that is reached through the gateway: then there is no session.
    #[must_use]
    pub fn gateway(&self, item: &Item, agreed: &Demands) -> Option<GatewayTerms> {
        let resource = self.through_gateway(item)?;
        let items = BTreeSet::from([item.clone()]);
        let must = Some(Recording::Required);
        let required = agreed.recording == must || self.recording(&items) == must;
        let watch = resource.gateway.as_ref();
        let denied = denied(resource, item);
        Some(GatewayTerms {
            values: watch.is_some_and(|watch| watch.values),
            on_failure: match watch {
                Some(watch) if !required => watch.on_failure,
                _ => OnFailure::End,
            },
            read_only: denied.contains(&Class::Write),
            no_ddl: denied.contains(&Class::Ddl),
            qualified: denied.contains(&Class::UnqualifiedWrite),
        })
    }

    /// The same for whoever asks why, item by item.
    pub(crate) fn sessions(&self, items: &BTreeSet<Item>, agreed: &Demands) -> Vec<String> {
        let told = items.iter().filter_map(|item| {
            let words = self.gateway_in_words(item, agreed);
            (!words.is_empty()).then(|| format!("sessions of {item}: {}", words.join(", ")))
        });
        told.collect()
    }

    /// The same in words: what differs from a session of which nothing is said.
    pub(crate) fn gateway_in_words(&self, item: &Item, agreed: &Demands) -> Vec<String> {
        let (Some(resource), Some(terms)) = (self.through_gateway(item), self.gateway(item, agreed)) else {
            return Vec::new();
        };
        let denied = denied(resource, item);
        let mut words = Vec::new();
        if !denied.is_empty() {
            words.push(format!("statements {}", in_words(&denied)));
        }
        if terms.values {
            words.push(String::from("values recorded"));
        }
        if terms.on_failure != OnFailure::End {
            words.push(format!("on_recording_failure {}", terms.on_failure.as_str()));
        }
        words
    }

    fn through_gateway(&self, item: &Item) -> Option<&Resource> {
        let resource = self.resource(item.resource.as_str())?;
        let there = resource.access == Access::Gateway && resource.roles.contains_key(&item.role);
        there.then_some(resource)
    }
}

/// What is refused to a role: what its resource refuses to all, and what it says itself.
fn denied(resource: &Resource, item: &Item) -> BTreeSet<Class> {
    let role = resource.roles.get(&item.role);
    let said = [
        resource.statements.as_ref(),
        role.and_then(|role| role.statements.as_ref()),
    ];
    let said = said.into_iter().flatten();
    said.flat_map(|denied| &denied.classes).copied().collect()
}

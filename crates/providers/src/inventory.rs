//! The inventory: what stands at a target that Daypass did not give, and what a policy could name there.
//!
//! A kind of target takes part by [`crate::Provider::survey`], page by page. What each page says is in the target's own words, for
//! people; beside it stands an [`Offer`], the same access in the words of policy. By that the engine finds the role of the policy that
//! gives it just in time ([`crate::Kind::is_place`], [`crate::Kind::fits`]), and makes what one pastes where there is none.

use std::collections::BTreeMap;

use daypass_core::name::Name;
use daypass_core::text::is_hostile;
use daypass_core::time::Timestamp;
use serde_json::Value;

/// Where a survey goes on. Only the provider that made it knows what it says; it lives in memory, and is never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

/// A part of a survey.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Standing access. A survey lists each once, over all of its pages.
    pub standing: Vec<Standing>,
    /// What a policy could name as resources, whether or not it does.
    pub found: Vec<Found>,
    /// What cannot be told, for people: a host that never reported, a right that the connector lacks. Empty where the survey tells
    /// everything that it is meant to.
    pub untold: Vec<String>,
    /// Where the next page begins; `None` where this is the last.
    pub next: Option<Cursor>,
    /// How much has been looked at, this page included, in whatever the kind counts (roles, subscriptions, hosts) …
    pub done: u64,
    /// … and of how much, where that is known.
    pub of: Option<u64>,
}

/// Somebody's access at a target that is there without Daypass.
///
/// What this installation made is none, nor is what it left as residue. What another one made is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Who has it.
    pub subject: Subject,
    /// What they have, in the target's words: `member of app_writer`, `Contributor`.
    pub right: String,
    /// Where, in the target's words: `database orders`, `/subscriptions/…`.
    pub on: String,
    /// Where it comes from, where that is not an entry for the subject itself: a role, a group, a scope above, `PUBLIC`.
    pub by: Option<String>,
    /// When it was last used, where the target tells. Not when somebody last logged in by something else.
    pub last_used: Option<Timestamp>,
    /// Its end, where it has one.
    pub until: Option<Timestamp>,
    /// How Daypass would give the same just in time; `None` where it cannot, or nothing says what would be the same.
    pub offer: Option<Offer>,
}

/// Who has something at a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// What the target knows them by: what the directory has in the namespace of [`crate::Kind::subjects`], where the kind has one.
    pub id: String,
    /// What people call them there; the id where there is nothing better.
    pub name: String,
    /// What they are.
    pub kind: SubjectKind,
}

/// What a subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectKind {
    /// An account that a human being logs in with, as far as the target tells.
    Person,
    /// Several, with one entry.
    Group,
    /// A program: a service principal, a managed identity.
    Program,
    /// Whoever reaches the target at all.
    Everybody,
}

impl SubjectKind {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Group => "group",
            Self::Program => "program",
            Self::Everybody => "everybody",
        }
    }
}

/// Access in the words of policy: a role of a resource that would give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The resource's kind, which [`crate::Kind::name`] has.
    pub kind: &'static str,
    /// The resource's configuration, valid by [`crate::Kind::check_resource`].
    pub resource: Value,
    /// The role's configuration, valid by [`crate::Kind::check_role`].
    pub role: Value,
    /// What the resource and the role could be called, where the policy has neither.
    pub called: (Name, Name),
}

/// Something at a target that a policy could name as a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its kind, which [`crate::Kind::name`] has.
    pub kind: &'static str,
    /// What it could be called ([`Name::like`]). Two of one survey may have one name: whoever writes a policy makes them differ.
    pub name: Name,
    /// What it is in the target's words, for people.
    pub told: String,
    /// Its configuration, valid by [`crate::Kind::check_resource`].
    pub resource: Value,
    /// Roles that make sense there, each valid by [`crate::Kind::check_role`].
    pub roles: Vec<(Name, Value)>,
    /// Labels that follow from what the target says of it (its tags).
    pub labels: BTreeMap<Name, Name>,
}

/// How a role of the policy stands to what somebody has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It gives the same.
    Same,
    /// It gives that and more.
    More,
}

/// The most characters of a text that a target says.
const TOLD_MAX: usize = 200;

/// What a target says, as it may be shown: without control characters, and cut where it is long. Every text of a [`Page`] goes through
/// this where somebody at the target could have written it.
#[must_use]
pub fn told(text: &str) -> String {
    let plain = |c: char| if is_hostile(c) { ' ' } else { c };
    text.chars().map(plain).take(TOLD_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_target_says_is_cut_and_plain() {
        let long = format!("a\u{1b}[31m\u{202e}{}", "x".repeat(1_000));
        let told = told(&long);
        assert!(!told.contains('\u{1b}') && !told.contains('\u{202e}'), "{told:?}");
        assert_eq!(told.chars().count(), TOLD_MAX);
    }
}

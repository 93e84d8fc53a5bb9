//! Parse, check, compile, decide, explain and test an access policy. Pure.
//!
//! [`Policy::load`] reads the files that an administrator writes, finds as many mistakes as it can in one run, and compiles
//! what is sound. [`Policy::decide`] is the one function that preview, the policy's own tests and enforcement ask. What cannot
//! be decided is refused. The language is described in `docs/policy.md`.
//!
//! Absent here: any clock, any IO, any knowledge of what a provider reads from its configuration, and any memory between two
//! questions.

mod addition;
mod amend;
mod asked;
mod catalogue;
mod chain;
mod check;
mod condition;
mod control;
mod decide;
mod delegation;
mod demand;
mod diagnostic;
mod diff;
mod document;
mod environment;
mod explain;
mod expression;
mod fields;
mod gateway;
mod hold;
mod index;
mod layout;
mod limit;
mod lines;
mod nearest;
mod origin;
mod owner;
mod plan;
mod propose;
mod puppet;
mod read;
mod refuse;
mod remaining;
mod scene;
mod spent;
mod standing;
mod ticket;
mod total;
mod tree;
mod trial;
mod vacancy;
mod window;

use std::collections::BTreeSet;
use std::net::IpAddr;

use daypass_core::delegation::Delegation;
use daypass_core::environment::EnvironmentRole;
use daypass_core::id::PersonId;
use daypass_core::name::{Item, Name};
use daypass_core::past::{Past, Reach};
use daypass_core::person::Person;
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};

pub use crate::addition::{Addition, Depends};
pub use crate::catalogue::{Offer, Onlooker, Terms};
pub use crate::decide::{Allowed, Alternative, Decision};
pub use crate::diagnostic::{Diagnostic, Diagnostics, Location, Report};
pub use crate::document::{Access, Connector, Drift, Resource, Role};
pub use crate::environment::EnvironmentOffer;
pub use crate::explain::{Explanation, Outcome, Verdict};
pub use crate::gateway::{GatewayTerms, OnFailure};
pub use crate::layout::{LeftAlone, layout};
pub use crate::lines::{Part, compare, worth_showing};
pub use crate::origin::{is_everywhere, network};
pub use crate::owner::{cared_for, owner_of, role_of};
pub use crate::plan::{Change, Effect, Plan, Way};
pub use crate::propose::{Asks, Proposal, ProposedResource, resources as propose_resources};
pub use crate::scene::Matter;
pub use crate::ticket::flaw as ticket_flaw;
pub use crate::trial::TestOutcome;
pub use crate::vacancy::{Lack, Membership, Vacancy};

use crate::diagnostic::{At, Problems};
use crate::document::Document;
use crate::index::Index;

/// The JSON Schema (draft 2020-12) of one file of a policy, for editors. What a schema cannot say (that a name is declared, that
/// a window opens) only [`Policy::load`] finds.
pub const SCHEMA: &str = include_str!("schema.json");

/// One file of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name, as diagnostics tell it: a path below the policy's folder.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What a policy asks of the directory of people. An answer must not change while one question is decided.
pub trait Directory {
    /// The account of this id, active or not.
    fn person(&self, id: PersonId) -> Option<&Person>;

    /// The active account of this login.
    fn by_login(&self, login: &str) -> Option<&Person>;

    /// The active members of a group.
    fn members(&self, group: &Name) -> Vec<PersonId>;

    /// The last delegation of this person, whether or not it is in force.
    fn delegation(&self, of: PersonId) -> Option<&Delegation> {
        self.person(of)?.delegation.as_deref()
    }

    /// Those whose last delegation is to this person, whether or not it is in force. A directory that keeps none has none.
    fn delegators(&self, _to: PersonId) -> Vec<PersonId> {
        Vec::new()
    }
    /// Whether this account is locked: it reviews nothing, and what it reviewed does not count.
    fn is_locked(&self, id: PersonId) -> bool;
}

/// A question to the policy.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Who asks, and will hold the access.
    pub who: PersonId,
    /// What for; at least one.
    pub items: &'a BTreeSet<Item>,
    /// The roles of environments that were named, of which [`Policy::expand`] made items: for words only.
    pub environments: &'a [EnvironmentRole],
    /// For how long; `None` for as long as the rule gives by itself.
    pub duration: Option<Span>,
    /// Whether a reason is given. A preview says `true`: it asks what would be possible.
    pub has_reason: bool,
    /// The ticket, as it was given.
    pub ticket: Option<&'a str>,
    /// Whether it lengthens a grant that there is.
    pub extends: bool,
    /// Whether it is asked as in an emergency, by the verb that says so: only then are the rules for emergencies looked at,
    /// and then no others.
    pub break_glass: bool,
    /// The access is not to begin before this instant. Conditions about time are about that one.
    pub start: Option<Timestamp>,
    /// The deadline of the grant that it lengthens: what is added begins there.
    pub deadline: Option<Timestamp>,
    /// Since when that grant is active: what it may last in total is reckoned from there. For words only.
    pub since: Option<Timestamp>,
    /// What this person has asked for and had, as far back as [`Policy::reach`] says.
    pub past: &'a Past,
    /// The address that it is asked from, where that is certain.
    pub from: Option<IpAddr>,
    /// When whoever asks last proved who they are; `None` where they came by something that cannot prove it.
    pub confirmed: Option<Timestamp>,
    /// Whether whoever reads the answer may read the policy. For words only.
    pub reads_policy: bool,
    /// When it is asked.
    pub now: Timestamp,
}

impl<'a> Ask<'a> {
    /// Somebody asks for these items, with a reason, as long as the rule gives by itself, from now on, who never had anything.
    #[must_use]
    pub fn new(who: PersonId, items: &'a BTreeSet<Item>, now: Timestamp) -> Self {
        Self {
            who,
            items,
            environments: &[],
            duration: None,
            has_reason: true,
            ticket: None,
            extends: false,
            break_glass: false,
            start: None,
            deadline: None,
            since: None,
            past: Past::nothing(),
            from: None,
            confirmed: None,
            reads_policy: false,
            now,
        }
    }

    /// When access would begin: at the start that is asked for, and never before now.
    pub(crate) fn begins(&self) -> Timestamp {
        self.start.map_or(self.now, |start| start.max(self.now))
    }
}

/// A free-form part of the policy that a provider reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section<'a> {
    /// The configuration of a connector, by its name.
    Connector(&'a str),
    /// The configuration of a resource, by its name.
    Resource(&'a str),
    /// What a role gives: the resource's name, the role's.
    Role(&'a str, &'a str),
}

/// A policy that was read, checked and compiled.
#[derive(Debug, Clone)]
pub struct Policy {
    sources: Vec<Source>,
    revision: Hash,
    document: Document,
    index: Index,
    /// How far back its limits look.
    reach: Reach,
}

impl Policy {
    /// Reads, checks and compiles the files of a policy. Its own tests are not run: see [`Policy::run_tests`].
    ///
    /// The order of the files does not matter; "file order" in the language is the order of their names.
    ///
    /// # Errors
    /// Everything that is wrong with it, as far as one run can find it.
    pub fn load(sources: &[Source]) -> Result<Self, Diagnostics> {
        let mut sources = sources.to_vec();
        sources.sort_by(|one, other| one.name.cmp(&other.name));
        let mut problems = Problems::new(&sources);
        files(&sources, &mut problems);
        let reading = read::read(&sources, &mut problems);
        check::check(&reading.document, &reading.declared, &mut problems);
        problems.finish()?;
        let document = reading.document;
        Ok(Self {
            revision: revision(&sources),
            index: Index::new(&document),
            reach: limit::reach(&document),
            document,
            sources,
        })
    }

    /// The policy before there is one: it knows no resource and admits nobody.
    #[must_use]
    pub fn empty() -> Self {
        let document = Document::default();
        Self {
            sources: Vec::new(),
            revision: revision(&[]),
            index: Index::new(&document),
            reach: limit::reach(&document),
            document,
        }
    }

    /// The SHA-256 over the names and texts of the files.
    #[must_use]
    pub const fn revision(&self) -> Hash {
        self.revision
    }

    /// The files, in the order of their names.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The resource of this name.
    #[must_use]
    pub fn resource(&self, name: &str) -> Option<&Resource> {
        self.index
            .resource(name)
            .and_then(|index| self.document.resources.get(index))
    }

    /// All resources, in file order.
    #[must_use]
    pub fn resources(&self) -> &[Resource] {
        &self.document.resources
    }

    /// The connector of this name.
    #[must_use]
    pub fn connector(&self, name: &str) -> Option<&Connector> {
        self.document
            .connectors
            .iter()
            .find(|connector| connector.name.as_str() == name)
    }

    /// All connectors, in file order.
    #[must_use]
    pub fn connectors(&self) -> &[Connector] {
        &self.document.connectors
    }

    /// Whether some rule ends access by what its sessions do.
    #[must_use]
    pub fn watches_sessions(&self) -> bool {
        let rules = &self.document.rules;
        rules
            .iter()
            .any(|rule| rule.end_when.iter().any(|(when, _)| when.is_about_sessions()))
    }

    /// Where rules end access by what its sessions do, and the resources that they do so for: not every kind of target can
    /// tell.
    #[must_use]
    pub fn session_endings(&self) -> Vec<(Diagnostic, Vec<&Resource>)> {
        let rules = self.document.rules.iter();
        let written = rules.flat_map(|rule| rule.end_when.iter().map(move |(when, at)| (rule, when, at)));
        let about_sessions = written.filter(|(_, when, _)| when.is_about_sessions());
        about_sessions
            .map(|(rule, when, at)| {
                let resources = self.document.resources.iter();
                let diagnostic = Diagnostic {
                    location: at.location(&self.sources),
                    message: format!("the rule {} ends access by \"{when}\"", rule.name),
                    hint: None,
                    span: (at.start, at.len),
                };
                (diagnostic, resources.filter(|one| rule.to.admits(one)).collect())
            })
            .collect()
    }

    /// The rules that ask nothing of the address that access is asked from, each with what it gives: not everything can be given
    /// without one.
    #[must_use]
    pub fn from_anywhere(&self) -> Vec<(Diagnostic, Vec<(&Resource, &Name)>)> {
        let rules = self.document.rules.iter().filter(|rule| rule.origin.is_none());
        rules
            .map(|rule| {
                let names = |role: &Name| {
                    let roles = rule.roles.as_ref();
                    roles.is_none_or(|roles| roles.iter().any(|(one, _)| one == role))
                };
                let resources = self.document.resources.iter().filter(|one| rule.to.admits(one));
                let roles = resources.flat_map(|one| one.roles.keys().map(move |name| (one, name)));
                let diagnostic = Diagnostic {
                    location: rule.at.location(&self.sources),
                    message: format!("the rule {} has no source", rule.name),
                    hint: None,
                    span: (rule.at.start, rule.at.len),
                };
                (diagnostic, roles.filter(|(_, name)| names(name)).collect())
            })
            .collect()
    }

    /// How many tests the policy holds.
    #[must_use]
    pub fn tests(&self) -> usize {
        self.document.tests.len()
    }

    /// Where a part of a free-form section stands, by JSON pointer (RFC 6901; `""` is all of it). For a part that is missing it
    /// is the nearest part around it, for a section that is missing the beginning of the policy.
    #[must_use]
    pub fn locate(&self, section: Section<'_>, pointer: &str) -> Location {
        self.find(section, pointer).location(&self.sources)
    }

    /// A diagnostic about a part of a free-form section, for what a provider finds wrong with it.
    #[must_use]
    pub fn diagnostic(&self, section: Section<'_>, pointer: &str, message: &str) -> Diagnostic {
        let at = self.find(section, pointer);
        Diagnostic {
            location: at.location(&self.sources),
            message: message.to_owned(),
            hint: None,
            span: (at.start, at.len),
        }
    }

    /// These diagnostics as one error of this policy, for what is found after loading.
    ///
    /// `None` where there are none.
    #[must_use]
    pub fn refuse(&self, found: Vec<Diagnostic>) -> Option<Diagnostics> {
        Diagnostics::new(found, &self.sources)
    }

    fn find(&self, section: Section<'_>, pointer: &str) -> At {
        let found = match section {
            Section::Connector(name) => self
                .connector(name)
                .map(|connector| (connector.at, &connector.places)),
            Section::Resource(name) => self
                .resource(name)
                .map(|resource| (resource.at, &resource.places)),
            Section::Role(resource, role) => self
                .resource(resource)
                .and_then(|resource| resource.roles.get(role))
                .map(|role| (role.at, &role.places)),
        };
        let start = At {
            line: 1,
            column: 1,
            ..At::default()
        };
        found.map_or(start, |(at, places)| places.find(pointer).unwrap_or(at))
    }
}

/// Notes what is wrong with the files before any is read.
fn files(sources: &[Source], problems: &mut Problems<'_>) {
    let start = |file| At {
        file,
        line: 1,
        column: 1,
        ..At::default()
    };
    if sources.is_empty() {
        problems.note(
            At::default(),
            "there is no policy file",
            "write one that begins with version: 1",
        );
    }
    for (index, pair) in sources.windows(2).enumerate() {
        if let [one, other] = pair
            && one.name == other.name
        {
            problems.note(start(index), "two files of the policy have this name", "");
        }
    }
}

/// Lengths stand before the texts, so that no two policies are spelt alike.
fn revision(sources: &[Source]) -> Hash {
    let mut bytes = Vec::new();
    for part in sources.iter().flat_map(|source| [&source.name, &source.text]) {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    Hash::of(&bytes)
}

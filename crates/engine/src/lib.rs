//! Use cases and the reconciler: what Daypass does, without the web and without wire types.
//!
//! [`Engine`] answers people: it decides by policy, changes state through the store's one `transition`, and reads.
//! [`reconcile::Reconciler`] makes the targets agree with that state. Neither reads a clock or draws randomness: time is the
//! store's, random bytes come through [`Entropy`], and whoever owns the event loop wakes the reconciler.

mod access;
mod authorities;
mod break_glass;
mod caller;
mod certificate;
mod changes;
mod confirm;
mod connectors;
mod current;
mod delegations;
mod directory;
mod edits;
mod engine;
mod error;
mod holdings;
mod inventory;
mod locks;
pub mod notices;
mod passage;
mod people;
mod policies;
mod questions;
pub mod reconcile;
mod reports;
mod requests;
mod restraint;
mod reveal;
mod services;
mod sessions;
mod succession;
mod tickets;
mod tokens;

pub use access::Ended;
pub use authorities::{Authority, Rotation};
pub use break_glass::LookBack;
pub use caller::{Caller, Via};
pub use certificate::HostFiles;
pub use changes::ChangeVerdict;
pub use connectors::{Connectors, Kinds};
pub use current::Current;
pub use delegations::{Awaits, NewDelegation};
pub use directory::Snapshot;
pub use edits::{Effects, told};
pub use engine::{Engine, Entropy, Parts, Settings};
pub use error::Error;
pub use holdings::{HoldingFilter, WhoHas};
pub use inventory::{Adrift, Drifted, HowAdrift, Row, StandingFilter, Survey, Surveyed, Surveyor, UnderWay};
pub use locks::{Lockable, LockedNow};
pub use passage::Pass;
pub use people::NewPerson;
pub use policies::{Checked, Finding};
pub use questions::{Explained, Held, Phase, Planned, Question, Reasons};
pub use reports::{ReportAsk, Reported};
pub use requests::{Made, NewRequest, Preview, Verdict};
pub use services::{owner_locked, role_of};
pub use sessions::{NewSession, OpenedSession};
pub use tokens::{NewToken, Proof};

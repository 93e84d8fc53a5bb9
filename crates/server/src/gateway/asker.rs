//! Which gateway asks: the one in this process, or one that runs apart, by its token and by what its run drew when it started.
//!
//! A gateway that runs apart is called what its service account is called, whatever it says of itself; it serves what its token
//! names. What a run of it opened is that run's alone: another process with the same token gets at nothing of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use daypass_core::name::Name;
use daypass_core::session;
use daypass_core::text::Hash;

use crate::edge;

/// A gateway.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    /// What it is called in the log.
    pub(crate) name: Name,
    /// Which run of it: the digest of what nobody else knows.
    run: Hash,
    /// What it may serve; `None` where it is this process's own, and serves everything.
    serves: Option<Arc<BTreeSet<Name>>>,
}

/// A run of a gateway: what it is called, and which one it is.
pub(super) type Run = (Name, Hash);

impl Asker {
    /// The one in this process.
    pub(super) fn own(name: Name) -> Self {
        Self {
            name,
            run: Hash::of(&edge::random::<32>()),
            serves: None,
        }
    }

    /// One that runs apart, and drew this when it started.
    pub(crate) fn apart(name: Name, drawn: &[u8; 32], serves: BTreeSet<Name>) -> Self {
        Self {
            name,
            run: Hash::of(drawn),
            serves: Some(Arc::new(serves)),
        }
    }

    /// Whether it runs apart from this process.
    pub(super) const fn is_apart(&self) -> bool {
        self.serves.is_some()
    }

    /// Which run it is.
    pub(super) fn run(&self) -> Run {
        (self.name.clone(), self.run)
    }

    /// What it says that it serves; nothing of the one in this process, which serves everything.
    pub(crate) fn named(&self) -> BTreeSet<Name> {
        self.serves.as_deref().cloned().unwrap_or_default()
    }

    /// Whether it may serve this resource.
    pub(super) fn serves(&self, resource: &Name) -> bool {
        self.serves
            .as_ref()
            .is_none_or(|serves| serves.contains(resource))
    }

    /// How a session says that this gateway has it, which asks this server.
    pub(super) fn of(&self, server: &Name) -> session::Gateway {
        session::Gateway {
            name: self.name.clone(),
            run: self.run,
            server: server.clone(),
        }
    }

    /// Whether this run has it.
    pub(super) fn has(&self, gateway: &session::Gateway) -> bool {
        gateway.name == self.name && gateway.run == self.run
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn one_that_runs_apart_serves_what_it_names_and_nothing_else() {
        let apart = Asker::apart(name("edge"), &[1; 32], BTreeSet::from([name("orders")]));
        assert!(apart.serves(&name("orders")) && !apart.serves(&name("billing")));
        assert!(!Asker::apart(name("edge"), &[1; 32], BTreeSet::new()).serves(&name("orders")));
        let own = Asker::own(name("server"));
        assert!(own.serves(&name("billing")) && !own.is_apart() && apart.is_apart());
    }

    #[test]
    fn what_a_run_opened_is_that_runs_alone() {
        let apart = |drawn| Asker::apart(name("edge"), &[drawn; 32], BTreeSet::new());
        let its = apart(1).of(&name("server"));
        assert!(apart(1).has(&its));
        assert!(!apart(2).has(&its), "another process with the same token");
        assert!(!Asker::own(name("edge")).has(&its));
        let own = Asker::own(name("server"));
        assert!(
            own.has(&own.of(&name("server"))) && !Asker::own(name("server")).has(&own.of(&name("server")))
        );
    }
}

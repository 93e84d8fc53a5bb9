//! What is recorded of directory and policy and this server has not read anew yet.
//!
//! It is kept until the reading worked: an old group still admits whom it no longer holds, and the next such event may be
//! days away. A server's own changes count too: what it read after one of them may have failed as well.

use std::fmt::Display;
use std::future::Future;

use daypass_core::behind::changes_directory;
use daypass_core::event::What;
use daypass_store::Entry;

/// See the module.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stale {
    directory: bool,
    policy: Policy,
}

/// How the policy in this process stands to the one in force.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Policy {
    #[default]
    Fresh,
    Stale,
    /// The same, and the operator has been told that it does not load.
    Reported,
}

impl Stale {
    /// Everything is to be read anew.
    pub(crate) const fn all() -> Self {
        Self {
            directory: true,
            policy: Policy::Stale,
        }
    }

    /// Whether nothing is left to be read.
    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Notes what these events make stale.
    pub(crate) fn note(&mut self, entries: &[Entry]) {
        for entry in entries {
            match &entry.event.what {
                What::Person(_) => self.directory |= changes_directory(&entry.event),
                // It is read together with who is locked.
                What::Lock(_) => self.directory = true,
                What::Policy(_) => self.policy = Policy::Stale,
                _ => {}
            }
        }
    }

    /// Reads what is stale; what does not work stays so, for the next turn.
    ///
    /// # Errors
    /// Where the directory cannot be read. A policy that does not load here is logged instead: it may stay so until
    /// this server is replaced, and events are to be told meanwhile. A change that the old one decides is refused, as its
    /// revision is compared.
    pub(crate) async fn mend<E: Display>(
        &mut self,
        directory: impl Future<Output = Result<(), E>>,
        policy: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        if self.policy != Policy::Fresh {
            self.policy = match policy.await {
                Ok(()) => Policy::Fresh,
                Err(error) => {
                    // Once, not each second.
                    if self.policy != Policy::Reported {
                        tracing::error!(%error, "the policy in force does not load here; it is tried again");
                    }
                    Policy::Reported
                }
            };
        }
        if self.directory {
            directory.await?;
            self.directory = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use daypass_core::event::{Actor, Event, PolicyEvent, Subject};
    use daypass_core::id::{PersonId, TokenId};
    use daypass_core::lock;
    use daypass_core::person::Change;
    use daypass_core::text::{Hash, Prose};
    use daypass_core::time::Timestamp;

    use super::*;

    fn entry(what: What) -> Entry {
        let subject = Subject::Person(PersonId::from_bytes([1; 10]));
        Entry {
            index: 0,
            leaf: Hash::of(b""),
            bytes: Vec::new(),
            event: Event::new(Timestamp::EPOCH, Actor::System, subject, what),
        }
    }

    #[test]
    fn only_what_changes_the_directory_or_the_policy_makes_them_stale() {
        let mut stale = Stale::default();
        let token = TokenId::from_bytes([2; 10]);
        stale.note(&[entry(What::Person(Change::TokenRevoked { token }))]);
        assert!(stale.is_none(), "nobody joins or leaves anything with a token");
        stale.note(&[entry(What::Person(Change::Deactivated))]);
        assert_eq!((stale.directory, stale.policy), (true, Policy::Fresh));
        let (by, why) = (PersonId::from_bytes([3; 10]), Prose::new([0; 16], "stolen"));
        let mut stale = Stale::default();
        stale.note(&[entry(What::Lock(lock::Event::Locked { by, why }))]);
        assert!(stale.directory, "who is locked is read with it");
        let mut issued = entry(What::Person(Change::TokenIssued {
            token,
            expires_at: Timestamp::MAX,
            key: None,
        }));
        let mut stale = Stale::default();
        stale.note(std::slice::from_ref(&issued));
        assert!(stale.is_none());
        issued.event.actor = Actor::Person(by);
        stale.note(&[issued]);
        assert!(stale.directory, "somebody else could ask through the account");
        let applied = PolicyEvent::Applied {
            revision: Hash::of(b"2"),
            files: Vec::new(),
            summary: Vec::new(),
            change: None,
        };
        let mut stale = Stale::default();
        stale.note(&[entry(What::Policy(applied))]);
        assert_eq!((stale.directory, stale.policy), (false, Policy::Stale));
    }

    /// A reading that comes to this, and is counted.
    async fn read(count: &Cell<u32>, outcome: Result<(), &'static str>) -> Result<(), &'static str> {
        count.set(count.get() + 1);
        outcome
    }

    #[tokio::test]
    async fn a_directory_that_could_not_be_read_is_read_in_the_next_turn() {
        let (people, policies) = (Cell::new(0), Cell::new(0));
        let mut stale = Stale::all();
        let failed = stale
            .mend(read(&people, Err("gone")), read(&policies, Ok(())))
            .await;
        assert_eq!(failed, Err("gone"));
        assert!(!stale.is_none());
        stale
            .mend(read(&people, Ok(())), read(&policies, Ok(())))
            .await
            .unwrap();
        assert!(stale.is_none());
        stale
            .mend(read(&people, Ok(())), read(&policies, Ok(())))
            .await
            .unwrap();
        assert_eq!(
            (people.get(), policies.get()),
            (2, 1),
            "what is fresh is not read"
        );
    }

    #[tokio::test]
    async fn a_policy_that_does_not_load_is_tried_again_and_holds_up_nothing() {
        let (people, policies) = (Cell::new(0), Cell::new(0));
        let mut stale = Stale::all();
        for _ in 0..2 {
            stale
                .mend(read(&people, Ok(())), read(&policies, Err("unknown")))
                .await
                .unwrap();
            assert!(!stale.is_none());
        }
        stale
            .mend(read(&people, Ok(())), read(&policies, Ok(())))
            .await
            .unwrap();
        assert!(stale.is_none());
        assert_eq!((people.get(), policies.get()), (1, 3));
    }
}

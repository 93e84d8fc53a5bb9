//! Which policy may come in force after which: none that forgets what it must still take away, and none that nobody could ever
//! replace. Both are asked in the transaction that puts it in force, or proposes it.

use daypass_core::id::PersonId;
use daypass_core::person::{Kind, SystemRole};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::time::Timestamp;
use daypass_core::world::World;
use daypass_policy::{Connector, Policy};

use crate::changes::Next;
use crate::connectors::find;
use crate::current::Current;

impl Next {
    /// Whether this policy may come in force in the place of the one that is. `world` is that of a transition in which nothing
    /// else is decided.
    ///
    /// # Errors
    /// [`Code::InUse`] where a connector that has access to take away would be forgotten or be another one, and
    /// [`Code::NoReviewer`] where nobody could ever agree to a change of it.
    pub(crate) fn may_come(&self, current: &Current, world: &World) -> Result<(), Refusal> {
        keeps_connectors(&self.policy, current, world)?;
        can_be_changed(&self.policy, current)
    }
}

/// A connector may not vanish, or move, while access of its making stands, or is on its way: it could never be taken away.
fn keeps_connectors(next: &Policy, current: &Current, world: &World) -> Result<(), Refusal> {
    for name in &world.connectors {
        let what = match (
            current.policy.connector(name.as_str()),
            next.connector(name.as_str()),
        ) {
            (_, None) => "a policy without it would forget that",
            (Some(now), Some(then)) if !same_target(current, now, then) => {
                "another target under its name would be read instead, and never had it"
            }
            _ => continue,
        };
        let what = format!("the connector {name} still has access to take away; {what}");
        let hint = "end its grants first (daypass audit ls shows them), or give the new target another name";
        return Err(Refusal::new(Code::InUse, what).hint(hint));
    }
    Ok(())
}

/// Whether two configurations of a connector reach the same target, as far as their kind can tell.
fn same_target(current: &Current, one: &Connector, other: &Connector) -> bool {
    let reached = |connector: &Connector| {
        let kind = find(&current.kinds, &connector.kind).ok()?;
        Some((connector.kind.clone(), kind.reaches(&connector.config)))
    };
    reached(one) == reached(other)
}

/// Whether others could agree to the changes that some administrator proposes once this policy is in force. Who has not
/// settled yet will have: a policy that nobody could ever replace is not put in force.
fn can_be_changed(next: &Policy, current: &Current) -> Result<(), Refusal> {
    let Some(steps) = next.control() else {
        return Ok(());
    };
    let directory = current.directory.as_ref();
    let proposes = |id: PersonId| next.can_agree(id, &steps, directory, Timestamp::MAX).is_ok();
    let mut people = directory.people();
    if people.any(|person| {
        person.active
            && person.kind == Kind::Person
            && person.role == SystemRole::Administrator
            && proposes(person.id)
    }) {
        return Ok(());
    }
    let what = "with this policy in force nobody could ever change it: whoever proposes a change, too few others could agree to it";
    Err(Refusal::new(Code::NoReviewer, what)
        .hint("enter the people whom `policy: {approval: …}` asks first, or ask others"))
}

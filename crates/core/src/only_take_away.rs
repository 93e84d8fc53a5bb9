//! What may still be recorded while a server only takes access away: because its store does not go on from what was signed, so
//! that nobody knows what was decided since.
//!
//! The store asks [`check`] of every event, in the transaction that would record it: no use case can forget to. The matches name
//! every event, so that a new one does not compile before somebody has said on which side it is.

use crate::event::{LogEvent, PolicyEvent, What};
use crate::refusal::{Code, Refusal};
use crate::{change, entitlement, grant, key, lock, person, request, session};

/// Whether this may be recorded: it ends or refuses something, says what was seen at a target, or lets somebody in who may do
/// nothing but that. Whatever gives, lengthens or brings access nearer may not, and neither may what changes by whom and by which
/// rules it is given.
///
/// # Errors
/// [`Code::OnlyTakesAway`] where it may not.
pub fn check(what: &What) -> Result<(), Refusal> {
    if takes_away(what) { Ok(()) } else { Err(refusal()) }
}

/// What somebody is told who asks for more than that.
#[must_use]
pub fn refusal() -> Refusal {
    Refusal::new(
        Code::OnlyTakesAway,
        "this server only takes access away: its store does not go on from what was signed, so nobody knows what was decided since",
    )
    .hint(
        "giving back, revoking, denying and locking work; the operator has to look: daypass doctor says what happened",
    )
}

const fn takes_away(what: &What) -> bool {
    match what {
        What::Request(event) => of_request(event),
        What::Grant(event) => of_grant(event),
        What::Entitlement(event) => of_entitlement(event),
        What::Person(change) => of_person(change),
        What::Lock(lock::Event::Locked { .. }) | What::Log(LogEvent::Continued { .. }) => true,
        What::Lock(lock::Event::Unlocked { .. }) | What::Policy(PolicyEvent::Applied { .. }) => false,
        What::Change(event) => of_change(event),
        What::Key(
            key::Event::Resealed { .. }
            | key::Event::Staged { .. }
            | key::Event::Changed { .. }
            | key::Event::Withdrawn { .. },
        ) => false,
        What::Session(event) => of_session(event),
    }
}

const fn of_request(event: &request::Event) -> bool {
    use request::Event as E;
    match event {
        E::Denied { .. } | E::Withdrawn | E::Lapsed { .. } | E::ReviewOverdue => true,
        // One who is asked as well may be the one who agrees. A look back is no end of anything, and would be lost with this store.
        E::Created { .. }
        | E::Reviewed { .. }
        | E::Escalated { .. }
        | E::Approved { .. }
        | E::Acknowledged { .. } => false,
    }
}

const fn of_grant(event: &grant::Event) -> bool {
    use grant::Event as E;
    match event {
        E::Ending { .. } | E::Overdue | E::Ended { .. } => true,
        // What became active would last from then on.
        E::Opened { .. }
        | E::Begun { .. }
        | E::Activated { .. }
        | E::Extended { .. }
        | E::CredentialIssued { .. }
        | E::Told { .. } => false,
    }
}

const fn of_entitlement(event: &entitlement::Event) -> bool {
    use entitlement::Event as E;
    match event {
        // Without an intent no call is made that gives anything.
        E::Intended { .. } => false,
        E::Removing { .. }
        | E::Provisioned { .. }
        | E::Revoked
        | E::VerifiedAbsent { .. }
        | E::Failing { .. }
        | E::DriftFound { .. } => true,
    }
}

const fn of_person(change: &person::Change) -> bool {
    use person::Change as E;
    match change {
        // A session: nobody could revoke or lock anything otherwise. API tokens are refused where they are asked for.
        E::TokenIssued { .. } | E::TokenRevoked { .. } | E::DelegationEnded { .. } | E::Deactivated => true,
        // What was given to a handle ends with it.
        E::Handle { handle: None, .. } => true,
        E::Added { .. }
        | E::Groups { .. }
        | E::Manager { .. }
        | E::Role { .. }
        | E::Mail { .. }
        | E::Handle { handle: Some(_), .. }
        | E::Owner { .. }
        | E::Credentials
        | E::Delegated { .. }
        | E::Reactivated => false,
    }
}

const fn of_change(event: &change::Event) -> bool {
    use change::Event as E;
    match event {
        E::Denied { .. } | E::Withdrawn | E::Lapsed { .. } => true,
        E::Proposed { .. } | E::Reviewed { .. } | E::Escalated { .. } | E::Applied { .. } => false,
    }
}

const fn of_session(event: &session::Event) -> bool {
    use session::Event as E;
    match event {
        E::Recorded { .. } | E::Killed { .. } | E::Closed { .. } => true,
        // That somebody looked would be lost with this store; and what goes, goes when somebody knows what was decided.
        E::Opened { .. } | E::Watched | E::Replayed | E::RecordingRemoved => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::Reason;

    #[test]
    fn an_end_is_recorded_and_a_beginning_is_not() {
        let ends = What::Grant(grant::Event::Ending {
            reason: Reason::Expired,
        });
        assert_eq!(check(&ends), Ok(()));
        assert_eq!(check(&What::Person(person::Change::Deactivated)), Ok(()));
        let begins = What::Grant(grant::Event::Begun {
            window_ends: crate::time::Timestamp::EPOCH,
        });
        let refused = check(&begins).unwrap_err();
        assert_eq!(refused.code, Code::OnlyTakesAway);
        assert!(check(&What::Person(person::Change::Reactivated)).is_err());
    }
}

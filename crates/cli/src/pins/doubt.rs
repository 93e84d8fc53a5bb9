//! What a server may still be asked whose log is not the one that was seen: what only takes access away, and what only reads. In an
//! emergency a finding about the log must not be what keeps somebody from revoking. It is told, kept, and the command goes on.

use daypass_api::client::Call;
use daypass_api::request::Decision;
use daypass_api::route::Route;

/// Whether it is asked all the same. Names every route, so that a new one does not compile before somebody has decided.
#[expect(clippy::too_many_lines, reason = "one line for each route")]
pub(super) const fn goes_on(call: Call) -> bool {
    use Route as R;
    match call.route {
        // One who says no takes nothing but a wait from anybody.
        R::Review | R::ReviewChange => matches!(call.decision, Some(Decision::Deny)),
        R::Revoke
        | R::Release
        | R::KillSession
        | R::Cancel
        | R::WithdrawChange
        | R::PersonDeactivate
        | R::RevokeToken
        | R::Lock
        | R::EndDelegation
        | R::TicketClosed
        | R::Logout => true,
        // A store that went back knows no session of today: nobody could revoke anything.
        R::Login => true,
        // A host says what it refuses. What it does with what it was told is decided in `ssh-host sync`.
        R::SshAcknowledge => true,
        // No command asks these. A gateway that runs apart has no pin; what it tells of ends would be told.
        R::GatewayClose | R::GatewayRecord | R::GatewayEvents => true,
        R::GatewayRegister
        | R::GatewayChallenge
        | R::GatewayProve
        | R::GatewayOpen
        | R::GatewayWait
        | R::GatewayRenew => false,
        R::Whoami
        | R::Requests
        | R::Request
        | R::Grants
        | R::Grant
        | R::Sessions
        | R::Session
        | R::SessionRecording
        | R::WatchSession
        | R::SshAuthority
        | R::SshKrl
        | R::SshHost
        | R::Resources
        | R::Environments
        | R::Events
        | R::AuditEvents
        | R::AuditCheckpoint
        | R::AuditKey
        | R::AuditKeyLinks
        | R::AuditTile
        | R::AuditEntries
        | R::AuditProof
        | R::GrantProof
        | R::Policy
        | R::PolicyRevisions
        | R::PolicyRevision
        | R::PolicyDiff
        | R::Access
        | R::AccessMatrix
        | R::Standing
        | R::Drift
        | R::Reports
        | R::Why
        | R::Changes
        | R::Change
        | R::People
        | R::Groups
        | R::Tokens
        | R::Locks
        | R::Delegations
        | R::Connectors
        | R::Found
        | R::Sealing
        | R::LogKey
        | R::Doctor
        | R::Healthz
        | R::Readyz
        | R::Metrics
        | R::OpenApi => true,
        // They ask, or are how one begins to.
        R::Preview | R::AddRequest | R::BreakGlass | R::PreviewBreakGlass | R::Extend => false,
        R::Credentials | R::Certificate | R::GatewayCredential | R::AddSshKey => false,
        R::Confirm
        | R::Acknowledge
        | R::ApplyPolicy
        | R::CheckPolicy
        | R::PlanPolicy
        | R::ExplainPolicy
        | R::AddPerson
        | R::PersonGroups
        | R::PersonManager
        | R::PersonOwner
        | R::PersonRole
        | R::PersonMail
        | R::PersonHandle
        | R::PersonPassword
        | R::PersonReactivate
        | R::AddToken
        | R::Unlock
        | R::Delegate
        | R::RotateConnector
        | R::Survey
        | R::RotateSealing
        | R::RotateLogKey => false,
    }
}

#[cfg(test)]
mod tests {
    use daypass_api::route::Method;

    use super::*;

    #[test]
    fn in_doubt_all_is_read_and_only_what_takes_away_is_done() {
        let done: Vec<_> = Route::ALL
            .iter()
            .filter(|route| route.method() != Method::Get && goes_on((**route).into()))
            .collect();
        assert_eq!(
            done,
            [
                &Route::Login,
                &Route::Logout,
                &Route::Cancel,
                &Route::Revoke,
                &Route::Release,
                &Route::KillSession,
                &Route::SshAcknowledge,
                &Route::GatewayClose,
                &Route::GatewayRecord,
                &Route::WithdrawChange,
                &Route::PersonDeactivate,
                &Route::RevokeToken,
                &Route::Lock,
                &Route::EndDelegation,
                &Route::TicketClosed,
            ]
        );
        let mut reads = Route::ALL.iter().filter(|route| route.method() == Method::Get);
        assert!(reads.all(|route| goes_on((*route).into())));
    }

    #[test]
    fn a_no_is_said_in_doubt_and_a_yes_is_not() {
        for route in [Route::Review, Route::ReviewChange] {
            let says = |decision| goes_on(Call { route, decision });
            assert!(says(Some(Decision::Deny)));
            assert!(!says(Some(Decision::Approve)));
            assert!(!says(None));
        }
    }
}

//! Exit codes. They are a promise to scripts; `docs/cli.md` lists them.

use daypass_api::ProblemCode;
use daypass_core::refusal::Code;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(u8);

impl Exit {
    /// Done.
    pub const DONE: Self = Self(0);
    /// Something went wrong.
    pub const ERROR: Self = Self(1);
    /// The command line or its input is not of the form that was asked for.
    pub const USAGE: Self = Self(2);
    /// The policy or one's role does not allow it.
    pub const NOT_ELIGIBLE: Self = Self(3);
    /// Nobody is logged in.
    pub const LOGIN_NEEDED: Self = Self(4);
    /// A reviewer said no.
    pub const DENIED: Self = Self(5);
    /// It is still undecided; waiting timed out.
    pub const STILL_PENDING: Self = Self(6);
    /// It has expired, was revoked or has lapsed.
    pub const OVER: Self = Self(7);
    /// A test of the policy failed.
    pub const POLICY_TEST_FAILED: Self = Self(8);
    /// It was agreed to, and the access could not be set up.
    pub const NOT_SET_UP: Self = Self(9);
    /// The server's log is not the one that was seen before: it was not asked for anything.
    pub const OTHER_LOG: Self = Self(10);
    /// A wrapper failed itself, and its child did not run or its code is not known.
    pub const WRAPPER_FAILED: Self = Self(125);

    /// The code of a child, passed on.
    #[must_use]
    pub const fn of_child(code: u8) -> Self {
        Self(code)
    }

    /// The code as the system gets it.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// What a problem ends a command with.
    pub(crate) const fn of_problem(code: ProblemCode) -> Self {
        match code {
            ProblemCode::Refusal(code) => Self::of_refusal(code),
            ProblemCode::Unauthenticated | ProblemCode::LoginFailed => Self::LOGIN_NEEDED,
            ProblemCode::IdempotencyMismatch
            | ProblemCode::IdempotencyInProgress
            | ProblemCode::RateLimited
            | ProblemCode::TooLarge
            | ProblemCode::TargetFailed
            | ProblemCode::Unavailable
            | ProblemCode::StoreFull
            | ProblemCode::Internal => Self::ERROR,
        }
    }

    const fn of_refusal(code: Code) -> Self {
        match code {
            Code::NotEligible
            | Code::OverMax
            | Code::OverTotal
            | Code::ReasonRequired
            | Code::Ticket
            | Code::Source
            | Code::Window
            | Code::Condition
            | Code::Recording
            | Code::Uses
            | Code::CoolDown
            | Code::TooManyOpen
            | Code::NoReviewer
            | Code::NoCommonRule
            | Code::OwnRequest
            | Code::NotReviewer
            | Code::MayNotReview
            | Code::ReviewForMore
            | Code::NotHolder
            | Code::OverLatestEnd
            | Code::Locked
            | Code::NoHandle
            | Code::Orphaned
            | Code::Forbidden
            | Code::GatewayOnly => Self::NOT_ELIGIBLE,
            Code::MfaRequired => Self::LOGIN_NEEDED,
            Code::Invalid => Self::USAGE,
            Code::GrantOver => Self::OVER,
            Code::PolicyTestFailed => Self::POLICY_TEST_FAILED,
            Code::NotFound
            | Code::UnknownResource
            | Code::UnknownRole
            | Code::UnknownPerson
            | Code::WrongState
            | Code::AlreadyDecided
            | Code::AlreadyReviewed
            | Code::DigestMismatch
            | Code::NothingLeft
            | Code::NotActive
            | Code::Stale
            | Code::AlreadyStanding
            | Code::Exists
            | Code::InUse
            | Code::PolicyInvalid
            | Code::OnlyTakesAway => Self::ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_problem_ends_in_success() {
        let refusals = Code::ALL.iter().copied().map(ProblemCode::Refusal);
        for code in refusals.chain(ProblemCode::OTHERS.iter().copied()) {
            let exit = Exit::of_problem(code).code();
            assert!((1..=8).contains(&exit), "{code} ends with {exit}");
        }
    }

    #[test]
    fn the_codes_that_scripts_rely_on() {
        for (code, exit) in [
            (ProblemCode::Refusal(Code::NotEligible), 3),
            (ProblemCode::Refusal(Code::OverMax), 3),
            (ProblemCode::Unauthenticated, 4),
            (ProblemCode::Refusal(Code::GrantOver), 7),
            (ProblemCode::Refusal(Code::PolicyTestFailed), 8),
            (ProblemCode::Internal, 1),
        ] {
            assert_eq!(Exit::of_problem(code).code(), exit, "{code}");
        }
    }
}

//! From an answer of ARM, Graph or Entra to a fault, in words that name what is missing.

use daypass_core::entitlement::Fault;
use serde_json::Value;

use super::ids::text;
use crate::Error;

/// An answer that says no.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: u16,
    /// The vendor's code, such as `AuthorizationFailed`.
    pub(super) code: String,
    /// The vendor's words. They name the action and the scope where a right is missing.
    pub(super) message: String,
}

impl Refusal {
    /// Reads one from a body. ARM and Graph write `{"error": {"code", "message"}}`, Entra `{"error", "error_description"}`.
    pub(super) fn read(status: u16, body: &Value) -> Self {
        let (code, message) = match body.pointer("/error") {
            Some(Value::String(code)) => (code.as_str(), text(body, "/error_description")),
            _ => (text(body, "/error/code"), text(body, "/error/message")),
        };
        Self {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }

    /// Whether it is this one.
    pub(super) fn is(&self, code: &str) -> bool {
        self.code.eq_ignore_ascii_case(code)
    }

    /// What it means for whoever called.
    pub(super) fn fault(&self) -> Fault {
        match self.code.as_str() {
            "RoleAssignmentExists" => return Fault::AlreadyStanding,
            "ScopeLocked" | "ReadOnlyDisabledSubscription" => return Fault::Denied,
            "PrincipalNotFound" | "RoleDefinitionDoesNotExist" | "Request_ResourceNotFound" => {
                return Fault::NotFound;
            }
            "AnotherOperationInProgress"
            | "RetryableError"
            | "SecurityRuleConflict"
            | "PendingRoleAssignmentRequest" => return Fault::Conflict,
            _ => {}
        }
        match self.status {
            401 | 403 => Fault::Denied,
            404 => Fault::NotFound,
            409 | 412 => Fault::Conflict,
            429 => Fault::RateLimited,
            408 | 500..=599 => Fault::Unavailable,
            400 | 405 | 413 | 422 => Fault::Misconfigured,
            _ => Fault::Bug,
        }
    }

    /// The same as an error of the call that was made.
    pub(super) fn error(&self, doing: &str) -> Error {
        let hint = match self.fault() {
            Fault::Denied if self.is("ScopeLocked") => {
                "; a lock keeps it: take the lock away, or change it there"
            }
            Fault::Denied => "; docs/providers/azure.md has the role that Daypass needs",
            _ => "",
        };
        let code = match self.code.as_str() {
            "" => format!("status {}", self.status),
            code => format!("{code} ({})", self.status),
        };
        // The vendor's words may be long; what we add must not be cut away.
        let message: String = self.message.chars().take(220).collect();
        Error::new(self.fault(), format!("{doing}: {code}: {message}{hint}"))
    }
}

/// An answer that is not as the vendor's description has it.
pub(super) fn odd(doing: &str, what: &str) -> Error {
    Error::new(Fault::Bug, format!("{doing}: the answer {what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_no_is_the_fault_that_it_is() {
        let of = |status, code: &str| {
            Refusal::read(status, &json!({"error": {"code": code, "message": "m"}})).fault()
        };
        assert_eq!(of(403, "AuthorizationFailed"), Fault::Denied);
        assert_eq!(of(409, "RoleAssignmentExists"), Fault::AlreadyStanding);
        assert_eq!(of(409, "ScopeLocked"), Fault::Denied);
        assert_eq!(of(400, "PrincipalNotFound"), Fault::NotFound);
        assert_eq!(of(429, "RetryableError"), Fault::Conflict);
        assert_eq!(of(429, "TooManyRequests"), Fault::RateLimited);
        assert_eq!(of(409, "Conflict"), Fault::Conflict);
        assert_eq!(of(503, ""), Fault::Unavailable);
        assert_eq!(of(400, "InvalidParameter"), Fault::Misconfigured);
        assert_eq!(of(418, ""), Fault::Bug);
    }

    #[test]
    fn a_missing_right_is_named_and_a_long_answer_is_cut() {
        let words = "The client does not have authorization to perform action 'Microsoft.Authorization/roleAssignments/write'";
        let body = json!({"error": {"code": "AuthorizationFailed", "message": words}});
        let error = Refusal::read(403, &body).error("making the role assignment");
        assert!(error.detail.contains("roleAssignments/write") && error.detail.contains("azure.md"));
        let long = json!({"error": "invalid_client", "error_description": "x".repeat(5000)});
        let refusal = Refusal::read(401, &long);
        assert!(refusal.is("invalid_client") && refusal.error("a").detail.len() <= 400);
    }
}

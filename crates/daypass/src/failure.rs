//! Why a command of this machine did not do what was asked, in the house style: what and why, then what to try.

use std::fmt;

use daypass_engine::Error as EngineError;
use daypass_server::config::ConfigError;
use daypass_server::{HashError, StartError};

/// A failed command: what standard error is told, and how the process ends (the codes of `docs/cli.md`).
#[derive(Debug)]
pub(crate) struct Failure {
    /// The process's exit code.
    pub(crate) exit: u8,
    what: String,
    hint: Option<String>,
}

/// The exit code of what went wrong.
const ERROR: u8 = 1;
/// The exit code of a command line, or input, that is not of the form that was asked for.
const USAGE: u8 = 2;
/// The exit code of a policy whose tests fail.
const POLICY_TEST_FAILED: u8 = 8;

impl Failure {
    /// Something stands in the way.
    pub(crate) fn error(what: impl Into<String>) -> Self {
        Self {
            exit: ERROR,
            what: what.into(),
            hint: None,
        }
    }

    /// The input is not of the form that was asked for.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self {
            exit: USAGE,
            ..Self::error(what)
        }
    }

    /// The policy's own tests fail.
    pub(crate) fn policy_test(what: impl Into<String>) -> Self {
        Self {
            exit: POLICY_TEST_FAILED,
            ..Self::error(what)
        }
    }

    /// The same with what to try instead.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "✗ {}", self.what)?;
        if let Some(hint) = &self.hint {
            // A hint may say so itself.
            write!(f, "\n  Try: {}", hint.strip_prefix("try: ").unwrap_or(hint))?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        // It brings its own "Try".
        Self::error(error.to_string())
    }
}

impl From<daypass_store::Error> for Failure {
    fn from(error: daypass_store::Error) -> Self {
        match error {
            daypass_store::Error::Refused(refusal) => refusal.into(),
            other => Self::error(other.to_string()),
        }
    }
}

impl From<daypass_core::refusal::Refusal> for Failure {
    fn from(refusal: daypass_core::refusal::Refusal) -> Self {
        let tests = refusal.code == daypass_core::refusal::Code::PolicyTestFailed;
        Self {
            exit: if tests { POLICY_TEST_FAILED } else { ERROR },
            what: refusal.what,
            hint: refusal.hint,
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused(refusal) => refusal.into(),
            EngineError::Policy(found) => {
                Self::error(format!("the policy does not load:\n{}", indented(&found)))
            }
            EngineError::Store(error) => error.into(),
            EngineError::Target(error) => Self::error(error.to_string()),
            // A start proposes nothing; whoever does is told what waits.
            waits @ EngineError::Waits(_) => Self::error(waits.to_string()),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Engine(error) => error.into(),
            StartError::Store(error) => error.into(),
            other @ StartError::Listen { .. } => {
                Self::error(other.to_string()).hint("another address: listen in server.yaml (or --port)")
            }
            other => Self::error(other.to_string()),
        }
    }
}

impl From<HashError> for Failure {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Refused(refusal) => Self {
                exit: USAGE,
                ..refusal.into()
            },
            HashError::Broken(error) => Self::error(error.to_string()),
        }
    }
}

/// One thing a line, each indented.
fn indented(text: &impl fmt::Display) -> String {
    let lines: Vec<String> = text.to_string().lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_then_what_to_try() {
        let failure = Failure::usage("no name was given").hint("try: daypass init --admin ana");
        assert_eq!(
            failure.to_string(),
            "✗ no name was given\n  Try: daypass init --admin ana"
        );
        assert_eq!(failure.exit, 2);
    }
}

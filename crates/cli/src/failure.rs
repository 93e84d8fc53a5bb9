//! Why a command did not do what was asked, in the house style: what and why, then what to try.

use daypass_api::{Problem, ProblemCode, client};

use crate::exit::Exit;
use crate::line::{Line, Style};

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// How the process ends.
    pub(crate) exit: Exit,
    /// The stable kind, where the server gave one.
    pub(crate) code: Option<ProblemCode>,
    what: String,
    details: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            code: None,
            what: what.into(),
            details: Vec::new(),
            hint: None,
        }
    }

    /// The input is not of the form that was asked for.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::USAGE, what)
    }

    /// Something on this machine stands in the way.
    pub(crate) fn error(what: impl Into<String>) -> Self {
        Self::new(Exit::ERROR, what)
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With what was found, a line each.
    #[must_use]
    pub(crate) fn with(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }

    #[must_use]
    pub(crate) const fn ending(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// What and why, and what to try.
    pub(crate) fn told(&self) -> (&str, Option<&str>) {
        (&self.what, self.hint.as_deref())
    }

    /// For people: `✗ what`, the details, `  Try: …`.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let mut lines = vec![Line::new().with(Style::Bad, "✗ ").text(&self.what)];
        lines.extend(
            self.details
                .iter()
                .map(|detail| Line::new().text("  ").text(detail)),
        );
        if let Some(hint) = &self.hint {
            // A hint may say so itself.
            let hint = hint.strip_prefix("try: ").unwrap_or(hint);
            lines.push(Line::new().text("  Try: ").text(hint));
        }
        lines
    }

    /// For programs: one object, of which `type` is stable.
    pub(crate) fn json(&self) -> serde_json::Value {
        let mut value = serde_json::json!({"detail": self.what, "exit": self.exit.code()});
        if let Some(fields) = value.as_object_mut() {
            if let Some(code) = self.code {
                fields.insert("type".into(), serde_json::json!(code));
            }
            if let Some(hint) = &self.hint {
                fields.insert("hint".into(), serde_json::json!(hint));
            }
            if !self.details.is_empty() {
                fields.insert("details".into(), serde_json::json!(self.details));
            }
        }
        value
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let mut details = Vec::new();
        for diagnostic in &problem.diagnostics {
            details.push(diagnostic.to_string());
            details.extend(diagnostic.help.iter().map(|help| format!("  {help}")));
        }
        for test in problem.tests.iter().filter(|test| !test.passed) {
            details.push(format!("{}: {}", test.location, test.name));
            details.push(format!("  expected {}, got {}", test.expected, test.got));
        }
        let hint = problem
            .hint
            .or_else(|| default_hint(problem.code).map(str::to_owned));
        let exit = Exit::of_problem(problem.code);
        Self {
            exit,
            code: Some(problem.code),
            what: problem.detail,
            details,
            hint,
        }
    }
}

const fn default_hint(code: ProblemCode) -> Option<&'static str> {
    match code {
        ProblemCode::Unauthenticated => Some("daypass login"),
        ProblemCode::IdempotencyMismatch => {
            Some("another idempotency key: this one belongs to another command")
        }
        ProblemCode::RateLimited => Some("the same in a minute"),
        ProblemCode::Internal => Some("the same again; the server's log says more"),
        _ => None,
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        match error {
            client::Error::Problem(problem) => (*problem).into(),
            client::Error::Waits(ref proposed) => {
                let hint = format!("daypass change show {}", proposed.change.id.short());
                Self::error(error.to_string()).hint(hint)
            }
            client::Error::Unreachable { .. } => Self::error(error.to_string())
                .hint("is the server running? Another one: DAYPASS_SERVER, or daypass login --server URL"),
            client::Error::Untrusted { .. } => Self::error(error.to_string()).hint(
                "is that the address? Where its certificate is your own, DAYPASS_CA names the CA's file",
            ),
            client::Error::NotDaypass { .. } => Self::error(error.to_string())
                .hint("check the address: DAYPASS_SERVER, or daypass login --server URL"),
            client::Error::Setup(_) => Self::usage(error.to_string()),
            client::Error::Distrusted(found) => Self {
                details: found.details,
                ..Self::new(Exit::OTHER_LOG, found.what).hint(found.hint)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use daypass_core::refusal::{Code, Refusal};

    use super::*;

    fn text(failure: &Failure) -> String {
        failure
            .lines()
            .iter()
            .map(|line| line.render(false))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn what_then_what_to_try() {
        let refusal = Refusal::new(
            Code::OverMax,
            "orders-prod/write for 3h is over the limit of 2h (rule prod-write)",
        )
        .hint("daypass request orders-prod/write --for 2h --reason \"PAY-7\"");
        let failure = Failure::from(Problem::from(refusal));
        assert_eq!(failure.exit, Exit::NOT_ELIGIBLE);
        assert_eq!(
            text(&failure),
            "✗ orders-prod/write for 3h is over the limit of 2h (rule prod-write)\n  \
             Try: daypass request orders-prod/write --for 2h --reason \"PAY-7\""
        );
        assert_eq!(failure.json().get("type").unwrap(), "urn:daypass:over-max");
    }

    #[test]
    fn a_hostile_detail_is_shown_harmless() {
        let failure = Failure::from(Problem::new(Code::Invalid, "\u{1b}[2Jall is well\u{202e}"));
        assert_eq!(text(&failure), "✗ <U+001B>[2Jall is well<U+202E>");
    }

    #[test]
    fn who_is_not_logged_in_is_told_how() {
        let failure = Failure::from(Problem::new(ProblemCode::Unauthenticated, "nobody is logged in"));
        assert_eq!(failure.exit, Exit::LOGIN_NEEDED);
        assert!(text(&failure).ends_with("Try: daypass login"));
    }
}

//! `policy explain`: each rule, and why it fits or not.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use daypass_api::explain::{Explain, Explanation, Fit, Verdict};
use daypass_api::preview::Preview;
use daypass_core::environment::Wanted;
use daypass_core::time::Span;

use super::files::Files;
use crate::commands::request::{When, asked};
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{instant, span};
use crate::line::{Line, Style};

/// Say what each rule says to a question, and why.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass policy explain ana orders-prod/write
  daypass policy explain ana orders-prod/write --for 3h --ticket PAY-7 --at 2026-03-07T22:10:00+01:00
  daypass policy explain ana staging/read reports/read --from 203.0.113.9     as one request
  daypass policy explain ana env:staging/debug                                all that the environment's role stands for
  daypass policy explain sam orders-prod/write --break-glass
  daypass policy explain ana orders-prod/write --file policy/                 by these files instead

The server answers, from its directory and the policy in force. Anybody may ask about themselves, auditors and administrators
about everybody; administrators by files that are not in force.
Ends with 3 where the policy says no.")]
pub struct ExplainArgs {
    /// Whose access, by login
    #[arg(value_name = "SUBJECT")]
    subject: String,

    /// What is asked for, as one request
    #[arg(required = true, value_name = "RESOURCE/ROLE|env:NAME/ROLE")]
    items: Vec<Wanted>,

    /// For how long [default: what the policy says]
    #[arg(long = "for", value_name = "TIME")]
    length: Option<Span>,

    /// When it is asked: a time in RFC 3339, or +2h from now
    #[arg(long, value_name = "WHEN")]
    at: Option<When>,

    /// From when on it is asked for: a time in RFC 3339, or +2h from now
    #[arg(long, value_name = "WHEN")]
    start: Option<When>,

    /// The address that it is asked from [default: for yourself the one that you call from, for others none]
    #[arg(long, value_name = "IP")]
    from: Option<IpAddr>,

    /// A ticket's name
    #[arg(long, value_name = "NAME")]
    ticket: Option<String>,

    /// As in an emergency
    #[arg(long)]
    break_glass: bool,

    /// Files, or folders of them: a policy to ask instead of the one in force
    #[arg(long = "file", value_name = "PATH")]
    files: Vec<PathBuf>,
}

impl ExplainArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let files = match self.files.as_slice() {
            [] => None,
            paths => Some(Files::read(paths)?.files()),
        };
        let (items, environments) = asked(self.items);
        let when = |when: Option<When>| when.map(|when| when.after(edge::now()));
        let question = Explain {
            subject: Some(self.subject),
            items,
            environments,
            duration: self.length,
            at: when(self.at),
            start: when(self.start),
            from: self.from,
            ticket: self.ticket,
            break_glass: self.break_glass,
            files,
        };
        let answer = context.client()?.explain_policy(&question).await?;
        let allowed = matches!(answer.decision, Preview::Allowed(_)) && answer.locked.is_none();
        context.out.one(
            &answer,
            || if allowed { "allowed" } else { "refused" }.to_owned(),
            || lines(&answer),
        );
        Ok(if allowed { Exit::DONE } else { Exit::NOT_ELIGIBLE })
    }
}

/// An explanation: the answer, then one line for each rule.
pub(crate) fn lines(answer: &Explanation) -> Vec<Line> {
    let what: Vec<_> = answer.items.iter().map(ToString::to_string).collect();
    let mut lines = vec![
        Line::new()
            .with(Style::Strong, &answer.subject)
            .text(" → ")
            .with(Style::Strong, what.join(", "))
            .with(Style::Faint, format!("  {}", instant(answer.at))),
    ];
    if let Some(locked) = &answer.locked {
        lines.push(Line::new().with(Style::Bad, "✗ ").text(format!(
            "{}; nothing is granted then, whatever the policy says",
            locked.detail
        )));
    }
    lines.push(decision(&answer.decision));
    if let Preview::Refused(refused) = &answer.decision {
        lines.extend(
            refused
                .hint
                .iter()
                .map(|hint| Line::new().text("  Try: ").text(hint)),
        );
    }
    if answer.limits_left_out {
        let what = "  limits are not counted: what somebody has had is known for now only, without --at";
        lines.push(Line::new().with(Style::Faint, what));
    }
    if answer.by_source {
        lines.push(Line::new().with(Style::Faint, asked_from(answer, &what)));
    }
    if answer.rules.is_empty() {
        lines.push(Line::new().with(Style::Faint, "  no rule is about this"));
    }
    lines.extend(answer.rules.iter().map(verdict));
    lines
}

/// From where it was taken to be asked, where a rule is about that.
fn asked_from(answer: &Explanation, what: &[String]) -> String {
    match answer.from {
        Some(from) => format!("  as asked from {from}"),
        None => format!(
            "  as asked from no address that is certain; for one: daypass policy explain {} {} --from IP",
            answer.subject,
            what.join(" ")
        ),
    }
}

fn decision(decision: &Preview) -> Line {
    match decision {
        Preview::Allowed(path) => {
            let who = match path.steps.as_slice() {
                [] if path.break_glass.is_some() => String::from("at once, looked at afterwards"),
                [] => String::from("nobody has to agree"),
                steps => {
                    let steps = steps.iter().map(|step| match step.count {
                        0 | 1 => step.from.clone(),
                        count => format!("{count} of {}", step.from),
                    });
                    steps.collect::<Vec<_>>().join(", then ")
                }
            };
            Line::new().with(Style::Good, "✓ allowed").text(format!(
                " by the rule {}: {who}; {} of at most {}",
                path.rule,
                span(path.duration),
                span(path.max)
            ))
        }
        Preview::Refused(refused) => Line::new()
            .with(Style::Bad, "✗ refused")
            .text(format!(" ({}): {}", refused.code, refused.detail)),
    }
}

fn verdict(verdict: &Verdict) -> Line {
    let (style, mark) = match verdict.fit {
        Fit::Taken => (Style::Good, "✓"),
        Fit::Fits => (Style::Good, "·"),
        Fit::AdmitsOthers | Fit::OtherVerb => (Style::Faint, "–"),
        Fit::Obstructed => (Style::Bad, "✗"),
    };
    Line::new()
        .with(style, format!("  {mark} "))
        .with(Style::Strong, verdict.rule.to_string())
        .with(Style::Faint, format!(" ({})", verdict.location))
        .text(format!(": {}", verdict.detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule that is about an address is told with the one that it was held against.
    #[test]
    fn from_where_it_was_taken_to_be_asked_is_told_where_it_matters() {
        let told = |more: serde_json::Value| {
            let mut answer = serde_json::json!({
                "subject": "ana", "items": [{"resource": "orders", "role": "read"}, {"resource": "users", "role": "read"}],
                "at": "2026-03-07T12:00:00Z", "policy_revision": "00".repeat(32),
                "decision": {"outcome": "refused", "code": "source", "detail": "elsewhere"}, "rules": [],
            });
            let fields = more.as_object().unwrap().clone();
            answer.as_object_mut().unwrap().extend(fields);
            let answer: Explanation = serde_json::from_value(answer).unwrap();
            let lines = lines(&answer);
            lines.iter().map(|line| line.render(false)).nth(2).unwrap()
        };
        assert_eq!(
            told(serde_json::json!({"by_source": true, "from": "203.0.113.9"})),
            "  as asked from 203.0.113.9"
        );
        assert_eq!(
            told(serde_json::json!({"by_source": true})),
            "  as asked from no address that is certain; for one: \
             daypass policy explain ana orders/read users/read --from IP"
        );
        assert_eq!(
            told(serde_json::json!({"from": "203.0.113.9"})),
            "  no rule is about this"
        );
    }

    #[test]
    fn the_answer_comes_first_and_each_rule_has_its_line() {
        let answer: Explanation = serde_json::from_value(serde_json::json!({
            "subject": "ana", "items": [{"resource": "orders", "role": "read"}], "at": "2026-03-07T12:00:00Z",
            "policy_revision": "00".repeat(32),
            "locked": {"code": "locked", "detail": "ana is locked"}, "limits_left_out": true,
            "decision": {"outcome": "refused", "code": "over-max", "detail": "too long", "hint": "ask for 1h"},
            "rules": [
                {"rule": "a", "location": "p:3", "fit": "admits-others", "detail": "does not fit: it admits leads"},
                {"rule": "b", "location": "p:4", "fit": "obstructed", "detail": "does not fit (over-max): too long", "code": "over-max"},
            ],
        }))
        .unwrap();
        let lines: Vec<_> = lines(&answer).iter().map(|line| line.render(false)).collect();
        assert!(lines[0].starts_with("ana → orders/read"), "{lines:?}");
        assert_eq!(
            lines[1..],
            [
                "✗ ana is locked; nothing is granted then, whatever the policy says",
                "✗ refused (over-max): too long",
                "  Try: ask for 1h",
                "  limits are not counted: what somebody has had is known for now only, without --at",
                "  – a (p:3): does not fit: it admits leads",
                "  ✗ b (p:4): does not fit (over-max): too long",
            ]
        );
    }
}

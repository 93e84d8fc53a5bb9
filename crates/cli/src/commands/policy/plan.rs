//! `policy plan`: who would gain and who would lose what.

use std::path::PathBuf;

use clap::Args;
use daypass_api::plan::{Effect, Plan, PlanChange, Way};
use daypass_api::policy::PolicyFiles;

use super::files::Files;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{count, span};
use crate::line::{Line, Style};

/// How many names stand in a line where not all are wanted.
const NAMES: usize = 3;
/// What is shown before somebody confirms: no more than a screen.
pub(super) const SCREEN: usize = 20;

/// Show who would gain and who would lose what by a policy.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass policy plan                     daypass.yaml, policy.yaml and policy/, where they are
  daypass policy plan policy/
  daypass policy plan policy/ --people    every name and every role
  daypass policy plan policy/ -o json     all of it, for programs

+ gained, - lost, ~ changed. The server asks the policy in force and this one about everybody and every role. Conditions (windows,
tickets, sources, expressions, forbidden windows) are supposed to hold, and are compared as they are written.
For auditors and administrators. Ends with 1 where the policy does not load.")]
pub struct PlanArgs {
    /// Files, or folders of them: all of the policy
    files: Vec<PathBuf>,

    /// List all people and roles of a change, not only the first
    #[arg(long)]
    people: bool,
}

impl PlanArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let files = Files::read(&self.files)?;
        let all = PolicyFiles {
            files: files.files(),
            replaces: None,
        };
        let plan = context.client()?.plan_policy(&all).await?;
        if !plan.diagnostics.is_empty() && !context.out.is_structured() {
            for diagnostic in &plan.diagnostics {
                files
                    .draw(diagnostic)
                    .into_iter()
                    .for_each(|line| context.out.warn(line));
            }
            return Ok(Exit::ERROR);
        }
        context.out.one(
            &plan,
            || plan.to.map_or_else(String::new, |to| to.to_string()),
            || {
                let mut lines = changes(&plan, self.people);
                lines.extend(remarks(&plan));
                lines
            },
        );
        Ok(if plan.diagnostics.is_empty() {
            Exit::DONE
        } else {
            Exit::ERROR
        })
    }
}

/// One line for each change.
pub(crate) fn changes(plan: &Plan, all: bool) -> Vec<Line> {
    plan.changes
        .iter()
        .map(|change| {
            let (style, mark) = match change.effect {
                Effect::Gained => (Style::Good, "+ "),
                Effect::Lost => (Style::Bad, "- "),
                _ => (Style::Warn, "~ "),
            };
            let verb = if change.break_glass { " by break-glass" } else { "" };
            Line::new()
                .with(style, mark)
                .with(Style::Strong, some(&change.people, "people", all))
                .text(" ")
                .with(Style::Strong, some(&change.items, "roles", all))
                .text(format!("{verb} {}", told(change)))
        })
        .collect()
}

/// What was asked and supposed, and what was not looked at.
pub(super) fn remarks(plan: &Plan) -> Vec<Line> {
    let mut lines = Vec::new();
    if plan.changes.is_empty() {
        lines.push(Line::from("nobody gains or loses anything"));
    }
    lines.push(Line::new().with(
        Style::Faint,
        format!(
            "{} were asked about {}; conditions are supposed to hold",
            match plan.people {
                1 => String::from("1 person"),
                people => format!("{people} people"),
            },
            count(plan.roles, "role")
        ),
    ));
    lines.extend(left_out(plan));
    lines
}

/// What was not looked at, where that is something.
pub(crate) fn left_out(plan: &Plan) -> Option<Line> {
    if plan.left_out == 0 {
        return None;
    }
    let text = format!(
        "{} were NOT compared: with so many people and rules it would have been too much work. The plan says nothing of these",
        count(plan.left_out, "role")
    );
    Some(Line::new().with(Style::Bad, "! ").text(text))
}

/// One name as it is; of several how many, and the first.
fn some<T: ToString>(names: &[T], what: &str, all: bool) -> String {
    match names {
        [one] => one.to_string(),
        _ => {
            let shown = if all { names.len() } else { NAMES };
            let first: Vec<String> = names.iter().take(shown).map(ToString::to_string).collect();
            let more = if names.len() > shown { ", …" } else { "" };
            format!("{} {what} ({}{more})", names.len(), first.join(", "))
        }
    }
}

fn told(change: &PlanChange) -> String {
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    let main = match (change.effect, before, after) {
        (Effect::Gained, _, Some(way)) | (Effect::Lost, Some(way), _) => format!("({})", whole(way)),
        (effect, Some(before), Some(after)) => between(effect, before, after),
        _ => String::new(),
    };
    let ways = |ways: &[Way], what: &str| {
        let told = ways.iter().map(|way| format!("; {what} ({})", whole(way)));
        told.collect::<String>()
    };
    format!(
        "{main}{}{}",
        ways(&change.dropped, "no more"),
        ways(&change.added, "also")
    )
}

/// `easier: manager, then security → nobody must agree (prod-write → prod-self)`
fn between(effect: Effect, before: &Way, after: &Way) -> String {
    let rules = if before.rule == after.rule {
        before.rule.to_string()
    } else {
        format!("{} → {}", before.rule, after.rule)
    };
    let max = if before.max == after.max {
        String::new()
    } else {
        format!(", max {} → {}", span(before.max), span(after.max))
    };
    let conditions = if before.conditions == after.conditions {
        String::new()
    } else {
        format!("; conditions {} → {}", conditions(before), conditions(after))
    };
    let what = match effect {
        Effect::Easier | Effect::Harder => {
            let word = if effect == Effect::Easier {
                "easier"
            } else {
                "harder"
            };
            format!("{word}: {} → {}{max}", before.asks, after.asks)
        }
        Effect::Longer => format!("longer: max {} → {}", span(before.max), span(after.max)),
        Effect::Shorter => format!("shorter: max {} → {}", span(before.max), span(after.max)),
        Effect::AsksOthers => {
            let asks = |way: &Way| way.afterwards.clone().unwrap_or_else(|| way.asks_in_full.clone());
            format!("asks others: {} → {}", asks(before), asks(after))
        }
        Effect::Conditions if before.usual != after.usual => {
            format!("usual length {} → {}", span(before.usual), span(after.usual))
        }
        Effect::Conditions => String::from("conditions changed"),
        Effect::OtherWays | Effect::Gained | Effect::Lost => String::from("other ways"),
    };
    format!("{what} ({rules}{conditions})")
}

fn conditions(way: &Way) -> String {
    if way.conditions.is_empty() {
        String::from("none")
    } else {
        way.conditions.join(" and ")
    }
}

/// `prod-write: manager, then security; max 2h; where ticket required`
fn whole(way: &Way) -> String {
    let asks = way.afterwards.as_ref().unwrap_or(&way.asks);
    let mut text = format!("{}: {asks}; max {}", way.rule, span(way.max));
    if !way.conditions.is_empty() {
        text.push_str(&format!("; where {}", conditions(way)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(changes: &serde_json::Value) -> Plan {
        serde_json::from_value(serde_json::json!({
            "from": "00".repeat(32), "to": "11".repeat(32), "diagnostics": [], "changes": changes,
            "people": 5, "roles": 2, "left_out": 3,
        }))
        .unwrap()
    }

    fn way(rule: &str, asks: &str, max: &str) -> serde_json::Value {
        serde_json::json!({"rule": rule, "steps": 1, "people": 1, "asks": asks, "asks_in_full": asks, "usual": "1h", "max": max})
    }

    #[test]
    fn a_change_is_one_line_however_many_it_concerns() {
        let item = |name: &str| serde_json::json!({"resource": name, "role": "write"});
        let with = |mut way: serde_json::Value, conditions: &[&str]| {
            way["conditions"] = serde_json::json!(conditions);
            way
        };
        let plan = plan(&serde_json::json!([
            {"effect": "gained", "break_glass": false, "people": ["ana"], "items": [item("orders")],
             "after": with(way("prod-write", "manager, then security", "2h"), &["ticket required"])},
            {"effect": "easier", "break_glass": false, "people": ["ana", "bo", "cy", "di", "eve"], "items": [item("a"), item("b")],
             "before": way("slow", "manager", "2h"), "after": way("fast", "nobody must agree", "4h"),
             "dropped": [way("old", "leads", "8h")]},
            {"effect": "conditions", "break_glass": false, "people": ["ana", "bo"], "items": [item("a")],
             "before": way("p", "leads", "2h"), "after": with(way("p", "leads", "2h"), &["window nights (every day 22:00–06:00 UTC)"])},
            {"effect": "lost", "break_glass": true, "people": ["sam"], "items": [item("orders")],
             "before": way("glass", "nobody must agree", "30m")},
        ]));
        let text = |lines: Vec<Line>| lines.iter().map(|line| line.render(false)).collect::<Vec<_>>();
        assert_eq!(
            text(changes(&plan, false)),
            [
                "+ ana orders/write (prod-write: manager, then security; max 2h; where ticket required)",
                "~ 5 people (ana, bo, cy, …) 2 roles (a/write, b/write) easier: manager → nobody must agree, max 2h → 4h \
                 (slow → fast); no more (old: leads; max 8h)",
                "~ 2 people (ana, bo) a/write conditions changed (p; conditions none → window nights (every day 22:00–06:00 UTC))",
                "- sam orders/write by break-glass (glass: nobody must agree; max 30m)",
            ]
        );
        assert!(text(changes(&plan, true))[1].contains("(ana, bo, cy, di, eve)"));
        let remarks = text(remarks(&plan)).join("\n");
        assert!(remarks.contains("3 roles were NOT compared"), "{remarks}");
    }
}

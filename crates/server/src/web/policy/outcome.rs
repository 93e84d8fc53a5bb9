//! What came of a question to the policy: the decision with all that it demands, and what each rule said.

use daypass_api::explain::{Explanation, Fit, Verdict};
use daypass_api::preview::{Path, Preview, StepPreview};

use crate::web::failed::Failed;
use crate::web::words::length;

/// See the module.
pub(super) enum Outcome {
    Told(Box<Told>),
    /// It was no question that can be answered.
    Not(Failed),
}

/// An answer.
pub(super) struct Told {
    pub(super) subject: String,
    pub(super) items: String,
    pub(super) at: String,
    pub(super) revision: String,
    /// Who or what is locked.
    pub(super) locked: Option<String>,
    pub(super) remarks: Vec<String>,
    pub(super) decision: Decision,
    pub(super) rules: Vec<Rule>,
}

pub(super) enum Decision {
    Allowed(Allowed),
    Refused {
        code: String,
        detail: String,
        hint: Option<String>,
    },
}

pub(super) struct Allowed {
    pub(super) rule: String,
    pub(super) location: String,
    /// In an emergency: at once, and looked at afterwards.
    pub(super) emergency: bool,
    pub(super) steps: Vec<Step>,
    /// Each a name and what it says.
    pub(super) demands: Vec<(&'static str, String)>,
}

pub(super) struct Step {
    pub(super) from: String,
    pub(super) count: u32,
    pub(super) reviewers: String,
    pub(super) terms: String,
}

pub(super) struct Rule {
    pub(super) rule: String,
    pub(super) location: String,
    pub(super) word: &'static str,
    pub(super) class: &'static str,
    pub(super) detail: String,
}

impl Outcome {
    pub(super) fn of(answer: Result<Explanation, Failed>) -> Self {
        match answer {
            Ok(answer) => Self::Told(Box::new(Told::of(answer))),
            Err(failed) => Self::Not(failed),
        }
    }
}

impl Told {
    fn of(answer: Explanation) -> Self {
        let items: Vec<String> = answer.items.iter().map(ToString::to_string).collect();
        let mut remarks = Vec::new();
        if answer.limits_left_out {
            remarks.push(String::from(
                "Limits are not counted: what somebody has had is known for now only, and this is about another time.",
            ));
        }
        if answer.by_source {
            remarks.push(match answer.from {
                Some(from) => format!("As asked from {from}."),
                None => String::from(
                    "As asked from no address that is certain; type one to see what follows from it.",
                ),
            });
        }
        Self {
            subject: answer.subject,
            items: items.join(", "),
            at: answer.at.to_string(),
            revision: super::short(answer.policy_revision),
            locked: answer.locked.map(|locked| locked.detail),
            remarks,
            decision: Decision::of(answer.decision),
            rules: answer.rules.into_iter().map(Rule::of).collect(),
        }
    }
}

impl Decision {
    fn of(decision: Preview) -> Self {
        match decision {
            Preview::Allowed(path) => Self::Allowed(Allowed {
                rule: path.rule.to_string(),
                location: path.location.clone(),
                emergency: path.break_glass.is_some(),
                demands: demands(&path),
                steps: path.steps.into_iter().map(Step::of).collect(),
            }),
            Preview::Refused(refused) => Self::Refused {
                code: refused.code,
                detail: refused.detail,
                hint: refused.hint,
            },
        }
    }
}

/// All that comes with it.
fn demands(path: &Path) -> Vec<(&'static str, String)> {
    let mut all = vec![(
        "Lasts",
        format!("{}, of {} at most", length(path.duration), length(path.max)),
    )];
    all.extend(path.ends_because.iter().map(|why| ("Ends early", why.clone())));
    all.extend(path.end_when.iter().map(|when| ("Ends too", when.clone())));
    all.extend(path.mfa.map(|mfa| {
        let what = format!("of who one is, no older than {}", length(mfa));
        ("Proof", what)
    }));
    all.extend(path.recording.iter().map(|how| ("Recorded", how.clone())));
    if !path.notify.is_empty() {
        let who: Vec<String> = path.notify.iter().map(ToString::to_string).collect();
        all.push(("Told", who.join(", ")));
    }
    if let Some(glass) = &path.break_glass {
        let within = length(glass.within);
        let who = glass.reviewers.join(", ");
        all.push(("Paged", glass.page.clone()));
        all.push((
            "Afterwards",
            format!("{} ({who}) look at it, within {within}", glass.review_by),
        ));
    } else if !path.steps.is_empty() {
        all.push((
            "Lapses",
            format!("after {} without a decision", length(path.pending)),
        ));
    }
    let others = path.others.iter().map(|other| {
        let steps = match other.steps {
            0 => String::from("nobody must agree"),
            1 => String::from("1 step"),
            steps => format!("{steps} steps"),
        };
        (
            "Fits too",
            format!("{}: {steps}, {} at most", other.rule, length(other.max)),
        )
    });
    all.extend(others);
    all
}

impl Step {
    fn of(step: StepPreview) -> Self {
        let mut terms = format!("within {}", length(step.within));
        if let Some(to) = &step.escalates_to {
            terms.push_str(&format!(", then {to} is asked"));
        }
        if let Some(mfa) = step.mfa {
            terms.push_str(&format!(", with a proof no older than {}", length(mfa)));
        }
        if let Some(guardrail) = &step.guardrail {
            terms.push_str(&format!(", by the guardrail {guardrail}"));
        }
        Self {
            from: step.from,
            count: step.count,
            reviewers: step.reviewers.join(", "),
            terms,
        }
    }
}

impl Rule {
    fn of(verdict: Verdict) -> Self {
        let (word, class) = match verdict.fit {
            Fit::Taken => ("taken", "approved"),
            Fit::Fits => ("fits too", "approved"),
            Fit::AdmitsOthers => ("admits others", ""),
            Fit::OtherVerb => ("not this verb", ""),
            Fit::Obstructed => ("obstructed", "denied"),
        };
        Self {
            rule: verdict.rule.to_string(),
            location: verdict.location,
            word,
            class,
            detail: verdict.detail,
        }
    }
}

//! Reads rules and guardrails: whom they concern, what they select, and the steps of approval.

use daypass_core::name::Name;
use daypass_core::review::{From, Silence};
use daypass_core::time::Span;

use super::target::name;
use super::{Declared, cool_down, declare, demand, end_when, length, when};
use crate::diagnostic::{At, Problems};
use crate::document::{BreakGlass, Guardrail, Label, Rule, Selector, Step};
use crate::fields::{Fields, Keys, expected, one_or_many, scalar};
use crate::nearest::list;
use crate::origin::{Origin, is_everywhere, network};
use crate::tree::{Node, Value};

const GUARDRAIL: Keys = Keys {
    what: "a guardrail",
    known: &[
        "name",
        "to",
        "max",
        "max_total",
        "forbid",
        "steps",
        "mfa",
        "record",
    ],
    later: &[],
};

/// What a guardrail can bound; one of these must be there.
const GUARDS: &[&str] = &["max", "max_total", "forbid", "steps", "mfa", "record"];

const FORBID: Keys = Keys {
    what: "forbid",
    known: &["window"],
    later: &[],
};

const RULE: Keys = Keys {
    what: "a rule",
    known: &[
        "name",
        "allow",
        "to",
        "roles",
        "approval",
        "break_glass",
        "duration",
        "max",
        "cool_down",
        "when",
        "source",
        "anywhere",
        "end_when",
        "mfa",
        "notify",
        "agents",
    ],
    later: &[],
};

const BREAK_GLASS: Keys = Keys {
    what: "break_glass",
    known: &["page", "review_by", "within"],
    later: &[],
};

const STEP: Keys = Keys {
    what: "a step",
    known: &["from", "count", "within", "else", "mfa"],
    later: &[],
};

const ESCALATION: Keys = Keys {
    what: "an escalation",
    known: &["escalate", "within"],
    later: &[],
};

/// The most people that one step may ask for: a slip of the hand must not lock everybody out.
const MAX_COUNT: u32 = 100;
/// The most steps of a rule.
const MAX_STEPS: usize = 20;

pub(super) fn guardrail(
    node: &Node,
    declared: &mut Declared,
    problems: &mut Problems<'_>,
) -> Option<Guardrail> {
    let fields = Fields::of(node, &GUARDRAIL, problems)?;
    let named = name(&fields, problems);
    let fresh = named
        .as_ref()
        .map(|(name, at)| declare("guardrail", name, *at, &mut declared.guardrails, problems));
    let to = match fields.get("to") {
        None => Some(None),
        Some(node) => selector("to", node, problems).map(Some),
    };
    let max = length(&fields, "max", problems);
    let max_total = fields.optional("max_total", problems);
    let forbid = match fields.get("forbid") {
        None => Some(Vec::new()),
        Some(node) => forbid(node, problems),
    };
    let guard = demand::guard(&fields, problems);
    if !GUARDS.iter().any(|key| fields.has(key) || fields.misspelt(key)) {
        let what = "this guardrail guards nothing";
        problems.note(
            fields.at,
            what,
            format!("it may have {}", list(GUARDS.iter().copied())),
        );
    }
    fresh?.ok()?;
    let (name, at) = named?;
    Some(Guardrail {
        name,
        at,
        to: to?,
        max: max.ok()?,
        max_total: max_total.ok()?,
        forbid: forbid?,
        steps: guard.steps?,
        mfa: guard.mfa?,
        record: guard.record?,
    })
}

/// What there must never be: access in a window.
fn forbid(node: &Node, problems: &mut Problems<'_>) -> Option<Vec<(Name, At)>> {
    let fields = Fields::of(node, &FORBID, problems)?;
    let node = fields.required("window", problems)?;
    names("window", node, problems)
}

pub(super) fn rule(node: &Node, declared: &mut Declared, problems: &mut Problems<'_>) -> Option<Rule> {
    let fields = Fields::of(node, &RULE, problems)?;
    let named = name(&fields, problems);
    let fresh = named
        .as_ref()
        .map(|(name, at)| declare("rule", name, *at, &mut declared.rules, problems));
    let allow = fields
        .required("allow", problems)
        .and_then(|node| allow(node, problems));
    let to = fields
        .required("to", problems)
        .and_then(|node| selector("to", node, problems));
    let roles = match fields.get("roles") {
        None => Some(None),
        Some(node) => names("roles", node, problems).map(Some),
    };
    let break_glass = match fields.get("break_glass") {
        None => Some(None),
        Some(node) => break_glass(node, &fields, problems).map(Some),
    };
    let steps = approval(&fields, problems);
    let when = when::when(&fields, declared, problems);
    let origin = origin(&fields, problems);
    let end_when = end_when::end_when(&fields, problems);
    let asks = demand::rule(&fields, problems);
    let duration = length(&fields, "duration", problems);
    let max = length(&fields, "max", problems);
    if let (Ok(Some(duration)), Ok(Some(max)), Some(node)) = (duration, max, fields.get("duration"))
        && duration > max
    {
        let what = format!("duration {duration} is longer than max {max}");
        problems.note(node.at, what, "shorten the one or lengthen the other");
    }
    let cool_down = cool_down(&fields, problems);
    if let (Some(node), true) = (fields.get("cool_down"), fields.has("break_glass")) {
        let hint = "remove it: who was denied something waits for no emergency";
        problems.note(node.at, "a rule for emergencies has no \"cool_down\"", hint);
    }
    fresh?.ok()?;
    let (name, at) = named?;
    // What could not be read was noted, so that the policy does not load. The rest is still worth checking in the same run.
    Some(Rule {
        name,
        at,
        allow: allow.unwrap_or_default(),
        to: to?,
        roles: roles.unwrap_or_default(),
        steps: steps.unwrap_or_default(),
        break_glass: break_glass.unwrap_or_default(),
        duration: duration.unwrap_or_default(),
        max: max.unwrap_or_default(),
        cool_down: cool_down.unwrap_or_default(),
        when: when.unwrap_or_default(),
        origin: origin.unwrap_or_default(),
        end_when,
        mfa: asks.mfa,
        notify: asks.notify,
    })
}

/// From where it may be asked for: networks, and `my-ip`. All addresses there are must be said in words.
fn origin(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<Option<Origin>> {
    let anywhere = anywhere(fields, problems);
    let Some(node) = fields.get("source") else {
        if let Some(at) = anywhere.flatten() {
            let hint = "without \"source\" nothing is asked of the address";
            problems.note(
                at,
                "\"anywhere\" says that the source may be everywhere, and there is none",
                hint,
            );
        }
        return Some(None);
    };
    let items = one_or_many(node);
    if items.is_empty() {
        problems.note(node.at, "\"source\" is empty", "name a network, or my-ip");
        return None;
    }
    let mut read = Some(Origin {
        networks: Vec::new(),
        my_ip: false,
    });
    for item in items {
        let network = match item.text() {
            None => Err((String::from("\"source\" names networks"), String::new())),
            Some("my-ip") => {
                read.iter_mut().for_each(|origin| origin.my_ip = true);
                continue;
            }
            Some(text) => network(text),
        };
        match (network, &mut read) {
            (Ok(network), Some(origin)) => origin.networks.push(network),
            (Ok(_), None) => {}
            (Err((what, hint)), _) => {
                problems.note(item.at, what, hint);
                read = None;
            }
        }
    }
    let origin = read?;
    match (is_everywhere(&origin.networks), anywhere?) {
        (true, None) => {
            let what = "these networks are every address there is";
            problems.note(
                node.at,
                what,
                "where that is meant, write anywhere: true beside it",
            );
            None
        }
        (false, Some(at)) => {
            let what = "\"anywhere\" says that the source is everywhere, and it is not";
            problems.note(at, what, "remove it");
            None
        }
        _ => Some(Some(origin)),
    }
}

/// Where it is said that a source may be everywhere, if it is.
fn anywhere(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<Option<At>> {
    let Some(node) = fields.get("anywhere") else {
        return Some(None);
    };
    if matches!(node.value, Value::Bool(true)) {
        return Some(Some(node.at));
    }
    let hint = "leave it out where access is not for every address there is";
    problems.note(node.at, "\"anywhere\" can only be true", hint);
    None
}

fn allow(node: &Node, problems: &mut Problems<'_>) -> Option<Vec<(Name, At)>> {
    let sets = names("allow", node, problems)?;
    if let Some((_, at)) = sets.iter().find(|(name, _)| name.as_str() == "manager") {
        let what = "\"manager\" depends on who asks, so it cannot say who may ask";
        problems.note(*at, what, "name a set of people");
        return None;
    }
    Some(sets)
}

/// One name or a list of them; an empty list is noted.
pub(super) fn names(what: &str, node: &Node, problems: &mut Problems<'_>) -> Option<Vec<(Name, At)>> {
    let items = one_or_many(node);
    if items.is_empty() {
        problems.note(node.at, format!("\"{what}\" is empty"), "name at least one");
    }
    let read: Vec<Option<(Name, At)>> = items
        .iter()
        .map(|item| scalar(what, item, problems).map(|name| (name, item.at)))
        .collect();
    read.into_iter()
        .collect::<Option<Vec<_>>>()
        .filter(|names| !names.is_empty())
}

pub(super) fn selector(what: &str, node: &Node, problems: &mut Problems<'_>) -> Option<Selector> {
    let Value::Map(entries) = &node.value else {
        let key = format!("\"{what}\"");
        expected("a map such as {env: production}", &key, node, problems);
        return None;
    };
    let Some((first, _)) = entries.first() else {
        let hint = "name a label, a kind or a resource, such as {env: production}";
        problems.note(node.at, "this selects everything, without saying so", hint);
        return None;
    };
    let mut selector = Some(Selector {
        at: first.at,
        ..Selector::default()
    });
    for (key, value) in entries {
        let label: Result<Name, _> = key.text.parse();
        if let Err(error) = &label {
            problems.note(key.at, format!("{what}: {error}"), "");
        }
        let values = names(&key.text, value, problems);
        match (label, values, &mut selector) {
            (Ok(label), Some(values), Some(selector)) => match label.as_str() {
                "kind" => selector.kind = Some(values),
                "resource" => selector.resource = Some(values),
                _ => selector.labels.push(Label {
                    label,
                    at: key.at,
                    values,
                }),
            },
            _ => selector = None,
        }
    }
    selector
}

fn approval(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<Vec<Step>> {
    let Some(node) = fields.get("approval") else {
        // A rule for emergencies has none: nobody is asked before.
        if !fields.has("break_glass") && !fields.misspelt("approval") {
            problems.note(
                fields.at,
                "a rule needs \"approval\": a list of steps, or none (or \"break_glass\", for emergencies)",
                "where nobody need agree, write approval: none",
            );
        }
        return None;
    };
    chain(node, problems)
}

/// A list of steps, or `none`.
pub(super) fn chain(node: &Node, problems: &mut Problems<'_>) -> Option<Vec<Step>> {
    match &node.value {
        Value::Text(text) if text == "none" => Some(Vec::new()),
        Value::List(items) => {
            let hint = "where nobody need agree, write approval: none";
            steps("a rule", hint, (node.at, items), problems)
        }
        _ => {
            expected("a list of steps, or none", "\"approval\"", node, problems);
            None
        }
    }
}

/// A list of steps of `what`, which may have only so many and must have one.
pub(super) fn steps(
    what: &str,
    hint: &str,
    (at, items): (At, &[Node]),
    problems: &mut Problems<'_>,
) -> Option<Vec<Step>> {
    if items.is_empty() {
        problems.note(at, "the list of steps is empty", hint);
        return None;
    }
    if items.len() > MAX_STEPS {
        let what = format!("{} steps; {what} may have {MAX_STEPS}", items.len());
        problems.note(at, what, "");
        return None;
    }
    // As in a rule: what could not be read was noted.
    Some(items.iter().filter_map(|item| step(item, problems)).collect())
}

/// What an emergency asks for. Nobody agrees before, so `approval` has no place beside it.
fn break_glass(node: &Node, rule: &Fields<'_>, problems: &mut Problems<'_>) -> Option<BreakGlass> {
    if let Some(approval) = rule.get("approval") {
        let what = "a rule has \"approval\" or \"break_glass\", not both";
        let hint = "break_glass is granted at once and reviewed afterwards; write two rules";
        problems.note(approval.at, what, hint);
    }
    let fields = Fields::of(node, &BREAK_GLASS, problems)?;
    let page = set(&fields, "page", problems);
    let review_by = set(&fields, "review_by", problems);
    fields.required("within", problems);
    let within = length(&fields, "within", problems).ok().flatten();
    Some(BreakGlass {
        page: page?,
        review_by: review_by?,
        within: within?,
    })
}

/// A set of people that does not depend on who asks.
fn set(fields: &Fields<'_>, key: &'static str, problems: &mut Problems<'_>) -> Option<(Name, At)> {
    let node = fields.required(key, problems)?;
    let name: Name = scalar(key, node, problems)?;
    if name.as_str() == "manager" {
        let what = format!("\"{key}\" names a set of people; the manager may not be there in an emergency");
        problems.note(node.at, what, "name a set of people");
        return None;
    }
    Some((name, node.at))
}

fn step(node: &Node, problems: &mut Problems<'_>) -> Option<Step> {
    let fields = Fields::of(node, &STEP, problems)?;
    let from = fields
        .required("from", problems)
        .and_then(|node| from("from", node, problems));
    let count = match fields.get("count") {
        None => Some(1),
        Some(node) => count(node, problems),
    };
    let within = length(&fields, "within", problems);
    let mfa = length(&fields, "mfa", problems);
    let (silence, escalate_at) = match fields.get("else") {
        None => (Some(Silence::Deny), fields.at),
        Some(node) => silence(node, problems).map_or((None, node.at), |(silence, at)| (Some(silence), at)),
    };
    Some(Step {
        at: fields.at,
        from: from?,
        count: count?,
        within: within.ok()?,
        silence: silence?,
        mfa: mfa.ok()?,
        escalate_at,
    })
}

/// Whom a step asks: a set of people, or the requester's manager.
pub(super) fn from(what: &str, node: &Node, problems: &mut Problems<'_>) -> Option<(From, At)> {
    let name: Name = scalar(what, node, problems)?;
    let from = if name.as_str() == "manager" {
        From::Manager
    } else {
        From::People(name)
    };
    Some((from, node.at))
}

pub(super) fn count(node: &Node, problems: &mut Problems<'_>) -> Option<u32> {
    let count = node.text().and_then(|text| text.parse::<u32>().ok());
    match count {
        Some(count) if (1..=MAX_COUNT).contains(&count) => Some(count),
        _ => {
            problems.note(
                node.at,
                format!("count must be a number from 1 to {MAX_COUNT}"),
                "",
            );
            None
        }
    }
}

fn silence(node: &Node, problems: &mut Problems<'_>) -> Option<(Silence, At)> {
    match &node.value {
        Value::Text(text) if text == "deny" => Some((Silence::Deny, node.at)),
        Value::Map(_) => {
            let fields = Fields::of(node, &ESCALATION, problems)?;
            let to = fields
                .required("escalate", problems)
                .and_then(|node| from("escalate", node, problems));
            fields.required("within", problems);
            let within: Option<Span> = length(&fields, "within", problems).ok().flatten();
            let ((to, at), within) = (to?, within?);
            Some((Silence::Escalate { to, within }, at))
        }
        _ => {
            problems.note(
                node.at,
                "\"else\" says what follows silence: deny, or {escalate: …, within: …}",
                "silence never approves",
            );
            None
        }
    }
}

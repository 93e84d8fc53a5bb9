//! Who gains and who loses what: a plan of the API, for a page.

use daypass_api::plan::{Effect, Plan, PlanChange, Way};

use crate::web::words::length;

/// See the module.
pub(in crate::web) struct Gains {
    pub(in crate::web) changes: Vec<Gain>,
    pub(in crate::web) people: usize,
    pub(in crate::web) roles: usize,
    pub(in crate::web) left_out: usize,
}

/// The same for all of these.
pub(in crate::web) struct Gain {
    /// What becomes of it, in a word.
    pub(in crate::web) word: &'static str,
    /// How that is coloured.
    pub(in crate::web) class: &'static str,
    pub(in crate::web) emergency: bool,
    pub(in crate::web) people: Vec<String>,
    pub(in crate::web) items: Vec<String>,
    pub(in crate::web) before: Option<String>,
    pub(in crate::web) after: Option<String>,
    /// Other ways that there would be no more.
    pub(in crate::web) dropped: Vec<String>,
    /// Other ways that there would be besides.
    pub(in crate::web) added: Vec<String>,
}

impl Gains {
    pub(in crate::web) fn of(plan: Plan) -> Self {
        Self {
            changes: plan.changes.into_iter().map(Gain::of).collect(),
            people: plan.people,
            roles: plan.roles,
            left_out: plan.left_out,
        }
    }
}

impl Gain {
    fn of(change: PlanChange) -> Self {
        let (word, class) = match change.effect {
            Effect::Gained => ("gains", "gained"),
            Effect::Easier => ("easier", "gained"),
            Effect::Longer => ("longer", "gained"),
            Effect::AsksOthers => ("asks others", "other"),
            Effect::Conditions => ("other conditions", "other"),
            Effect::OtherWays => ("other ways", "other"),
            Effect::Shorter => ("shorter", "lost"),
            Effect::Harder => ("harder", "lost"),
            Effect::Lost => ("loses", "lost"),
        };
        // As much as it takes to see the difference: whom it asks in full where that is what differs.
        let full = change.effect == Effect::AsksOthers;
        let told = |ways: &[Way]| ways.iter().map(|one| way(one, full)).collect();
        Self {
            word,
            class,
            emergency: change.break_glass,
            items: change.items.iter().map(ToString::to_string).collect(),
            before: change.before.as_ref().map(|one| way(one, full)),
            after: change.after.as_ref().map(|one| way(one, full)),
            dropped: told(&change.dropped),
            added: told(&change.added),
            people: change.people,
        }
    }
}

/// `prod-write: manager, then security; 1 h, of 2 h at most; where ticket required`
fn way(way: &Way, full: bool) -> String {
    let asks = if full { &way.asks_in_full } else { &way.asks };
    let asks = way.afterwards.as_ref().unwrap_or(asks);
    let conditions = if way.conditions.is_empty() {
        String::new()
    } else {
        format!("; where {}", way.conditions.join(" and "))
    };
    format!(
        "{}: {asks}; {}, of {} at most{conditions}",
        way.rule,
        length(way.usual),
        length(way.max)
    )
}

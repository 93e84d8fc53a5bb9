//! What a policy limits by what a person has had already: uses of a rule, time in total, and asking again after a denial.
//!
//! The past comes in with the question ([`Ask::past`]). A limit that it does not reach back far enough for refuses.

use std::collections::BTreeSet;

use daypass_core::id::PersonId;
use daypass_core::name::{Item, Name};
use daypass_core::past::{Answer, Asked, Past, Reach, begins};
use daypass_core::planted::{Fault, is};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::Request;
use daypass_core::time::{Span, Timestamp};

use crate::condition::{EndsBy, Hardness};
use crate::document::{Guardrail, Rule};
use crate::limit::{Total, Uses};
use crate::nearest::quote;
use crate::refuse::{spaced, verb};
use crate::total::{Bound, Kept, again, fits};
use crate::{Ask, Directory, Policy};

/// What is left is told in whole minutes; less than one is nothing.
const MINUTE: Span = Span::minutes(1);
/// Instants are told in whole seconds.
const SECOND: i64 = 1_000_000;

/// A limit that is used up.
pub(crate) enum Spent<'p> {
    /// The rule was used as often as it may be; when the next use is possible, if that can be told.
    Uses(Uses, Option<Timestamp>),
    /// The same was denied a short while ago: the denial, and from when on it can be asked for again.
    Denied(Denial, Timestamp),
    /// There is no room for so long.
    Total(Over<'p>),
    /// What the person has had is not known.
    Unknown,
}

/// A denial that still counts.
pub(crate) struct Denial {
    by: PersonId,
    at: Timestamp,
    item: Item,
    comment: Option<String>,
}

/// More in total than a guardrail allows.
pub(crate) struct Over<'p> {
    guardrail: &'p Guardrail,
    total: Total,
    /// How much was wanted.
    wanted: Span,
    /// The most that fits now, in whole minutes.
    left: Span,
    /// When all of it does, if ever and if that can be told.
    again: Option<Timestamp>,
}

impl Over<'_> {
    /// The most that fits now, where it is worth asking for.
    pub(crate) fn left(&self) -> Option<Span> {
        (self.left >= MINUTE).then_some(self.left)
    }

    /// When all of it fits, where that can be told: in whole seconds, as it is told.
    pub(crate) fn again(&self) -> Option<Timestamp> {
        self.again.map(second)
    }
}

impl Spent<'_> {
    pub(crate) fn hardness(&self) -> Hardness {
        match self {
            Self::Total(over) if over.left >= MINUTE => Hardness::Less,
            Self::Uses(..) | Self::Denied(..) | Self::Total(_) => Hardness::Later,
            Self::Unknown => Hardness::Others,
        }
    }
}

impl Policy {
    /// How far back this policy looks at what a person has had; what [`Ask::past`] must reach to.
    #[must_use]
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    /// Until when access to these items may last from this instant on, for somebody with this past: as long as was granted,
    /// or less where the totals of the guardrails leave less.
    ///
    /// # Errors
    /// Where they leave nothing, or it cannot be told.
    pub fn room(
        &self,
        items: &BTreeSet<Item>,
        (now, duration): (Timestamp, Span),
        past: &Past,
    ) -> Result<Timestamp, Refusal> {
        let totals = self.totals(items);
        if totals.is_empty() {
            return Ok(now + duration);
        }
        let kept = self
            .kept(&totals, past, now)
            .map_err(|spent| self.spent_told("", &spent, None))?;
        let fit = fits(&kept, now, duration);
        if fit > Span::ZERO {
            return Ok(now + fit);
        }
        let over = Spent::Total(self.tightest(&totals, &kept, (now, duration), past, now)?);
        Err(self.spent_told("", &over, None))
    }

    /// Whether the person has not used the rule as often as it may be used, and was not denied the same just now.
    pub(crate) fn not_spent<'p>(&self, rule: &Rule, ask: &Ask<'_>) -> Result<(), Spent<'p>> {
        if !ask.break_glass {
            self.cooled_down(rule, ask)?;
        }
        used(rule, ask.past, ask.begins(), |_| true)
    }

    fn cooled_down<'p>(&self, rule: &Rule, ask: &Ask<'_>) -> Result<(), Spent<'p>> {
        let cool_down = rule.cool_down.unwrap_or(self.document.defaults.cool_down);
        if cool_down == Span::ZERO || is(Fault::AskAgain) {
            return Ok(());
        }
        if ask.past.reach.denials.is_none_or(|reach| reach < cool_down) {
            return Err(Spent::Unknown);
        }
        let denial = |asked: &Asked| match &asked.answer {
            Answer::Denied { by, at, comment } if *at + cool_down > ask.now => {
                let item = asked.items.intersection(ask.items).next()?.clone();
                let comment = comment.as_ref().filter(|comment| comment.words().is_some());
                Some(Denial {
                    by: *by,
                    at: *at,
                    item,
                    comment: comment.map(|comment| comment.text().to_owned()),
                })
            }
            _ => None,
        };
        let latest = ask.past.asked.iter().filter_map(denial).max_by_key(|one| one.at);
        latest.map_or(Ok(()), |denial| {
            let from = denial.at + cool_down;
            Err(Spent::Denied(denial, from))
        })
    }

    /// Whether the guardrails leave room for so long. Access that begins later than thought is cut off at its end by at most
    /// `slack`: so much may be missing.
    pub(crate) fn within_totals(
        &self,
        ask: &Ask<'_>,
        duration: Span,
        ends_by: Option<&EndsBy>,
        slack: Span,
    ) -> Result<(), Spent<'_>> {
        let totals = self.totals(ask.items);
        if totals.is_empty() {
            return Ok(());
        }
        let from = ask.deadline.unwrap_or_else(|| ask.begins());
        // What is cut off by a window is not had.
        let wanted = ends_by.map_or(duration, |ends_by| ends_by.at.since(from).min(duration));
        let kept = self.kept(&totals, ask.past, ask.now)?;
        let fit = fits(&kept, from, wanted);
        if fit >= wanted || (fit > Span::ZERO && fit + slack >= wanted) {
            return Ok(());
        }
        let over = self.tightest(&totals, &kept, (from, wanted), ask.past, ask.now);
        over.map_or(Err(Spent::Unknown), |over| Err(Spent::Total(over)))
    }

    /// The longest access to these items that any past leaves room for.
    pub(crate) fn most_at_once(&self, items: &BTreeSet<Item>) -> Span {
        let totals = self.totals(items).into_iter();
        // As long as its period, it is no bound.
        totals
            .filter(|(_, total)| total.most < total.period)
            .map(|(_, total)| total.most)
            .min()
            .unwrap_or(Span::MAX)
    }

    /// The guardrails over these items that limit a total.
    fn totals(&self, items: &BTreeSet<Item>) -> Vec<(&Guardrail, Total)> {
        self.over(items)
            .filter_map(|guardrail| Some((guardrail, guardrail.max_total?)))
            .collect()
    }

    /// For each of them what was, is and will be held on what it selects.
    fn kept<'p>(
        &self,
        totals: &[(&Guardrail, Total)],
        past: &Past,
        now: Timestamp,
    ) -> Result<Vec<Kept>, Spent<'p>> {
        let kept = |(guardrail, total): &(&Guardrail, Total)| {
            let reaches = past.reach.total.is_some_and(|reach| reach >= total.period);
            if !reaches {
                return Err(Spent::Unknown);
            }
            let selected = |name: &Name| match &guardrail.to {
                None => true,
                Some(to) => self.resource(name.as_str()).is_some_and(|one| to.admits(one)),
            };
            let held = past.held.iter();
            let held = held.filter(|held| held.resources.iter().any(selected));
            let bound = Bound::new(total.most, total.period);
            Ok(Kept::new(bound, held.map(|held| held.between(now))))
        };
        totals.iter().map(kept).collect()
    }

    /// What stands in the way, of several guardrails the tightest.
    fn tightest<'p>(
        &self,
        totals: &[(&'p Guardrail, Total)],
        kept: &[Kept],
        (from, wanted): (Timestamp, Span),
        past: &Past,
        now: Timestamp,
    ) -> Result<Over<'p>, Refusal> {
        let left = |one: &Kept| fits(std::slice::from_ref(one), from, wanted);
        let tightest = totals.iter().zip(kept).min_by_key(|(_, one)| left(one));
        let ((guardrail, total), _) = tightest.ok_or_else(unknown)?;
        // Whoever types the command below does so a moment later, when what is held already has less of it left.
        let soon = from + MINUTE;
        let later = match self.kept(totals, past, now + MINUTE) {
            Ok(later) => fits(&later, soon, wanted),
            Err(_) => Span::ZERO,
        };
        Ok(Over {
            guardrail,
            total: *total,
            wanted,
            left: whole_minutes(fits(kept, from, wanted).min(later)),
            again: again(kept, from, wanted),
        })
    }

    /// A limit that is used up, in words. `cited`: the rule and where it is written.
    pub(crate) fn spent_told(
        &self,
        cited: &str,
        spent: &Spent<'_>,
        who: Option<(&Ask<'_>, &dyn Directory)>,
    ) -> Refusal {
        let ask = who.map(|(ask, _)| ask);
        match spent {
            Spent::Uses(uses, next) => {
                let what = format!(
                    "the rule {cited} gives this at most {} in any {}, and it was had or asked for that often",
                    times(uses.count),
                    uses.period
                );
                let hint = next.map_or_else(
                    || String::from("when the next is possible cannot be told"),
                    |next| later("the next is possible", next, ask),
                );
                Refusal::new(Code::Uses, what).hint(hint)
            }
            Spent::Denied(denial, from) => {
                let by = who.and_then(|(_, directory)| directory.person(denial.by));
                let by = by.map_or("somebody", |person| person.login.text());
                let words = denial
                    .comment
                    .as_ref()
                    .map_or_else(String::new, |comment| format!(": {}", quote(comment)));
                let what = format!("{by} denied you {} at {}{words}", denial.item, second(denial.at));
                let hint = format!("it can be asked for again from {} on", second(*from));
                Refusal::new(Code::CoolDown, what).hint(hint)
            }
            Spent::Total(over) => self.over_told(over, ask),
            Spent::Unknown => unknown(),
        }
    }

    fn over_told(&self, over: &Over<'_>, ask: Option<&Ask<'_>>) -> Refusal {
        let Over {
            guardrail,
            total,
            wanted,
            left,
            again,
        } = over;
        let place = guardrail.at.location(&self.sources);
        let of = guardrail
            .to
            .as_ref()
            .map_or_else(|| String::from("everything"), ToString::to_string);
        let (most, period) = (total.most, total.period);
        let rest = if *left < MINUTE {
            String::from("nothing of that is left")
        } else {
            format!("{left} of that is left")
        };
        let what = format!(
            "the guardrail {} ({place:#}) lets one person have access for at most {most} in any {period} ({of} together); \
             {rest}, and this is for {wanted}",
            guardrail.name
        );
        let mut hints = Vec::new();
        if ask.is_none() && *left >= MINUTE {
            hints.push(format!("{left} can still be approved"));
        }
        if let Some(ask) = ask.filter(|_| *left >= MINUTE) {
            hints.push(if ask.extends {
                format!("extend it by at most {left}")
            } else {
                let reason = if ask.has_reason || ask.break_glass {
                    " --reason \"…\""
                } else {
                    ""
                };
                format!("daypass {} {} --for {left}{reason}", verb(ask), spaced(ask.items))
            });
        }
        if wanted > &most {
            hints.push(format!("at once it is never more than {most}"));
        }
        if let Some(again) = again {
            hints.push(later(&format!("{wanted} fits again"), *again, ask));
        }
        let refusal = Refusal::new(Code::OverTotal, what);
        if hints.is_empty() {
            return refusal.hint("give back what you hold, or ask for less");
        }
        refusal.hint(hints.join("; "))
    }

    /// Whether a request that was made is still within the limits, counted without itself. What was denied meanwhile keeps
    /// nobody from what they asked for before.
    pub(crate) fn still_within(
        &self,
        (rule, request): (&Rule, &Request),
        ask: &Ask<'_>,
        (duration, slack): (Span, Span),
        ends_by: Option<&EndsBy>,
    ) -> Result<(), Refusal> {
        let past = ask.past.without(request.id);
        let deadline = request.ask.extends.map(|lengthened| {
            let held = past.held.iter().find(|held| held.grant == lengthened);
            held.map_or(ask.now, |held| held.between(ask.now).1)
        });
        let ask = Ask {
            past: &past,
            deadline,
            ..*ask
        };
        // Where fewer uses are left than were agreed to, the first of them stay.
        let place = (begins(request), request.id);
        used(rule, &past, place.0, |other| (other.at, other.request) < place)
            .and_then(|()| self.within_totals(&ask, duration, ends_by, slack))
            .map_err(|spent| self.spent_told(&self.cite(rule), &spent, None))
    }
}

/// Whether one more use at this instant is within what the rule gives in any period around it.
fn used<'p>(
    rule: &Rule,
    past: &Past,
    at: Timestamp,
    counts: impl Fn(&Asked) -> bool,
) -> Result<(), Spent<'p>> {
    let Some(uses) = rule.when.uses else {
        return Ok(());
    };
    if past.reach.uses.is_none_or(|reach| reach < uses.period) {
        return Err(Spent::Unknown);
    }
    let mut times: Vec<Timestamp> = past
        .asked
        .iter()
        .filter(|asked| asked.rule == rule.name && asked.answer == Answer::Counts && counts(asked))
        .map(|asked| asked.at)
        .collect();
    times.sort_unstable();
    if one_more(&times, uses, at) {
        return Ok(());
    }
    let next = times.iter().map(|time| *time + uses.period);
    let next = next
        .filter(|time| *time > at)
        .find(|time| one_more(&times, uses, *time));
    Err(Spent::Uses(uses, next))
}

/// Whether no period that this instant lies in has more uses than it may, with one at this instant. `times` are in order.
fn one_more(times: &[Timestamp], uses: Uses, at: Timestamp) -> bool {
    let mut times = times.to_vec();
    let place = times.partition_point(|time| *time <= at);
    times.insert(place, at);
    let count = usize::try_from(uses.count).unwrap_or(usize::MAX);
    let first = place.saturating_sub(count);
    let runs = times.iter().zip(times.iter().skip(count));
    // One use too many, from the first of them to the last, in less than the period.
    !runs
        .skip(first)
        .take(place - first + 1)
        .any(|(one, other)| other.since(*one) < uses.period)
}

fn unknown() -> Refusal {
    Refusal::new(
        Code::Condition,
        "what was had already limits this, and it cannot be told now",
    )
    .hint("ask again")
}

/// When something is possible later, with the command that asks for it then.
fn later(what: &str, at: Timestamp, ask: Option<&Ask<'_>>) -> String {
    let at = second(at);
    match ask.filter(|ask| !ask.extends && !ask.break_glass) {
        Some(ask) => {
            let length = ask
                .duration
                .map_or_else(String::new, |length| format!(" --for {length}"));
            format!(
                "{what} from {at} on: daypass {} {}{length} --start {at}",
                verb(ask),
                spaced(ask.items)
            )
        }
        None => format!("{what} from {at} on"),
    }
}

fn times(count: u32) -> String {
    match count {
        1 => String::from("once"),
        2 => String::from("twice"),
        more => format!("{more} times"),
    }
}

/// The next whole second: nobody is to come too early.
fn second(at: Timestamp) -> Timestamp {
    let over = at.micros() % SECOND;
    if over == 0 {
        return at;
    }
    Timestamp::from_micros(at.micros() - over + SECOND)
}

pub(crate) fn whole_minutes(span: Span) -> Span {
    Span::from_micros(span.micros() - span.micros() % MINUTE.micros())
}

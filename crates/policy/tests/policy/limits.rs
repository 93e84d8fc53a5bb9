//! What a person has had already: how limits are written, what they count, and that more had never gives more.

use daypass_core::id::{GrantId, RequestId};
use daypass_core::past::{Answer, Asked, Held, Past, Time};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{Ask as Request, Request as Made};
use daypass_core::text::Prose;
use daypass_core::time::{Span, Timestamp};
use daypass_policy::{Ask, Decision, Onlooker, Policy, Terms};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

use crate::office::{Office, id, items, load, now, policy};

const BASE: &str = "version: 1
people: {engineers: {group: engineering}, leads: {group: eng-leads}}
connectors: [{name: pg, kind: postgres}]
resources:
  - {name: one, kind: postgres, connector: pg, labels: {env: p}, roles: {read: {}, write: {}}}
  - {name: two, kind: postgres, connector: pg, labels: {env: p}, roles: {read: {}}}
  - {name: notes, kind: postgres, connector: pg, labels: {env: s}, roles: {read: {}}}
";

fn office() -> Office {
    Office::new("ana engineering\nbo eng-leads")
}

fn rule(more: &str) -> String {
    format!(
        "rules: [{{name: r, allow: engineers, to: {{kind: postgres}}, approval: none, max: 12h{more}}}]\n"
    )
}

fn with(guardrail: &str) -> Policy {
    policy(&format!(
        "{BASE}guardrails: [{{name: g, {guardrail}}}]\n{}",
        rule("")
    ))
}

fn request(number: u8) -> RequestId {
    RequestId::from_bytes([number; 10])
}

/// What was held on this from so many minutes on, counted from now.
fn held(number: u8, item: &str, from: i64, until: i64) -> Held {
    let at = |minutes: i64| Timestamp::from_micros(now().micros() + minutes * 60_000_000);
    Held {
        grant: GrantId::from(request(number)),
        resources: items(item).into_iter().map(|item| item.resource).collect(),
        time: Time::Begun {
            from: at(from),
            until: at(until),
        },
    }
}

fn used(number: u8, at: Timestamp) -> Asked {
    Asked {
        request: request(number),
        rule: "r".parse().unwrap(),
        items: items("one/read"),
        at,
        answer: Answer::Counts,
    }
}

fn past(held: Vec<Held>, asked: Vec<Asked>) -> Past {
    Past {
        held,
        asked,
        ..Past::nothing().clone()
    }
}

fn ask(policy: &Policy, item: &str, minutes: u64, past: &Past) -> Result<(), Refusal> {
    ask_with(policy, item, past, |ask| {
        ask.duration = Some(Span::minutes(minutes))
    })
}

fn ask_with(
    policy: &Policy,
    item: &str,
    past: &Past,
    change: impl FnOnce(&mut Ask<'_>),
) -> Result<(), Refusal> {
    let items = items(item);
    let mut ask = Ask::new(id("ana"), &items, now());
    ask.past = past;
    change(&mut ask);
    match policy.decide(&ask, &office()) {
        Decision::Allowed(_) => Ok(()),
        Decision::Refused(refusal) => Err(refusal),
    }
}

#[track_caller]
fn code(result: Result<(), Refusal>) -> Code {
    result.expect_err("it was not refused").code
}

/// As it is made by the policy, in its first state.
fn made(policy: &Policy, number: u8, minutes: u64, extends: Option<u8>) -> Made {
    let items = items("one/read");
    let question = Ask {
        duration: Some(Span::minutes(minutes)),
        ..Ask::new(id("ana"), &items, now())
    };
    let Decision::Allowed(allowed) = policy.decide(&question, &office()) else {
        panic!("it is allowed to somebody who had nothing");
    };
    let asked = Request {
        requester: id("ana"),
        items,
        duration: allowed.duration,
        start: None,
        extends: extends.map(|number| GrantId::from(request(number))),
        reason: Prose::new([0; 16], "why"),
        ticket: None,
        source: None,
        owner: None,
    };
    Made::new(request(number), asked, allowed.path, now()).unwrap()
}

#[test]
fn limits_are_read_strictly() {
    let guardrail = |total: &str| {
        load(&format!(
            "{BASE}guardrails: [{{name: g, max_total: {total}}}]\n{}",
            rule("")
        ))
    };
    for good in ["8h/24h", "90m/day", "1h/hour", "10d/month", "31d/31d", "5d/week"] {
        assert!(guardrail(good).is_ok(), "{good}");
    }
    for (bad, why) in [
        (
            "8h",
            "\"8h\" is no length of time in a period; write it as 8h/24h or 90m/day",
        ),
        (
            "8/24h",
            "\"8/24h\" is no length of time in a period; write it as 8h/24h or 90m/day",
        ),
        (
            "8h/24h/2",
            "\"8h/24h/2\" is no length of time in a period; write it as 8h/24h or 90m/day",
        ),
        (
            "25h/24h",
            "1d1h in 1d: it must be more than nothing, and no more than the period has",
        ),
        (
            "0s/24h",
            "0s in 1d: it must be more than nothing, and no more than the period has",
        ),
        ("1h/32d", "a period of 32d is too long; the longest is 31d"),
        (
            "1h/0s",
            "\"1h/0s\" is no length of time in a period; write it as 8h/24h or 90m/day",
        ),
        (
            "1h/year",
            "\"1h/year\" is no length of time in a period; write it as 8h/24h or 90m/day",
        ),
    ] {
        let found = guardrail(bad).unwrap_err().to_string();
        assert!(found.ends_with(&format!("max_total: {why}")), "{bad}: {found}");
    }
    let uses = |uses: &str| load(&format!("{BASE}{}", rule(&format!(", when: {{uses: {uses}}}"))));
    for good in ["10/week", "1/hour", "3/12h", "10000/31d"] {
        assert!(uses(good).is_ok(), "{good}");
    }
    for bad in [
        "10",
        "0/week",
        "-1/day",
        "10001/day",
        "1/32d",
        "1/0s",
        "x/day",
        "1/fortnight",
        "\"\"",
        "[1/day]",
    ] {
        assert!(uses(bad).is_err(), "{bad}");
    }
    let glass = "rules: [{name: r, allow: engineers, to: {kind: postgres}, cool_down: 1m, break_glass: {page: leads, review_by: leads, within: 1d}}]";
    let found = load(&format!("{BASE}{glass}")).unwrap_err().to_string();
    assert!(
        found.contains("a rule for emergencies has no \"cool_down\""),
        "{found}"
    );
}

/// A caller that forgot to look back must not be told that there was nothing.
#[test]
fn what_is_not_known_is_not_nothing() {
    let unknown = Past::unknown();
    let total = with("max_total: 8h/24h");
    assert_eq!(code(ask(&total, "one/read", 1, unknown)), Code::Condition);
    let uses = policy(&format!("{BASE}{}", rule(", when: {uses: 1/day}")));
    assert_eq!(code(ask(&uses, "one/read", 1, unknown)), Code::Condition);
    let cool_down = policy(&format!("{BASE}{}", rule("")));
    assert_eq!(code(ask(&cool_down, "one/read", 1, unknown)), Code::Condition);
    let none = policy(&format!("{BASE}{}", rule(", cool_down: 0")));
    assert_eq!(ask(&none, "one/read", 1, unknown), Ok(()), "there is no limit");
    assert!(none.reach().is_nothing());
    let made = made(&total, 1, 10, None);
    assert_eq!(
        total
            .may_hold(&made, &office(), now())
            .map_err(|refusal| refusal.code),
        Err(Code::Condition)
    );
    let items = items("one/read");
    assert!(total.room(&items, (now(), Span::minutes(1)), unknown).is_err());
    // Not far enough is not known either.
    let mut short = past(Vec::new(), Vec::new());
    short.reach.total = Some(Span::hours(23));
    assert_eq!(code(ask(&total, "one/read", 1, &short)), Code::Condition);
}

#[test]
fn a_request_is_not_counted_against_itself() {
    let policy = with("max_total: 2h/24h");
    let one = made(&policy, 1, 120, None);
    let own = past(vec![held(1, "one/read", 0, 120)], Vec::new());
    let holds = |past: &Past| policy.may_still_hold(&one, &office(), past, now());
    assert_eq!(holds(&own), Ok(()));
    let other = past(vec![held(2, "two/read", -60, -59)], Vec::new());
    let refusal = holds(&other).unwrap_err();
    assert_eq!(refusal.code, Code::OverTotal);
    assert_eq!(
        refusal.hint.as_deref(),
        Some("1h59m can still be approved; 2h fits again from 2026-03-08T09:01:00Z on")
    );
}

#[test]
fn an_extension_counts_what_it_adds() {
    let policy = with("max_total: 2h/24h");
    let own = past(vec![held(1, "one/read", -30, 30)], Vec::new());
    let extend = |minutes| {
        ask_with(&policy, "one/read", &own, |ask| {
            ask.extends = true;
            ask.deadline = Some(now() + Span::minutes(30));
            ask.duration = Some(Span::minutes(minutes));
        })
    };
    assert_eq!(extend(60), Ok(()));
    assert_eq!(code(extend(61)), Code::OverTotal);
    let extension = made(&policy, 2, 60, Some(1));
    assert_eq!(policy.may_still_hold(&extension, &office(), &own, now()), Ok(()));
    let more = past(
        vec![held(1, "one/read", -30, 30), held(3, "two/read", -60, -58)],
        Vec::new(),
    );
    let refused = policy.may_still_hold(&extension, &office(), &more, now());
    assert_eq!(code(refused), Code::OverTotal);
}

#[test]
fn what_begins_late_is_cut_off_at_its_end() {
    let policy = with("max_total: 2h/24h");
    let besides = past(vec![held(2, "two/read", 0, 120)], Vec::new());
    let room = |minutes| {
        let at = now() + Span::minutes(minutes);
        policy.room(&items("one/read"), (at, Span::hours(2)), &besides)
    };
    assert_eq!(room(0), Ok(now() + Span::hours(2)), "both at the same time");
    assert_eq!(
        room(1),
        Ok(now() + Span::hours(2)),
        "a minute later it is a minute less"
    );
    assert_eq!(room(120).unwrap_err().code, Code::OverTotal);
    assert_eq!(room(24 * 60), Ok(now() + Span::hours(26)));
}

#[test]
fn uses_count_in_a_window_that_slides_both_ways() {
    let policy = policy(&format!("{BASE}{}", rule(", when: {uses: 2/day}")));
    let at = |hours: i64| Timestamp::from_micros(now().micros() + hours * 3_600_000_000);
    let start = |hours: i64, times: &[i64]| {
        let asked = (1..)
            .zip(times)
            .map(|(number, hours)| used(number, at(*hours)))
            .collect();
        ask_with(&policy, "one/read", &past(Vec::new(), asked), |ask| {
            ask.start = Some(at(hours))
        })
    };
    assert_eq!(start(0, &[-5]), Ok(()));
    assert_eq!(code(start(0, &[-5, -4])), Code::Uses);
    assert_eq!(start(0, &[-24, -4]), Ok(()), "a day ago is out of the window");
    assert_eq!(code(start(0, &[-23, -4])), Code::Uses);
    assert_eq!(
        code(start(10, &[5, 12])),
        Code::Uses,
        "between two that are to come"
    );
    assert_eq!(
        code(start(0, &[-12, 11])),
        Code::Uses,
        "less than a day from the first to the last"
    );
    assert_eq!(start(0, &[-13, 11]), Ok(()), "no day holds all three");
    // Of another rule, or denied.
    let mut other = used(1, now());
    other.rule = "another".parse().unwrap();
    let mut denied = used(2, now() - Span::hours(5));
    denied.answer = Answer::Denied {
        by: id("bo"),
        at: now() - Span::hours(4),
        comment: None,
    };
    let free = past(Vec::new(), vec![other, denied, used(3, now())]);
    assert_eq!(ask(&policy, "one/read", 10, &free), Ok(()));
}

#[test]
fn a_denial_is_told_with_who_and_what_they_said() {
    let policy = policy(&format!("{BASE}{}", rule(", cool_down: 1h")));
    let denied = |item: &str, minutes| {
        let mut asked = used(1, now());
        asked.items = items(item);
        asked.answer = Answer::Denied {
            by: id("bo"),
            at: now() - Span::minutes(minutes),
            comment: Some(Prose::new([0; 16], "too long; ask for an hour")),
        };
        past(Vec::new(), vec![asked])
    };
    let refusal = ask(
        &policy,
        "one/read+two/read",
        10,
        &denied("two/read+notes/read", 20),
    )
    .unwrap_err();
    assert_eq!(refusal.code, Code::CoolDown);
    assert_eq!(
        refusal.what,
        "bo denied you two/read at 2026-03-07T11:40:00Z: \"too long; ask for an hour\""
    );
    assert_eq!(
        refusal.hint.as_deref(),
        Some("it can be asked for again from 2026-03-07T12:40:00Z on")
    );
    assert_eq!(
        ask(&policy, "one/read", 10, &denied("two/read", 20)),
        Ok(()),
        "something else"
    );
    assert_eq!(
        ask(&policy, "one/write", 10, &denied("one/read", 20)),
        Ok(()),
        "another role"
    );
    assert_eq!(
        ask(&policy, "two/read", 10, &denied("two/read", 60)),
        Ok(()),
        "an hour ago"
    );
}

/// What the list says of each role: how long it may be had, and on what that depends.
fn listed(policy: &Policy, past: &Past) -> Vec<(String, String)> {
    let onlooker = Onlooker {
        past,
        ..Onlooker::new(id("ana"), now())
    };
    let offers = policy.catalogue(&onlooker, &office()).into_iter();
    let told = |terms: Result<Terms, Refusal>| match terms {
        Err(refusal) => refusal.code.to_string(),
        Ok(terms) => {
            let on = terms.depends.iter().flat_map(|depends| &depends.on);
            let on: Vec<_> = on.map(|on| on.field()).collect();
            format!("{} {}", terms.max, on.join(" ")).trim_end().to_owned()
        }
    };
    offers
        .map(|offer| (offer.item.to_string(), told(offer.terms)))
        .collect()
}

/// The list says the longest that would be given now, and on what it depends where less or later would do.
#[test]
fn the_list_says_how_much_is_left_of_a_total() {
    let policy = with("to: {env: p}, max_total: 2h/24h");
    for (had, expect) in [
        (0, "2h"),
        (30, "1h30m"),
        // The usual hour does not fit any more.
        (75, "45m duration"),
        // Nothing is left now, and the next day there is.
        (120, "2h start"),
    ] {
        let past = past(vec![held(1, "two/read", -120, had - 120)], Vec::new());
        let listed = listed(&policy, &past);
        let own = listed.iter().find(|(item, _)| item == "notes/read").unwrap();
        assert!(!own.1.contains(' '), "the guardrail is not about it: {own:?}");
        let told = |item: &str| listed.iter().find(|(one, _)| one == item).unwrap().1.clone();
        for item in ["one/read", "one/write", "two/read"] {
            assert_eq!(told(item), expect, "{item} after {had}m");
        }
    }
}

/// Each way that the list names is taken by a decision that is asked so, and none is named where nothing would do.
#[test]
fn what_the_list_names_the_decision_gives() {
    let policy = with("to: {env: p}, max_total: 2h/24h");
    for had in [75, 120] {
        let past = past(vec![held(1, "two/read", -120, had - 120)], Vec::new());
        let onlooker = Onlooker {
            past: &past,
            ..Onlooker::new(id("ana"), now())
        };
        let offers = policy.catalogue(&onlooker, &office());
        let offer = offers.iter().find(|offer| offer.item.to_string() == "one/read");
        let depends = offer.unwrap().terms.clone().unwrap().depends.unwrap();
        let hint = depends.hint.unwrap();
        let said = |option: &str| {
            let words = hint.split(option).nth(1)?;
            words.split([' ', ';']).nth(1).map(str::to_owned)
        };
        let items = items("one/read");
        let plain = Ask {
            past: &past,
            ..Ask::new(id("ana"), &items, now())
        };
        assert!(matches!(policy.decide(&plain, &office()), Decision::Refused(_)));
        let asked = match had {
            75 => Ask {
                duration: Some(said("--for").unwrap().parse().unwrap()),
                ..plain
            },
            _ => Ask {
                start: Some(said("--start").unwrap().parse().unwrap()),
                ..plain
            },
        };
        let decided = policy.decide(&asked, &office());
        assert!(matches!(decided, Decision::Allowed(_)), "{hint}: {decided:?}");
    }
}

fn drawn() -> impl Strategy<Value = Vec<(i64, i64, &'static str)>> {
    vec(
        (
            -3_000i64..3_000,
            1i64..400,
            select(vec!["one/read", "two/read", "notes/read"]),
        ),
        0..6,
    )
}

fn as_past(spans: &[(i64, i64, &str)]) -> Past {
    let spans = (1..).zip(spans);
    past(
        spans
            .map(|(number, (from, long, item))| held(number, item, *from, from + long))
            .collect(),
        Vec::new(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(31), ..ProptestConfig::with_cases(150) })]

    /// A guardrail more, or more that was had, never lets anything through that was refused without.
    #[test]
    fn totals_only_tighten(
        spans in drawn(),
        item in select(vec!["one/read", "two/read", "notes/read", "one/read+notes/read"]),
        minutes in 1u64..720,
        most in select(vec!["30m", "2h", "8h", "24h"]),
        period in select(vec!["24h", "36h", "week"]),
        to in select(vec!["", "to: {env: p}, ", "to: {resource: two}, "]),
    ) {
        let one = with("to: {env: p}, max_total: 4h/day");
        let both = policy(&format!(
            "{BASE}guardrails: [{{name: g, to: {{env: p}}, max_total: 4h/day}}, {{name: h, {to}max_total: {most}/{period}}}]\n{}",
            rule("")
        ));
        let all = as_past(&spans);
        let answer = ask(&both, item, minutes, &all);
        if answer.is_ok() {
            prop_assert_eq!(ask(&one, item, minutes, &all), Ok(()));
            prop_assert_eq!(ask(&both, item, minutes, &as_past(spans.get(1..).unwrap_or_default())), Ok(()));
            prop_assert_eq!(ask(&both, item, minutes - minutes / 2, &all), Ok(()));
        } else if let Err(refusal) = answer
            && let Some((_, rest)) = refusal.hint.as_deref().unwrap_or_default().split_once("--for ")
            && !refusal.hint.as_deref().unwrap_or_default().starts_with(|c: char| c.is_ascii_digit())
        {
            // What the hint says may be asked for is granted.
            let length: Span = rest.split([' ', ';']).next().unwrap().parse().unwrap();
            let minutes = length.micros() / 60_000_000;
            prop_assert_eq!(ask(&both, item, minutes, &all), Ok(()), "{:?}", refusal);
        }
    }
}

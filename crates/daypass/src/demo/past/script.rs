//! What is to have happened in ninety days: who asked for what and why, how others answered, what became of it. A plan: what of it comes to
//! pass, the engine says.

use daypass_core::time::{Span, Timestamp};

use super::dice::Dice;

/// How far back it goes.
const DAYS: u64 = 90;
const DAY: Span = Span::hours(24);
const ENGINEERS: [&str; 7] = ["ana", "ana", "eve", "eve", "finn", "mia", "raj"];

/// What somebody may have wanted: the item, whether it is asked for often, and reasons.
struct Wish(&'static str, u64, &'static [&'static str]);

const WISHES: [Wish; 8] = [
    Wish(
        "orders-staging/write",
        26,
        &[
            "load the new fixtures",
            "try the migration",
            "reproduce a failing test",
        ],
    ),
    Wish(
        "orders-staging/read",
        12,
        &["compare totals", "look at the seed data"],
    ),
    Wish(
        "orders-prod/read",
        22,
        &[
            "a customer's total is wrong",
            "which orders are stuck",
            "numbers for the weekly review",
        ],
    ),
    Wish(
        "billing-prod/read",
        12,
        &["an invoice is missing", "a refund went out twice"],
    ),
    Wish(
        "analytics-prod/read",
        10,
        &["why did sign-ups drop on Tuesday", "the report times out"],
    ),
    Wish(
        "orders-prod/write",
        9,
        &["release a stuck order", "backfill the new column"],
    ),
    Wish("billing-prod/write", 5, &["correct a wrong tax rate"]),
    Wish("accounts-prod/read", 4, &["a login loop that support reported"]),
];

const DENIALS: [&str; 4] = [
    "use the replica",
    "which ticket is this for?",
    "not before the release",
    "staging shows the same",
];

/// Something that happens.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// Somebody asks.
    Ask {
        who: &'static str,
        item: &'static str,
        length: Span,
        reason: String,
        ticket: Option<String>,
        then: Answer,
    },
    /// Somebody takes access in an emergency; whether others look at it, and after how long.
    Emergency {
        who: &'static str,
        item: &'static str,
        reason: &'static str,
        looked_at: Option<Span>,
    },
    /// A target is out of reach, or is back.
    Outage(bool),
    /// The policy of this number is proposed to security, who agree or do not.
    Policy { number: usize, agreed: bool },
}

/// How others answer a request, and what its holder does then.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    /// After how long the first does, and the second; nobody does where they are missing.
    pub(super) manager: Option<Span>,
    pub(super) security: Option<Span>,
    /// The manager says no, in these words.
    pub(super) denied: Option<&'static str>,
    /// The requester takes it back after so long.
    pub(super) withdrawn: Option<Span>,
    /// The holder makes use of it.
    pub(super) used: bool,
    /// The holder gives it back after so long.
    pub(super) given_back: Option<Span>,
    /// An administrator ends it after so long.
    pub(super) revoked: Option<Span>,
}

/// All of it, in the order of time: the last of it yesterday.
pub(super) fn script(now: Timestamp) -> Vec<(Timestamp, Act)> {
    let mut dice = Dice::new(90);
    let today = now - Span::from_micros(now.micros().unsigned_abs() % DAY.micros());
    let mut all = Vec::new();
    for back in (1..=DAYS).rev() {
        let morning = today - DAY.times(back);
        // 1970-01-01 was a Thursday.
        let weekday = (morning.unix_seconds() / 86_400 + 4) % 7;
        let asked = match weekday {
            0 | 6 => dice.between(0, 1),
            _ => dice.between(2, 5),
        };
        for _ in 0..asked {
            let at =
                morning + Span::minutes(dice.between(8 * 60, 18 * 60)) + Span::seconds(dice.between(0, 59));
            all.extend(wished(&mut dice, back).map(|act| (at, act)));
        }
    }
    all.extend(marked(today));
    all.sort_by_key(|(at, _)| *at);
    all
}

/// The days on which something happened that one remembers.
fn marked(today: Timestamp) -> Vec<(Timestamp, Act)> {
    let at = |days: u64, hour: u64, minute: u64| {
        today - DAY.times(days) + Span::hours(hour) + Span::minutes(minute)
    };
    let emergency = |item, reason, looked_at| Act::Emergency {
        who: "bo",
        item,
        reason,
        looked_at,
    };
    let cut = Act::Ask {
        who: "mia",
        item: "billing-prod/read",
        length: Span::minutes(20),
        reason: String::from("PAY-611: an invoice has no lines"),
        ticket: Some(String::from("PAY-611")),
        then: Answer::default(),
    };
    vec![
        (
            at(62, 9, 10),
            Act::Policy {
                number: 1,
                agreed: true,
            },
        ),
        (
            at(41, 2, 13),
            emergency(
                "billing-prod/write",
                "payments are refused everywhere",
                Some(Span::hours(7)),
            ),
        ),
        (
            at(29, 14, 5),
            Act::Policy {
                number: 2,
                agreed: true,
            },
        ),
        (
            at(28, 16, 40),
            Act::Policy {
                number: 1,
                agreed: false,
            },
        ),
        (at(23, 11, 0), cut),
        (at(23, 11, 12), Act::Outage(true)),
        (at(23, 11, 47), Act::Outage(false)),
        (
            at(17, 23, 30),
            emergency(
                "ledger-prod/write",
                "the nightly run stands still",
                Some(Span::hours(31)),
            ),
        ),
        (
            at(3, 4, 20),
            emergency("billing-prod/write", "refunds go out twice, stopping them", None),
        ),
    ]
}

/// A wish of somebody, and how it is answered.
fn wished(dice: &mut Dice, back: u64) -> Option<Act> {
    let who = dice.one(&ENGINEERS).copied()?;
    let mut left = dice.between(1, 100);
    let &Wish(item, _, reasons) = WISHES.iter().find(|Wish(_, often, _)| {
        let found = left <= *often;
        left = left.saturating_sub(*often);
        found
    })?;
    let number = 400 + (DAYS - back) * 5 + dice.between(0, 4);
    let ticket = format!("PAY-{number}");
    // The people of the demo may have theirs today.
    let by_ticket = item.starts_with("orders-prod/read") && back > 2 && dice.percent(55);
    let length = Span::minutes(match dice.between(1, 10) {
        1..=3 => 30,
        4..=7 => 60,
        8 => 45,
        _ => 120,
    });
    let length = if by_ticket { Span::minutes(30) } else { length };
    let reason = dice.one(reasons).copied()?;
    Some(Act::Ask {
        who,
        item,
        length,
        reason: format!("{ticket}: {reason}"),
        ticket: by_ticket.then_some(ticket),
        then: answered(dice, length),
    })
}

fn answered(dice: &mut Dice, length: Span) -> Answer {
    // Most answer within minutes, some take long.
    let after = |dice: &mut Dice| {
        let minutes = match dice.between(1, 10) {
            1..=5 => dice.between(1, 5),
            6..=8 => dice.between(5, 12),
            _ => dice.between(12, 26),
        };
        Span::minutes(minutes) + Span::seconds(dice.between(0, 59))
    };
    let mut answer = Answer {
        manager: Some(after(dice)),
        security: Some(after(dice)),
        ..Answer::default()
    };
    match dice.between(1, 100) {
        1..=8 => answer.denied = dice.one(&DENIALS).copied(),
        9..=13 => (answer.manager, answer.security) = (None, None),
        14..=17 => answer.withdrawn = Some(Span::seconds(dice.between(20, 50))),
        _ => {}
    }
    let minutes = length.to_std().as_secs() / 60;
    match dice.between(1, 100) {
        1..=45 => answer.given_back = Some(Span::minutes(dice.between(4, minutes - 5))),
        46..=49 => answer.revoked = Some(Span::minutes(dice.between(2, minutes - 5))),
        _ => {}
    }
    answer.used = dice.percent(85);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ninety_days_and_none_of_it_is_today() {
        let now: Timestamp = "2026-11-22T21:10:09Z".parse().unwrap();
        let all = script(now);
        let first = all.first().unwrap().0;
        assert!(now.since(first) > DAY.times(DAYS - 4), "{first}");
        let today: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        assert!(all.iter().all(|(at, _)| *at < today));
        assert!(all.is_sorted_by_key(|(at, _)| *at));
        assert!((180..400).contains(&all.len()), "{}", all.len());
    }

    #[test]
    fn every_wish_has_its_share() {
        assert_eq!(WISHES.iter().map(|Wish(_, often, _)| often).sum::<u64>(), 100);
    }
}

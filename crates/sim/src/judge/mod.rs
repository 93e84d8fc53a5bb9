//! The judge: knows what really stands at the targets, who really voted, and what was recorded, and says what is wrong. It
//! asks nothing of the system that it judges: it reads the log as anybody could, and the targets as nobody else can.

mod absence;
mod access;
mod approval;
mod changes;
mod completion;
mod edits;
mod ending;
mod jumps;
mod ledger;
mod limits;
mod programs;
mod record;
mod right;
mod standing;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use daypass_core::entitlement::Observed;
use daypass_core::id::{PersonId, RequestId};
use daypass_core::time::Timestamp;
use daypass_store::Store;
use futures_util::FutureExt as _;

pub(crate) use self::access::Landing;
use self::access::Spot;
use self::approval::Cast;
use self::changes::Changes;
use self::completion::Closings;
pub(crate) use self::edits::Wanted;
use self::ending::Sent;
pub(crate) use self::ending::Verb;
use self::jumps::{Jumps, Stall};
use self::ledger::Ledger;
use crate::scenario::{Scenario, Vote};
use crate::scheduler::{Owner, Time};
use crate::target::Target;

/// What must hold; docs/reliability.md says how it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// Once everything works again, access that nobody holds is gone within the bound.
    EndsInTime,
    /// A target is never told a limit beyond what the grant may last, and is soon told its deadline.
    Limit,
    /// Nothing is provisioned without a durable intent, and nothing intended without a grant that holds it.
    Intended,
    /// No grant without the approvals that its rule demands.
    Approved,
    /// No longer than the rule and the reviewers allow.
    Bounded,
    /// No more often, not for more time in all, and not sooner after a denial than the policy gives.
    Limited,
    /// Nothing outlives the windows of its rule, or reaches into one that is forbidden.
    InWindow,
    /// Another policy comes in force, and accounts that it covers change, only by those whom the one in force asks.
    Agreed,
    /// Who is away has said so, for so long at most, and names one whom the policy lets be a delegate.
    Delegated,
    /// Nothing comes about under a lock.
    Locked,
    /// What is over before its time is, and what should be does end.
    Completed,
    /// Who holds a grant has the access, and overlapping ones do not cut each other.
    NotCut,
    /// Ended means seen: what is said of the end of access is true.
    Seen,
    /// What stood there before is neither adopted nor removed.
    NeverAdopted,
    /// The same command twice has the effect of once.
    Once,
    /// The log gives the state.
    Replays,
    /// What can come to an end does, without being asked for ever.
    ComesToRest,
}

impl Invariant {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 17] = [
        Self::EndsInTime,
        Self::Limit,
        Self::Intended,
        Self::Approved,
        Self::Bounded,
        Self::Limited,
        Self::InWindow,
        Self::Agreed,
        Self::Delegated,
        Self::Locked,
        Self::Completed,
        Self::NotCut,
        Self::Seen,
        Self::NeverAdopted,
        Self::Once,
        Self::Replays,
        Self::ComesToRest,
    ];

    /// Its name, as people read it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::EndsInTime => "ends in time",
            Self::Limit => "limit at the target",
            Self::Intended => "intended first",
            Self::Approved => "approved",
            Self::Bounded => "bounded",
            Self::Limited => "limited",
            Self::InWindow => "in its window",
            Self::Agreed => "agreed to",
            Self::Delegated => "delegated",
            Self::Locked => "locked",
            Self::Completed => "completed",
            Self::NotCut => "not cut",
            Self::Seen => "ended means seen",
            Self::NeverAdopted => "never adopted",
            Self::Once => "once",
            Self::Replays => "replays",
            Self::ComesToRest => "comes to rest",
        }
    }
}

/// Something that must not be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) what: String,
    pub(crate) at: Timestamp,
}

/// What a reading of the log brought.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) lines: Vec<String>,
    pub(crate) any: bool,
    pub(crate) directory: bool,
    pub(crate) policy: bool,
}

impl Recorded {
    pub(crate) const fn is_empty(&self) -> bool {
        !self.any
    }
}

/// See the file's head.
pub(crate) struct Judge {
    scenario: Arc<Scenario>,
    time: Time,
    targets: Vec<Target>,
    beginning: Timestamp,
    ledger: Ledger,
    spots: BTreeMap<(usize, String), Spot>,
    /// Until when what each target's access depends on was not in order, at the latest. May lie ahead.
    disturbed: Vec<Timestamp>,
    /// Until when the store took no notes. What is known goes all the same; what would have to be noted first waits.
    unwritable: Timestamp,
    /// Until when the store was gone or full: whoever removes something then cannot ask who holds it.
    storeless: Timestamp,
    /// When each start of a server stood still last: what it had checked before it may do after.
    stalls: BTreeMap<Owner, Stall>,
    /// Until when each server alone had lost the store.
    cut_off: BTreeMap<usize, Timestamp>,
    /// Everything has come to rest: nothing is asked of a target any more.
    resting: bool,
    jumps: Jumps,
    /// What people sent to end grants.
    ends: Sent,
    votes: Vec<Cast>,
    /// What was proposed in the place of the policy in force, or of accounts as they are, and what people said to it.
    changes: Changes,
    /// Who said that they are away.
    delegated: Vec<absence::Sent>,
    /// What people said of tickets.
    closings: Closings,
    /// Which requests each element's commands were answered with.
    answers: BTreeMap<usize, BTreeSet<RequestId>>,
    violation: Option<Violation>,
    /// When it last looked at everything.
    looked: Timestamp,
    /// Whether anybody reads what was recorded.
    pub(crate) traced: bool,
}

impl Judge {
    pub(crate) fn new(scenario: Arc<Scenario>, time: Time, targets: Vec<Target>) -> Self {
        let beginning = time.now();
        Self {
            disturbed: vec![beginning; targets.len()],
            ledger: Ledger::new(&scenario),
            closings: Closings::new(&scenario),
            scenario,
            time,
            targets,
            beginning,
            unwritable: beginning,
            storeless: beginning,
            stalls: BTreeMap::new(),
            cut_off: BTreeMap::new(),
            resting: false,
            spots: BTreeMap::new(),
            jumps: Jumps::default(),
            ends: Sent::new(),
            votes: Vec::new(),
            changes: Changes::default(),
            delegated: Vec::new(),
            answers: BTreeMap::new(),
            violation: None,
            looked: beginning,
            traced: false,
        }
    }

    pub(crate) const fn beginning(&self) -> Timestamp {
        self.beginning
    }

    /// The scenario's time begins now: the house stands.
    pub(crate) fn begin(&mut self) {
        self.beginning = self.time.now();
    }

    pub(crate) fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    pub(crate) fn accuse(&mut self, invariant: Invariant, what: impl Into<String>) {
        if self.violation.is_none() {
            self.violation = Some(Violation {
                invariant,
                what: what.into(),
                at: self.time.now(),
            });
        }
    }

    /// Something is not in order now, with one target or with everything.
    pub(crate) fn disturbed(&mut self, target: Option<usize>) {
        self.disturbed_until(target, self.time.now());
    }

    /// Something will not be in order until then.
    pub(crate) fn disturbed_until(&mut self, target: Option<usize>, until: Timestamp) {
        for (number, at) in self.disturbed.iter_mut().enumerate() {
            if target.is_none_or(|target| target == number) {
                *at = (*at).max(until);
            }
        }
    }

    /// The store takes no notes until then.
    pub(crate) fn unwritable_until(&mut self, until: Timestamp) {
        self.unwritable = self.unwritable.max(until);
        self.storeless = self.storeless.max(until);
    }

    /// The store is gone until then.
    pub(crate) fn storeless_until(&mut self, until: Timestamp) {
        self.storeless = self.storeless.max(until);
        self.disturbed_until(None, until);
    }

    /// One server alone has lost the store until then.
    pub(crate) fn cut_off_until(&mut self, server: usize, until: Timestamp) {
        let latest = self.cut_off.entry(server).or_insert(until);
        *latest = until.max(*latest);
    }

    /// Everything has come to rest.
    pub(crate) fn rest(&mut self) {
        self.resting = true;
    }

    /// A server stands still until then.
    pub(crate) fn stalled_until(&mut self, owner: Owner, until: Timestamp) {
        let from = self.time.now();
        let stall = self.stalls.entry(owner).or_insert(Stall { from, until });
        if stall.until < from {
            stall.from = from;
        }
        stall.until = stall.until.max(until);
        self.disturbed_until(None, until);
    }

    /// The database's clock was turned. `noted`: a server had read it just before, and the store takes the note.
    pub(crate) fn jumped(&mut self, by: i64, noted: bool) {
        self.jumps.turned(by, noted, self.time.now());
    }

    /// The last server that ran has crashed.
    pub(crate) fn alone(&mut self, last: Owner) {
        self.jumps.alone(self.stalls.get(&last).copied(), self.time.now());
    }

    /// A server has started.
    pub(crate) fn started(&mut self) {
        self.jumps.started(self.time.now());
    }

    pub(crate) fn changed_by_hand(&mut self, target: &Target, key: &str) {
        let now = self.time.now();
        let spot = self.spots.entry((target.number, key.to_owned())).or_default();
        spot.by_hand = Some(now);
        self.disturbed(Some(target.number));
    }

    /// Somebody sends a vote.
    pub(crate) fn voted(&mut self, request: RequestId, person: PersonId, vote: &Vote) {
        self.votes.push(Cast {
            request,
            person,
            vote: vote.clone(),
        });
    }

    /// A command was answered with this request.
    pub(crate) fn answered(&mut self, element: usize, request: RequestId) {
        let answers = self.answers.entry(element).or_default();
        answers.insert(request);
        if answers.len() > 1 {
            self.accuse(
                Invariant::Once,
                format!("the command [{element}] made several requests"),
            );
        }
    }

    /// Where the grant that a request led to lets its holder in.
    pub(crate) fn openings(&self, request: RequestId) -> Vec<(usize, String)> {
        self.ledger.openings(request.into())
    }

    /// Takes in what was committed since the last time.
    pub(crate) fn read_log(&mut self, store: &Store) -> Recorded {
        let mut recorded = Recorded::default();
        loop {
            match store.sequence(500).now_or_never() {
                Some(Ok(entries)) if entries.is_empty() => {
                    self.check_changes();
                    return recorded;
                }
                Some(Ok(entries)) => {
                    for entry in entries {
                        self.recorded(&entry.event, &mut recorded);
                    }
                }
                other => {
                    self.accuse(
                        Invariant::Replays,
                        format!("the log cannot be sequenced: {other:?}"),
                    );
                    return recorded;
                }
            }
        }
    }

    /// How many grants were opened.
    pub(crate) fn grants(&self) -> u64 {
        u64::try_from(self.ledger.grants.len()).unwrap_or(u64::MAX)
    }

    /// How much there is that has not come to its end.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let mut left = self.ledger.unfinished();
        left.extend(self.waiting_changes());
        for (spot, known) in &self.ledger.entitlements {
            let gone = matches!(known.observed, Observed::Absent { .. });
            let target = self.targets.get(spot.0);
            if !gone && target.is_some_and(|target| !self.is_left_alone(target, &spot.1)) {
                left.push(format!("{} has not been seen to be gone", spot.1));
            }
        }
        for target in &self.targets {
            for (key, shown) in target.truth() {
                if shown.is_usable(self.time.now()) && !self.is_left_alone(target, &key) {
                    left.push(format!("{}:{key} is still open", target.character.connector));
                }
            }
        }
        left
    }
}

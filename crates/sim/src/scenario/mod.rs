//! What a run is about: the people, the policies, the targets' characters, and what happens when. Made from the seed alone,
//! before anything runs, so that it can be shown, and shrunk by leaving elements out.

mod agree;
mod bounds;
pub(crate) mod draw;
pub(crate) mod policy;
mod states;
mod text;
mod trouble;
mod work;

use std::net::{IpAddr, Ipv4Addr};

use daypass_core::time::Span;

use self::policy::Policy;

/// What there is more of than usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// Nothing.
    Plain,
    /// Many short grants on few openings, several servers, and processes that stand still.
    Crowded,
    /// What was asked for is given back or ended within seconds, and calls get lost.
    Hasty,
    /// Long chains, many votes, and people who leave their groups in between.
    Debated,
    /// Very many grants at the same time.
    Mass,
    /// A few people ask for the same again and again, and the policy limits how often and how long.
    Thrifty,
}

/// How many different tickets asks name.
pub(crate) const TICKETS: usize = 3;

/// The ticket that the command of an element names.
pub(crate) fn ticket(element: usize) -> String {
    closed(element % TICKETS)
}

/// A ticket by its number.
pub(crate) fn closed(ticket: usize) -> String {
    format!("PAY-{ticket}")
}

/// From where the command of an element comes; `None` where that is not certain.
pub(crate) fn address(element: usize) -> Option<IpAddr> {
    let last = u8::try_from(element % 200).unwrap_or(0);
    let of = |network| Some(IpAddr::V4(Ipv4Addr::new(10, network, 0, last)));
    match element % 5 {
        0..3 => of(0),
        3 => of(1),
        _ => None,
    }
}

/// All of it.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) flavour: Flavour,
    pub(crate) servers: usize,
    pub(crate) people: Vec<Person>,
    /// The first is in force from the beginning.
    pub(crate) policies: Vec<Policy>,
    pub(crate) targets: Vec<Character>,
    /// How often each connector is asked what is there.
    pub(crate) sweep_every: Span,
    /// How many due rows a reconciler reads at once.
    pub(crate) batch: usize,
    /// Of a thousand calls to a target, how many go wrong by themselves.
    pub(crate) mishaps: u32,
    /// Of a thousand accesses to the store, how many lose their answer.
    pub(crate) lost_answers: u32,
    /// What happens. Its place here is an element's name, whatever is left out.
    pub(crate) elements: Vec<Element>,
}

/// Somebody, as the directory has them at the beginning.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) login: String,
    pub(crate) service: bool,
    pub(crate) administrator: bool,
    pub(crate) groups: Vec<String>,
    pub(crate) manager: Option<usize>,
    /// Left out of this run.
    pub(crate) absent: bool,
    /// Not there at the beginning: somebody may make the account.
    pub(crate) late: bool,
}

/// What a target is like.
#[derive(Debug, Clone)]
pub(crate) struct Character {
    pub(crate) connector: String,
    /// It ends access at the limit by itself.
    pub(crate) own_expiry: bool,
    /// How long a change may take to show.
    pub(crate) propagation: Span,
    /// It breaks that promise: some reads are older.
    pub(crate) breaks_promise: bool,
    /// What is sent takes effect within this time, or never.
    pub(crate) ceiling: Span,
    /// A call gives up after so long.
    pub(crate) timeout: Span,
    /// A call that was given up may take effect later than the ceiling, but not after a removal that was sent after it.
    pub(crate) fenced: bool,
    /// Several grants may hold one opening.
    pub(crate) shared: bool,
    /// Of a thousand calls, how many are accepted first and done later.
    pub(crate) pending: u32,
    /// Drift is told and left to people.
    pub(crate) alarm_only: bool,
}

impl Character {
    /// How old what a read shows may be. A target that breaks its promise goes beyond it by a few minutes.
    pub(crate) fn oldest_read(&self) -> Span {
        let beyond = if self.breaks_promise {
            Span::minutes(5)
        } else {
            Span::ZERO
        };
        self.propagation + beyond
    }
}

/// Something that happens.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    /// When, from the beginning of the run.
    pub(crate) at: Span,
    pub(crate) what: What,
}

/// People by their place in [`Scenario::people`], asks by the place of their element, targets and servers likewise.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// Somebody asks. `copies`: how often the same command is sent in all, under one idempotency key.
    Ask {
        who: usize,
        items: Vec<String>,
        duration: Option<Span>,
        start_after: Option<Span>,
        /// In an emergency, by the verb for that.
        glass: bool,
        /// A role of an environment beside the items: its name, and the role's.
        environment: Option<(String, String)>,
        copies: u32,
    },
    /// Somebody asks for more time on what an ask led to.
    Extend {
        ask: usize,
        who: usize,
        duration: Span,
        copies: u32,
    },
    Vote(Vote),
    /// Many vote at the same moment.
    Votes(Vec<Vote>),
    Withdraw {
        ask: usize,
        who: usize,
    },
    Release {
        ask: usize,
        who: usize,
        copies: u32,
    },
    Revoke {
        ask: usize,
        who: usize,
        copies: u32,
    },
    /// The holder connects, and stays connected for so long.
    Connect {
        ask: usize,
        stays: Span,
    },
    /// Somebody looks back at an emergency.
    LookBack {
        ask: usize,
        who: usize,
        revoke: bool,
    },
    Lock {
        on: On,
    },
    Unlock {
        on: On,
    },
    Groups {
        who: usize,
        groups: Vec<String>,
    },
    Manager {
        who: usize,
        manager: Option<usize>,
    },
    Deactivate {
        who: usize,
    },
    Reactivate {
        who: usize,
    },
    /// Somebody says who reviews in their place for so long, from now on or from later on. `proved`: by a session with a proof
    /// that is fresh.
    Delegate {
        who: usize,
        to: usize,
        after: Option<Span>,
        lasts: Span,
        proved: bool,
    },
    /// Somebody takes a delegation back.
    EndDelegation {
        of: usize,
        by: usize,
    },
    /// Somebody changes an account, or thinks that they may.
    Edit {
        by: usize,
        of: usize,
        act: Act,
    },
    /// Somebody applies a policy, or proposes it where others must agree.
    Policy {
        number: usize,
        who: usize,
    },
    VoteOnChange(ChangeVote),
    /// Many vote on a change at the same moment.
    VotesOnChange(Vec<ChangeVote>),
    WithdrawChange {
        proposal: usize,
        who: usize,
    },
    /// It is said that a ticket is closed.
    CloseTicket {
        ticket: usize,
    },
    Hand {
        target: usize,
        deed: Deed,
    },
    Outage {
        target: usize,
        how: Outage,
        lasts: Span,
    },
    StoreGone {
        lasts: Span,
    },
    StoreFull {
        lasts: Span,
    },
    /// One server alone loses the store.
    CutOff {
        server: usize,
        lasts: Span,
    },
    /// A server crashes after it has gone so many points further: an access to the store, a call, or its answer. `at`: only points
    /// of this kind count.
    Crash {
        server: usize,
        points: u64,
        at: Option<&'static str>,
    },
    /// A server stands still, and then goes on as if nothing had been.
    Stall {
        server: usize,
        lasts: Span,
    },
    /// The database's clock is turned, by so many microseconds.
    Jump {
        by: i64,
    },
}

/// What somebody does to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// It is made.
    Add,
    Join(String),
    Leave(String),
    Manager(Option<usize>),
    /// Somebody else answers for the program.
    Owner(usize),
    /// It administers from now on, or does no more.
    Administers(bool),
    Reactivate,
    /// It gets another password.
    Password,
    /// The program gets a token that is taken for so long.
    Token(Span),
}

/// What is locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum On {
    Person(usize),
    Resource(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Vote {
    pub(crate) ask: usize,
    pub(crate) who: usize,
    pub(crate) approve: bool,
    /// For at most so long.
    pub(crate) shorter: Option<Span>,
    /// Only for the first item.
    pub(crate) fewer: bool,
    /// With an API token, which never reviews.
    pub(crate) token: bool,
    /// Having seen another request.
    pub(crate) other_digest: bool,
}

/// What somebody says to a policy that was proposed.
#[derive(Debug, Clone)]
pub(crate) struct ChangeVote {
    /// The element that proposed it.
    pub(crate) proposal: usize,
    pub(crate) who: usize,
    pub(crate) agrees: bool,
    /// With an API token, which never reviews.
    pub(crate) token: bool,
    /// Having seen another one.
    pub(crate) other_digest: bool,
}

/// What somebody does at a target, past Daypass. The key is drawn from those that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Puts up what bears our mark: what a crash of a ledger might have left.
    AddMarked,
    /// Puts up something of their own where we would, or beside.
    AddForeign,
    /// Takes away what is ours.
    Remove,
    /// Puts back what was ours and is gone.
    PutBack,
    /// Gives what is ours another limit: none, a near one or a far one.
    Change,
}

/// How a target is out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outage {
    /// It does not answer.
    Down,
    /// It refuses our credentials.
    Denies,
    /// It says that there are too many calls.
    Limits,
    /// It answers, and does not say.
    Shrugs,
    /// Every call takes effect, and no answer arrives.
    LosesAnswers,
    /// Removals remove half, and fail.
    HalfRemoves,
}

/// What is left out of a scenario. Everything keeps its number, so that the rest happens as it did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cut {
    /// Only these elements; all of them where it is `None`.
    pub(crate) keep: Option<Vec<usize>>,
    /// Only so many servers.
    pub(crate) servers: Option<usize>,
    /// Only these people, beside the last, who administers.
    pub(crate) people: Option<Vec<usize>>,
    /// Nothing goes wrong but what an element says.
    pub(crate) calm: bool,
}

impl Scenario {
    /// The scenario of a seed, without what is cut.
    pub(crate) fn of(seed: u64, cut: &Cut) -> Self {
        let mut scenario = draw::scenario(seed);
        if let Some(servers) = cut.servers {
            scenario.servers = scenario.servers.min(servers.max(1));
        }
        if cut.calm {
            (scenario.mishaps, scenario.lost_answers) = (0, 0);
        }
        let last = scenario.people.len().saturating_sub(1);
        if let Some(keep) = &cut.people {
            for (at, person) in scenario.people.iter_mut().enumerate() {
                person.absent = at != last && !keep.contains(&at);
            }
        }
        scenario
    }

    /// The elements that happen.
    pub(crate) fn elements_of(&self, cut: &Cut) -> Vec<usize> {
        let kept = |at: &usize| cut.keep.as_ref().is_none_or(|keep| keep.contains(at));
        (0..self.elements.len()).filter(kept).collect()
    }
}

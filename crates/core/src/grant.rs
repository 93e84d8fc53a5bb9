//! A grant: time-bound access that a request led to, from its schedule to the evidence that it is gone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::certificate::Certificate;
use crate::deed::{Deed, Told};
use crate::end_when::EndWhen;
pub use crate::ending::Reason;
use crate::entitlement::{Spec, TargetKey};
pub use crate::evidence::{Evidence, Proof};
use crate::id::{GrantId, PersonId, RequestId};
use crate::name::{Item, Name};
use crate::person::Person;
use crate::planted::{Fault, is};
use crate::refusal::{Code, Refusal};
use crate::text::Prose;
use crate::time::{Span, Timestamp};

/// One item of a grant and where it is provisioned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where.
    pub target: TargetKey,
    /// What.
    pub spec: Spec,
    /// Whether its connector tells what was done with it ([`crate::deed`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tells: bool,
}

impl Part {
    /// The role on the resource.
    #[must_use]
    pub const fn item(&self) -> &Item {
        &self.spec.item
    }
}

/// Time-bound access. It is provisioned and ended as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its id, which shares its bytes with the request's.
    pub id: GrantId,
    /// The request that led to it.
    pub request: RequestId,
    /// Who holds it.
    pub holder: PersonId,
    /// What it gives; never empty.
    pub parts: Vec<Part>,
    /// For how long, from when all of it is there.
    pub duration: Span,
    /// How long its access may take to become real.
    pub activation: Span,
    /// The longest that it may last in total, extensions included.
    pub max: Span,
    /// What it never outlives, whatever happens.
    pub latest_end: Timestamp,
    /// Whether it was taken in an emergency, without anybody's agreement: a review is owed for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
    /// What ends it before its time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub end_when: Vec<EndWhen>,
    /// How far each connector has told of what was done with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<Name, Told>,
    /// How far it has come.
    pub state: State,
}

/// How far a grant has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// Approved; its time has not come.
    Scheduled {
        /// When it has.
        start: Timestamp,
    },
    /// Being provisioned.
    Activating {
        /// Since when. What was seen at a target before proves nothing for this grant.
        since: Timestamp,
        /// When it counts as failed.
        window_ends: Timestamp,
    },
    /// All of it is there; its clock runs.
    Active {
        /// Since when.
        since: Timestamp,
        /// Its deadline.
        expires_at: Timestamp,
    },
    /// Being taken away. Lasts until that was seen.
    Ending {
        /// Why.
        reason: Reason,
        /// Since when.
        since: Timestamp,
        /// When it had become active, if it had.
        active_since: Option<Timestamp>,
        /// Since when it was being set up, where it never became active: some of it may have been there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        set_up_since: Option<Timestamp>,
        /// Whether the removal takes longer than it should: somebody has been told.
        overdue: bool,
    },
    /// Seen to be gone.
    Ended {
        /// Why.
        reason: Reason,
        /// When it became active, if it did.
        active_since: Option<Timestamp>,
        /// Since when it was being set up, where it never became active: some of it may have been there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        set_up_since: Option<Timestamp>,
        /// When its end began.
        ending_since: Timestamp,
        /// When it was seen to be gone.
        at: Timestamp,
        /// What shows it, item by item.
        evidence: Vec<Evidence>,
    },
}

impl State {
    /// The state's name, as the table of legal transitions has it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Scheduled { .. } => "scheduled",
            Self::Activating { .. } => "activating",
            Self::Active { .. } => "active",
            Self::Ending { .. } => "ending",
            Self::Ended { .. } => "ended",
        }
    }
}

/// What happened to a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Its request was approved.
    Opened {
        /// As it was made.
        grant: Box<Grant>,
    },
    /// Its time came; provisioning begins.
    Begun {
        /// When it counts as failed.
        window_ends: Timestamp,
    },
    /// All of it is there.
    Activated {
        /// Its deadline.
        expires_at: Timestamp,
        /// What it never outlives, counted from now.
        latest_end: Timestamp,
    },
    /// A further request lengthened it.
    Extended {
        /// Which.
        request: RequestId,
        /// The new deadline.
        expires_at: Timestamp,
    },
    /// The holder was given credentials.
    CredentialIssued {
        /// For which item.
        item: Item,
        /// The certificate, where credentials are one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        certificate: Option<Box<Certificate>>,
    },
    /// Its end began.
    Ending {
        /// Why.
        reason: Reason,
    },
    /// Its removal takes longer than it should.
    Overdue,
    /// A target's own log told what was done with it.
    Told {
        /// Whose log.
        connector: Name,
        /// What, the oldest first.
        deeds: Vec<Deed>,
        /// How many more there were than fit.
        #[serde(default, skip_serializing_if = "is_zero")]
        unsaid: u64,
        /// Until when it was read, by the target's clock.
        through: Timestamp,
        /// There is no more to come.
        complete: bool,
        /// What came after the time before could not be read, and is not tried any more.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lost: bool,
    },
    /// It was seen to be gone.
    Ended {
        /// What shows it.
        evidence: Vec<Evidence>,
    },
}

impl Grant {
    /// Until when its entitlements should last at their targets; `None` where they should not be there (any more, or yet).
    #[must_use]
    pub fn desired_until(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.state {
            State::Activating { window_ends, .. } if now < *window_ends => {
                Some((*window_ends + self.duration).min(self.latest_end))
            }
            State::Active { .. } if is(Fault::RenewFromNow) => Some(now + self.duration),
            State::Active { expires_at, .. } if now < *expires_at => Some(*expires_at),
            _ => None,
        }
    }

    /// As it must be reckoned with where nobody can look any more: one that is being set up may have become active since, and
    /// then lasts longer than its window.
    #[must_use]
    pub fn reckoned_with(mut self) -> Self {
        if let State::Activating { window_ends, .. } = &mut self.state {
            *window_ends = (*window_ends + self.duration).min(self.latest_end);
        }
        self
    }

    /// When its deadline is, once it has one.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        match &self.state {
            State::Active { expires_at, .. } => Some(*expires_at),
            _ => None,
        }
    }

    /// When all of it was there, if that ever was.
    #[must_use]
    pub const fn active_since(&self) -> Option<Timestamp> {
        match &self.state {
            State::Active { since, .. } => Some(*since),
            State::Ending { active_since, .. } | State::Ended { active_since, .. } => *active_since,
            State::Scheduled { .. } | State::Activating { .. } => None,
        }
    }

    /// Why it ends, once it does.
    #[must_use]
    pub const fn reason(&self) -> Option<&Reason> {
        match &self.state {
            State::Ending { reason, .. } | State::Ended { reason, .. } => Some(reason),
            State::Scheduled { .. } | State::Activating { .. } | State::Active { .. } => None,
        }
    }

    /// Every free text in it, for the store to put the words back.
    pub fn prose_mut(&mut self) -> Vec<&mut Prose> {
        match &mut self.state {
            State::Scheduled { .. } | State::Activating { .. } | State::Active { .. } => Vec::new(),
            State::Ending { reason, .. } | State::Ended { reason, .. } => reason.prose_mut(),
        }
    }

    /// What it gives of an item, if that is one of its.
    #[must_use]
    pub fn part(&self, item: &Item) -> Option<&Part> {
        self.parts.iter().find(|part| part.item() == item)
    }

    /// Whether one of its items is at this key.
    #[must_use]
    pub fn is_on(&self, key: &TargetKey) -> bool {
        self.parts.iter().any(|part| part.target == *key)
    }

    /// Whether all that targets give to somebody whom they know is given to this account as the directory has it now.
    #[must_use]
    pub fn is_given_to(&self, person: &Person) -> bool {
        let is_theirs = |subject: &str| person.handles.values().any(|one| one.as_str() == subject);
        let mut subjects = self.parts.iter().filter_map(|part| part.spec.subject.as_deref());
        subjects.all(is_theirs)
    }

    /// Whether it has not begun to end.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        !matches!(self.state, State::Ending { .. } | State::Ended { .. })
    }

    /// What beginning to provision leads to.
    ///
    /// # Errors
    /// Where it is not scheduled, or not yet due.
    pub fn begin(&self, now: Timestamp) -> Result<Event, Refusal> {
        match &self.state {
            State::Scheduled { start } if *start <= now => Ok(Event::Begun {
                // Late by as much as an outage lasted, it may have no time left at all.
                window_ends: (now + self.activation).min(self.latest_end),
            }),
            _ => Err(self.wrong_state("begin")),
        }
    }

    /// What the confirmation of its last item leads to. The clock starts here.
    ///
    /// # Errors
    /// Where it is not activating.
    pub fn activate(&self, now: Timestamp) -> Result<Event, Refusal> {
        let State::Activating { .. } = &self.state else {
            return Err(self.wrong_state("activate"));
        };
        let latest_end = self.latest_end.min(now + self.max);
        Ok(Event::Activated {
            expires_at: (now + self.duration).min(latest_end),
            latest_end,
        })
    }

    /// What an approved extension leads to.
    ///
    /// # Errors
    /// Where the grant is not active, its deadline has passed, or its latest end (or `ends_by`, until when the extension's own path
    /// and the policy of the day let it last) leaves no room.
    pub fn extend(
        &self,
        request: RequestId,
        by: Span,
        ends_by: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Event, Refusal> {
        match &self.state {
            State::Active { expires_at, .. } if now < *expires_at || is(Fault::ExtendTheDead) => {
                let extended = (*expires_at + by).min(self.most(ends_by));
                if extended <= *expires_at {
                    return Err(self.no_room(ends_by));
                }
                Ok(Event::Extended {
                    request,
                    expires_at: extended,
                })
            }
            State::Scheduled { .. } | State::Activating { .. } => Err(Refusal::new(
                Code::NotActive,
                "the access is not there yet; extend it once it is",
            )),
            _ => Err(self.over()),
        }
    }

    /// Whether an extension by so much could be granted, were it approved now.
    ///
    /// # Errors
    /// As [`Self::extend`], and where the whole of it does not fit.
    pub fn may_extend(&self, by: Span, ends_by: Option<Timestamp>, now: Timestamp) -> Result<(), Refusal> {
        self.extend(RequestId::from_bytes([0; 10]), by, ends_by, now)?;
        match self.expires_at() {
            Some(expires_at) if expires_at + by > self.most(ends_by) => Err(self.no_room(ends_by)),
            _ => Ok(()),
        }
    }

    /// Until when it can be lengthened.
    fn most(&self, ends_by: Option<Timestamp>) -> Timestamp {
        ends_by.map_or(self.latest_end, |ends_by| ends_by.min(self.latest_end))
    }

    /// What an end for this reason leads to. Every state before `Ending` may end.
    ///
    /// # Errors
    /// Where it is ending or ended already, or is said to have expired before its deadline.
    pub fn end(&self, reason: Reason, now: Timestamp) -> Result<Event, Refusal> {
        if !self.is_live() {
            return Err(self.over());
        }
        if reason == Reason::Expired && self.expires_at().is_none_or(|expires_at| now < expires_at) {
            return Err(self.wrong_state("expire"));
        }
        Ok(Event::Ending { reason })
    }

    /// What giving it back leads to.
    ///
    /// # Errors
    /// Where somebody else holds it, or it is over.
    pub fn release(&self, by: PersonId, now: Timestamp) -> Result<Event, Refusal> {
        if by != self.holder {
            return Err(
                Refusal::new(Code::NotHolder, "only its holder can give a grant back")
                    .hint("revoke it instead"),
            );
        }
        self.end(Reason::Released, now)
    }

    /// What a removal that takes too long leads to.
    ///
    /// # Errors
    /// Where it is not ending, or was marked before.
    pub fn mark_overdue(&self) -> Result<Event, Refusal> {
        match &self.state {
            State::Ending { overdue: false, .. } => Ok(Event::Overdue),
            _ => Err(self.wrong_state("be overdue")),
        }
    }

    /// What evidence for every item leads to.
    ///
    /// # Errors
    /// Where it is not ending, or an item has no evidence.
    pub fn conclude(&self, evidence: Vec<Evidence>) -> Result<Event, Refusal> {
        let State::Ending { .. } = &self.state else {
            return Err(self.wrong_state("end"));
        };
        let complete = self
            .parts
            .iter()
            .all(|part| evidence.iter().any(|seen| seen.item == *part.item()));
        if complete {
            Ok(Event::Ended {
                evidence: crate::evidence::recorded(evidence),
            })
        } else {
            Err(self.wrong_state("end without evidence"))
        }
    }

    /// What handing the holder credentials for an item leads to.
    ///
    /// # Errors
    /// Where somebody else asks, the item is not in the grant, or the access is not there.
    pub fn issue_credential(&self, to: PersonId, item: &Item, now: Timestamp) -> Result<Event, Refusal> {
        if to != self.holder {
            return Err(Refusal::new(
                Code::NotHolder,
                "only its holder gets the credentials of a grant",
            ));
        }
        if self.part(item).is_none() {
            return Err(Refusal::new(
                Code::NotFound,
                format!("{item} is not in this grant"),
            ));
        }
        match &self.state {
            State::Active { expires_at, .. } if now < *expires_at => Ok(Event::CredentialIssued {
                item: item.clone(),
                certificate: None,
            }),
            State::Scheduled { .. } | State::Activating { .. } => {
                Err(Refusal::new(Code::NotActive, "the access is not there yet")
                    .hint("wait for it with: daypass status"))
            }
            _ => Err(self.over()),
        }
    }

    /// The grant after an event, or `None` where the event does not follow from its state.
    #[must_use]
    pub fn evolve(self, event: &Event, at: Timestamp) -> Option<Self> {
        match event {
            Event::Told {
                connector,
                through,
                complete,
                ..
            } => self.heard(connector, *through, *complete),
            event => self.moved(event, at),
        }
    }

    /// The grant in its next state.
    fn moved(mut self, event: &Event, at: Timestamp) -> Option<Self> {
        self.state = match (self.state, event) {
            (State::Scheduled { .. }, Event::Begun { window_ends }) => State::Activating {
                since: at,
                window_ends: *window_ends,
            },
            (
                State::Activating { .. },
                Event::Activated {
                    expires_at,
                    latest_end,
                },
            ) => {
                self.latest_end = *latest_end;
                State::Active {
                    since: at,
                    expires_at: *expires_at,
                }
            }
            (State::Active { since, .. }, Event::Extended { expires_at, .. }) => State::Active {
                since,
                expires_at: *expires_at,
            },
            (state @ State::Active { .. }, Event::CredentialIssued { .. }) => state,
            (before, Event::Ending { reason }) => {
                let (active_since, set_up_since) = match before {
                    State::Scheduled { .. } => (None, None),
                    State::Activating { since, .. } => (None, Some(since)),
                    State::Active { since, .. } => (Some(since), None),
                    State::Ending { .. } | State::Ended { .. } => return None,
                };
                State::Ending {
                    reason: reason.clone(),
                    since: at,
                    active_since,
                    set_up_since,
                    overdue: false,
                }
            }
            (mut ending @ State::Ending { .. }, Event::Overdue) => {
                if let State::Ending { overdue, .. } = &mut ending {
                    *overdue = true;
                }
                ending
            }
            (
                State::Ending {
                    reason,
                    since,
                    active_since,
                    set_up_since,
                    ..
                },
                Event::Ended { evidence },
            ) => State::Ended {
                reason,
                active_since,
                set_up_since,
                ending_since: since,
                at,
                evidence: evidence.clone(),
            },
            _ => return None,
        };
        Some(self)
    }

    fn wrong_state(&self, verb: &str) -> Refusal {
        Refusal::new(
            Code::WrongState,
            format!("a grant that is {} cannot {verb}", self.state.name()),
        )
    }

    fn over(&self) -> Refusal {
        let what = match &self.state {
            State::Ending { reason, .. } => format!("the grant is being taken away ({})", reason.name()),
            State::Ended { reason, at, .. } => format!("the grant ended at {at} ({})", reason.name()),
            _ => "the grant's deadline has passed".to_owned(),
        };
        Refusal::new(Code::GrantOver, what)
    }

    fn no_room(&self, ends_by: Option<Timestamp>) -> Refusal {
        let what = match ends_by.filter(|ends_by| *ends_by < self.latest_end) {
            Some(ends_by) => {
                format!("the grant can last until {ends_by} at most: the policy lets it last no longer")
            }
            None => format!(
                "the grant can last until {} at most ({} in total)",
                self.latest_end, self.max
            ),
        };
        Refusal::new(Code::OverLatestEnd, what).hint(self.instead(self.most(ends_by)))
    }

    /// What to do where it cannot be made so much longer, for it may last until `most`.
    #[must_use]
    pub fn instead(&self, most: Timestamp) -> String {
        let left = self.expires_at().map(|expires_at| most.since(expires_at));
        if let Some(left) = left.filter(|left| *left > Span::ZERO) {
            return format!("extend it by at most {left}");
        }
        let items: Vec<String> = self.parts.iter().map(|part| part.item().to_string()).collect();
        format!("ask for it anew: daypass request {}", items.join(" "))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

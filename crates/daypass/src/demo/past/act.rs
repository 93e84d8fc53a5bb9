//! Plays the script: each does what they would, by the engine's use cases, at their time.

use std::collections::BTreeMap;

use daypass_core::id::{ChangeId, GrantId, RequestId};
use daypass_core::name::Item;
use daypass_core::review::Decision;
use daypass_core::text::Hash;
use daypass_core::time::{Span, Timestamp};
use daypass_engine::{Caller, ChangeVerdict, Error, LookBack, Made, NewRequest, Verdict, Via};
use daypass_providers::memory::Memory;

use super::script::{Act, Answer};
use super::{Past, policies};
use crate::demo::people::ROOT;
use crate::failure::Failure;

/// The connector that is out of reach for a while.
const ESTATE: &str = "estate";
/// Who answers, and who looks back.
const MANAGER: &str = "bo";
const SECURITY: &str = "cy";

/// What is to be done at some time.
enum Next {
    Begin(Act),
    /// A manager answers, or after them security.
    Review {
        by: &'static str,
        request: (RequestId, Hash),
        who: &'static str,
        then: Answer,
    },
    Withdraw(&'static str, RequestId),
    Use(&'static str, GrantId),
    GiveBack(&'static str, GrantId),
    Revoke(GrantId),
    LookBack(RequestId, Hash),
    Agree(ChangeId, Hash, bool),
}

/// A past with what is still to happen in it.
pub(super) struct Stage {
    past: Past,
    memory: &'static Memory,
    /// By time; what falls on the same instant, in the order in which it was thought of.
    waits: BTreeMap<(Timestamp, usize), Next>,
    thought_of: usize,
}

impl Stage {
    pub(super) fn new(past: Past, memory: &'static Memory, script: Vec<(Timestamp, Act)>) -> Self {
        let mut stage = Self {
            past,
            memory,
            waits: BTreeMap::new(),
            thought_of: 0,
        };
        for (at, act) in script {
            stage.at(at, Next::Begin(act));
        }
        stage
    }

    fn at(&mut self, at: Timestamp, next: Next) {
        self.waits.insert((at, self.thought_of), next);
        self.thought_of += 1;
    }

    fn after(&mut self, span: Span, next: Next) {
        self.at(self.past.now() + span, next);
    }

    /// To its end, and until nothing of it stands any more.
    pub(super) async fn play(mut self) -> Result<(), Failure> {
        while let Some(((at, _), next)) = self.waits.pop_first() {
            self.past.until(at).await?;
            self.act(next).await?;
            self.past.settle().await?;
        }
        // The longest that anything lasts, and waits.
        let over = self.past.now() + Span::hours(4);
        self.past.until(over).await
    }

    fn caller(&self, login: &str) -> Result<Caller, Failure> {
        let person = self.past.engine.find(login)?;
        Ok(Caller {
            person: person.id,
            role: person.role,
            via: Via::Session {
                confirmed_at: self.past.now(),
            },
        })
    }

    async fn act(&mut self, next: Next) -> Result<(), Failure> {
        let engine = std::sync::Arc::clone(&self.past.engine);
        match next {
            Next::Begin(act) => self.begin(act).await,
            Next::Review {
                by,
                request,
                who,
                then,
            } => self.review(by, request, who, then).await,
            Next::Withdraw(who, id) => happened(engine.withdraw(self.caller(who)?, id).await).map(drop),
            Next::Use(who, id) => happened(engine.credential(self.caller(who)?, id, None).await).map(drop),
            Next::GiveBack(who, id) => happened(engine.release(self.caller(who)?, id).await).map(drop),
            Next::Revoke(id) => {
                let why = Some("the change was rolled back");
                happened(engine.revoke(self.caller(ROOT)?, id, why).await).map(drop)
            }
            Next::LookBack(id, digest) => {
                let look = LookBack {
                    digest,
                    comment: String::from("agreed with the on-call log; nothing else was touched"),
                    revoke: false,
                };
                happened(engine.acknowledge(self.caller(SECURITY)?, id, look).await).map(drop)
            }
            Next::Agree(id, digest, agrees) => {
                let comment =
                    (!agrees).then(|| String::from("four hours were too long before, and still are"));
                let verdict = ChangeVerdict {
                    agrees,
                    digest,
                    comment,
                };
                happened(engine.review_change(self.caller(SECURITY)?, id, verdict).await).map(drop)
            }
        }
    }

    async fn begin(&mut self, act: Act) -> Result<(), Failure> {
        let engine = std::sync::Arc::clone(&self.past.engine);
        match act {
            Act::Ask {
                who,
                item,
                length,
                reason,
                ticket,
                then,
            } => {
                let asked = NewRequest {
                    duration: Some(length),
                    ticket,
                    ..wanted(item, reason)?
                };
                let made = engine.request(self.caller(who)?, asked, None).await;
                if let Some(made) = happened(made)? {
                    self.follow(made, who, then);
                }
            }
            Act::Emergency {
                who,
                item,
                reason,
                looked_at,
            } => {
                let asked = wanted(item, reason.to_owned())?;
                let made = engine.break_glass(self.caller(who)?, asked, None).await;
                if let (Some(made), Some(after)) = (happened(made)?, looked_at) {
                    self.after(after, Next::LookBack(made.request.id, made.request.digest));
                }
            }
            Act::Outage(down) => {
                let connector = crate::demo::people::name(ESTATE)?;
                self.memory.target(&connector).set_down(down);
            }
            Act::Policy { number, agreed } => {
                let proposed = engine
                    .apply_policy(self.caller(ROOT)?, &policies::at(number))
                    .await;
                if let Some(change) = happened(proposed)?.and_then(|checked| checked.change) {
                    let answered = Span::minutes(50);
                    self.after(answered, Next::Agree(change.id, change.digest, agreed));
                }
            }
        }
        Ok(())
    }

    /// What a request leads to.
    fn follow(&mut self, made: Made, who: &'static str, then: Answer) {
        let (id, digest) = (made.request.id, made.request.digest);
        match (made.grant, then.withdrawn, then.manager) {
            (Some(grant), _, _) => self.hold(grant.id, who, &then),
            (None, Some(after), _) => self.after(after, Next::Withdraw(who, id)),
            (None, None, Some(after)) => {
                let review = Next::Review {
                    by: MANAGER,
                    request: (id, digest),
                    who,
                    then,
                };
                self.after(after, review);
            }
            (None, None, None) => {}
        }
    }

    /// What its holder, or somebody else, does with access before its time is over.
    fn hold(&mut self, grant: GrantId, who: &'static str, then: &Answer) {
        if then.used {
            self.after(Span::minutes(1), Next::Use(who, grant));
        }
        match (then.revoked, then.given_back) {
            (Some(after), _) => self.after(after, Next::Revoke(grant)),
            (None, Some(after)) => self.after(after, Next::GiveBack(who, grant)),
            (None, None) => {}
        }
    }

    async fn review(
        &mut self,
        by: &'static str,
        (id, digest): (RequestId, Hash),
        who: &'static str,
        then: Answer,
    ) -> Result<(), Failure> {
        let vote = if then.denied.is_some() {
            Decision::Deny
        } else {
            Decision::Approve {
                duration: None,
                items: None,
            }
        };
        let verdict = Verdict {
            vote,
            digest,
            comment: then.denied.map(str::to_owned),
        };
        let engine = std::sync::Arc::clone(&self.past.engine);
        let reviewed = happened(engine.review(self.caller(by)?, id, verdict).await)?;
        match reviewed.map(|made| made.grant) {
            Some(Some(grant)) => self.hold(grant.id, who, &then),
            Some(None) if by == MANAGER && then.denied.is_none() => {
                if let Some(after) = then.security {
                    let review = Next::Review {
                        by: SECURITY,
                        request: (id, digest),
                        who,
                        then,
                    };
                    self.after(after, review);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// What somebody is refused, they do not do: that happens too. Whatever else goes wrong is a fault.
fn happened<T>(done: Result<T, Error>) -> Result<Option<T>, Failure> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(Error::Refused(_)) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

fn wanted(item: &str, reason: String) -> Result<NewRequest, Failure> {
    let item: Item = item
        .parse()
        .map_err(|error| Failure::error(format!("{item}: {error}")))?;
    Ok(NewRequest {
        items: [item].into(),
        environments: Vec::new(),
        duration: None,
        start: None,
        extends: None,
        reason,
        ticket: None,
    })
}

//! Who else has had a hand in an account: whoever made it, changed it, or issued a token to it could ask through it, and must
//! not be the one who agrees.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Actor, Event, Subject, What};
use crate::id::{PersonId, TokenId};
use crate::person::Change;
use crate::time::Timestamp;

/// Who else stands behind an account, as its events tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// Who else made it or changed its groups, manager, credentials or state, or had a token to it that is over; and when they
    /// last did. What the account itself does afterwards takes nothing away here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    changed: BTreeMap<PersonId, Timestamp>,
    /// The tokens that others issued to it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tokens: BTreeMap<TokenId, Issued>,
}

/// A token that somebody else issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Issued {
    by: PersonId,
    until: Timestamp,
}

/// In which way somebody has had a hand in an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    /// A token that they issued to it is taken until then.
    Token {
        /// Until when.
        until: Timestamp,
    },
    /// They made or changed it, or had a token to it.
    Changed {
        /// When they last did.
        at: Timestamp,
    },
}

impl Behind {
    /// Whether nobody else ever had a hand in it.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.changed.is_empty() && self.tokens.is_empty()
    }

    /// In which way this person has had a hand in it; `None` for who never had.
    #[must_use]
    pub fn hand(&self, who: PersonId, now: Timestamp) -> Option<Hand> {
        let theirs = self.tokens.values().filter(|token| token.by == who);
        let until = theirs.map(|token| token.until).max();
        if let Some(until) = until.filter(|until| now < *until) {
            return Some(Hand::Token { until });
        }
        let changed = self.changed.get(&who).copied();
        let at = changed.max(until)?;
        Some(Hand::Changed { at })
    }

    /// Everybody else who ever had a hand in it.
    pub fn people(&self) -> impl Iterator<Item = PersonId> {
        let issued = self.tokens.values().map(|token| token.by);
        self.changed.keys().copied().chain(issued)
    }

    /// Notes what somebody did to the account `of`.
    pub(crate) fn note(&mut self, change: &Change, of: PersonId, by: Actor, at: Timestamp) {
        let Some(by) = other(of, by) else {
            // A new password of one's own ends the tokens that others issued as well.
            if *change == Change::Credentials {
                self.end_tokens(|_, _| true, at);
            }
            return;
        };
        match change {
            Change::TokenIssued {
                token, expires_at, ..
            } => {
                // What is over by itself is kept as the instant at which it was.
                self.end_tokens(|_, issued| issued.until <= at, at);
                let until = *expires_at;
                self.tokens.insert(*token, Issued { by, until });
            }
            Change::TokenRevoked { token } => self.end_tokens(|id, _| id == token, at),
            Change::Role { .. }
            | Change::Mail { .. }
            | Change::Delegated { .. }
            | Change::DelegationEnded { .. } => {}
            Change::Credentials | Change::Deactivated | Change::Owner { .. } => {
                self.end_tokens(|_, _| true, at);
                self.changed.insert(by, at);
            }
            // Whoever says what a target calls an account could have what is given to it.
            Change::Added { .. }
            | Change::Groups { .. }
            | Change::Manager { .. }
            | Change::Handle { .. }
            | Change::Reactivated => {
                self.changed.insert(by, at);
            }
        }
    }

    /// Of these tokens it is kept only who had one, until when.
    fn end_tokens(&mut self, over: impl Fn(&TokenId, &Issued) -> bool, at: Timestamp) {
        let ended = self.tokens.extract_if(.., |id, issued| over(id, issued));
        for (_, Issued { by, until }) in ended.collect::<Vec<_>>() {
            let last = self.changed.entry(by).or_insert(Timestamp::EPOCH);
            *last = until.min(at).max(*last);
        }
    }
}

/// Who acts on somebody else's account.
fn other(of: PersonId, by: Actor) -> Option<PersonId> {
    match by {
        Actor::Person(by) if by != of => Some(by),
        Actor::Person(_) | Actor::System => None,
    }
}

/// Whether what the directory says of people changes by this. A session or token of one's own is none of its business; one
/// that somebody else issues says who stands behind the account. A revocation only ends that sooner: whoever has not read it yet
/// goes on refusing.
#[must_use]
pub fn changes_directory(event: &Event) -> bool {
    match (&event.subject, &event.what) {
        (Subject::Person(id), What::Person(Change::TokenIssued { .. })) => other(*id, event.actor).is_some(),
        (_, What::Person(change)) => change.is_of_directory(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    const fn who(n: u8) -> PersonId {
        PersonId::from_bytes([n; 10])
    }

    fn at(minutes: u64) -> Timestamp {
        Timestamp::EPOCH + Span::minutes(minutes)
    }

    fn noted(all: &[(Change, u8, u64)]) -> Behind {
        let mut behind = Behind::default();
        for (change, by, when) in all {
            behind.note(change, who(1), Actor::Person(who(*by)), at(*when));
        }
        behind
    }

    fn issued(token: u8, until: u64) -> Change {
        Change::TokenIssued {
            token: TokenId::from_bytes([token; 10]),
            expires_at: at(until),
            key: None,
        }
    }

    fn revoked(token: u8) -> Change {
        Change::TokenRevoked {
            token: TokenId::from_bytes([token; 10]),
        }
    }

    #[test]
    fn what_the_account_does_itself_hides_nobody() {
        // Somebody sets a password, logs in with it, and sets another one.
        let behind = noted(&[(Change::Credentials, 2, 5), (Change::Credentials, 1, 6)]);
        assert_eq!(behind.hand(who(2), at(7)), Some(Hand::Changed { at: at(5) }));
        assert_eq!(behind.hand(who(1), at(7)), None);
        // Nor does what another administrator does.
        let behind = noted(&[(Change::Credentials, 2, 5), (Change::Credentials, 3, 6)]);
        assert_eq!(behind.hand(who(2), at(7)), Some(Hand::Changed { at: at(5) }));
    }

    #[test]
    fn a_token_counts_while_it_is_taken_and_leaves_a_trace() {
        let behind = noted(&[(issued(1, 60), 2, 5)]);
        assert_eq!(behind.hand(who(2), at(59)), Some(Hand::Token { until: at(60) }));
        assert_eq!(behind.hand(who(2), at(61)), Some(Hand::Changed { at: at(60) }));
        let behind = noted(&[(issued(1, 60), 2, 5), (revoked(1), 2, 9)]);
        assert_eq!(behind.hand(who(2), at(10)), Some(Hand::Changed { at: at(9) }));
        // Of many that are over, one trace is left.
        let many: Vec<_> = (0..50)
            .map(|n| (issued(n, u64::from(n) + 1), 2, u64::from(n)))
            .collect();
        let behind = noted(&many);
        assert_eq!((behind.tokens.len(), behind.changed.len()), (1, 1));
        let own = noted(&[(issued(1, 60), 1, 5)]);
        assert!(own.is_nothing());
    }

    #[test]
    fn a_password_of_ones_own_ends_the_tokens_of_others() {
        let behind = noted(&[(issued(1, 60), 2, 5), (Change::Credentials, 1, 9)]);
        assert_eq!(behind.hand(who(2), at(10)), Some(Hand::Changed { at: at(9) }));
    }
}

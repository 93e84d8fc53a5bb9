//! A register in memory, which several installations share, with a clock and a switch to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use daypass_core::entitlement::Fault;
use daypass_core::time::{Span, Timestamp};
use daypass_providers::Error;
use daypass_providers::ssh::{
    Acknowledged, End, LISTED_PAST_END, MOST_VALID, Publics, Register, Revoked, Standing, Told, Trusted,
};
use zeroize::Zeroizing;

#[derive(Clone)]
pub(super) struct State(Arc<Mutex<Kept>>);

struct Kept {
    now: Timestamp,
    /// By how much it runs ahead of the clock.
    ahead: Span,
    down: bool,
    /// The private key cannot be opened.
    sealed: bool,
    public: Option<Vec<u8>>,
    standing: BTreeMap<String, (String, Standing)>,
    /// The serial is the place.
    issued: Vec<Issued>,
    version: u64,
    hosts: BTreeMap<String, Acknowledged>,
    /// Resources and hosts.
    given: BTreeSet<(String, String)>,
}

struct Issued {
    key: String,
    end: Timestamp,
    revoked: bool,
}

impl Kept {
    fn clock(&self) -> Timestamp {
        Timestamp::from_micros(self.now.micros() - i64::try_from(self.ahead.micros()).unwrap())
    }

    /// A list that loses one is a new one.
    fn forget(&mut self) {
        let clock = self.clock();
        let mut fewer = false;
        for one in &mut self.issued {
            if one.revoked && one.end + LISTED_PAST_END <= clock {
                (one.revoked, fewer) = (false, true);
            }
        }
        self.version += u64::from(fewer);
    }
}

impl Default for State {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Kept {
            now: "2026-03-07T12:00:00Z".parse().unwrap(),
            ahead: Span::ZERO,
            down: false,
            sealed: false,
            public: None,
            standing: BTreeMap::new(),
            issued: Vec::new(),
            version: 0,
            hosts: BTreeMap::new(),
            given: BTreeSet::new(),
        })))
    }
}

impl State {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.kept().now
    }

    pub(super) fn pass(&self, span: Span) {
        let now = self.now();
        self.kept().now = now + span;
    }

    /// The clock was ahead by so much, and is put right: time goes on from where it was.
    pub(super) fn put_right(&self, by: Span) {
        let ahead = self.kept().ahead;
        self.kept().ahead = ahead + by;
    }

    pub(super) fn lose_the_key(&self) {
        self.kept().sealed = true;
    }

    pub(super) fn set_down(&self, down: bool) {
        self.kept().down = down;
    }

    pub(super) fn add_by_hand(&self, key: &str) {
        let standing = Standing {
            until: Some(self.now()),
            last_valid: None,
            revoked_in: 0,
        };
        self.kept()
            .standing
            .insert(key.to_owned(), ("by hand".to_owned(), standing));
    }

    pub(super) fn of(&self, owner: &str) -> String {
        let kept = self.kept();
        format!(
            "{:?}",
            kept.standing
                .iter()
                .filter(|(_, (of, _))| of == owner)
                .collect::<Vec<_>>()
        )
    }
}

#[derive(Clone)]
pub(super) struct InMemory {
    owner: String,
    state: State,
}

impl InMemory {
    pub(super) fn new(owner: &str, state: &State) -> Self {
        Self {
            owner: owner.to_owned(),
            state: state.clone(),
        }
    }

    fn up(&self) -> Result<MutexGuard<'_, Kept>, Error> {
        let kept = self.state.kept();
        if kept.down {
            return Err(Error::new(Fault::Unavailable, "it is down"));
        }
        Ok(kept)
    }
}

#[async_trait]
impl Register for InMemory {
    async fn told(&self) -> Result<Told, Error> {
        let kept = self.up()?;
        Ok(Told {
            now: kept.now,
            clock: kept.clock(),
        })
    }

    async fn seed(&self, _: &str) -> Result<Zeroizing<[u8; 32]>, Error> {
        if self.up()?.sealed {
            return Err(Error::new(Fault::Misconfigured, "it cannot be opened"));
        }
        Ok(Zeroizing::new([7; 32]))
    }

    async fn trusted(&self, connector: &str) -> Result<Trusted, Error> {
        Ok(Trusted {
            current: self.seed(connector).await?,
            since: None,
            next: None,
            old: None,
        })
    }

    async fn fresh(&self, _: &str) -> Result<(Zeroizing<[u8; 32]>, Vec<u8>), Error> {
        Ok((Zeroizing::new([8; 32]), vec![8]))
    }

    async fn seal_old(&self, _: &str, public: &[u8; 32]) -> Result<Vec<u8>, Error> {
        Ok(public.to_vec())
    }

    async fn publics(&self, _: &str) -> Result<Publics, Error> {
        Ok(Publics {
            signing: self.up()?.public.iter().cloned().collect(),
            withdrawn: Vec::new(),
        })
    }

    async fn keep_public(&self, _: &str, key: Vec<u8>) -> Result<(), Error> {
        self.up()?.public.get_or_insert(key);
        Ok(())
    }

    fn nonce(&self) -> [u8; 32] {
        [1; 32]
    }

    async fn open(&self, _: &str, key: &str, until: Timestamp) -> Result<(), Error> {
        let mut kept = self.up()?;
        let fresh = Standing {
            until: None,
            last_valid: None,
            revoked_in: 0,
        };
        let (owner, standing) = kept
            .standing
            .entry(key.to_owned())
            .or_insert((self.owner.clone(), fresh));
        if *owner != self.owner {
            return Err(Error::new(Fault::AlreadyStanding, "it is somebody else's"));
        }
        standing.until = Some(until);
        Ok(())
    }

    async fn reserve(&self, _: &str, key: &str, end: End) -> Result<u64, Error> {
        let mut kept = self.up()?;
        kept.forget();
        let (now, clock) = (kept.now, kept.clock());
        let of_key = kept.issued.iter().filter(|one| one.key == key);
        let valid = of_key.filter(|one| clock < one.end).count();
        let standing = kept
            .standing
            .get_mut(key)
            .filter(|(owner, _)| *owner == self.owner);
        let open =
            standing.filter(|(_, one)| one.until.is_some_and(|until| now < until && end.until <= until));
        let (_, standing) = open.ok_or_else(|| Error::new(Fault::NotFound, "it is not open"))?;
        if valid as u64 >= MOST_VALID {
            return Err(Error::new(Fault::RateLimited, "there are too many"));
        }
        standing.last_valid = standing.last_valid.max(Some(end.clock));
        kept.issued.push(Issued {
            key: key.to_owned(),
            end: end.clock,
            revoked: false,
        });
        Ok(kept.issued.len() as u64)
    }

    async fn close(&self, _: &str, key: &str) -> Result<(), Error> {
        let mut kept = self.up()?;
        kept.forget();
        let clock = kept.clock();
        let mut more = false;
        for one in &mut kept.issued {
            if one.key == key && !one.revoked && clock < one.end + LISTED_PAST_END {
                (one.revoked, more) = (true, true);
            }
        }
        kept.version += u64::from(more);
        let version = kept.version;
        if let Some((owner, standing)) = kept.standing.get_mut(key)
            && *owner == self.owner
        {
            standing.until = None;
            if more {
                standing.revoked_in = version;
            }
        }
        Ok(())
    }

    async fn look(&self, _: &str, key: &str) -> Result<Option<Standing>, Error> {
        let kept = self.up()?;
        let found = kept.standing.get(key).filter(|(owner, _)| *owner == self.owner);
        Ok(found.map(|(_, standing)| *standing))
    }

    async fn keys(&self, _: &str) -> Result<Vec<String>, Error> {
        let kept = self.up()?;
        let ours = kept
            .standing
            .iter()
            .filter(|(_, (owner, one))| *owner == self.owner && one.until.is_some());
        Ok(ours.map(|(key, _)| key.clone()).collect())
    }

    async fn give(&self, _: &str, host: &str, resources: &BTreeSet<String>) -> Result<(), Error> {
        let mut kept = self.up()?;
        for resource in resources {
            kept.given.insert((resource.clone(), host.to_owned()));
        }
        Ok(())
    }

    async fn given(&self, _: &str, resource: &str) -> Result<BTreeSet<String>, Error> {
        let kept = self.up()?;
        let of = kept.given.iter().filter(|(one, _)| one == resource);
        Ok(of.map(|(_, host)| host.clone()).collect())
    }

    async fn revoked(&self, _: &str) -> Result<Revoked, Error> {
        let kept = self.up()?;
        let listed = (1..).zip(&kept.issued).filter(|(_, one)| one.revoked);
        Ok(Revoked {
            version: kept.version,
            serials: listed.map(|(serial, _)| serial).collect(),
        })
    }

    async fn acknowledge(
        &self,
        _: &str,
        host: &str,
        version: u64,
        trusts: &BTreeSet<String>,
    ) -> Result<(), Error> {
        let mut kept = self.up()?;
        let (at, trusts) = (kept.now, trusts.clone());
        let has = Acknowledged { version, trusts, at };
        kept.hosts.insert(host.to_owned(), has);
        Ok(())
    }

    async fn acknowledged(&self, _: &str) -> Result<BTreeMap<String, Acknowledged>, Error> {
        Ok(self.up()?.hosts.clone())
    }
}

//! A register in memory, which several installations share, with a clock and a switch to fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use daypass_core::entitlement::Fault;
use daypass_core::time::{Span, Timestamp};
use daypass_providers::Error;
use daypass_providers::ssh::{Acknowledged, Register, Revoked, Standing};
use zeroize::Zeroizing;

#[derive(Clone)]
pub(super) struct State(Arc<Mutex<Kept>>);

struct Kept {
    now: Timestamp,
    down: bool,
    standing: BTreeMap<String, (String, Standing)>,
    /// Key, end, revoked; the serial is the place.
    issued: Vec<(String, Timestamp, bool)>,
    version: u64,
    hosts: BTreeMap<String, Acknowledged>,
}

impl Default for State {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Kept {
            now: "2026-03-07T12:00:00Z".parse().unwrap(),
            down: false,
            standing: BTreeMap::new(),
            issued: Vec::new(),
            version: 0,
            hosts: BTreeMap::new(),
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
    async fn now(&self) -> Result<Timestamp, Error> {
        Ok(self.up()?.now)
    }

    async fn seed(&self, _: &str) -> Result<Zeroizing<[u8; 32]>, Error> {
        self.up().map(|_| Zeroizing::new([7; 32]))
    }

    async fn since(&self, _: &str) -> Result<Option<Timestamp>, Error> {
        self.up().map(|kept| Some(kept.now))
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

    async fn reserve(&self, _: &str, key: &str, valid_before: Timestamp) -> Result<u64, Error> {
        let mut kept = self.up()?;
        let now = kept.now;
        let standing = kept
            .standing
            .get_mut(key)
            .filter(|(owner, _)| *owner == self.owner);
        let open = standing.filter(|(_, one)| {
            one.until
                .is_some_and(|until| now < until && valid_before <= until)
        });
        let (_, standing) = open.ok_or_else(|| Error::new(Fault::NotFound, "it is not open"))?;
        standing.last_valid = standing.last_valid.max(Some(valid_before));
        kept.issued.push((key.to_owned(), valid_before, false));
        Ok(kept.issued.len() as u64)
    }

    async fn close(&self, _: &str, key: &str) -> Result<(), Error> {
        let mut kept = self.up()?;
        let now = kept.now;
        let mut more = false;
        for (of, until, revoked) in &mut kept.issued {
            if of == key && !*revoked && now < *until {
                (*revoked, more) = (true, true);
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

    async fn revoked(&self, _: &str, after: Timestamp) -> Result<Revoked, Error> {
        let kept = self.up()?;
        let listed = (1..)
            .zip(&kept.issued)
            .filter(|(_, (_, until, revoked))| *revoked && after < *until);
        Ok(Revoked {
            version: kept.version,
            serials: listed.map(|(serial, _)| serial).collect(),
        })
    }

    async fn acknowledge(&self, _: &str, host: &str, version: u64) -> Result<(), Error> {
        let mut kept = self.up()?;
        let at = kept.now;
        kept.hosts.insert(host.to_owned(), Acknowledged { version, at });
        Ok(())
    }

    async fn acknowledged(&self, _: &str) -> Result<BTreeMap<String, Acknowledged>, Error> {
        Ok(self.up()?.hosts.clone())
    }
}

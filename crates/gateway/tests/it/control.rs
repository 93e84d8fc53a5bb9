//! Whoever decides, in the hands of a test: it really checks proofs, gives leases, and keeps what it was told.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use async_trait::async_trait;
use daypass_core::time::Timestamp;
use daypass_gateway::control::*;
use daypass_gateway::postgres::target::{Guardrails, Place, PostgresTarget};
use daypass_gateway::record::{Record, Statement, What};
use daypass_gateway::scram::{Certificates, Salt, Verifier};
use daypass_gateway::ssh::event::Event;
use daypass_gateway::ssh::target::SshTarget;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{mpsc, watch};

use crate::world;

/// The secret of everybody.
pub(crate) const SECRET: &str = "a-secret-of-ada";

/// What is decided from now on.
pub(crate) struct Rules {
    pub(crate) place: Place,
    pub(crate) user: String,
    pub(crate) password: Option<SecretString>,
    pub(crate) database: String,
    pub(crate) guardrails: Guardrails,
    pub(crate) recording: Recording,
    pub(crate) term: Term,
    pub(crate) refusal: Option<Refusal>,
    /// Whoever connects waits, and is told this.
    pub(crate) ask: Option<Vec<String>>,
    /// The answer to whoever waits.
    pub(crate) decision: Option<Waited>,
    /// Nothing can be asked.
    pub(crate) cut_off: bool,
    /// Records are not taken.
    pub(crate) sink_fails: bool,
    /// Where they are not taken, they never will be.
    pub(crate) sink_refuses: bool,
    /// Records are not taken yet.
    pub(crate) sink_waits: bool,
    /// Records are taken, and stored when it is asked for only.
    pub(crate) storage_lags: bool,
    /// The end of the grant.
    pub(crate) deadline: Option<Instant>,
    /// All sessions end in the moment before somebody listens for endings.
    pub(crate) ends_unheard: Option<Reason>,
    /// Every lease is the same.
    pub(crate) one_lease: bool,
    /// Leases are given, and the answer does not arrive yet.
    pub(crate) hold_open: bool,
    /// What is behind the gateway is a host.
    pub(crate) host: Option<Host>,
}

/// A host, and who gets there.
pub(crate) struct Host {
    pub(crate) target: SshTarget,
    /// The authority's private key, and for whom it signs.
    pub(crate) authority: PathBuf,
    pub(crate) principal: String,
    /// The key of everybody who comes with one.
    pub(crate) key: Vec<u8>,
    /// The digest of the gateway's host key.
    pub(crate) shown: Vec<u8>,
    /// Another one, by its name; it looks at no certificate.
    pub(crate) other: Option<(String, SshTarget)>,
}

impl Host {
    /// A certificate for the key that was drawn for the session, by OpenSSH's own program.
    fn target(&self, key: &str) -> SshTarget {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("key.pub");
        std::fs::write(&at, key).unwrap();
        let mut keygen = Command::new("ssh-keygen");
        keygen.args([
            "-q",
            "-I",
            "a session",
            "-V",
            "-1m:+1m",
            "-n",
            &self.principal,
            "-s",
        ]);
        let signed = keygen.arg(&self.authority).arg(&at).output().unwrap();
        assert!(
            signed.status.success(),
            "{}",
            String::from_utf8_lossy(&signed.stderr)
        );
        SshTarget {
            certificate: std::fs::read_to_string(dir.path().join("key-cert.pub")).unwrap(),
            ..self.target.clone()
        }
    }
}

#[derive(Default)]
struct Kept {
    challenges: HashMap<Ticket, (PersonId, daypass_gateway::scram::Challenge)>,
    tickets: HashMap<Ticket, PersonId>,
    ended: HashMap<LeaseId, Reason>,
    open: HashSet<LeaseId>,
    leases: Vec<(LeaseId, SessionId, PersonId)>,
    records: Vec<(SessionId, Record)>,
    closings: Vec<Closing>,
    listeners: Vec<mpsc::UnboundedSender<Ending>>,
    openings: Vec<Opening>,
    /// What was taken of each session, in memory.
    taken: HashMap<SessionId, Vec<Record>>,
    /// Up to which number it is stored.
    stored: HashMap<SessionId, u64>,
    flushes: u64,
    /// How often records were not taken.
    failures: u64,
    renewals: u64,
    waits: u64,
    /// Of each login, whether it was bound to our certificate.
    bound: Vec<bool>,
}

pub(crate) struct Judge {
    pub(crate) rules: Mutex<Rules>,
    kept: Mutex<Kept>,
    changed: watch::Sender<u64>,
    next: AtomicU64,
    verifier: Verifier,
}

impl Rules {
    fn term(&self) -> Term {
        let mut term = self.term;
        if let Some(deadline) = self.deadline {
            term.ends_in = deadline.saturating_duration_since(world::now());
        }
        term
    }
}

impl Judge {
    pub(crate) fn new(rules: Rules) -> Arc<Self> {
        Arc::new(Self {
            rules: Mutex::new(rules),
            kept: Mutex::default(),
            changed: watch::Sender::new(0),
            next: AtomicU64::new(1),
            verifier: Verifier::of(&SecretString::from(SECRET), Salt::of(b"key", "everybody")),
        })
    }

    pub(crate) fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    fn number(&self, what: &str) -> String {
        format!("{what}-{}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn change(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    /// Waits until something is so, looking whenever something happened here.
    pub(crate) async fn until<T>(&self, what: &str, is: impl Fn(&Self) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        let waiting = async {
            loop {
                if let Some(found) = is(self) {
                    return found;
                }
                changed.changed().await.unwrap();
            }
        };
        world::for_a_while(world::SOON, waiting)
            .await
            .unwrap_or_else(|| panic!("never: {what}"))
    }

    pub(crate) fn wake(&self) {
        self.change();
    }

    pub(crate) fn statements(&self) -> Vec<Statement> {
        let records = &self.kept().records;
        let statement = |(_, record): &(SessionId, Record)| match &record.what {
            What::Statement(statement) => Some(statement.clone()),
            _ => None,
        };
        records.iter().filter_map(statement).collect()
    }

    /// Waits for the record of a statement.
    pub(crate) async fn recorded(&self, text: &str) -> Statement {
        let found = |judge: &Self| judge.statements().into_iter().find(|one| &*one.text == text);
        self.until(&format!("a record of {text}"), found).await
    }

    /// Whoever takes records dies, with all that it had not stored.
    pub(crate) fn sink_dies(&self) {
        let mut kept = self.kept();
        let stored = kept.stored.clone();
        for (session, all) in &mut kept.taken {
            all.truncate(
                stored
                    .get(session)
                    .map_or(0, |stored| usize::try_from(*stored).unwrap()),
            );
        }
    }

    /// How often it was asked to store at once, and how many records are taken and not stored.
    pub(crate) fn flushes(&self) -> (u64, usize) {
        let kept = self.kept();
        let taken: usize = kept.taken.values().map(Vec::len).sum();
        (kept.flushes, taken - kept.records.len())
    }

    pub(crate) fn failures(&self) -> u64 {
        self.kept().failures
    }

    pub(crate) fn records(&self) -> Vec<(SessionId, Record)> {
        self.kept().records.clone()
    }

    pub(crate) fn leases(&self) -> Vec<(LeaseId, SessionId, PersonId)> {
        self.kept().leases.clone()
    }

    /// How many challenges nobody has answered.
    pub(crate) fn challenges(&self) -> usize {
        self.kept().challenges.len()
    }

    pub(crate) fn openings(&self) -> Vec<Opening> {
        self.kept().openings.clone()
    }

    pub(crate) fn renewals(&self) -> u64 {
        self.kept().renewals
    }

    pub(crate) fn waits(&self) -> u64 {
        self.kept().waits
    }

    /// Of each login, whether it was bound to our certificate.
    pub(crate) fn bound(&self) -> Vec<bool> {
        self.kept().bound.clone()
    }

    /// Waits until so many sessions were closed.
    pub(crate) async fn closings(&self, count: usize) -> Vec<Closing> {
        let enough = |judge: &Self| {
            let closings = judge.kept().closings.clone();
            (closings.len() >= count).then_some(closings)
        };
        self.until(&format!("{count} closings"), enough).await
    }

    fn proved(&self, name: &str) -> Proved {
        let ticket = Ticket(self.number("ticket").into());
        self.kept().tickets.insert(ticket.clone(), PersonId::from(name));
        Proved {
            ticket,
            name: name.to_owned(),
            person: PersonId::from(name),
            server_signature: Vec::new(),
        }
    }

    /// What was recorded of SSH.
    pub(crate) fn events(&self) -> Vec<Event> {
        let event = |(_, record): &(SessionId, Record)| match &record.what {
            What::Ssh(event) => Some(event.clone()),
            _ => None,
        };
        self.kept().records.iter().filter_map(event).collect()
    }

    fn decision(&self, ticket: &Ticket) -> Option<Waited> {
        match &mut self.rules().decision {
            Some(Waited::Open(_)) => Some(Waited::Open(ticket.clone())),
            Some(Waited::Refused(refusal)) => Some(Waited::Refused(refusal.clone())),
            // Something new is said once.
            Some(Waited::Still(lines)) if !lines.is_empty() => Some(Waited::Still(std::mem::take(lines))),
            _ => None,
        }
    }

    /// Ends sessions, and tells every gateway at once.
    pub(crate) fn end(&self, which: Which, reason: Reason) {
        let mut kept = self.kept();
        kept.note_end(&which, &reason);
        for listener in &kept.listeners {
            let _ = listener.send(Ending {
                which: which.clone(),
                reason: reason.clone(),
            });
        }
    }

    /// The channel of endings breaks; the gateway asks for another.
    pub(crate) fn cut_endings(&self) {
        self.kept().listeners.clear();
    }

    /// Ends sessions without telling: the gateway learns it when it renews.
    pub(crate) fn end_quietly(&self, which: Which, reason: Reason) {
        self.kept().note_end(&which, &reason);
    }
}

impl Judge {
    fn decide(&self, opening: Opening) -> Result<Opened, Unavailable> {
        let rules = self.rules();
        if rules.cut_off {
            return Err(unavailable());
        }
        let mut kept = self.kept();
        kept.openings.push(opening.clone());
        let Some(person) = kept.tickets.remove(&opening.ticket) else {
            return Err(Unavailable("a ticket that is not known".to_owned()));
        };
        if let Some(refusal) = &rules.refusal {
            return Ok(Opened::Refused(refusal.clone()));
        }
        if let (Some(lines), None | Some(Waited::Still(_) | Waited::Refused(_))) =
            (&rules.ask, &rules.decision)
        {
            let ticket = Ticket(self.number("waiting").into());
            kept.tickets.insert(ticket.clone(), person);
            let lines = lines.clone();
            return Ok(Opened::Waiting(Waiting { ticket, lines }));
        }
        let lease = if rules.one_lease {
            "lease".to_owned()
        } else {
            self.number("lease")
        };
        let session = self.number("session");
        let (id, session) = (LeaseId::from(lease.as_str()), SessionId::from(session.as_str()));
        kept.leases.push((id.clone(), session.clone(), person.clone()));
        kept.open.insert(id.clone());
        drop(kept);
        self.change();
        let target = match &rules.host {
            Some(Host {
                other: Some((name, target)),
                ..
            }) if *name == opening.target => Target::Ssh(target.clone()),
            Some(host) => Target::Ssh(host.target(opening.key.as_deref().unwrap_or_default())),
            None => Target::Postgres(PostgresTarget {
                place: rules.place.clone(),
                user: rules.user.clone(),
                password: rules.password.clone(),
                database: rules.database.clone(),
                guardrails: rules.guardrails,
            }),
        };
        Ok(Opened::Lease(Box::new(Lease {
            id,
            session,
            grant: GrantId::from("grant"),
            person,
            term: rules.term(),
            ends_at: Timestamp::from_micros(0),
            target,
            recording: rules.recording,
        })))
    }
}

impl Kept {
    fn store(&mut self, session: &SessionId, stored: u64) {
        let before = self.stored.insert(session.clone(), stored).unwrap_or(0);
        let all = self.taken.get(session).into_iter().flatten();
        let new = all.filter(|record| (before + 1..=stored).contains(&record.number));
        self.records
            .extend(new.map(|record| (session.clone(), record.clone())));
    }

    fn note_end(&mut self, which: &Which, reason: &Reason) {
        for (lease, _, person) in &self.leases {
            let is = match which {
                Which::Lease(one) => one == lease,
                Which::Person(one) => one == person,
                Which::Every | Which::Grant(_) => true,
            };
            if is {
                self.ended.insert(lease.clone(), reason.clone());
            }
        }
    }
}

fn unavailable() -> Unavailable {
    Unavailable("cut off by the test".to_owned())
}

#[async_trait]
impl Control for Judge {
    async fn challenge(&self, user: &str, _: &Origin) -> Result<Challenge, Unavailable> {
        if self.rules().cut_off {
            return Err(unavailable());
        }
        let nonce = self.number("nonce");
        let scram = if user.starts_with("nobody") {
            daypass_gateway::scram::Challenge::decoy(Salt::of(b"key", user), nonce)
        } else {
            self.verifier.challenge(nonce)
        };
        let ticket = Ticket(self.number("challenge").into());
        self.kept()
            .challenges
            .insert(ticket.clone(), (PersonId::from(user), scram.clone()));
        Ok(Challenge { ticket, scram })
    }

    fn forget(&self, ticket: &Ticket) {
        self.kept().challenges.remove(ticket);
        self.change();
    }

    async fn prove(&self, proof: Proof, _: &Origin) -> Result<Option<Proved>, Unavailable> {
        let (ticket, answer) = match proof {
            Proof::Scram { ticket, answer } => (ticket, answer),
            Proof::Key { ticket, signed } => {
                let nonce = match self.kept().challenges.get(&ticket) {
                    Some((_, challenge)) => challenge.nonce.clone(),
                    None => return Ok(None),
                };
                let (key, shown) = match &self.rules().host {
                    Some(host) => (host.key.clone(), host.shown.clone()),
                    None => return Ok(None),
                };
                let Some(holder) = signed.check(&nonce, &[&shown]) else {
                    return Ok(None);
                };
                let known = holder.key == key && holder.login.is_none_or(|login| login == "ada");
                if known {
                    self.kept().challenges.remove(&ticket);
                }
                return Ok(known.then(|| self.proved("ada")));
            }
            Proof::Password { user, secret } => {
                let known = user == "ada" && secret.expose_secret() == SECRET;
                return Ok(known.then(|| self.proved("ada")));
            }
            _ => return Ok(None),
        };
        let Some((person, challenge)) = self.kept().challenges.remove(&ticket) else {
            return Ok(None);
        };
        let Some(server_signature) = self.verifier.check(&challenge, &answer, Certificates::Unknown) else {
            return Ok(None);
        };
        let ticket = Ticket(self.number("ticket").into());
        let mut kept = self.kept();
        kept.tickets.insert(ticket.clone(), person.clone());
        // "p=tls-server-end-point" in base64, and not "n" or "y".
        kept.bound.push(answer.said.contains(",c=cD10bHM"));
        drop(kept);
        Ok(Some(Proved {
            ticket,
            name: person.to_string(),
            person,
            server_signature,
        }))
    }

    async fn open(&self, opening: Opening) -> Result<Opened, Unavailable> {
        let opened = self.decide(opening)?;
        let mut changed = self.changed.subscribe();
        while self.rules().hold_open {
            changed.changed().await.unwrap();
        }
        Ok(opened)
    }

    async fn waited(&self, ticket: &Ticket) -> Result<Waited, Unavailable> {
        self.kept().waits += 1;
        self.change();
        let mut changed = self.changed.subscribe();
        loop {
            let decision = self.decision(ticket);
            if let Some(decision) = decision {
                return Ok(decision);
            }
            changed.changed().await.unwrap();
        }
    }

    async fn renew(&self, leases: &[LeaseId]) -> Result<Vec<Renewed>, Unavailable> {
        let rules = self.rules();
        if rules.cut_off {
            return Err(unavailable());
        }
        let term = rules.term();
        drop(rules);
        let mut kept = self.kept();
        kept.renewals += 1;
        let answer = leases.iter().map(|lease| match kept.ended.get(lease) {
            Some(reason) => Renewed::Ended(reason.clone()),
            None => Renewed::Until(term),
        });
        let answer = answer.collect();
        drop(kept);
        self.change();
        Ok(answer)
    }

    async fn close(&self, closing: Closing) -> Result<(), Unavailable> {
        if self.rules().cut_off {
            return Err(unavailable());
        }
        let mut kept = self.kept();
        // Closing twice is closing once.
        if kept.open.remove(&closing.lease) {
            kept.closings.push(closing);
        }
        drop(kept);
        self.change();
        Ok(())
    }

    async fn record(&self, delivery: Delivery<'_>) -> Result<Progress, NotTaken> {
        let mut changed = self.changed.subscribe();
        while self.rules().sink_waits {
            changed.changed().await.unwrap();
        }
        let rules = self.rules();
        let (sink_fails, lag) = (rules.sink_fails, rules.storage_lags);
        let sink_refuses = rules.sink_refuses;
        drop(rules);
        let mut kept = self.kept();
        if sink_fails {
            kept.failures += 1;
            drop(kept);
            self.change();
            return Err(if sink_refuses {
                NotTaken::Never("refused by the test".to_owned())
            } else {
                unavailable().into()
            });
        }
        kept.flushes += u64::from(delivery.flush);
        let all = kept.taken.entry(delivery.session.clone()).or_default();
        for record in delivery.records {
            if record.number == all.len() as u64 + 1 {
                all.push(record.clone());
            }
        }
        let taken = all.len() as u64;
        let before = kept.stored.get(delivery.session).copied().unwrap_or(0);
        let stored = if lag && !delivery.flush { before } else { taken };
        kept.store(delivery.session, stored);
        drop(kept);
        self.change();
        Ok(Progress { taken, stored })
    }

    fn endings(&self) -> mpsc::UnboundedReceiver<Ending> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let unheard = self.rules().ends_unheard.clone();
        let mut kept = self.kept();
        if let Some(reason) = unheard {
            kept.note_end(&Which::Every, &reason);
        }
        kept.listeners.push(sender);
        receiver
    }
}

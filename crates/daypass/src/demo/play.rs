//! The main job, played once: from no access, through two approvals, to a role at the target, and back to none.
//!
//! Everything goes the way that it would for people: over the HTTP API, each with their own session. Every sentence is told
//! after it was seen to be true; what does not hold ends the play with an error.

use std::time::Duration;

use daypass_api::client::{Client, EventStream};
use daypass_api::event::AuditQuery;
use daypass_api::grant::{AskCredential, Entitlement, Evidence, Grant, GrantState, Observed};
use daypass_api::preview::Preview;
use daypass_api::request::{Decision, NewRequest, NewReview, Request, RequestState};
use daypass_core::name::Item;
use daypass_core::time::{Span, Timestamp};
use daypass_server::edge;

use super::narrator::Narrator;
use super::people::{People, client};
use super::target::{Session, Target};
use super::trail::{entry, missing};
use crate::failure::Failure;

/// What ana asks for.
const ITEM: &str = "orders-prod/write";
/// For how long: enough to see it, short enough to wait for.
const LENGTH: Span = Span::seconds(5);
/// Why.
const REASON: &str = "PAY-7: fix a stuck order";
/// How long anything that should happen soon may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// The play, and who is in it.
pub(super) struct Play<'a> {
    /// Tells it.
    pub(super) narrator: Narrator,
    /// Who plays.
    pub(super) people: &'a People,
    /// What it is about.
    pub(super) target: &'a Target,
}

impl Play<'_> {
    /// Plays it from beginning to end.
    pub(super) async fn run(&self) -> Result<(), Failure> {
        // The auditor hears of everything.
        let mut watch = self.people.client("dee")?.events(None).await.map_err(client)?;
        self.nobody_has_access().await?;
        let request = self.ana_asks().await?;
        self.two_people_agree(&request).await?;
        let grant = self.access_becomes_real(&request, &mut watch).await?;
        let session = self.ana_works(&grant).await?;
        let grant = self.the_deadline_passes(&grant, session, &mut watch).await?;
        self.nothing_is_left(&grant).await?;
        self.the_log_tells(&request, &mut watch).await
    }

    fn ana(&self) -> Result<&Client, Failure> {
        self.people.client("ana")
    }

    async fn nobody_has_access(&self) -> Result<(), Failure> {
        self.narrator.heading("Ana has no access");
        match self.target.knock("ana").await {
            Err(said) => self
                .narrator
                .refused(&format!("{} refuses her: {said}", self.target.called())),
            Ok(()) => return Err(not_so("she got in before anybody agreed")),
        }
        self.nothing_stands(&["ana".to_owned()], "nobody may write there by standing right")
            .await
    }

    async fn ana_asks(&self) -> Result<Request, Failure> {
        self.narrator
            .heading("She asks for it, for five seconds, with a reason");
        self.narrator
            .command(&format!("ana request {ITEM} --for {LENGTH} --reason {REASON:?}"));
        let item: Item = ITEM
            .parse()
            .map_err(|error| Failure::error(format!("{ITEM}: {error}")))?;
        let ask = NewRequest {
            items: [item.into()].into(),
            environments: [].into(),
            duration: Some(LENGTH),
            start: None,
            reason: Some(REASON.to_owned()),
            ticket: None,
        };
        match self.ana()?.preview(&ask).await.map_err(client)? {
            Preview::Allowed(path) if path.steps.len() == 2 => {
                let steps: Vec<_> = path
                    .steps
                    .iter()
                    .map(|step| format!("{} ({})", step.from, step.reviewers.join(", ")))
                    .collect();
                self.narrator.done(&format!(
                    "the rule {} asks {}, in this order",
                    path.rule,
                    steps.join(", then ")
                ));
            }
            other => return Err(not_so(&format!("the policy answered {other:?}"))),
        }
        let request = self.ana()?.add_request(&ask).await.map_err(client)?;
        expect(
            request.state == RequestState::Pending,
            "a request for production waits for people",
        )?;
        self.narrator
            .done(&format!("request {} waits", request.id.short()));
        match self.review(&request, "ana").await {
            Err(error) => self
                .narrator
                .refused(&format!("ana approves it herself: {error}")),
            Ok(_) => return Err(not_so("ana approved her own request")),
        }
        Ok(request)
    }

    async fn two_people_agree(&self, request: &Request) -> Result<(), Failure> {
        self.narrator.heading("Two different people agree");
        self.narrator
            .command(&format!("bo approve {}", request.id.short()));
        let after = self.review(request, "bo").await.map_err(client)?;
        expect(
            after.state == RequestState::Pending,
            "one approval of two is not enough",
        )?;
        self.narrator.done("bo, her manager, approves");
        // What it would be called, were it there: a grant has its request's bytes.
        let key = format!("{}_0", grant_id(request)).to_ascii_lowercase();
        self.nothing_stands(&[key], "one of two is not enough").await?;
        self.narrator
            .command(&format!("cy approve {}", request.id.short()));
        let after = self.review(request, "cy").await.map_err(client)?;
        expect(
            after.state == RequestState::Approved,
            "both steps agreed, so it is approved",
        )?;
        self.narrator.done("cy, of security, approves");
        Ok(())
    }

    async fn access_becomes_real(
        &self,
        request: &Request,
        watch: &mut EventStream,
    ) -> Result<Grant, Failure> {
        self.narrator.heading("The access becomes real");
        let since = edge::instant();
        let grant = self.until(watch, &grant_id(request), is_real).await?;
        let keys = keys(&grant);
        let standing = self.target.standing(&keys).await?;
        let [made] = standing.as_slice() else {
            return Err(not_so(&format!(
                "{} shows {} new roles",
                self.target.console(),
                standing.len()
            )));
        };
        // The role's name is made from the key.
        let known = keys.iter().any(|key| made.name.ends_with(key.as_str()));
        expect(known, "what stands at the target is what the grant says")?;
        self.narrator.done(&format!(
            "{} after {} ms: {}",
            self.target.console(),
            since.elapsed().as_millis(),
            made.name
        ));
        self.narrator.detail(&made.gives);
        Ok(grant)
    }

    async fn ana_works(&self, grant: &Grant) -> Result<(Session, daypass_api::grant::Credential), Failure> {
        self.narrator.heading("Ana logs in with it and does her work");
        self.narrator.command(&format!("ana connect {ITEM}"));
        let credential = self
            .ana()?
            .credentials(grant.id, &AskCredential::default())
            .await
            .map_err(client)?;
        let session = self
            .target
            .log_in(&credential)
            .await
            .map_err(|said| not_so(&said))?;
        let (typed, came) = session.work().await?;
        self.narrator.detail(&typed);
        self.narrator.done(&came);
        Ok((session, credential))
    }

    async fn the_deadline_passes(
        &self,
        grant: &Grant,
        (session, credential): (Session, daypass_api::grant::Credential),
        watch: &mut EventStream,
    ) -> Result<Grant, Failure> {
        let deadline = grant
            .expires_at
            .ok_or_else(|| not_so("an active grant has a deadline"))?;
        self.narrator
            .heading("She stays connected, and the deadline passes");
        let left = deadline.since(edge::now());
        let slow = self.narrator.begin(&format!("{:.1} s to go:", seconds(left)));
        let ended = self
            .until(watch, &grant.id.to_string(), |grant| {
                grant.state == GrantState::Ended
            })
            .await;
        let ended = match ended {
            Ok(ended) => ended,
            Err(failure) => {
                slow.failed();
                return Err(failure);
            }
        };
        slow.done("it has passed");
        let said = session
            .over()
            .await
            .ok_or_else(|| not_so("the session is still open after the end"))?;
        expect(
            ended.ended_reason.as_deref() == Some("expired"),
            "the grant ended because its time was over",
        )?;
        self.narrator
            .refused(&format!("the open session was cut: {said}"));
        match self.target.log_in(&credential).await {
            Err(said) => self.narrator.refused(&format!("a new login is refused: {said}")),
            Ok(_) => return Err(not_so("the credential still worked after the end")),
        }
        let gone_at = ended
            .ended_at
            .ok_or_else(|| not_so("a grant that ended says when"))?;
        let after = seconds(gone_at.since(deadline)) * 1000.0;
        self.narrator.done(&format!(
            "gone, and seen to be gone, {after:.0} ms after the deadline"
        ));
        Ok(ended)
    }

    async fn nothing_is_left(&self, grant: &Grant) -> Result<(), Failure> {
        let seen = grant.entitlements.iter().all(
            |part| matches!(&part.evidence, Some(Evidence::TargetRead { residue, .. }) if residue.is_empty()),
        );
        expect(seen, "the end of each item is shown by a reading of the target")?;
        let left = self.target.standing(&keys(grant)).await?;
        expect(left.is_empty(), "nothing of it is left at the target")?;
        self.narrator
            .done(&format!("{} has nothing of it any more", self.target.console()));
        Ok(())
    }

    async fn the_log_tells(&self, request: &Request, watch: &mut EventStream) -> Result<(), Failure> {
        self.narrator
            .heading("The log tells all of it, to dee, the auditor");
        self.narrator
            .command(&format!("dee audit ls {}", request.id.short()));
        let query = AuditQuery {
            subject: Some(request.id.to_string()),
            limit: Some(100),
            ..AuditQuery::default()
        };
        let dee = self.people.client("dee")?;
        // What has just happened takes its place in the log a moment later, and is then told to whoever listens.
        let reading = async {
            loop {
                let told = dee.audit_events(&query).await.map_err(client)?.items;
                if missing(&told).is_none() || watch.next().await.map_err(client)?.is_none() {
                    return Ok::<_, Failure>(told);
                }
            }
        };
        let told = match edge::within(PATIENCE, reading).await {
            Ok(told) => told?,
            Err(_) => dee.audit_events(&query).await.map_err(client)?.items,
        };
        for event in &told {
            self.narrator.detail(&entry(event));
        }
        match missing(&told) {
            None => Ok(()),
            Some(name) => Err(not_so(&format!(
                "the log does not tell of {name}, where it should"
            ))),
        }
    }

    async fn review(&self, request: &Request, by: &str) -> Result<Request, daypass_api::client::Error> {
        let review = NewReview {
            decision: Decision::Approve,
            digest: request.digest,
            duration: None,
            items: None,
            comment: None,
        };
        let reviewer = self
            .people
            .client(by)
            .map_err(|failure| daypass_api::client::Error::Setup(failure.to_string()))?;
        reviewer.review(request.id, &review).await
    }

    async fn nothing_stands(&self, keys: &[String], why: &str) -> Result<(), Failure> {
        let standing = self.target.standing(keys).await?;
        expect(standing.is_empty(), "nothing stands at the target")?;
        self.narrator
            .done(&format!("{} has no role for her: {why}", self.target.console()));
        Ok(())
    }

    /// Reads the grant whenever something happens to it, until it is so.
    async fn until(
        &self,
        watch: &mut EventStream,
        id: &str,
        so: impl Fn(&Grant) -> bool,
    ) -> Result<Grant, Failure> {
        self.people.until("ana", watch, id, so).await
    }
}

/// Whether all of a grant is there, with the grant's own deadline as the target's limit.
fn is_real(grant: &Grant) -> bool {
    let limited = |until: Option<Timestamp>| until.is_none() || until == grant.expires_at;
    let seen = |part: &Entitlement| part.observed == Observed::Present && limited(part.until);
    grant.state == GrantState::Active && grant.entitlements.iter().all(seen)
}

/// What the target calls the grant's access.
fn keys(grant: &Grant) -> Vec<String> {
    let key = |target: &str| {
        target
            .split_once(':')
            .map_or_else(|| target.to_owned(), |(_, key)| key.to_owned())
    };
    grant.entitlements.iter().map(|part| key(&part.target)).collect()
}

/// A grant shares its bytes with its request.
fn grant_id(request: &Request) -> String {
    daypass_core::id::GrantId::from(request.id).to_string()
}

fn seconds(span: Span) -> f64 {
    span.to_std().as_secs_f64()
}

/// What must be so for the story to go on.
pub(super) fn expect(so: bool, what: &str) -> Result<(), Failure> {
    if so {
        Ok(())
    } else {
        Err(not_so(&format!("it is not so that {what}")))
    }
}

/// The story did not hold.
pub(super) fn not_so(what: &str) -> Failure {
    Failure::error(format!("the demo's story did not hold: {what}"))
        .hint("this is a fault of Daypass or of this machine; please report it with what is above")
}

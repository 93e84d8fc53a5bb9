//! Notices: who hears what of a request's life, from when on, in which words, and what is not worth saying any more.

use daypass_core::id::GrantId;
use daypass_core::person::SystemRole;
use daypass_core::refusal::Code;
use daypass_core::request::Request;
use daypass_core::review::Decision as Vote;
use daypass_core::time::{Span, Timestamp};
use daypass_engine::notices::{Channel, Kind, Letter, Line, Ready, Rules};
use daypass_engine::{Lockable, LookBack, NewRequest, Verdict};
use daypass_policy::Source;
use daypass_store::{Claim, Delivery};

use crate::house::{House, POLICY, asked, code, name};

mod away;
mod services;
mod steps;

const GLASS: &str = "
  - name: emergency
    allow: [engineers, security]
    to: {env: production}
    max: 30m
    break_glass: {page: leads, review_by: security, within: 1h}
";

fn rules() -> Rules {
    let channel = |name: &str, personal| Channel {
        name: name.to_owned(),
        personal,
        kinds: None,
    };
    Rules {
        channels: vec![channel("hook", false), channel("mail", true)],
        ending_before: Span::minutes(10),
        max_age: Span::hours(72),
    }
}

/// What is queued: the kind, to whom (nobody: the channel itself), and in how many minutes.
type Told = (String, String, u64);

fn told(all: &[(&str, &str, u64)]) -> Vec<Told> {
    let mut all: Vec<Told> = all
        .iter()
        .map(|(kind, who, minutes)| ((*kind).to_owned(), (*who).to_owned(), *minutes))
        .collect();
    all.sort();
    all
}

impl House {
    /// The usual people, each with an address but ed; from here on everything is told.
    async fn writing() -> Self {
        let house = Self::new().await;
        let root = house.caller("root");
        for login in ["root", "ana", "bo", "cy", "di"] {
            let mail = format!("{login}@example.com");
            house.engine.set_mail(root, login, Some(&mail)).await.unwrap();
        }
        house.queued().await;
        house
    }

    async fn policy(&self, text: &str) {
        let source = Source {
            name: "policy.yaml".into(),
            text: text.into(),
        };
        self.engine.load_policy(&[source]).await.unwrap();
        self.queued().await;
    }

    async fn rows(&self, channel: &str) -> Vec<Delivery> {
        self.log().await;
        while self.engine.queue_notices(&rules(), u64::MAX).await.unwrap() {}
        let late = self.now() + Span::hours(24 * 30);
        let claim = Claim {
            channel: channel.to_owned(),
            worker: "test".to_owned(),
            now: late,
            until: late + Span::minutes(1),
            limit: 1_000,
        };
        self.engine.store().claim_notices(&claim).await.unwrap()
    }

    /// What was queued since the last time.
    async fn queued(&self) -> Vec<Told> {
        let mut all = Vec::new();
        for channel in ["hook", "mail"] {
            for row in self.rows(channel).await {
                self.engine
                    .store()
                    .settle_notice(&row, "test", daypass_store::Fate::Done)
                    .await
                    .unwrap();
                let who = row
                    .recipient
                    .map_or_else(String::new, |id| self.engine.current().directory.login(id));
                let minutes = row.since.since(self.now()).micros() / 60_000_000;
                all.push((row.notice, who, minutes));
            }
        }
        all.sort();
        all
    }

    /// Only what people are told.
    async fn mailed(&self) -> Vec<Told> {
        let mut all = self.queued().await;
        all.retain(|(_, who, _)| !who.is_empty());
        all
    }

    /// The one notice of this kind to this person, put into words `later`.
    async fn ready(&self, kind: Kind, who: &str, later: Span) -> Option<Ready> {
        let channel = if who.is_empty() { "hook" } else { "mail" };
        let person = (!who.is_empty()).then(|| self.engine.find(who).unwrap().id);
        let rows = self.rows(channel).await;
        let row = rows
            .iter()
            .rfind(|row| row.notice == kind.name() && row.recipient == person)
            .unwrap_or_else(|| panic!("no {kind} to {who} in {rows:?}"));
        self.engine
            .notice(row, &rules(), self.now() + later)
            .await
            .unwrap()
    }

    async fn deny(&self, who: &str, request: &Request, why: &str) {
        let verdict = Verdict {
            vote: Vote::Deny,
            digest: request.digest,
            comment: Some(why.into()),
        };
        self.engine
            .review(self.caller(who), request.id, verdict)
            .await
            .unwrap();
    }

    async fn gone(&mut self, id: GrantId) {
        self.reconcile().await;
        assert_eq!(self.state(id).await, "ended");
    }
}

fn said(letter: &Letter) -> String {
    let line = |line: &Line| match line {
        Line::Say(text) => text.clone(),
        Line::Quote { label, text } => format!("{label}: «{text}»"),
    };
    letter.lines.iter().map(line).collect::<Vec<_>>().join(" | ")
}

#[tokio::test]
async fn each_step_asks_its_reviewers_once_and_reminds_them_once() {
    let mut house = House::writing().await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    let asks = [
        ("request.review_asked", "", 0),
        ("request.review_asked", "bo", 0),
        ("request.review_reminder", "", 15),
        ("request.review_reminder", "bo", 15),
    ];
    assert_eq!(house.queued().await, told(&asks));
    house.approve("bo", &made.request).await.unwrap();
    let asks = [
        ("request.review_asked", "cy", 0),
        ("request.review_asked", "di", 0),
        ("request.review_reminder", "cy", 15),
        ("request.review_reminder", "di", 15),
    ];
    assert_eq!(
        house.mailed().await,
        told(&asks),
        "nobody hears that one step is done"
    );
    house.approve("di", &made.request).await.unwrap();
    house.reconcile().await;
    let done = [("request.decided", "ana", 0), ("grant.ending_soon", "ana", 50)];
    assert_eq!(
        house.mailed().await,
        told(&done),
        "it was there within the minute: one mail says both"
    );
    assert_eq!(house.queued().await, []);
}

#[tokio::test]
async fn silence_asks_the_others_and_nobody_twice() {
    let mut house = House::writing().await;
    let step = "{from: leads, within: 30m, else: deny}";
    let escalating = "{from: leads, within: 30m, else: {escalate: security, within: 20m}}";
    house.policy(&POLICY.replace(step, escalating)).await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    house.mailed().await;
    house.live(Span::minutes(31)).await;
    let rows = house.rows("mail").await;
    let directory = house.engine.current().directory;
    let mut asked: Vec<_> = rows
        .iter()
        .map(|row| (row.notice.as_str(), directory.login(row.recipient.unwrap())))
        .collect();
    asked.sort();
    let all = [
        ("request.review_asked", "cy"),
        ("request.review_asked", "di"),
        ("request.review_reminder", "cy"),
        ("request.review_reminder", "di"),
    ];
    assert_eq!(asked, all.map(|(kind, who)| (kind, who.to_owned())));
    for row in &rows {
        let ready = house.engine.notice(row, &rules(), house.now()).await.unwrap();
        let said = said(&ready.unwrap().letter);
        assert!(
            said.contains("step 1 of 2") && said.contains("have not answered"),
            "{said}"
        );
    }
    house.approve("bo", &made.request).await.unwrap();
    for row in &rows {
        let now = house.now();
        let ready = house.engine.notice(row, &rules(), now).await.unwrap();
        assert!(ready.is_none(), "the step is done: {row:?}");
    }
}

#[tokio::test]
async fn the_requester_hears_of_every_outcome() {
    let mut house = House::writing().await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    house.queued().await;
    house.deny("bo", &made.request, "use the replica").await;
    assert_eq!(house.mailed().await, told(&[("request.decided", "ana", 0)]));
    let made = house.ask("ana", &["orders/read"]).await.unwrap();
    house.queued().await;
    house.live(Span::hours(3)).await;
    assert_eq!(house.request(made.request.id).await.state.name(), "lapsed");
    let lapsed = house.mailed().await;
    assert_eq!(lapsed.len(), 1, "{lapsed:?}");
    assert_eq!(
        (lapsed[0].0.as_str(), lapsed[0].1.as_str()),
        ("request.decided", "ana")
    );
    // What they did themselves, and what the command itself answered, only channels hear.
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    house.queued().await;
    house
        .engine
        .withdraw(house.caller("ana"), made.request.id)
        .await
        .unwrap();
    assert_eq!(house.queued().await, told(&[("request.decided", "", 0)]));
    house.ask("ana", &["staging/read"]).await.unwrap();
    house.reconcile().await;
    let all = house.queued().await;
    let decided = |who: &str| ("request.decided".to_owned(), who.to_owned(), 0);
    assert!(
        all.contains(&decided("")) && !all.contains(&decided("ana")),
        "{all:?}"
    );
}

#[tokio::test]
async fn a_grant_says_when_it_is_late_ends_soon_and_has_ended() {
    let mut house = House::writing().await;
    house.target.set_down(true);
    let id = house.granted(&["orders/write"]).await;
    house.queued().await;
    house.pass(Span::minutes(2));
    house.target.set_down(false);
    house.live(Span::minutes(1)).await;
    assert_eq!(house.state(id).await, "active");
    let all = house.mailed().await;
    assert!(
        all.iter()
            .any(|(kind, who, _)| kind == "grant.active" && who == "ana"),
        "{all:?}"
    );
    assert!(
        all.iter()
            .any(|(kind, who, _)| kind == "grant.ending_soon" && who == "ana"),
        "{all:?}"
    );
    house.live(Span::hours(2)).await;
    house.gone(id).await;
    let all = house.queued().await;
    let names: Vec<_> = all
        .iter()
        .map(|(kind, who, _)| (kind.as_str(), who.as_str()))
        .collect();
    assert_eq!(
        names,
        [("grant.ended", ""), ("grant.ended", "ana"), ("grant.ending", "")]
    );
    // Whoever gives something back knows.
    let id = house.granted(&["orders/write"]).await;
    house.mailed().await;
    house.engine.release(house.caller("ana"), id).await.unwrap();
    house.gone(id).await;
    assert_eq!(house.mailed().await, []);
    let id = house.granted(&["orders/write"]).await;
    house.mailed().await;
    house
        .engine
        .revoke(house.caller("root"), id, Some("enough"))
        .await
        .unwrap();
    house.gone(id).await;
    let letter = house.ready(Kind::Ended, "ana", Span::ZERO).await.unwrap().letter;
    assert_eq!(letter.subject, "Ended: orders/write");
    let revoked =
        "orders/write has ended: root revoked it. The target was seen without it. | Comment: «enough»";
    assert_eq!(said(&letter), revoked);
}

#[tokio::test]
async fn an_end_says_what_is_known_of_it_and_no_more() {
    let mut house = House::writing().await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    let grant = house.agreed(&made.request).await;
    house
        .engine
        .revoke(house.caller("root"), grant, None)
        .await
        .unwrap();
    house.gone(grant).await;
    let letter = house.ready(Kind::Ended, "ana", Span::ZERO).await.unwrap().letter;
    assert!(
        said(&letter).ends_with("Nothing had been set up at the target."),
        "{letter:?}"
    );
}

#[tokio::test]
async fn an_overdue_removal_is_told_to_administrators_and_the_holder() {
    let mut house = House::writing().await;
    let id = house.granted(&["orders/write"]).await;
    house.mailed().await;
    house.target.set_down(true);
    house.engine.release(house.caller("ana"), id).await.unwrap();
    house.live(Span::minutes(10)).await;
    let names: Vec<_> = house
        .mailed()
        .await
        .into_iter()
        .map(|(kind, who, _)| (kind, who))
        .collect();
    let overdue = |who: &str| ("grant.overdue".to_owned(), who.to_owned());
    assert_eq!(
        names,
        [overdue("ana"), overdue("root")],
        "once, not with each attempt"
    );
}

#[tokio::test]
async fn an_emergency_is_told_to_who_is_paged_who_looks_back_and_who_it_says_it_was() {
    let mut house = House::writing().await;
    house.policy(&format!("{POLICY}{GLASS}")).await;
    let taken = house
        .engine
        .break_glass(house.caller("ana"), asked(&["orders/write"]), None)
        .await;
    let made = taken.unwrap();
    house.reconcile().await;
    let all = [
        ("break_glass.taken", "ana", 0),
        ("break_glass.taken", "bo", 0),
        ("break_glass.taken", "cy", 0),
        ("break_glass.taken", "di", 0),
        ("grant.ending_soon", "ana", 20),
        ("request.review_reminder", "cy", 30),
        ("request.review_reminder", "di", 30),
    ];
    assert_eq!(house.mailed().await, told(&all));
    house.live(Span::minutes(70)).await;
    let all = house.mailed().await;
    let overdue: Vec<_> = all
        .iter()
        .filter(|(kind, ..)| kind == "break_glass.review_overdue")
        .map(|(_, who, _)| who.as_str())
        .collect();
    assert_eq!(overdue, ["bo", "cy", "di", "root"]);
    let look = LookBack {
        digest: made.request.digest,
        comment: "right call".into(),
        revoke: false,
    };
    house
        .engine
        .acknowledge(house.caller("cy"), made.request.id, look)
        .await
        .unwrap();
    assert_eq!(house.mailed().await, told(&[("break_glass.reviewed", "ana", 0)]));
}

#[tokio::test]
async fn a_lock_is_told_to_administrators_and_whom_it_shuts_out() {
    let house = House::writing().await;
    let root = house.caller("root");
    let ana = Lockable::Person("ana".into());
    house
        .engine
        .lock(root, &ana, "laptop stolen at the fair")
        .await
        .unwrap();
    let mine = house.ready(Kind::Locked, "ana", Span::ZERO).await.unwrap().letter;
    assert_eq!(mine.subject, "Locked: your account");
    assert!(
        !said(&mine).contains("stolen"),
        "the reason is for administrators: {}",
        said(&mine)
    );
    let hook = house.ready(Kind::Locked, "", Span::ZERO).await.unwrap().letter;
    assert!(!format!("{hook:?}").contains("stolen"));
    assert_eq!(hook.facts["what"], "ana");
    house.engine.unlock(root, &ana, "found again").await.unwrap();
    let all = [("lock.unlocked", "", 0), ("lock.unlocked", "ana", 0)];
    assert_eq!(house.queued().await, told(&all), "root did it");
    house
        .engine
        .set_role(root, "bo", SystemRole::Administrator)
        .await
        .unwrap();
    house
        .engine
        .lock(root, &Lockable::Resource(name("orders")), "an audit")
        .await
        .unwrap();
    let theirs = house.ready(Kind::Locked, "bo", Span::ZERO).await.unwrap().letter;
    assert_eq!(theirs.subject, "Locked: orders");
    assert!(said(&theirs).contains("Reason: «an audit»"), "{}", said(&theirs));
}

#[tokio::test]
async fn what_is_settled_is_not_worth_a_reminder() {
    let mut house = House::writing().await;
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    let half = Span::minutes(16);
    assert!(house.ready(Kind::ReviewReminder, "bo", half).await.is_some());
    house.queued().await;
    let made_later = house.ask("ana", &["orders/read"]).await.unwrap();
    let rows = house.rows("mail").await;
    let hooks = house.rows("hook").await;
    house.approve("bo", &made_later.request).await.unwrap();
    for row in rows {
        let now = house.now() + half;
        assert!(
            house.engine.notice(&row, &rules(), now).await.unwrap().is_none(),
            "{row:?}: bo did it"
        );
    }
    for row in hooks {
        let still = house
            .engine
            .notice(&row, &rules(), house.now() + half)
            .await
            .unwrap()
            .is_some();
        assert_eq!(still, row.notice == "request.review_asked", "{row:?}");
    }
    house.approve("bo", &made.request).await.unwrap();
    house.approve("cy", &made.request).await.unwrap();
    house.reconcile().await;
    let soon = Span::minutes(51);
    assert!(house.ready(Kind::EndingSoon, "ana", soon).await.is_some());
    let late = house.ready_again(Kind::EndingSoon, Span::minutes(61)).await;
    assert!(late.is_none(), "after the deadline nothing ends soon");
}

impl House {
    /// The last notice of this kind to ana, again.
    async fn ready_again(&self, kind: Kind, later: Span) -> Option<Ready> {
        let ana = self.engine.find("ana").unwrap().id;
        let row = Delivery {
            channel: "mail".to_owned(),
            index: self
                .log()
                .await
                .iter()
                .rposition(|name| *name == "grant.activated")
                .unwrap() as u64,
            notice: kind.name().to_owned(),
            recipient: Some(ana),
            lane: String::new(),
            since: Timestamp::EPOCH,
            tries: 0,
        };
        self.engine
            .notice(&row, &rules(), self.now() + later)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn nobody_can_write_in_daypass_s_name() {
    let house = House::writing().await;
    // Other control characters are refused where it is written.
    let hostile = "PAY-7\nBcc: eve@example.com\n\n<script>x</script>\u{202e}gnp.exe";
    let asked = NewRequest {
        reason: hostile.into(),
        ..asked(&["orders/write"])
    };
    house
        .engine
        .request(house.caller("ana"), asked, None)
        .await
        .unwrap();
    let ready = house.ready(Kind::ReviewAsked, "bo", Span::ZERO).await.unwrap();
    assert_eq!(ready.letter.subject, "ana asks for orders/write for 1h");
    assert_eq!(ready.to.unwrap().mail, "bo@example.com");
    let quoted = "Reason: «PAY-7\nBcc: eve@example.com\n\n<script>x</script>gnp.exe»";
    assert!(said(&ready.letter).contains(quoted), "{}", said(&ready.letter));
    assert!(ready.letter.commands[0].starts_with("daypass approve R"));
}

#[tokio::test]
async fn who_has_no_address_or_is_gone_is_not_written_to() {
    let house = House::writing().await;
    let root = house.caller("root");
    house.engine.set_mail(root, "cy", None).await.unwrap();
    let made = house.ask("ana", &["orders/write"]).await.unwrap();
    house.queued().await;
    house.approve("bo", &made.request).await.unwrap();
    let rows = house.rows("mail").await;
    assert_eq!(rows.len(), 2, "di is asked and reminded: {rows:?}");
    house.engine.deactivate(root, "di").await.unwrap();
    for row in &rows {
        assert!(
            house
                .engine
                .notice(row, &rules(), house.now())
                .await
                .unwrap()
                .is_none()
        );
    }
    for bad in [
        "",
        "ana",
        "@x",
        "ana@",
        "a b@x",
        "a@b@c",
        "ana@x\r\nBcc: e@x",
        "<a@x>",
        "a,b@x",
        &"a".repeat(300),
    ] {
        let refused = house.engine.set_mail(root, "ana", Some(bad)).await;
        assert_eq!(code(refused), Code::Invalid, "{bad:?}");
    }
    let mine = house
        .engine
        .set_mail(house.caller("ana"), "ana", Some("ana@example.com"))
        .await;
    assert_eq!(code(mine), Code::Forbidden);
}

#[tokio::test]
async fn what_is_too_old_is_not_told_any_more() {
    let house = House::writing().await;
    house.ask("ana", &["orders/write"]).await.unwrap();
    house.pass(Span::hours(73));
    assert_eq!(house.queued().await, [], "nobody looked for three days");
}

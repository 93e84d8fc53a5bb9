//! The policy in the pages: written, tried, reviewed and put in force by forms alone, as a browser without a script sends them. What anybody wrote
//! is shown as text.

use daypass_api::policy::{PolicyFile, PolicyFiles, RevisionQuery};
use reqwest::redirect::Policy as Redirects;
use reqwest::{Client, Response};

use crate::bed::{Bed, POLICY};

/// Somebody's browser: it follows no redirect by itself.
pub(crate) struct Browser {
    http: Client,
    server: String,
    session: String,
}

impl Browser {
    pub(crate) async fn of(bed: &Bed, login: &str) -> Self {
        Self {
            http: Client::builder().redirect(Redirects::none()).build().unwrap(),
            server: bed.server.url(),
            session: bed.session(login).await,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        let call = self.http.get(format!("{}{path}", self.server));
        call.header("cookie", format!("daypass={}", self.session))
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    }

    pub(crate) async fn send(&self, path: &str, form: &[(&str, &str)]) -> Response {
        let call = self.http.post(format!("{}{path}", self.server));
        call.header("cookie", format!("daypass={}", self.session))
            .header("sec-fetch-site", "same-origin")
            .form(form)
            .send()
            .await
            .unwrap()
    }

    async fn sent(&self, path: &str, form: &[(&str, &str)]) -> String {
        let answer = self.send(path, form).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    }
}

pub(crate) fn to(answer: &Response) -> String {
    assert_eq!(answer.status(), 303);
    answer.headers()["location"].to_str().unwrap().to_owned()
}

/// A text that would run, were it not shown as text.
const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";

/// No page holds any markup that somebody typed.
#[track_caller]
fn is_text(page: &str) {
    for bad in ["<script>alert", "<img src=x", "onerror=alert(1)>\n", "<b>"] {
        assert!(!page.contains(bad), "{bad} in {page}");
    }
}

#[tokio::test]
async fn a_policy_is_written_reviewed_and_put_in_force() {
    let bed = Bed::start().await;
    let root = Browser::of(&bed, "root").await;
    let before = bed
        .client("root")
        .await
        .policy()
        .await
        .unwrap()
        .revision
        .to_string();
    let page = root.page("/policy").await;
    assert!(
        page.contains("staging-self-service")
            && page.contains("An administrator may put another in force alone")
    );

    let next = POLICY.replace("approval: none, max: 8h", "approval: none, max: 2h");
    // As a browser sends them: lines end otherwise there.
    let next = next.replace('\n', "\r\n");
    let form = [
        ("replaces", &*before),
        ("file", "policy.yaml"),
        ("text", &next),
        ("file", ""),
        ("text", ""),
    ];
    let checked = root.sent("/policy/check", &form).await;
    assert!(
        checked.contains("Sound") && checked.contains("max 8h → 2h"),
        "{checked}"
    );
    let review = root.sent("/policy/plan", &form).await;
    for part in ["shorter", "ana", "staging/read", "Put it in force", "max: 2h}"] {
        assert!(review.contains(part), "no {part}: {review}");
    }
    assert_eq!(
        bed.client("root")
            .await
            .policy()
            .await
            .unwrap()
            .revision
            .to_string(),
        before,
        "looking changes nothing"
    );
    let applied = to(&root.send("/policy/apply", &form).await);
    assert!(
        applied.starts_with(&format!("/policy/revisions?from={before}&to=")),
        "{applied}"
    );
    let told = root.page(&applied).await;
    for part in [
        "in force",
        "rule staging-self-service: max 8h → 2h",
        "max: 8h}",
        "root",
    ] {
        assert!(told.contains(part), "no {part}: {told}");
    }
    // The same draft again was begun from what is in force no more.
    let stale = root.send("/policy/apply", &form).await;
    assert_eq!(stale.status(), 409);
    let stale = stale.text().await.unwrap();
    assert!(
        stale.contains("Another revision has come in force") && stale.contains("max: 2h"),
        "the draft is kept"
    );
    let again = root.page(&format!("/policy?revision={before}")).await;
    assert!(
        again.contains("approval: none, max: 8h"),
        "a former one is taken up again"
    );
}

#[tokio::test]
async fn what_is_wrong_is_shown_at_its_line_and_nothing_is_changed() {
    let bed = Bed::start().await;
    let root = Browser::of(&bed, "root").await;
    let wrong = POLICY.replace("rules:", "ruels:");
    let line = POLICY.lines().position(|line| line == "rules:").unwrap() + 1;
    let page = root
        .sent("/policy/check", &[("file", "policy.yaml"), ("text", &wrong)])
        .await;
    assert!(page.contains(&format!("policy.yaml:{line}:1")), "{page}");
    assert!(page.contains(&format!("data-line=\"{line}\"")) && page.contains("data-field=\"file-0\""));
    assert!(page.contains("did you mean"), "{page}");
    for path in ["/policy/plan", "/policy/apply"] {
        let answer = root
            .send(path, &[("file", "policy.yaml"), ("text", &wrong)])
            .await;
        assert!(answer.status().is_client_error(), "{path}");
        assert!(
            answer.text().await.unwrap().contains("ruels:"),
            "the draft is kept"
        );
    }
    let failing = format!(
        "{POLICY}tests:\n  - {{as: ana, in: [engineering], ask: staging/read, expect: {{refused: over-max}}}}\n"
    );
    let page = root
        .sent("/policy/check", &[("file", "policy.yaml"), ("text", &failing)])
        .await;
    assert!(
        page.contains("1 of 1 tests fail") && page.contains("over-max"),
        "{page}"
    );
    assert_eq!(
        bed.client("root").await.policy().await.unwrap().files[0].text,
        POLICY
    );
}

#[tokio::test]
async fn a_question_is_answered_with_its_reasons() {
    let bed = Bed::start().await;
    let dee = Browser::of(&bed, "dee").await;
    let page = dee
        .page("/policy/simulate?who=ana&what=orders/write&for=1h")
        .await;
    for part in [
        "allowed",
        "manager",
        "bo",
        "security",
        "cy",
        "prod-write",
        "policy.yaml:",
        "fits and is taken",
    ] {
        assert!(page.contains(part), "no {part}: {page}");
    }
    let page = dee
        .page("/policy/simulate?who=ana&what=orders/write&for=9h")
        .await;
    assert!(page.contains("refused") && page.contains("over-max"), "{page}");
    // On a draft, for administrators.
    let root = Browser::of(&bed, "root").await;
    let next = POLICY.replace("max: 8h", "max: 3h");
    let form = [
        ("file", "policy.yaml"),
        ("text", &*next),
        ("who", "ana"),
        ("what", "staging/read"),
        ("for", "5h"),
    ];
    let page = root.sent("/policy/check", &form).await;
    assert!(page.contains("refused") && page.contains("over-max"), "{page}");
    let bad = root
        .sent(
            "/policy/check",
            &[("file", "p"), ("text", POLICY), ("what", HOSTILE)],
        )
        .await;
    assert!(bad.contains("No answer"), "{bad}");
    is_text(&bad);
}

#[tokio::test]
async fn who_may_not_see_the_policy_sees_none_of_it() {
    let bed = Bed::start().await;
    let ana = Browser::of(&bed, "ana").await;
    for path in ["/policy", "/policy/simulate", "/policy/revisions"] {
        let answer = ana.get(path).await;
        assert_eq!(answer.status(), 403, "{path}");
        assert!(!answer.text().await.unwrap().contains("staging-self-service"));
    }
    let form = [("file", "policy.yaml"), ("text", POLICY)];
    for path in ["/policy/check", "/policy/plan", "/policy/apply"] {
        assert_eq!(ana.send(path, &form).await.status(), 403, "{path}");
    }
    // Auditors look and try; they put nothing in force.
    let dee = Browser::of(&bed, "dee").await;
    let next = POLICY.replace("max: 8h", "max: 3h");
    let form = [("file", "policy.yaml"), ("text", &*next)];
    assert!(
        !dee.sent("/policy/plan", &form)
            .await
            .contains(">Put it in force<")
    );
    assert_eq!(dee.send("/policy/apply", &form).await.status(), 403);
    assert_eq!(
        bed.client("dee").await.policy().await.unwrap().files[0].text,
        POLICY
    );
}

#[tokio::test]
async fn what_others_must_agree_to_is_proposed_and_agreed_to_in_the_pages() {
    let bed = Bed::start().await;
    let controlled = format!("{POLICY}policy: {{approval: [{{from: security, within: 2h, else: deny}}]}}\n");
    let root = Browser::of(&bed, "root").await;
    to(&root
        .send("/policy/apply", &[("file", "policy.yaml"), ("text", &controlled)])
        .await);
    let page = root.page("/policy").await;
    assert!(
        page.contains("A change of it asks <strong>security</strong>"),
        "{page}"
    );
    let next = controlled.replace("max: 8h", "max: 3h");
    let form = [("file", "policy.yaml"), ("text", &*next)];
    assert!(root.sent("/policy/plan", &form).await.contains(">Propose it<"));
    let change = to(&root.send("/policy/apply", &form).await);
    assert!(change.starts_with("/changes/C"), "{change}");
    assert!(
        root.page("/policy").await.contains(&change),
        "it is shown beside what is in force"
    );

    let cy = Browser::of(&bed, "cy").await;
    assert!(cy.page("/approvals").await.contains(&change));
    let page = cy.page(&change).await;
    assert!(page.contains("max 8h → 3h") && page.contains("Approve"), "{page}");
    let (_, rest) = page.split_once("name=\"digest\" value=\"").unwrap();
    let digest = rest.split('"').next().unwrap();
    let ana = Browser::of(&bed, "ana").await;
    assert_eq!(ana.get(&change).await.status(), 404, "nobody else sees it");
    let answer = [("decision", "approve"), ("digest", digest), ("comment", HOSTILE)];
    assert_ne!(ana.send(&format!("{change}/review"), &answer).await.status(), 303);
    to(&cy.send(&format!("{change}/review"), &answer).await);
    let page = root.page(&change).await;
    assert!(page.contains("applied"), "{page}");
    is_text(&page);
    assert_eq!(
        bed.client("root").await.policy().await.unwrap().files[0].text,
        next
    );
}

#[tokio::test]
async fn what_anybody_wrote_into_a_policy_is_text() {
    let bed = Bed::start().await;
    let root = Browser::of(&bed, "root").await;
    // In comments and values of one that is in force, in names of files, and in what is wrong with one.
    let sound = format!("# </textarea>{HOSTILE}\n{POLICY}");
    let files = PolicyFiles {
        files: vec![PolicyFile {
            name: HOSTILE.into(),
            text: sound.clone(),
        }],
        replaces: None,
    };
    let api = bed.client("root").await;
    api.apply_policy(&files).await.unwrap();
    is_text(&root.page("/policy").await);
    let both = api
        .policy_revisions(&RevisionQuery::default())
        .await
        .unwrap()
        .items;
    let diff = format!(
        "/policy/revisions?from={}&to={}",
        both[1].revision, both[0].revision
    );
    is_text(&root.page(&diff).await);
    let broken = format!("\"{}\": 1\n{sound}", HOSTILE.replace('"', ""));
    for path in ["/policy/check", "/policy/plan"] {
        let answer = root.send(path, &[("file", HOSTILE), ("text", &broken)]).await;
        is_text(&answer.text().await.unwrap());
    }
    is_text(
        &root
            .sent("/policy/plan", &[("file", "a</textarea><b>"), ("text", &sound)])
            .await,
    );
    let question = "/policy/simulate?who=%3Cscript%3Ealert(1)&what=%3Cscript%3Ealert(1)%3C/script%3E&from=%22%3E%3Cimg%20src=x";
    is_text(&root.page(question).await);
}

/// A form larger than any draft, and one that is no form.
#[tokio::test]
async fn what_is_no_draft_is_refused() {
    let bed = Bed::start().await;
    let root = Browser::of(&bed, "root").await;
    let huge = "x".repeat(9 * 1024 * 1024);
    let answer = root
        .send("/policy/check", &[("file", "a"), ("text", &huge)])
        .await;
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("daypass policy apply"));
    assert_eq!(to(&root.get("/policy/plan").await), "/policy");
}

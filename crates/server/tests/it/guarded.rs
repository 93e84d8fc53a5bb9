//! What keeps the pages safe, over HTTP: how much is taken of whom and for how long, what every answer carries, who ends which session, and what no
//! other site can have a browser do.

use daypass_api::grant::GrantState;
use daypass_api::session::{Kill, SessionState};
use daypass_core::id::SessionId;
use reqwest::redirect::Policy as Redirects;
use reqwest::{Client, Method, RequestBuilder, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::bed::{Bed, PASSWORD, soon};
use crate::recordings::gateway;
use crate::sessions::open;
use crate::web_policy::Browser;

const FORM: &str = "application/x-www-form-urlencoded";

fn call(bed: &Bed, method: Method, path: &str, session: Option<&str>) -> RequestBuilder {
    let http = Client::builder().redirect(Redirects::none()).build().unwrap();
    let call = http.request(method, format!("{}{path}", bed.server.url()));
    match session {
        Some(session) => call.header("cookie", format!("daypass={session}")),
        None => call,
    }
}

/// What a form of ours of so many bytes comes to.
async fn form(bed: &Bed, path: &str, session: Option<&str>, bytes: usize) -> Response {
    let call = call(bed, Method::POST, path, session)
        .header("sec-fetch-site", "same-origin")
        .header("content-type", FORM);
    call.body(format!("a={}", "x".repeat(bytes)))
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn what_is_sent_has_a_size_by_who_sends_it_and_to_where() {
    let bed = Bed::start().await;
    let root = bed.session("root").await;
    let root = Some(root.as_str());
    let kib = 1024;
    for (path, session, bytes, status) in [
        ("/sign-in", None, 9 * kib, 413),
        ("/sign-in", root, 9 * kib, 413),
        ("/account/away", root, 300 * kib, 413),
        // Whoever writes a policy is told how a larger one is applied.
        ("/policy/check", root, 9 * 1024 * kib, 400),
        ("/policy/check", root, 1024 * kib, 200),
    ] {
        let answer = form(&bed, path, session, bytes).await;
        assert_eq!(
            answer.status(),
            status,
            "{path} {bytes}: {}",
            answer.text().await.unwrap()
        );
    }
    // Nothing of it is read for who only says that they are somebody.
    let nobody = format!("dp_s_{}", "0".repeat(64));
    let answer = form(&bed, "/account/away", Some(&nobody), 100).await;
    assert_eq!(
        (
            answer.status().as_u16(),
            answer.headers()["location"].to_str().unwrap()
        ),
        (303, "/sign-in?next=/")
    );
}

#[tokio::test]
async fn who_sends_nothing_is_not_waited_for() {
    let bed = Bed::start().await;
    let mut connection = TcpStream::connect(bed.server.address()).await.unwrap();
    let head = format!(
        "POST /sign-in HTTP/1.1\r\nhost: x\r\nsec-fetch-site: same-origin\r\ncontent-type: {FORM}\r\ncontent-length: 100\r\n\r\nlogin="
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    soon("an answer", connection.read_exact(&mut answer))
        .await
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[tokio::test]
async fn a_page_is_named_in_the_log_and_bound_to_tls() {
    let bed = Bed::with(|config| config.behind_proxy = true).await;
    for (path, status) in [("/sign-in", 200), ("/", 303), ("/assets/none", 404)] {
        let answer = call(&bed, Method::GET, path, None).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let headers = answer.headers();
        assert_eq!(headers["strict-transport-security"], "max-age=31536000", "{path}");
        assert_eq!(headers["x-request-id"].len(), 16, "{path}");
        assert!(headers.contains_key("content-security-policy"), "{path}");
    }
    let plain = Bed::start().await;
    let answer = call(&plain, Method::GET, "/sign-in", None).send().await.unwrap();
    assert!(!answer.headers().contains_key("strict-transport-security"));
    let metrics = plain
        .http
        .get(format!("{}/metrics", plain.server.url()))
        .send()
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("route=\"/sign-in\""), "{metrics}");
}

#[tokio::test]
async fn strangers_go_at_their_pace_and_who_is_signed_in_is_not_held_up() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    let get = |path: &'static str, session: Option<&str>| call(&bed, Method::GET, path, session).send();
    assert_eq!(get("/account", Some(&ana)).await.unwrap().status(), 200);
    let mut slowed = false;
    for _ in 0..2_000 {
        if get("/sign-in", None).await.unwrap().status() == 429 {
            slowed = true;
            break;
        }
    }
    assert!(slowed, "two thousand, and nobody minds");
    assert_eq!(get("/account", Some(&ana)).await.unwrap().status(), 200);
    let page = get("/account", Some(&ana)).await.unwrap().text().await.unwrap();
    let (_, rest) = page.split_once("href=\"/assets/").unwrap();
    let (asset, _) = rest.split_once('"').unwrap();
    let answer = call(&bed, Method::GET, &format!("/assets/{asset}"), None)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "{asset}");
}

#[tokio::test]
async fn who_leaves_or_is_followed_by_another_is_signed_out() {
    let bed = Bed::start().await;
    let (ana, before) = (bed.session("ana").await, bed.session("bo").await);
    let answer = form(&bed, "/sign-out", Some(&ana), 1).await;
    assert_eq!(answer.status(), 303);
    assert!(
        answer.headers()["set-cookie"]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    assert!(bed.client_of(&ana).whoami().await.is_err());
    let again = form(&bed, "/sign-out", Some(&ana), 1).await;
    assert_eq!(again.status(), 303, "it is over already");

    let entered = call(&bed, Method::POST, "/sign-in", Some(&before))
        .header("sec-fetch-site", "same-origin")
        .form(&[("login", "ana"), ("password", PASSWORD), ("next", "/")])
        .send()
        .await
        .unwrap();
    assert_eq!(entered.status(), 303);
    assert!(
        bed.client_of(&before).whoami().await.is_err(),
        "bo's session in this browser"
    );
}

async fn recorded() -> (tempfile::TempDir, Bed, SessionId) {
    let folder = tempfile::tempdir().unwrap();
    let config = gateway(folder.path());
    let bed = Bed::with(|server| server.gateway = Some(config)).await;
    let grant = bed.granted().await;
    bed.reaches(grant, GrantState::Active).await;
    let id = open(&bed, grant, "orders/write").await;
    (folder, bed, id)
}

#[tokio::test]
async fn no_other_site_has_a_browser_look_into_a_session() {
    let (_folder, bed, id) = recorded().await;
    let dee = bed.session("dee").await;
    let auditor = bed.client("dee").await;
    let looks = || async {
        let all = auditor.audit_events(&Default::default()).await.unwrap().items;
        let told = |name: &str| matches!(name, "session.watched" | "session.replayed");
        all.iter().filter(|event| told(&event.name)).count()
    };
    for site in ["cross-site", "same-site"] {
        for (path, status) in [
            ("recording?words=x", 200),
            ("watch", 200),
            ("watch/stream", 403),
            ("programs/1/frames", 403),
        ] {
            let path = format!("/sessions/{id}/{path}");
            let answer = call(&bed, Method::GET, &path, Some(&dee)).header("sec-fetch-site", site);
            let answer = answer.send().await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
            let page = answer.text().await.unwrap();
            if status == 200 {
                assert!(page.contains("Look into this session?"), "{page}");
                assert!(
                    page.contains(&format!("href=\"{path}\"")),
                    "it goes on from there: {page}"
                );
            }
        }
    }
    assert_eq!(looks().await, 0, "nothing was looked at");
    // From a page of ours it is, and the log says so.
    let path = format!("/sessions/{id}/watch/stream");
    let ours = call(&bed, Method::GET, &path, Some(&dee)).header("sec-fetch-site", "same-origin");
    assert_eq!(ours.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_session_offers_what_its_visitor_may_do() {
    let (_folder, bed, id) = recorded().await;
    let offers = |login: &'static str| {
        let bed = &bed;
        async move {
            let page = Browser::of(bed, login)
                .await
                .page(&format!("/sessions/{id}"))
                .await;
            (
                page.contains("See the recording"),
                page.contains("Watch it live"),
                page.contains("End it"),
            )
        }
    };
    assert_eq!(offers("ana").await, (false, false, true), "its holder");
    assert_eq!(offers("dee").await, (true, true, false), "an auditor");
    assert_eq!(offers("root").await, (true, true, true));
    assert_eq!(offers("cy").await, (true, true, true), "who reviewed the request");
    let kill = Kill {
        reason: "enough".to_owned(),
    };
    let killed = bed.client("root").await.kill_session(id, &kill).await.unwrap();
    assert_eq!(killed.state, SessionState::Ending);
    assert_eq!(offers("root").await, (true, true, false), "it is ending already");
}

#[tokio::test]
async fn no_link_puts_words_into_a_command_to_copy() {
    let bed = Bed::start().await;
    let root = Browser::of(&bed, "root").await;
    let page = root.page("/policy/simulate?who=ana%3Brm+-rf+~&what=%24(x)").await;
    assert!(
        page.contains("daypass policy explain SUBJECT RESOURCE/ROLE"),
        "{page}"
    );
    let page = root.page("/policy/simulate?who=ana&what=orders/read").await;
    assert!(page.contains("daypass policy explain ana orders/read"), "{page}");
    let page = root.page("/reports?from=2026-01-01&until=2026-01-02").await;
    assert!(
        page.contains("daypass report --since 2026-01-01T00:00:00Z --until 2026-01-03T00:00:00Z<"),
        "{page}"
    );
}

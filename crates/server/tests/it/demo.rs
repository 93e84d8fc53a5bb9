//! The door of a demo, by which one chooses who one is: it is in a demo's server, and in no other.

use daypass_providers::memory::Memory;
use daypass_server::config::{ServerConfig, StoreConfig};
use daypass_server::{Persona, Personas, Server, StartError, edge, hash_password};
use daypass_store::Store;
use reqwest::redirect::Policy as Redirects;
use reqwest::{Client, RequestBuilder, Response};
use tempfile::TempDir;

use crate::bed::{Bed, PASSWORD};

fn personas() -> Personas {
    let persona = |login: &str| Persona {
        login: login.into(),
        name: format!("<b>{login}"),
        about: "<script>alert(1)</script>".into(),
    };
    Personas::new(PASSWORD.into(), vec![persona("root"), persona("ana")])
}

fn config(folder: &TempDir) -> ServerConfig {
    ServerConfig {
        store: StoreConfig::Sqlite {
            path: folder.path().join("store.sqlite"),
        },
        ..ServerConfig::ephemeral(folder.path())
    }
}

/// A store in which nothing has happened.
async fn store(folder: &TempDir) -> Store {
    Store::open_sqlite(&folder.path().join("store.sqlite"), edge::clock(), "demo")
        .await
        .unwrap()
}

fn kinds() -> [&'static dyn daypass_providers::Kind; 1] {
    [Box::leak(Box::new(Memory::new()))]
}

/// The password of everybody in it is known to whoever has seen the demo.
async fn with_root(server: &Server) {
    let root = daypass_engine::NewPerson {
        login: "root".parse().unwrap(),
        display: "Root".into(),
        kind: daypass_core::person::Kind::Person,
        role: daypass_core::person::SystemRole::Administrator,
        groups: Default::default(),
        manager: None,
        owner: None,
        mail: None,
        password: Some(hash_password(PASSWORD.into()).await.unwrap()),
    };
    server.engine().bootstrap(root).await.unwrap();
}

fn browser() -> Client {
    Client::builder().redirect(Redirects::none()).build().unwrap()
}

fn ours(call: RequestBuilder) -> RequestBuilder {
    call.header("sec-fetch-site", "same-origin")
        .form(&[("login", "root")])
}

/// What a browser keeps of an answer.
fn cookie(answer: &Response, name: &str) -> Option<String> {
    let all = answer.headers().get_all("set-cookie").iter();
    let mut all = all.map(|value| value.to_str().unwrap().split(';').next().unwrap().to_owned());
    all.find(|pair| pair.starts_with(&format!("{name}=")))
}

#[tokio::test]
async fn no_other_server_has_that_door() {
    let bed = Bed::start().await;
    let url = bed.server.url();
    for path in ["/demo/enter/x", "/demo/as", "/demo"] {
        assert_eq!(
            browser()
                .get(format!("{url}{path}"))
                .send()
                .await
                .unwrap()
                .status(),
            404,
            "{path}"
        );
    }
    let session = bed.session("ana").await;
    for cookie in [
        "daypass-demo=x".to_owned(),
        format!("daypass={session}; daypass-demo="),
    ] {
        let be = ours(browser().post(format!("{url}/demo/as"))).header("cookie", &cookie);
        assert_eq!(be.send().await.unwrap().status(), 404, "{cookie}");
        let page = browser().get(format!("{url}/sign-in")).header("cookie", &cookie);
        let page = page.send().await.unwrap().text().await.unwrap();
        assert!(!page.contains("/demo/as") && !page.contains("demo"), "{page}");
    }
}

#[tokio::test]
async fn neither_takes_the_others_store() {
    let real = tempfile::tempdir().unwrap();
    drop(store(&real).await);
    let refused = Server::start_demo(config(&real), &kinds(), personas()).await;
    assert!(
        matches!(refused.err(), Some(StartError::NoDemo)),
        "an empty store is no demo's"
    );
    let server = Server::start(config(&real), &kinds()).await.unwrap();
    with_root(&server).await;
    server.stop().await;
    let lived = store(&real).await;
    assert!(lived.become_demo().await.is_err(), "people work with it");
    drop(lived);
    let refused = Server::start_demo(config(&real), &kinds(), personas()).await;
    assert!(matches!(refused.err(), Some(StartError::NoDemo)));

    let demo = tempfile::tempdir().unwrap();
    let fresh = store(&demo).await;
    fresh.become_demo().await.unwrap();
    drop(fresh);
    let refused = Server::start(config(&demo), &kinds()).await;
    assert!(matches!(refused.err(), Some(StartError::Demo)));
    let server = Server::start_demo(config(&demo), &kinds(), personas())
        .await
        .unwrap();
    server.stop().await;
}

async fn nobody_without_the_key(url: &str) {
    // Without the key: the page says that this is a demo, and offers nobody.
    let be = ours(browser().post(format!("{url}/demo/as")))
        .send()
        .await
        .unwrap();
    assert_eq!((be.status().as_u16(), cookie(&be, "daypass")), (400, None));
    let guessed = browser()
        .get(format!("{url}/demo/enter/{}", "0".repeat(48)))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (guessed.status().as_u16(), cookie(&guessed, "daypass-demo")),
        (400, None)
    );
    let page = browser()
        .get(format!("{url}/sign-in"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        !page.contains("/demo/as") && page.contains("This is a demo"),
        "{page}"
    );
}

#[tokio::test]
async fn who_has_the_key_is_whom_they_choose_and_nobody_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = store(&folder).await;
    fresh.become_demo().await.unwrap();
    drop(fresh);
    let personas = personas();
    let entrance = personas.entrance();
    let server = Server::start_demo(config(&folder), &kinds(), personas)
        .await
        .unwrap();
    with_root(&server).await;
    let url = server.url();

    nobody_without_the_key(&url).await;

    let entered = browser().get(entrance.at(&url)).send().await.unwrap();
    let key = cookie(&entered, "daypass-demo").unwrap();
    let page = browser().get(format!("{url}/sign-in")).header("cookie", &key);
    let page = page.send().await.unwrap().text().await.unwrap();
    assert!(
        page.contains("/demo/as") && page.contains("&#60;b&#62;ana") && !page.contains("<script>alert"),
        "{page}"
    );
    let be = |form: &'static str| {
        let call = browser().post(format!("{url}/demo/as")).header("cookie", &key);
        call.header("sec-fetch-site", "same-origin")
            .form(&[("login", form)])
    };
    let root = be("root").send().await.unwrap();
    assert_eq!(root.status(), 303);
    let session = cookie(&root, "daypass").unwrap();
    assert_eq!(
        be("dee").send().await.unwrap().status(),
        400,
        "nobody of the cast"
    );
    let foreign = browser().post(format!("{url}/demo/as")).header("cookie", &key);
    let foreign = foreign
        .header("sec-fetch-site", "cross-site")
        .form(&[("login", "root")]);
    assert_eq!(foreign.send().await.unwrap().status(), 403, "from another site");

    // Who is somebody else is no more who they were.
    let page = |cookies: String| browser().get(&url).header("cookie", cookies).send();
    let here = page(format!("{session}; {key}")).await.unwrap();
    assert_eq!(here.status(), 200);
    assert!(here.text().await.unwrap().contains("Be somebody else"));
    let here = page(session.clone()).await.unwrap().text().await.unwrap();
    assert!(
        !here.contains("Be somebody else"),
        "without the key one stays who one is"
    );
    let again = browser().post(format!("{url}/demo/as"));
    let again = ours(again).header("cookie", format!("{session}; {key}"));
    let now = cookie(&again.send().await.unwrap(), "daypass").unwrap();
    assert_ne!(now, session);
    assert_eq!(
        page(session).await.unwrap().status(),
        303,
        "to where one signs in"
    );
    assert_eq!(page(now).await.unwrap().status(), 200);
    server.stop().await;
}

//! What a program gets and what it does not: arguments, environment, open files, secrets; and what of it is ever shown.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpListener;

use daypass_core::entitlement::Fault;
use daypass_core::time::Timestamp;
use rustix::io::{FdFlags, fcntl_setfd};
use serde_json::json;

use super::{Bench, DONE, spec};

/// What no sink may ever hold.
const CANARY: &str = "canary-\"7f3a\"-of-the-tests";

fn with_secret(lines: &str) -> Bench {
    let mut bench = Bench::new(lines);
    bench
        .operator
        .secrets
        .insert("token".to_owned(), CANARY.to_owned());
    bench.program().secrets.insert("token".to_owned());
    bench
        .program()
        .env_secrets
        .insert("API_KEY".to_owned(), "token".to_owned());
    bench
}

fn until() -> Timestamp {
    "2026-03-07T12:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn it_gets_the_question_and_its_secrets_and_no_secret_in_its_arguments() {
    let bench = with_secret(&format!(
        "cat > \"$1/question\"\nprintf %s \"$API_KEY\" > \"$1/variable\"\ntr '\\0' ' ' < /proc/$$/cmdline > \"$1/line\"\n{DONE}"
    ));
    let spec = spec(json!({"floor": 3}), json!({"one_per": "grant", "badge": "blue"}));
    bench
        .provider()
        .provision("g_0", &spec, "ana", until())
        .await
        .unwrap();
    let mut question: serde_json::Value = serde_json::from_str(&bench.read("question")).unwrap();
    let asker = question["installation"].take();
    let plain = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
    assert!(asker.as_str().unwrap().chars().all(plain), "{asker}");
    let expected = json!({
        "version": 1, "verb": "provision", "installation": null, "key": "g_0", "holder": "ana",
        "until": "2026-03-07T12:00:00Z", "settings": {},
        "resource": {"name": "door", "config": {"floor": 3}},
        "role": {"name": "enter", "config": {"badge": "blue"}},
        "secrets": {"token": CANARY},
    });
    assert_eq!(question, expected);
    assert!(bench.read("question").ends_with("}\n"), "one line");
    assert_eq!(bench.read("variable"), CANARY);
    assert!(!bench.read("line").contains("canary"));
}

#[tokio::test]
async fn its_environment_is_what_was_said_and_nothing_else() {
    let mut bench = Bench::new(&format!("env > \"$1/env\"\npwd > \"$1/pwd\"\n{DONE}"));
    let folder = bench.folder.clone();
    bench.program().directory = folder.clone();
    bench
        .program()
        .env
        .insert("LANG".to_owned(), "C.UTF-8".to_owned());
    bench.call().await.unwrap();
    let env = bench.read("env");
    let names: BTreeSet<_> = env
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    assert!(names.contains("PATH") && names.contains("LANG"), "{env}");
    // What shells add by themselves.
    let known = ["PATH", "LANG", "PWD", "OLDPWD", "SHLVL", "_"];
    assert!(names.iter().all(|name| known.contains(name)), "{env}");
    assert!(
        std::env::var_os("CARGO_MANIFEST_DIR").is_some(),
        "there was something to inherit"
    );
    assert_eq!(bench.read("pwd").trim(), folder.to_str().unwrap());
}

#[tokio::test]
async fn it_inherits_no_open_file() {
    let mut open = tempfile::NamedTempFile::with_prefix("store-of-daypass").unwrap();
    open.write_all(b"x").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // As if our own parent had left them open for us.
    fcntl_setfd(open.as_file(), FdFlags::empty()).unwrap();
    fcntl_setfd(&listener, FdFlags::empty()).unwrap();
    let bench = Bench::new(&format!(
        "for file in /proc/$$/fd/*; do echo \"${{file##*/}} $(readlink \"$file\")\"; done > \"$1/files\"\n{DONE}"
    ));
    bench.call().await.unwrap();
    let files = bench.read("files");
    assert!(files.contains("0 pipe:"), "{files}");
    assert!(
        !files.contains("socket:") && !files.contains("store-of-daypass"),
        "{files}"
    );
}

#[tokio::test]
async fn nothing_is_read_by_a_shell() {
    let mut bench = Bench::new(&format!("printf %s \"$2\" > \"$1/argument\"\n{DONE}"));
    let argument = "$(touch x); `id` *".to_owned();
    bench.program().args.push(argument.clone());
    bench.call().await.unwrap();
    assert_eq!(bench.read("argument"), argument);
}

#[tokio::test]
async fn its_secrets_are_shown_nowhere_whatever_it_says() {
    let said = "printf 'bearer %s\\n' \"$API_KEY\" >&2\n";
    let in_detail = "read -r line\nprintf '{\"version\":1,\"result\":\"error\",\"error\":\"denied\",\"detail\":\"%s\"}' \
                     'no: canary-\\\"7f3a\\\"-of-the-tests'\n";
    for (lines, fault) in [
        (format!("{said}exit 1\n"), Fault::Bug),
        (format!("cat >&2\n{said}exit 77\n"), Fault::Denied),
        (
            "set -x\ncurl_token=\"$API_KEY\"\nexit 75\n".to_owned(),
            Fault::Unavailable,
        ),
        (in_detail.to_owned(), Fault::Denied),
        ("cat\n".to_owned(), Fault::Bug),
        (
            "printf '{\"version\":1,\"result\":\"canary-\\\\\"7f3a\\\\\"-of-the-tests\"}'\n".to_owned(),
            Fault::Bug,
        ),
    ] {
        let detail = with_secret(&lines).fails(fault).await;
        assert!(
            !detail.contains("7f3a") && !detail.contains("canary"),
            "{lines}: {detail}"
        );
    }
    let residue = "printf '{\"version\":1,\"result\":\"absent\",\"residue\":[\"%s\"]}' 'canary-\\\"7f3a\\\"-of-the-tests'\n";
    let seen = with_secret(residue)
        .provider()
        .inspect("p_1", None)
        .await
        .unwrap();
    assert!(format!("{seen:?}").contains("[secret]"), "{seen:?}");
    let keys = "printf '{\"version\":1,\"result\":\"keys\",\"keys\":[\"Key %s\"]}' 'canary-\\\"7f3a\\\"-of-the-tests'\n";
    let listed = with_secret(keys).provider().list_managed().await.unwrap_err();
    assert!(
        listed.detail.contains("Key [secret]") && !listed.detail.contains("7f3a"),
        "{listed}"
    );
}

#[tokio::test]
async fn a_secret_that_is_not_there_stops_the_call_before_it_begins() {
    let mut bench = with_secret("touch \"$1/ran\"\n");
    bench.operator.secrets.clear();
    bench.fails(Fault::NotFound).await;
    assert!(!bench.folder.join("ran").exists());
}

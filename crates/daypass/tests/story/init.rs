//! `daypass init`: what it makes, what it refuses, and that it leaves nothing half done.

use std::os::unix::fs::PermissionsExt as _;

use crate::running::{Installation, daypass, ends_with, given, text};

#[test]
fn a_server_starts_from_what_it_made_and_the_password_works() {
    let made = Installation::new();
    for name in ["secrets", "data"] {
        let mode = std::fs::metadata(made.file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{name} is for its owner only");
    }
    let (_, err) = ends_with(&mut made.server(&["--check"]), 0);
    assert!(err.contains("the policy is sound; its tests pass (1)"), "{err}");
    let (server, url) = made.serve();
    let (out, _) = ends_with(&mut made.admin(&url, &["whoami", "--json"]), 0);
    let whoami: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(whoami["person"]["login"], "admin");
    assert_eq!(whoami["person"]["role"], "administrator");
    let (status, told) = server.stop(rustix::process::Signal::TERM);
    assert!(status.success(), "{told}");
    assert!(!told.contains(&made.password), "a password never reaches the log");
}

#[test]
fn a_second_run_touches_nothing_and_says_what_to_do() {
    let made = Installation::new();
    std::fs::write(made.file("server.yaml"), "mine").unwrap();
    let mut again = daypass(&["init", "--no-input"]);
    let (out, err) = ends_with(again.arg(made.dir()), 1);
    assert_eq!(out, "", "no password is made up for nothing");
    assert!(err.contains("is there already"), "{err}");
    assert!(err.contains("Try: daypass server --config"), "{err}");
    assert_eq!(text(&made.file("server.yaml")), "mine");

    std::fs::remove_file(made.file("server.yaml")).unwrap();
    let (_, err) = ends_with(&mut again, 1);
    assert!(
        err.contains("daypass.sqlite is there already"),
        "half an installation is not built upon: {err}"
    );
}

#[test]
fn what_it_cannot_finish_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("dp");
    let at = |args: &[&str]| {
        let mut command = daypass(args);
        command.arg(&dir);
        command
    };
    let (_, err) = ends_with(&mut at(&["init"]), 2);
    assert!(err.contains("no terminal to ask"), "{err}");
    assert!(err.contains("--no-input"), "{err}");
    let (_, err) = given(&mut at(&["init", "--password-stdin"]), "short", 2);
    assert!(err.contains("at least 12 characters"), "{err}");
    let (_, err) = ends_with(&mut at(&["init", "--no-input", "--listen", "0.0.0.0:7373"]), 2);
    assert!(err.contains("takes TLS"), "{err}");
    ends_with(&mut at(&["init", "--no-input", "--admin", "a b"]), 2);
    assert!(!dir.exists());
}

#[test]
fn a_password_from_standard_input_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("dp");
    let mut init = daypass(&["init", "--password-stdin", "--admin", "root"]);
    let (out, err) = given(init.arg(&dir), "correct horse battery", 0);
    assert_eq!(out, "");
    assert!(!err.contains("correct horse"), "{err}");
    assert!(
        err.contains("the administrator root is in the directory"),
        "{err}"
    );
    assert!(
        err.contains("daypass server --config"),
        "it says what comes next: {err}"
    );
}

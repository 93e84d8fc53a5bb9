//! `daypass server`: its configuration, its policy files, and that one store has one server.

use crate::running::{Installation, ends_with, text};

#[test]
fn a_second_server_on_the_same_store_does_not_start() {
    let made = Installation::new();
    let (_server, _) = made.serve();
    let (_, err) = ends_with(&mut made.server(&[]), 1);
    assert!(err.contains("another Daypass server uses"), "{err}");
}

#[test]
fn a_mistake_in_server_yaml_is_shown_where_it_is() {
    let made = Installation::new();
    let good = text(&made.file("server.yaml"));
    for (from, to, expect) in [
        (
            "listen: ",
            "lisen: ",
            "there is no key \"lisen\" here\n  Try: listen",
        ),
        (
            "127.0.0.1:0",
            "0.0.0.0:7373",
            "can be reached from other machines",
        ),
        (
            "127.0.0.1:0",
            "localhost",
            "\"localhost\" is no address to listen on",
        ),
        (
            "state_dir: data",
            "sessions: {lifetime: 1}",
            "not a length of time",
        ),
    ] {
        assert!(good.contains(from), "the file that init writes holds {from:?}");
        std::fs::write(made.file("server.yaml"), good.replacen(from, to, 1)).unwrap();
        let (_, err) = ends_with(&mut made.server(&["--check"]), 1);
        let line = good.lines().position(|line| line.contains(from)).unwrap() + 1;
        assert!(err.contains(&format!("server.yaml:{line}:")), "{err}");
        assert!(err.contains(expect), "{err}");
    }
    std::fs::remove_file(made.file("server.yaml")).unwrap();
    let (_, err) = ends_with(&mut made.server(&[]), 1);
    assert!(err.contains("Try: daypass init"), "{err}");
}

#[test]
fn a_secret_that_cannot_be_read_is_found_by_the_check() {
    let made = Installation::new();
    let with = format!(
        "{}\nsecrets: {{pg: {{file: secrets/pg, hosts: [\"db.example:5432\"]}}}}\n",
        text(&made.file("server.yaml"))
    );
    std::fs::write(made.file("server.yaml"), with).unwrap();
    let (_, err) = ends_with(&mut made.server(&["--check"]), 1);
    assert!(err.contains("secrets/pg"), "{err}");
}

#[test]
fn the_first_start_needs_a_policy_that_holds() {
    let made = Installation::new();
    let policy = made.file("policy/daypass.yaml");
    let good = text(&policy);
    std::fs::write(&policy, good.replace("settle: 0s", "setle: 0s")).unwrap();
    let (_, err) = ends_with(&mut made.server(&[]), 1);
    assert!(
        err.contains("policy/daypass.yaml:") && err.contains("settle"),
        "file, line and the nearest key: {err}"
    );

    std::fs::write(
        &policy,
        good.replace("refused: unknown-resource", "refused: over-max"),
    )
    .unwrap();
    let (_, err) = ends_with(&mut made.server(&[]), 8);
    assert!(err.contains("tests fail"), "{err}");
    ends_with(&mut made.server(&["--check"]), 8);

    std::fs::remove_dir_all(made.file("policy")).unwrap();
    let (_, err) = ends_with(&mut made.server(&[]), 1);
    assert!(err.contains("there is no policy"), "{err}");
}

#[test]
fn a_later_start_keeps_what_is_in_force_where_the_files_do_not_hold() {
    let made = Installation::new();
    let (server, _) = made.serve();
    server.stop(rustix::process::Signal::TERM);
    let policy = made.file("policy/daypass.yaml");
    std::fs::write(&policy, text(&policy).replace("settle: 0s", "setle: 0s")).unwrap();
    let (server, url) = made.serve();
    ends_with(&mut made.admin(&url, &["ls"]), 0);
    let (_, told) = server.stop(rustix::process::Signal::TERM);
    assert!(told.contains("policy/daypass.yaml:"), "{told}");
    assert!(told.contains("stays in force"), "{told}");
}

#[test]
fn a_restart_does_not_undo_what_somebody_applied() {
    let made = Installation::new();
    let (server, url) = made.serve();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = elsewhere.path().join("policy");
    std::fs::create_dir(&other).unwrap();
    let changed = text(&made.file("policy/daypass.yaml")).replace("duration: 1h", "duration: 30m");
    std::fs::write(other.join("daypass.yaml"), &changed).unwrap();
    ends_with(made.admin(&url, &["policy", "apply"]).arg(&other), 0);
    server.stop(rustix::process::Signal::TERM);

    let (server, _) = made.serve();
    let (_, told) = server.stop(rustix::process::Signal::TERM);
    assert!(told.contains("older than the policy in force"), "{told}");

    // The same files as in force, and then files that are really new: both are the operator's word.
    std::fs::write(made.file("policy/daypass.yaml"), &changed).unwrap();
    let (server, _) = made.serve();
    let (_, told) = server.stop(rustix::process::Signal::TERM);
    assert!(
        !told.contains("older than") && !told.contains("are in force now"),
        "{told}"
    );
    std::fs::write(made.file("policy/daypass.yaml"), changed.replace("30m", "20m")).unwrap();
    let (server, _) = made.serve();
    let (_, told) = server.stop(rustix::process::Signal::TERM);
    assert!(told.contains("the policy files are in force now"), "{told}");
}

//! Programs that are broken, late, loud or lying: each ends as a fault that fits, in time, and leaves nothing running.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use daypass_core::entitlement::Fault;
use daypass_core::time::{Span, Timestamp};
use daypass_providers::command::Command;
use daypass_providers::{Inspection, Kind, Progress};
use serde_json::json;

use super::{Bench, DONE, connect, spec};

/// The number that a program wrote into a file of its folder.
fn number(bench: &Bench, file: &str) -> i32 {
    bench.read(file).trim().parse().unwrap()
}

/// Waits until a process is no more, or only waits to be reaped.
#[expect(clippy::disallowed_methods, reason = "a test gives up after a while")]
async fn is_gone(pid: i32) -> bool {
    let gone = async {
        while let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            // After the name in parentheses comes the state.
            let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            if matches!(state, Some('Z' | 'X')) {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.is_ok()
}

/// Waits until a program has written a file.
async fn written(path: &Path) {
    while std::fs::read_to_string(path).unwrap_or_default().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_that_hangs_is_killed_with_all_that_it_started() {
    let mut bench = Bench::new(concat!(
        "echo waiting for the badge system >&2\n",
        "echo $$ > \"$1/leader\"\nsleep 1000 &\necho $! > \"$1/child\"\nwait\n",
    ));
    bench.program().timeout = Span::seconds(4);
    let said = bench.fails(Fault::Unavailable).await;
    assert_eq!(
        said,
        "program revoke: killed: no answer within 4 s; it said: waiting for the badge system"
    );
    assert!(is_gone(number(&bench, "leader")).await && is_gone(number(&bench, "child")).await);
}

#[test]
fn one_that_hangs_takes_no_thread_that_others_need() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let slow = Bench::new("echo $$ > \"$1/leader\"\nsleep 1000\n");
        let quick = Bench::new(DONE);
        let leader = slow.folder.join("leader");
        tokio::select! {
            _ = slow.call() => panic!("the quick one had to wait for it"),
            done = async { written(&leader).await; quick.call().await } => done.unwrap(),
        }
    });
}

#[tokio::test]
async fn one_that_moves_to_our_own_group_is_killed_and_we_are_not() {
    let mut bench = Bench::new(
        "exec python3 -c 'import os, sys, time\nos.setpgid(0, os.getpgid(os.getppid()))\n\
         open(sys.argv[1] + \"/leader\", \"w\").write(str(os.getpid()))\ntime.sleep(1000)' \"$1\"\n",
    );
    bench.program().timeout = Span::seconds(4);
    bench.fails(Fault::Unavailable).await;
    assert!(is_gone(number(&bench, "leader")).await);
}

#[tokio::test]
async fn one_that_nobody_waits_for_any_more_is_killed_too() {
    let bench = Bench::new("echo $$ > \"$1/leader\"\nsleep 1000\n");
    let leader = bench.folder.join("leader");
    tokio::select! {
        _ = bench.call() => panic!("it does not answer"),
        () = written(&leader) => {}
    }
    assert!(is_gone(number(&bench, "leader")).await);
}

#[tokio::test]
async fn what_it_leaves_running_is_killed_and_its_answer_counts() {
    let bench = Bench::new(&format!("sleep 1000 &\necho $! > \"$1/child\"\n{DONE}"));
    assert_eq!(bench.call().await, Ok(()));
    assert!(is_gone(number(&bench, "child")).await);
}

#[tokio::test]
async fn what_left_its_group_and_keeps_the_output_open_is_not_waited_for() {
    let escape = "setsid sh -c 'echo $$ > \"$1/away\"; exec sleep 60' sh \"$1\" &\n";
    let wait = "while [ ! -s \"$1/away\" ]; do :; done\n";
    let bench = Bench::new(&format!("{escape}{wait}{DONE}"));
    assert_eq!(bench.call().await, Ok(()));
    let away = rustix::process::Pid::from_raw(number(&bench, "away")).unwrap();
    rustix::process::kill_process(away, rustix::process::Signal::KILL).expect("it is still there");
}

#[tokio::test]
async fn one_that_writes_without_end_is_killed() {
    let bench = Bench::new("echo $$ > \"$1/leader\"\nhead -c 1073741824 /dev/zero\n");
    let said = bench.fails(Fault::Bug).await;
    assert!(said.contains("more than 8388608 bytes"), "{said}");
    assert!(is_gone(number(&bench, "leader")).await);
}

#[tokio::test]
async fn one_may_complain_at_length() {
    let lines = "head -c 20000000 /dev/zero | tr '\\0' 'x' >&2\necho >&2\necho the end >&2\n";
    let bench = Bench::new(&format!("{lines}{DONE}"));
    assert_eq!(bench.call().await, Ok(()));
    let bench = Bench::new(&format!("{lines}exit 1\n"));
    let said = bench.fails(Fault::Bug).await;
    assert_eq!(said, "program revoke: ended with exit code 1; it said: the end");
}

#[tokio::test]
async fn what_is_no_answer_is_a_bug() {
    for (lines, with) in [
        ("", "answered nothing"),
        ("echo ok\n", "no JSON"),
        ("head -c 100 /dev/urandom\n", "no JSON"),
        ("echo '{\"version\":1,\"result\":\"done\"} and more'\n", "no JSON"),
        ("echo '{\"version\":2,\"result\":\"done\"}'\n", "version 2"),
        ("echo '{\"version\":1,\"result\":7}'\n", "cannot be read"),
        (
            "echo '{\"version\":1,\"result\":\"absent\"}'\n",
            "none to that question",
        ),
        ("kill -SEGV $$\n", "killed by signal 11"),
        ("echo broken >&2\nexit 3\n", "exit code 3; it said: broken"),
        (
            "echo '{\"version\":1,\"result\":\"done\"}'\nexit 3\n",
            "answered \"done\" and ended with exit code 3",
        ),
    ] {
        let said = Bench::new(lines).fails(Fault::Bug).await;
        assert!(said.contains(with), "{lines}: {said}");
    }
}

#[tokio::test]
async fn an_error_is_told_in_words_or_by_the_exit_code() {
    let error =
        "echo '{\"version\":1,\"result\":\"error\",\"error\":\"rate-limited\",\"detail\":\"slow down\"}'\n";
    for more in ["", "exit 1\n"] {
        let said = Bench::new(&format!("{error}{more}"))
            .fails(Fault::RateLimited)
            .await;
        assert_eq!(said, "program revoke: slow down");
    }
    for (code, fault) in [
        (69, Fault::Unavailable),
        (75, Fault::Unavailable),
        (77, Fault::Denied),
        (78, Fault::Misconfigured),
        (1, Fault::Bug),
        (127, Fault::Bug),
    ] {
        let said = Bench::new(&format!("echo why >&2\nexit {code}\n"))
            .fails(fault)
            .await;
        assert!(said.ends_with("it said: why"), "{said}");
    }
}

#[tokio::test]
async fn one_need_not_read() {
    // More than a pipe holds, so that writing it fails.
    let settings = json!({"program": "program", "settings": {"long": "x".repeat(1_000_000)}});
    for lines in [DONE, &format!("exec 0<&-\n{DONE}")] {
        let bench = Bench::new(lines);
        let provider = connect(&bench.operator, &settings, "0f");
        assert_eq!(provider.revoke("p_1", None).await, Ok(Progress::Done));
    }
}

#[tokio::test]
async fn one_that_is_not_there_says_so_and_did_nothing() {
    let mut bench = Bench::new(DONE);
    bench.program().path = bench.folder.join("none");
    assert!(bench.fails(Fault::Misconfigured).await.contains("No such file"));
    let mut bench = Bench::new(DONE);
    bench.program().path = super::executable(&bench.folder, "odd", "#!/no/interpreter\n");
    let said = bench.fails(Fault::Misconfigured).await;
    assert!(
        said.contains("does not start") && said.contains("interpreter"),
        "{said}"
    );
    let mut bench = Bench::new(DONE);
    bench.operator.programs = BTreeMap::new();
    let said = bench.fails(Fault::Misconfigured).await;
    assert!(said.contains("server.yaml names no such program"), "{said}");
    assert!(bench.provider().capabilities().ceiling > Span::ZERO);
}

#[test]
fn a_policy_that_names_another_program_is_not_put_in_force() {
    let bench = Bench::new(DONE);
    let check = |program: &str| Command.check_allowed(&json!({ "program": program }), &bench.operator);
    assert_eq!(check("program"), Ok(()));
    let problems = check("programm").unwrap_err();
    assert_eq!(problems[0].pointer, "/program");
    assert!(
        problems[0].message.contains("did you mean program"),
        "{problems:?}"
    );
    let none = super::Operator::default();
    let problems = Command
        .check_allowed(&json!({"program": "a"}), &none)
        .unwrap_err();
    assert!(problems[0].message.contains("names no programs"), "{problems:?}");
}

#[test]
fn another_program_or_other_settings_are_another_target() {
    let reaches = |config: serde_json::Value| Command.reaches(&config);
    let one = reaches(json!({"program": "a", "settings": {"site": "madrid"}}));
    assert_eq!(
        one,
        reaches(json!({"settings": {"site": "madrid"}, "program": "a"}))
    );
    assert_ne!(
        one,
        reaches(json!({"program": "a", "settings": {"site": "paris"}}))
    );
    assert_ne!(
        one,
        reaches(json!({"program": "b", "settings": {"site": "madrid"}}))
    );
}

#[tokio::test]
async fn what_an_inspection_and_a_list_say_is_taken_as_it_is() {
    let present = concat!(
        "printf '%s\\n' '{\"version\":1,\"result\":\"present\",\"until\":\"2026-03-07T13:00:00+01:00\",",
        "\"residue\":[\"a\\tfile\"]}'\n"
    );
    let until: Timestamp = "2026-03-07T12:00:00Z".parse().unwrap();
    let seen = Bench::new(present).provider().inspect("p_1", None).await;
    let residue = vec!["a file".to_owned()];
    assert_eq!(
        seen,
        Ok(Inspection::Present {
            until: Some(until),
            residue
        })
    );
    let pending = "echo '{\"version\":1,\"result\":\"pending\",\"poll_after\":\"1ms\"}'\n";
    let spec = spec(json!({}), json!({}));
    let progress = Bench::new(pending)
        .provider()
        .provision("p_1", &spec, "ana", until)
        .await;
    let poll_after = Span::seconds(1);
    assert_eq!(progress, Ok(Progress::Pending { poll_after }));
    let foreign = "echo '{\"version\":1,\"result\":\"keys\",\"keys\":[\"p_1\",\"../x\"]}'\n";
    let error = Bench::new(foreign).provider().list_managed().await.unwrap_err();
    assert_eq!(error.fault, Fault::Bug);
    assert!(Bench::new(foreign).provider().probe().await.is_err());
}

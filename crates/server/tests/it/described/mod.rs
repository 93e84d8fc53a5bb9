//! The server against its own description: PyPI's `schemathesis` reads `/openapi.json` and calls every route with what fits it
//! and what does not, as nobody, as an ordinary person, as a program with a token and as an administrator. No answer is a
//! server's error, and each is one that the description allows: its status, its headers, its content type and its body.
//!
//! The same seed makes the same calls, but for ids, which the server draws. Left out, and why:
//!
//! - the stream of events: its answer does not end (see `events.rs`);
//! - whether what does not fit the description is refused, and what fits is taken: a name, a duration and an id are strings to
//!   the description, and which of them are good is said in words.

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use daypass_api::Route;

use crate::bed::soon;
use crate::venv::Venv;
use world::{Caller, World};

const VENV: Venv = Venv {
    name: "described-python-1",
    install: &["--require-hashes", "-r", "tests/it/described/requirements.txt"],
    modules: "schemathesis",
};

/// What each answer is held against.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,unsupported_method,allow_header_conformance,ignored_auth,\
                      missing_required_header";
/// Generated calls of a route, beside those for each border of what the description allows.
const EXAMPLES: &str = "12";
/// How often each status came, by method and path.
type Calls = BTreeMap<String, BTreeMap<u16, u32>>;

/// Not called with success here, and why.
const NEVER: [Route; 14] = [
    // Its answer does not end.
    Route::Events,
    // The description itself.
    Route::OpenApi,
    // Neither of these connectors has a secret of its own; `crates/daypass/tests/story/secrets.rs` rotates one.
    Route::RotateConnector,
    // No target here has a protocol of the gateway; `crates/daypass/tests/story/gateway.rs` replays and watches.
    Route::SessionRecording,
    Route::WatchSession,
    // For a gateway that runs apart; `crates/daypass/tests/story/apart.rs` has some.
    Route::GatewayRegister,
    Route::GatewayChallenge,
    Route::GatewayProve,
    Route::GatewayOpen,
    Route::GatewayWait,
    Route::GatewayRenew,
    Route::GatewayClose,
    Route::GatewayRecord,
    Route::GatewayEvents,
];

/// What one caller was told, and the calls that were made.
struct Run {
    failed: bool,
    said: String,
    calls: Calls,
}

/// First the calls that work, then those that the tester thinks of.
fn run(python: &Path, server: &str, folder: &Path, caller: &Caller) -> Run {
    let description = format!("{server}{}", Route::OpenApi.path());
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/described");
    let mut known = Command::new(python);
    known.arg(tests.join("calls.py")).args([&description, CHECKS]);
    let mut thought_of = Command::new(python.with_file_name("schemathesis"));
    thought_of
        .args(["run", &description, "--checks", CHECKS, "--phases", caller.phases])
        .args(["--exclude-path", Route::Events.path()])
        .args(["--max-examples", EXAMPLES, "--seed", "1", "--workers", "1", "--request-timeout", "30"])
        // Deterministic means also: nothing is kept from one run for the next.
        .args(["--generation-deterministic", "--continue-on-failure", "--suppress-health-check", "all"])
        .args(["--no-color", "--warnings", "off"]);
    let mut run = Run {
        failed: false,
        said: String::new(),
        calls: Calls::new(),
    };
    let (world, made) = (folder.join("world.json"), folder.join("calls.json"));
    let mut told = caller.told.clone();
    told["calls_made"] = made.to_str().unwrap().into();
    std::fs::write(&world, told.to_string()).unwrap();
    let all = [&mut known, &mut thought_of];
    let wanted = if caller.phases.is_empty() { 1 } else { 2 };
    for command in all.into_iter().take(wanted) {
        let _old = std::fs::remove_file(&made);
        let output = command
            .current_dir(folder)
            .env("SCHEMATHESIS_HOOKS", tests.join("hooks.py"))
            .env("DAYPASS_WORLD", &world)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        run.failed |= !output.status.success();
        for stream in [&output.stdout, &output.stderr] {
            run.said += &String::from_utf8_lossy(stream);
        }
        let calls: Calls =
            std::fs::read(&made).map_or_else(|_| Calls::new(), |text| serde_json::from_slice(&text).unwrap());
        for (route, statuses) in calls {
            let all = run.calls.entry(route).or_default();
            for (status, count) in statuses {
                *all.entry(status).or_default() += count;
            }
        }
    }
    run
}

/// How the description names a route.
fn named(route: Route) -> String {
    // "The rest of the path" is a parameter like any other there.
    format!("{} {}", route.method().as_str(), route.path().replace("{*", "{"))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_one_that_the_description_does_not_allow() {
    let Some(python) = VENV.python() else { return };
    let World {
        bed,
        callers,
        secrets: _secrets,
    } = world::build().await;
    let (server, folder) = (bed.server.url(), tempfile::tempdir().unwrap());
    let mut answered = BTreeSet::new();
    let mut failed = String::new();
    for caller in callers {
        let (python, server, folder) = (python.clone(), server.clone(), folder.path().to_owned());
        let name = caller.name;
        let run = tokio::task::spawn_blocking(move || run(&python, &server, &folder, &caller));
        let Run {
            failed: bad,
            said,
            calls,
        } = run.await.unwrap();
        if bad {
            failed += &format!("\n── as {name}\n{said}");
        }
        if let Ok(to) = std::env::var("DAYPASS_DESCRIBED") {
            std::fs::write(format!("{to}.{name}"), format!("{said}\n{calls:#?}")).unwrap();
        }
        let good = calls
            .iter()
            .filter(|(_, statuses)| statuses.keys().any(|status| *status < 300));
        answered.extend(good.map(|(route, _)| route.clone()));
    }
    soon("the stop", bed.server.stop()).await;
    assert!(failed.is_empty(), "{failed}");
    // An answer that nobody got was held against nothing.
    let unanswered: Vec<_> = Route::ALL
        .iter()
        .filter(|route| !NEVER.contains(route))
        .map(|route| named(*route))
        .filter(|route| !answered.contains(route))
        .collect();
    assert!(
        unanswered.is_empty(),
        "no call of these succeeded: {unanswered:#?}"
    );
}

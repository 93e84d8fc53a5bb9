//! `examples/command/user-list.sh`: lists of users in files.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use daypass_core::entitlement::Fault;
use daypass_core::time::{Span, Timestamp};
use daypass_providers::command::Command;
use daypass_providers::{Credential, Inspection, Kind, Provider};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Operator, connect, connect_as, example, executable, home, program};
use crate::conformance;
use crate::stand::{Ability, Stand, Use, keys, spec_of};

struct Lists {
    lists: PathBuf,
    operator: Operator,
    _home: TempDir,
}

impl Lists {
    fn new() -> Self {
        let (home, folder) = home();
        let lists = folder.join("lists");
        std::fs::create_dir(&lists).unwrap();
        let mut program = program(executable(&folder, "user-list", &example("user-list.sh")));
        program.args = vec![lists.to_str().unwrap().to_owned()];
        let operator = Operator {
            programs: BTreeMap::from([("user-list".to_owned(), program)]),
            secrets: BTreeMap::new(),
        };
        Self {
            lists,
            operator,
            _home: home,
        }
    }

    fn connect(&self, installation: &str) -> Arc<dyn Provider> {
        connect(&self.operator, &json!({"program": "user-list"}), installation)
    }

    /// The lines of a list that are no marks.
    fn users(&self, list: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.lists.join(list)).unwrap_or_default();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    }
}

/// An instant: lists know no time.
fn until() -> Timestamp {
    "2026-03-07T12:00:00Z".parse().unwrap()
}

#[async_trait]
impl Stand for Lists {
    fn kind(&self) -> &dyn Kind {
        &Command
    }

    fn provider(&self) -> Arc<dyn Provider> {
        self.connect("this")
    }

    fn other_installation(&self) -> Arc<dyn Provider> {
        self.connect("other")
    }

    fn config(&self, _: &[Ability]) -> (Value, Value) {
        (json!({}), json!({"one_per": "grant", "list": "readers"}))
    }

    fn hostile(&self) -> Vec<(Value, Value)> {
        let texts = conformance::HOSTILE_TEXT
            .into_iter()
            .chain(["readers\",\"x\":\"", "Readers", "-rf"]);
        let mut roles: Vec<_> = texts.map(|text| json!({ "list": text })).collect();
        roles.extend([
            json!({}),
            json!({"list": 7}),
            json!({"list": "a", "more": 1}),
            json!("readers"),
        ]);
        roles.push(json!({"one_per": "everybody", "list": "readers"}));
        roles.into_iter().map(|role| (json!({}), role)).collect()
    }

    async fn now(&self) -> Timestamp {
        until()
    }

    async fn open(&self, _: &Credential) -> Option<Box<dyn Use>> {
        None
    }

    async fn add_by_hand(&self, key: &str) {
        std::fs::write(self.lists.join(".daypass").join(key), "by hand\nreaders\nroot\n").unwrap();
        std::fs::write(self.lists.join("readers"), "eve\n").unwrap();
    }

    async fn everything_else(&self) -> String {
        let mut out = Vec::new();
        for file in std::fs::read_dir(self.lists.join(".daypass")).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            out.extend(text.starts_with("by hand").then_some(text));
        }
        let by_hand = self.users("readers").into_iter().filter(|user| user == "eve");
        out.extend(by_hand);
        out.join("\n")
    }

    async fn down(&self) {
        std::fs::rename(&self.lists, self.lists.with_extension("away")).unwrap();
    }

    async fn up(&self) {
        std::fs::rename(self.lists.with_extension("away"), &self.lists).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_in_shell_keeps_the_contract() {
    let here = Lists::new();
    conformance::all(&here).await;
}

#[tokio::test]
async fn a_list_is_its_hand_made_lines_and_all_openings() {
    let here = Lists::new();
    std::fs::write(here.lists.join("readers"), "root\nno-line-end").unwrap();
    let provider = here.provider();
    let made: Vec<_> = [(1, "ana"), (2, "ana"), (3, "bo")]
        .into_iter()
        .map(|(grant, holder)| (spec_of(&here, grant, here.config(&[])), holder))
        .collect();
    for ((key, spec), holder) in &made {
        provider.provision(key, spec, holder, until()).await.unwrap();
    }
    assert_eq!(here.users("readers"), ["root", "no-line-end", "ana", "bo"]);
    let ((first, spec), _) = &made[0];
    provider.revoke(first, None).await.unwrap();
    assert_eq!(
        here.users("readers"),
        ["root", "no-line-end", "ana", "bo"],
        "another opening holds it"
    );
    let ((second, _), _) = &made[1];
    provider.revoke(second, None).await.unwrap();
    assert_eq!(here.users("readers"), ["root", "no-line-end", "bo"]);
    let refused = provider
        .provision(first, spec, "root", until())
        .await
        .unwrap_err();
    assert_eq!(refused.fault, Fault::AlreadyStanding, "{refused}");
    let moved = {
        let mut moved = spec.clone();
        moved.role = json!({"one_per": "grant", "list": "writers"});
        moved
    };
    let ((third, _), _) = &made[2];
    // As a crash leaves it in the middle of an end: still in the list, and nobody knows who.
    let opening = here.lists.join(".daypass").join(third);
    let whole = std::fs::read_to_string(&opening).unwrap();
    std::fs::write(&opening, whole.replace("bo\n", "\n")).unwrap();
    assert_eq!(keys(&*provider).await, Ok(vec![third.clone()]));
    let seen = provider.inspect(third, None).await;
    assert!(matches!(seen, Ok(Inspection::Present { .. })), "{seen:?}");
    provider.provision(third, &moved, "bo", until()).await.unwrap();
    assert_eq!(here.users("readers"), ["root", "no-line-end"]);
    assert_eq!(here.users("writers"), ["bo"]);
}

#[tokio::test]
async fn what_somebody_does_to_a_list_by_hand_is_seen() {
    let here = Lists::new();
    let provider = here.provider();
    let (key, spec) = spec_of(&here, 1, here.config(&[]));
    provider
        .provision(&key, &spec, "ana", until() + Span::hours(1))
        .await
        .unwrap();
    let file = here.lists.join("readers");
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, whole.replace("ana\n", "")).unwrap();
    let seen = provider.inspect(&key, None).await;
    assert!(matches!(seen, Ok(Inspection::Absent { .. })), "{seen:?}");
    assert_eq!(
        keys(&*provider).await,
        Ok(Vec::new()),
        "so that the sweep looks at it"
    );
    // A lost mark: what is whose cannot be told, so nothing is thrown away.
    let torn = whole.replace("# Daypass keeps the lines to here\n", "mia\n");
    std::fs::write(&file, &torn).unwrap();
    let refused = provider.revoke(&key, None).await.unwrap_err();
    assert_eq!(refused.fault, Fault::Conflict, "{refused}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), torn);
    let seen = provider.inspect(&key, None).await;
    assert!(!matches!(seen, Ok(Inspection::Absent { .. })), "{seen:?}");
    std::fs::write(&file, whole).unwrap();
    provider.revoke(&key, None).await.unwrap();
    assert_eq!(here.users("readers"), Vec::<String>::new());
}

#[tokio::test]
async fn two_connectors_of_one_program_leave_each_others_access_alone() {
    let here = Lists::new();
    let connector = |name: &str| connect_as(name, &here.operator, &json!({"program": "user-list"}), "this");
    let (doors, gates) = (connector("doors"), connector("gates"));
    let (key, spec) = spec_of(&here, 1, here.config(&[]));
    doors.provision(&key, &spec, "ana", until()).await.unwrap();
    assert_eq!(keys(&*doors).await, Ok(vec![key.clone()]));
    assert_eq!(
        keys(&*gates).await,
        Ok(Vec::new()),
        "a sweep of it finds nothing of nobody's"
    );
    gates.revoke(&key, None).await.unwrap();
    assert_eq!(here.users("readers"), ["ana"]);
    // The same connector of another start finds it again.
    assert_eq!(keys(&*connector("doors")).await, Ok(vec![key]));
}

#[tokio::test]
async fn what_was_known_of_an_opening_is_lost_and_nobody_says_that_it_is_gone() {
    let here = Lists::new();
    let provider = here.provider();
    let (key, spec) = spec_of(&here, 1, here.config(&[]));
    provider.provision(&key, &spec, "ana", until()).await.unwrap();
    std::fs::remove_file(here.lists.join(".daypass").join(&key)).unwrap();
    assert_eq!(here.users("readers"), ["ana"]);
    for known in [Some(&spec), None] {
        let seen = provider.inspect(&key, known).await;
        assert!(matches!(seen, Ok(Inspection::Unknown)), "{seen:?}");
    }
    let mut elsewhere = spec.clone();
    elsewhere.role = json!({"one_per": "grant", "list": "writers"});
    let seen = provider.inspect("g_9", Some(&elsewhere)).await;
    assert!(
        matches!(seen, Ok(Inspection::Absent { .. })),
        "another list is not in doubt: {seen:?}"
    );
    provider.revoke(&key, Some(&spec)).await.unwrap();
    assert_eq!(here.users("readers"), Vec::<String>::new());
    let seen = provider.inspect(&key, Some(&spec)).await;
    assert!(matches!(seen, Ok(Inspection::Absent { .. })), "{seen:?}");
    // Where nobody knows the role any more, every list is put right.
    provider.provision(&key, &spec, "ana", until()).await.unwrap();
    std::fs::remove_file(here.lists.join(".daypass").join(&key)).unwrap();
    provider.revoke(&key, None).await.unwrap();
    assert_eq!(here.users("readers"), Vec::<String>::new());
}

#[test]
fn the_users_page_can_be_followed_by_hand() {
    let here = Lists::new();
    let program = &here.operator.programs["user-list"];
    let page = include_str!("../../../../../docs/providers/command.md");
    let mut lines = page.lines();
    let mut asked = 0;
    while let Some(line) = lines.next() {
        let Some(question) = line
            .strip_prefix("$ ask '")
            .and_then(|rest| rest.strip_suffix('\''))
        else {
            continue;
        };
        let mut child = std::process::Command::new(&program.path)
            .args(&program.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{question}").unwrap();
        let answer = child.wait_with_output().unwrap().stdout;
        assert_eq!(
            String::from_utf8(answer).unwrap().trim_end(),
            lines.next().unwrap(),
            "{question}"
        );
        asked += 1;
    }
    assert_eq!(asked, 7);
}

//! `policy check|test|plan|apply|log|diff|explain|schema|fmt`: the administrator's loop. Checking, testing, the schema and the layout need
//! no server.

pub(crate) mod explain;
mod files;
mod fmt;
mod log;
pub(crate) mod plan;
mod schema;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use daypass_api::policy::{Diagnostic, PolicyCheck, PolicyFile, PolicyFiles, TestOutcome};
use daypass_policy::{Policy, Source};

use self::files::Files;
use crate::ask;
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::count;
use crate::line::{Field, Grid, Line, Style};

/// Check, test, explain and apply policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Say whether a policy loads and passes its own tests
    Check(CheckArgs),
    /// Run a policy's own tests, one line each
    Test(CheckArgs),
    /// Show who would gain and who would lose what by a policy
    Plan(plan::PlanArgs),
    /// Put a policy in force
    Apply(ApplyArgs),
    /// List the policies that were put in force
    Log(log::LogArgs),
    /// Say what differs between two of them
    Diff(log::DiffArgs),
    /// Say what each rule says to a question, and why
    Explain(explain::ExplainArgs),
    /// Print the JSON Schema of a policy file, for editors
    Schema(schema::SchemaArgs),
    /// Put the files of a policy into the usual layout
    Fmt(fmt::FmtArgs),
}

/// Which files, and whether the server is asked as well.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass policy check                    daypass.yaml, policy.yaml and policy/, where they are
  daypass policy check policy/            every YAML file below the folder
  daypass policy test policy/ -o json
  daypass policy check policy/ --online   also: what the providers say of their configuration, and what would change

Ends with 1 where the policy does not load, and with 8 where one of its tests fails. Needs no server without --online.")]
pub struct CheckArgs {
    /// Files, or folders of them
    files: Vec<PathBuf>,

    /// Let the server check as well; naming one with --server does the same
    #[arg(long)]
    online: bool,
}

/// Put a policy in force.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass policy apply policy/
  daypass policy apply daypass.yaml --yes

For administrators. What would change is shown first, and who gains and who loses by it. A policy that does not load, or fails its
own tests, is not applied. Where the policy in force says that others must agree, it is proposed to them, and comes in force when
they have.")]
pub struct ApplyArgs {
    /// Files, or folders of them: all of the policy
    files: Vec<PathBuf>,

    /// Do not ask once more
    #[arg(short, long)]
    yes: bool,
}

impl PolicyCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Check(args) => args.check(context).await,
            Self::Test(args) => args.test(context).await,
            Self::Plan(args) => args.run(context).await,
            Self::Apply(args) => args.run(context).await,
            Self::Log(args) => args.run(context).await,
            Self::Diff(args) => args.run(context).await,
            Self::Explain(args) => args.run(context).await,
            Self::Schema(args) => args.run(context),
            Self::Fmt(args) => args.run(context),
        }
    }
}

impl CheckArgs {
    async fn check(self, context: &Context) -> Result<Exit, Failure> {
        let (files, check) = self.outcome(context).await?;
        if context.out.is_structured() {
            context.out.one(&check, String::new, Vec::new);
            return Ok(exit(&check));
        }
        complain(context, &files, &check);
        for line in &check.summary {
            context.out.line(&Line::from(line.as_str()));
        }
        if check.is_sound() {
            let tests = count(check.tests.len(), "test");
            context.out.note(
                Line::new()
                    .with(Style::Good, "✓ ")
                    .text(format!("the policy loads; {tests} passed")),
            );
        }
        Ok(exit(&check))
    }

    async fn test(self, context: &Context) -> Result<Exit, Failure> {
        let (files, check) = self.outcome(context).await?;
        for diagnostic in &check.diagnostics {
            files
                .draw(diagnostic)
                .into_iter()
                .for_each(|line| context.out.warn(line));
        }
        let mut grid = Grid::new(["", "TEST", "WHERE", "EXPECTED", "GOT"]);
        for test in &check.tests {
            let (style, mark) = if test.passed {
                (Style::Good, "✓")
            } else {
                (Style::Bad, "✗")
            };
            let got = if test.passed {
                "the same"
            } else {
                test.got.as_str()
            };
            grid.row([
                Field(style, mark.into()),
                Field::from(test.name.as_str()),
                Field(Style::Faint, test.location.clone()),
                Field::from(test.expected.as_str()),
                Field(
                    if test.passed { Style::Faint } else { Style::Bad },
                    got.to_owned(),
                ),
            ]);
        }
        context.out.list(
            &check.tests,
            |test| test.location.clone(),
            &grid,
            "the policy has no tests",
        );
        let failed = check.tests.iter().filter(|test| !test.passed).count();
        if failed > 0 {
            let total = count(check.tests.len(), "test");
            context.out.warn(
                Line::new()
                    .with(Style::Bad, "✗ ")
                    .text(format!("{failed} of {total} failed")),
            );
        }
        Ok(exit(&check))
    }

    async fn outcome(&self, context: &Context) -> Result<(Files, PolicyCheck), Failure> {
        let files = Files::read(&self.files)?;
        let here = offline(&files.files());
        // What fails here fails there: the server is asked for what only it knows.
        if !here.diagnostics.is_empty() || !(self.online || context.global.server.is_some()) {
            return Ok((files, here));
        }
        let there = context
            .client()?
            .check_policy(&PolicyFiles {
                files: files.files(),
                replaces: None,
            })
            .await?;
        Ok((files, there))
    }
}

impl ApplyArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let files = Files::read(&self.files)?;
        let here = offline(&files.files());
        if !here.is_sound() {
            complain(context, &files, &here);
            return Err(not_applied(&here));
        }
        let client = context.client()?;
        let current = client.policy().await?;
        let all = PolicyFiles {
            files: files.files(),
            replaces: Some(current.revision),
        };
        let check = client.check_policy(&all).await?;
        if !check.is_sound() {
            complain(context, &files, &check);
            return Err(not_applied(&check));
        }
        let asks = !self.yes && context.may_ask();
        let mut changes: Vec<_> = check
            .summary
            .iter()
            .map(|line| Line::from(line.as_str()))
            .collect();
        if changes.is_empty() {
            changes.push(Line::from("no rule, resource or set of people changes"));
        }
        shorten(&mut changes, "daypass policy check --online shows all of it");
        if asks {
            let plan = client.plan_policy(&all).await?;
            let mut people = plan::changes(&plan, false);
            shorten(&mut people, "daypass policy plan shows all of it");
            changes.extend(people);
            changes.extend(plan::remarks(&plan));
        }
        for line in changes {
            // Nobody confirms what they do not see.
            if asks {
                context.out.warn(line)
            } else {
                context.out.note(line)
            }
        }
        if asks && !ask::confirm(context, &format!("Put this in force at {}?", client.server()))? {
            return Err(Failure::error("not applied"));
        }
        let applied = client.apply_policy(&all).await?;
        context.out.one(
            &applied,
            || applied.revision.to_string(),
            || {
                let revision: String = applied.revision.to_string().chars().take(12).collect();
                if let Some(change) = &applied.change {
                    return super::change::proposed(change, edge::now());
                }
                let tests = count(applied.tests, "test");
                let what = if applied.changed {
                    "is in force"
                } else {
                    "was in force already"
                };
                vec![
                    Line::new()
                        .with(Style::Good, "✓ ")
                        .text(format!("revision {revision} {what}; {tests} passed")),
                ]
            },
        );
        Ok(Exit::DONE)
    }
}

/// No more than half a screen of lines; how many more there are, and where.
fn shorten(lines: &mut Vec<Line>, where_all_are: &str) {
    let most = plan::SCREEN / 2;
    let more = lines.len().saturating_sub(most);
    if more > 0 {
        lines.truncate(most);
        lines.push(Line::from(format!("… and {more} more: {where_all_are}").as_str()));
    }
}

/// Loads and tests the policy on this machine.
fn offline(files: &[PolicyFile]) -> PolicyCheck {
    let sources: Vec<_> = files
        .iter()
        .map(|file| Source {
            name: file.name.clone(),
            text: file.text.clone(),
        })
        .collect();
    match Policy::load(&sources) {
        Ok(policy) => PolicyCheck {
            revision: Some(policy.revision()),
            diagnostics: Vec::new(),
            tests: policy.run_tests().into_iter().map(outcome).collect(),
            summary: Vec::new(),
        },
        Err(found) => PolicyCheck {
            revision: None,
            diagnostics: found.all().iter().map(diagnostic).collect(),
            tests: Vec::new(),
            summary: Vec::new(),
        },
    }
}

fn diagnostic(found: &daypass_policy::Diagnostic) -> Diagnostic {
    Diagnostic {
        file: found.location.file.clone(),
        line: usize::try_from(found.location.line).unwrap_or(usize::MAX),
        column: usize::try_from(found.location.column).unwrap_or(usize::MAX),
        message: found.message.clone(),
        help: found.hint.clone(),
    }
}

fn outcome(test: daypass_policy::TestOutcome) -> TestOutcome {
    TestOutcome {
        location: format!("{:#}", test.location),
        passed: test.passed,
        name: test.question,
        expected: test.expected,
        got: test.got,
    }
}

fn complain(context: &Context, files: &Files, check: &PolicyCheck) {
    for diagnostic in &check.diagnostics {
        files
            .draw(diagnostic)
            .into_iter()
            .for_each(|line| context.out.warn(line));
    }
    for test in check.tests.iter().filter(|test| !test.passed) {
        let what = format!(": {} should be {}, and is {}", test.name, test.expected, test.got);
        context.out.warn(
            Line::new()
                .with(Style::Bad, "✗ ")
                .with(Style::Strong, &test.location)
                .text(what),
        );
    }
}

fn not_applied(check: &PolicyCheck) -> Failure {
    if check.diagnostics.is_empty() {
        return Failure::new(exit(check), "the policy was not applied: its own tests fail")
            .hint("daypass policy test shows every test");
    }
    let mistakes = count(check.diagnostics.len(), "mistake");
    Failure::new(
        exit(check),
        format!("the policy was not applied: it has {mistakes}"),
    )
}

/// The exit code of a check.
fn exit(check: &PolicyCheck) -> Exit {
    match (check.diagnostics.is_empty(), check.is_sound()) {
        (false, _) => Exit::ERROR,
        (true, false) => Exit::POLICY_TEST_FAILED,
        (true, true) => Exit::DONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "
version: 1
people: {engineers: {group: engineering}, leads: {group: eng-leads}}
connectors: [{name: pg, kind: postgres, config: {}}]
resources:
  - {name: orders, kind: postgres, connector: pg, labels: {env: staging}, config: {database: orders}, roles: {read: {member_of: [pg_read_all_data]}}}
rules:
  - {name: staging, allow: engineers, to: {env: staging}, approval: [{from: leads, within: 15m, else: deny}], max: 2h}
tests:
  - {as: ana, in: [engineering], ask: orders/read, for: 1h, expect: {steps: [leads]}}
";

    fn check(text: &str) -> PolicyCheck {
        offline(&[PolicyFile {
            name: "daypass.yaml".into(),
            text: text.into(),
        }])
    }

    #[test]
    fn a_sound_policy_passes() {
        let check = check(SOUND);
        assert_eq!(check.diagnostics, []);
        assert_eq!(exit(&check), Exit::DONE, "{check:?}");
        assert_eq!(check.tests.len(), 1);
    }

    #[test]
    fn a_failing_test_has_a_code_of_its_own() {
        assert_eq!(
            exit(&check(&SOUND.replace("for: 1h", "for: 3h"))),
            Exit::POLICY_TEST_FAILED
        );
    }

    #[test]
    fn a_mistake_names_its_line() {
        let check = check(&SOUND.replace("allow: engineers", "alow: engineers"));
        assert_eq!(exit(&check), Exit::ERROR);
        assert!(
            check.diagnostics.iter().any(|diagnostic| diagnostic.line == 8),
            "{check:?}"
        );
    }
}

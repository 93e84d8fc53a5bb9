//! `doctor`: what does not work, on this machine and at the server, and what to do about it.

use clap::Args;
use daypass_api::ProblemCode;
use daypass_api::client::Client;
use daypass_api::doctor::{Check, LOOKED_AT, Verdict};
use daypass_api::login::Whoami;
use daypass_core::refusal::Code;
use daypass_core::time::{Span, Timestamp};

use super::connect::psql;
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{count, left, span};
use crate::line::{Line, Style};

/// A clock that is further off than this makes countdowns wrong enough to mislead.
const SKEW: Span = Span::seconds(30);
/// A login that ends sooner is worth renewing before one begins to work.
const SOON: Span = Span::minutes(15);

/// Look for what does not work, here and at the server.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass doctor
  daypass doctor -o json | jq -r '.[] | select(.verdict != \"good\")'

Everybody sees how this machine gets to the server. Auditors and administrators also see how the server is: its connectors, the
policy in force and whether it has the people that it asks for, what is overdue, and what waits to be told; to everybody else it
is said what was not looked at. The exit code is 1
where something does not work; what should only be looked at leaves it at 0. `daypass server --check` looks over server.yaml.")]
pub struct DoctorArgs {}

impl DoctorArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let mut checks = vec![client_program(context)];
        let mut whole = true;
        match context.client() {
            Ok(client) => {
                let (found, looked_over) = at_the_server(&client).await;
                checks.extend(found);
                whole = looked_over;
            }
            Err(failure) => checks.push(of_failure("login", &failure)),
        }
        context.out.many(
            &checks,
            |check| check.about.clone(),
            || checks.iter().flat_map(lines).collect(),
        );
        context.out.note(summary(&checks));
        if !whole {
            not_looked_at()
                .into_iter()
                .for_each(|line| context.out.note(Line::new().with(Style::Faint, line)));
        }
        let fails = checks.iter().any(|check| check.verdict == Verdict::Failing);
        Ok(if fails { Exit::ERROR } else { Exit::DONE })
    }
}

/// The program that `connect` runs.
fn client_program(context: &Context) -> Check {
    match psql::find(&context.env.path) {
        Ok(path) => Check::good("psql", format!("{}, for daypass connect", path.display())),
        Err(_) => {
            let advice = "install your system's PostgreSQL client, where you use databases";
            Check::warning("psql", "is not installed; daypass connect runs it", advice)
        }
    }
}

/// What is found there, and whether the server was looked over: that is for auditors and administrators.
async fn at_the_server(client: &Client) -> (Vec<Check>, bool) {
    let server = client.server();
    let me = match client.whoami().await {
        Ok(me) => me,
        Err(error) => {
            let about = match error.code() {
                Some(ProblemCode::Unauthenticated) => "login",
                _ => "server",
            };
            return (vec![of_failure(about, &Failure::from(error))], true);
        }
    };
    let mut checks = vec![
        Check::good("server", format!("{server} answers")),
        login(&me, edge::now()),
    ];
    let before = edge::now();
    match client.doctor().await {
        Ok(checkup) => {
            checks.push(clock(checkup.at, before, edge::now()));
            checks.extend(checkup.checks);
        }
        // Whoever may not look the server over has seen what concerns them, and is told what they have not.
        Err(error) if error.code() == Some(ProblemCode::Refusal(Code::Forbidden)) => return (checks, false),
        Err(error) => checks.push(of_failure("server", &Failure::from(error))),
    }
    (checks, true)
}

/// What somebody who may not look the server over has not seen.
fn not_looked_at() -> [String; 2] {
    [
        String::from("how the server is was not looked at, which takes an auditor or an administrator:"),
        format!("  {}", LOOKED_AT.join(", ")),
    ]
}

fn login(me: &Whoami, now: Timestamp) -> Check {
    let login = &me.person.login;
    if me.locked_since.is_some() {
        let advice = "an administrator can unlock it: daypass unlock LOGIN --reason TEXT";
        return Check::failing("login", format!("{login}, whose account is locked"), advice);
    }
    let found = format!("{login}, {}", left(me.expires_at, now));
    if me.expires_at < now + SOON {
        Check::warning("login", found, "daypass login")
    } else {
        Check::good("login", found)
    }
}

/// How far this machine's clock is from the server's. The answer was made between these two instants.
fn clock(server: Timestamp, before: Timestamp, after: Timestamp) -> Check {
    let (off, which) = if server > after {
        (server.since(after), "behind")
    } else {
        (before.since(server), "ahead of")
    };
    if off > SKEW {
        let found = format!("this machine's clock is {} {which} the server's", span(off));
        let advice = "countdowns are wrong by as much; what counts is the server's time. Set the clock";
        Check::warning("clock", found, advice)
    } else {
        Check::good("clock", "agrees with the server's")
    }
}

fn of_failure(about: &str, failure: &Failure) -> Check {
    let (what, advice) = failure.told();
    Check {
        advice: advice.map(str::to_owned),
        ..Check::failing(about, what, "")
    }
}

fn lines(check: &Check) -> Vec<Line> {
    let (style, sign) = match check.verdict {
        Verdict::Good => (Style::Good, "✓ "),
        Verdict::Warning => (Style::Warn, "! "),
        Verdict::Failing => (Style::Bad, "✗ "),
    };
    let found = Line::new()
        .with(style, sign)
        .with(Style::Strong, check.about.clone())
        .text(format!(": {}", check.found));
    let advice = check.advice.iter();
    let advice = advice.map(|advice| Line::new().with(Style::Faint, format!("    {advice}")));
    std::iter::once(found).chain(advice).collect()
}

fn summary(checks: &[Check]) -> String {
    let of = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    match (of(Verdict::Failing), of(Verdict::Warning)) {
        (0, 0) => String::from("all is well"),
        (0, warnings) => format!("nothing fails; {} to look at", count(warnings, "thing")),
        (failing, 0) => format!("{} not work", does(failing)),
        (failing, warnings) => format!(
            "{} not work; {} to look at",
            does(failing),
            count(warnings, "thing")
        ),
    }
}

fn does(failing: usize) -> String {
    let verb = if failing == 1 { "does" } else { "do" };
    format!("{} {verb}", count(failing, "thing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(0) + Span::seconds(1_000_000 + seconds)
    }

    #[test]
    fn a_clock_is_only_as_wrong_as_is_certain() {
        let verdict = |server, before, after| clock(at(server), at(before), at(after)).verdict;
        assert_eq!(
            verdict(50, 0, 100),
            Verdict::Good,
            "the answer took long, not the clock"
        );
        assert_eq!(verdict(130, 0, 100), Verdict::Good);
        assert_eq!(verdict(131, 0, 100), Verdict::Warning);
        assert_eq!(verdict(100, 130, 200), Verdict::Good);
        assert_eq!(verdict(100, 131, 200), Verdict::Warning);
        let said = clock(at(3700), at(0), at(100)).found;
        assert_eq!(said, "this machine's clock is 1h behind the server's");
    }

    #[test]
    fn what_was_not_looked_at_is_named() {
        let told = not_looked_at().join("\n");
        for part in ["administrator", "connector", "policy", "overdue", "transport"] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn the_summary_counts() {
        let (good, warn, bad) = (
            Check::good("a", "b"),
            Check::warning("a", "b", "c"),
            Check::failing("a", "b", "c"),
        );
        assert_eq!(summary(std::slice::from_ref(&good)), "all is well");
        assert_eq!(
            summary(&[good, warn.clone()]),
            "nothing fails; 1 thing to look at"
        );
        assert_eq!(summary(std::slice::from_ref(&bad)), "1 thing does not work");
        assert_eq!(
            summary(&[bad.clone(), bad, warn]),
            "2 things do not work; 1 thing to look at"
        );
    }
}

//! `cargo xtask`: everything that CI runs, and what tests need.
//!
//! It starts fast, because it depends on none of our crates but `testbed`. What is *absent*: anything that a user of
//! Daypass needs, and anything that CI does and a developer cannot run with the same words.

mod bench;
mod deny;
mod lanes;
mod lint;
mod run;
mod say;
mod screenshots;
mod setup;
mod simulate;
mod tidy;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, bail};
use lexopt::Arg;

const HELP: &str = "\
cargo xtask COMMAND

  test [LANE]…   install what tests need, then run the tests: all lanes, or those named
  lint           formatting, clippy, tidy, documentation, licences and bans
  ci             lint, then test: all that CI runs
  bench gateway  measure the gateway beside PgBouncer, ssh -J and direct connections: cargo xtask bench gateway --help
  screenshots    take the README's pictures of the pages, from the demo; --every FOLDER takes all screens
  tidy           only the house rules (a second or two)
  simulate …     run the simulation: --seeds N --from S [--trace], and more: cargo xtask simulate --help
  setup          only install what tests need
  help           this text

lanes, with the time that each may take on two cores once it is built:
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Test(Vec<&'static lanes::Lane>),
    Lint,
    Ci,
    Tidy,
    Simulate(Vec<OsString>),
    BenchGateway(Vec<OsString>),
    Screenshots(Vec<OsString>),
    Setup,
    Help,
}

fn main() -> ExitCode {
    let done = parse(std::env::args_os().skip(1)).and_then(|command| match command {
        Command::Test(lanes) => test(&lanes),
        Command::Lint => lint::all(),
        Command::Ci => lint::all().and_then(|()| test(&lanes::all())),
        Command::Tidy => tidy::command(),
        Command::Simulate(args) => simulate::command(&args),
        Command::BenchGateway(args) => bench::gateway(&args),
        Command::Screenshots(args) => screenshots::command(&args),
        Command::Setup => setup::command()
            .and_then(|()| setup::languages::command())
            .and_then(|()| setup::browser::command()),
        Command::Help => {
            print!("{HELP}{}", lanes::help());
            Ok(())
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("✗ {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn test(lanes: &[&'static lanes::Lane]) -> anyhow::Result<()> {
    if lanes.iter().any(|lane| lane.needs_postgres) {
        setup::command()?;
    }
    if lanes.iter().any(|lane| lane.needs_languages) {
        setup::languages::command()?;
    }
    if lanes.iter().any(|lane| lane.needs_browser) {
        setup::browser::command()?;
    }
    lanes::run(lanes)
}

fn parse(args: impl Iterator<Item = OsString>) -> anyhow::Result<Command> {
    let mut args = args.peekable();
    // Its arguments are its own.
    if args.next_if(|word| word == "simulate").is_some() {
        return Ok(Command::Simulate(args.collect()));
    }
    if args.next_if(|word| word == "screenshots").is_some() {
        return Ok(Command::Screenshots(args.collect()));
    }
    if args.next_if(|word| word == "bench").is_some() {
        return match args.next() {
            Some(what) if what == "gateway" => Ok(Command::BenchGateway(args.collect())),
            _ => bail!("bench what?\n  Try: cargo xtask bench gateway"),
        };
    }
    let mut parser = lexopt::Parser::from_args(args);
    let mut words = Vec::new();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Value(word) => words.push(word.to_string_lossy().into_owned()),
            other => return Err(other.unexpected().into()),
        }
    }
    let mut words = words.iter().map(String::as_str);
    let command = match words.next() {
        None | Some("help") => Command::Help,
        Some("test") => {
            let named = words
                .by_ref()
                .map(lanes::find)
                .collect::<anyhow::Result<Vec<_>>>()?;
            Command::Test(if named.is_empty() { lanes::all() } else { named })
        }
        Some("lint") => Command::Lint,
        Some("ci") => Command::Ci,
        Some("tidy") => Command::Tidy,
        Some("setup") => Command::Setup,
        Some(other) => bail!("no command {other:?}\n  Try: cargo xtask help"),
    };
    words.next().map_or(Ok(command), |extra| {
        Err(anyhow::anyhow!("{extra:?} is one word too many")).context("cannot read the command line")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> anyhow::Result<Command> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn test_takes_lanes_and_means_all_without() {
        assert_eq!(parsed("test").unwrap(), Command::Test(lanes::all()));
        let Command::Test(lanes) = parsed("test store story").unwrap() else {
            panic!("not test")
        };
        assert_eq!(
            lanes.iter().map(|lane| lane.name).collect::<Vec<_>>(),
            ["store", "story"]
        );
    }

    #[test]
    fn what_the_simulation_is_told_is_its_own() {
        let told = ["--seeds", "5", "--help"].map(OsString::from).to_vec();
        assert_eq!(
            parsed("simulate --seeds 5 --help").unwrap(),
            Command::Simulate(told)
        );
    }

    #[test]
    fn what_is_measured_is_named_and_told_the_rest() {
        let told = vec![OsString::from("--rounds"), OsString::from("2")];
        assert_eq!(
            parsed("bench gateway --rounds 2").unwrap(),
            Command::BenchGateway(told)
        );
        assert!(parsed("bench").unwrap_err().to_string().contains("bench gateway"));
    }

    #[test]
    fn what_is_not_known_is_refused_with_what_to_do() {
        assert!(parsed("test nothing").unwrap_err().to_string().contains("core"));
        assert!(
            parsed("tset")
                .unwrap_err()
                .to_string()
                .contains("cargo xtask help")
        );
        assert!(format!("{:#}", parsed("tidy now").unwrap_err()).contains("now"));
        assert!(parsed("lint --fast").is_err());
    }
}

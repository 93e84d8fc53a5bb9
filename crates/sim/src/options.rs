//! The command line of the simulation.

use std::ffi::OsString;

use lexopt::{Arg, Parser, ValueExt as _};

use crate::edge;
use crate::scenario::Cut;

/// The help text.
pub(crate) const HELP: &str = "\
cargo xtask simulate [OPTIONS]

Runs Daypass with everything that can fail failing, and checks the invariants of docs/reliability.md.

  --seeds N        how many seeds to run (100; with --trace 1); after three that break something it ends
  --from S         the first seed (1)
  --threads T      how many runs at the same time (one for each core)
  --trace          print everything that happens in each run
  --keep 1,5,9     only these elements of the scenario, as a shrunk failure names them
  --people 0,2     only these people, beside the one who administers
  --servers N      at most so many servers
  --calm           nothing goes wrong by itself, only what elements say
  --planted        plant each known fault in turn, and see that it is caught; prints the table of docs/reliability.md
  --planted NAME   only this one
  --check FILE     with --planted: fail unless the file holds that very table
  --write FILE     with --planted: put the table into the file
  --help           this text

A night's run:  cargo xtask simulate --seeds 1000000 --from 1
";

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) seeds: Option<u64>,
    pub(crate) from: u64,
    pub(crate) threads: usize,
    pub(crate) trace: bool,
    pub(crate) cut: Cut,
    pub(crate) planted: Option<Option<String>>,
    pub(crate) table: Table,
    pub(crate) help: bool,
}

/// What becomes of the table of planted faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Table {
    Print,
    Check(String),
    Write(String),
}

impl Options {
    /// Reads the command line.
    pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Self, lexopt::Error> {
        let mut options = Self {
            seeds: None,
            from: 1,
            threads: edge::cores(),
            trace: false,
            cut: Cut::default(),
            planted: None,
            table: Table::Print,
            help: false,
        };
        let mut parser = Parser::from_args(args);
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("seeds") => options.seeds = Some(parser.value()?.parse()?),
                Arg::Long("from") => options.from = parser.value()?.parse()?,
                Arg::Long("threads") => options.threads = parser.value()?.parse()?,
                Arg::Long("trace") => options.trace = true,
                Arg::Long("keep") => options.cut.keep = Some(numbers(&parser.value()?.string()?)?),
                Arg::Long("people") => options.cut.people = Some(numbers(&parser.value()?.string()?)?),
                Arg::Long("servers") => options.cut.servers = Some(parser.value()?.parse()?),
                Arg::Long("calm") => options.cut.calm = true,
                Arg::Long("planted") => {
                    options.planted = Some(parser.optional_value().map(|name| name.string()).transpose()?);
                }
                Arg::Long("check") => options.table = Table::Check(parser.value()?.string()?),
                Arg::Long("write") => options.table = Table::Write(parser.value()?.string()?),
                Arg::Long("help") | Arg::Short('h') => options.help = true,
                Arg::Value(name) if options.planted == Some(None) => {
                    options.planted = Some(Some(name.string()?))
                }
                other => return Err(other.unexpected()),
            }
        }
        options.sensible()
    }

    /// The options, if they make sense together.
    fn sensible(self) -> Result<Self, lexopt::Error> {
        if self.planted.is_none() && self.table != Table::Print {
            return Err("--check and --write are about the table of planted faults: add --planted".into());
        }
        let seeds = self.seeds.unwrap_or(1);
        if seeds == 0 || self.from.checked_add(seeds).is_none() {
            return Err("there are no such seeds".into());
        }
        Ok(self)
    }
}

fn numbers(text: &str) -> Result<Vec<usize>, lexopt::Error> {
    let number = |part: &str| {
        part.parse()
            .map_err(|_| lexopt::Error::from(format!("{part:?} is no number")))
    };
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(number)
        .collect()
}

/// How a cut is written on the command line.
pub(crate) fn spell(cut: &Cut) -> String {
    let list = |numbers: &Vec<usize>| {
        numbers
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    let mut words = String::new();
    if let Some(keep) = &cut.keep {
        words.push_str(&format!(" --keep {}", list(keep)));
    }
    if let Some(people) = &cut.people {
        words.push_str(&format!(" --people {}", list(people)));
    }
    if let Some(servers) = cut.servers {
        words.push_str(&format!(" --servers {servers}"));
    }
    if cut.calm {
        words.push_str(" --calm");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, lexopt::Error> {
        Options::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn a_cut_is_read_as_it_is_spelt() {
        let cut = Cut {
            keep: Some(vec![1, 5, 9]),
            servers: Some(1),
            people: Some(vec![0]),
            calm: true,
        };
        assert_eq!(parsed(&spell(&cut)).unwrap().cut, cut);
        assert_eq!(parsed("").unwrap().cut, Cut::default());
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(parsed("--sede 4").is_err());
        assert!(parsed("--seeds many").is_err());
        assert!(parsed("--keep 1,x").is_err());
        assert!(parsed("7").is_err());
        assert!(parsed("--seeds 0").is_err());
        assert!(parsed("--seeds 2 --from 18446744073709551615").is_err());
        assert!(parsed("--check docs/reliability.md").is_err());
        assert!(parsed("--planted --check docs/reliability.md").is_ok());
    }
}

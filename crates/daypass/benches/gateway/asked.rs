//! What the benchmark is asked for on its command line.

use std::path::PathBuf;

const HELP: &str = "\
cargo xtask bench gateway [--rounds N] [--seconds S] [--only PART]… [--upstream tls|plain] [--daypass PATH]

  --rounds N        rounds that count, of each thing (7); void ones are repeated, up to three times as many
  --seconds S       how long pgbench runs, each time (5)
  --only PART       rates, rows, connect, endings, memory, ssh, ssh-endings or ssh-memory; all without it
  --upstream HOW    from PgBouncer and from Daypass to PostgreSQL: tls (checked in full), or in the clear
  --daypass PATH    another build of the binary, such as one with symbols for a profile";

/// How both proxies reach PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upstream {
    Tls,
    Plain,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Benchmark 1a.
    Rates,
    /// 1b.
    Rows,
    /// 1c.
    Connect,
    /// 6.
    Endings,
    /// 7.
    Memory,
    /// 2a and 2b.
    Ssh,
    /// 6, of SSH.
    SshEndings,
    /// 7, of SSH.
    SshMemory,
}

const PARTS: [(&str, Part); 8] = [
    ("rates", Part::Rates),
    ("rows", Part::Rows),
    ("connect", Part::Connect),
    ("endings", Part::Endings),
    ("memory", Part::Memory),
    ("ssh", Part::Ssh),
    ("ssh-endings", Part::SshEndings),
    ("ssh-memory", Part::SshMemory),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) rounds: usize,
    pub(crate) seconds: u32,
    pub(crate) parts: Vec<Part>,
    pub(crate) upstream: Upstream,
    /// The binary.
    pub(crate) daypass: PathBuf,
}

impl Asked {
    /// Reads it; nothing where somebody only asks what there is.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut asked = Self {
            rounds: 7,
            seconds: 5,
            parts: Vec::new(),
            upstream: Upstream::Tls,
            // The one that cargo built for this.
            daypass: env!("CARGO_BIN_EXE_daypass").into(),
        };
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .unwrap_or_else(|| panic!("{word} needs a value\n{HELP}"))
            };
            match word.as_str() {
                // Cargo's own word for a benchmark.
                "--bench" => {}
                "-h" | "--help" => {
                    println!("{HELP}");
                    return None;
                }
                "--rounds" => asked.rounds = value().parse().expect("a number"),
                "--seconds" => asked.seconds = value().parse().expect("a number"),
                "--daypass" => asked.daypass = value().into(),
                "--upstream" => {
                    asked.upstream = match value().as_str() {
                        "tls" => Upstream::Tls,
                        "plain" => Upstream::Plain,
                        other => panic!("tls or plain, not {other}"),
                    }
                }
                "--only" => {
                    let name = value();
                    let part = PARTS.iter().find(|(known, _)| *known == name);
                    asked
                        .parts
                        .push(part.unwrap_or_else(|| panic!("{name} is none\n{HELP}")).1);
                }
                other => panic!("{other} is not known\n{HELP}"),
            }
        }
        if asked.parts.is_empty() {
            asked.parts = PARTS.map(|(_, part)| part).to_vec();
        }
        Some(asked)
    }
}

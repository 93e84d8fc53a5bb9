//! Installs the languages whose clients the lane `clients` tries: their compilers, and what fetches packages; and rsync.
//!
//! The clients themselves are fetched, pinned and with the hashes of their files, by the test that runs them.

use std::process::{Command, Stdio};

/// A program, how to see that it works, and what it is called where it has to be installed.
struct Program {
    name: &'static str,
    works: &'static [&'static str],
    package: &'static str,
    by_hand: &'static str,
}

/// In the order in which they are installed: npm brings Node.js, and Maven any Java.
const PROGRAMS: &[Program] = &[
    Program {
        name: "python3",
        works: &["-c", "import venv, ensurepip"],
        package: "python3-venv",
        by_hand: "  Try, and run this again: a Python 3.10 or newer with the modules venv and ensurepip; DAYPASS_PYTHON names another.",
    },
    Program {
        name: "npm",
        works: &["--version"],
        package: "npm",
        by_hand: "  Try, and run this again: Node.js 18 or newer, with npm.",
    },
    Program {
        name: "node",
        works: &["--version"],
        package: "nodejs",
        by_hand: "  Try, and run this again: Node.js 18 or newer.",
    },
    Program {
        name: "go",
        works: &["version"],
        package: "golang-go",
        by_hand: "  Try, and run this again: Go 1.21 or newer, which fetches the one that pgx wants.",
    },
    Program {
        name: "javac",
        works: &["-version"],
        package: "default-jdk-headless",
        by_hand: "  Try, and run this again: a JDK 17 or newer.",
    },
    Program {
        name: "mvn",
        works: &["--version"],
        package: "maven",
        by_hand: "  Try, and run this again: Apache Maven 3.6 or newer.",
    },
    Program {
        name: "rsync",
        works: &["--version"],
        package: "rsync",
        by_hand: "  Try, and run this again: rsync 3.2 or newer.",
    },
];

pub(crate) fn command() -> anyhow::Result<()> {
    install(PROGRAMS.iter())
}

/// Only what fetches packages of JavaScript.
pub(super) fn npm() -> anyhow::Result<()> {
    install(
        PROGRAMS
            .iter()
            .filter(|program| matches!(program.name, "npm" | "node")),
    )
}

fn install(programs: impl Iterator<Item = &'static Program>) -> anyhow::Result<()> {
    for program in programs {
        if works(program) {
            eprintln!("✓ {}", program.name);
        } else {
            super::debian((program.name, program.by_hand), program.package)?;
        }
    }
    Ok(())
}

fn works(program: &Program) -> bool {
    let named = (program.name == "python3")
        .then(|| std::env::var_os("DAYPASS_PYTHON"))
        .flatten();
    Command::new(named.unwrap_or_else(|| program.name.into()))
        .args(program.works)
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|done| done.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_fails_does_not_work() {
        let program = |name, works| Program {
            name,
            works,
            package: "",
            by_hand: "",
        };
        assert!(works(&program("true", &[])));
        assert!(!works(&program("false", &[])));
        assert!(!works(&program("daypass-no-such-program", &[])));
    }
}

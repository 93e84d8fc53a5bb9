//! Installs what the tests need and the machine lacks: PostgreSQL's server programs, Python for the example of a program
//! that Daypass runs, OpenSSH's server, rsync, which goes through ssh, and age, which opens recordings.
//!
//! PostgreSQL's are only *installed*: Debian's package would also create and start a cluster, which would be somebody's database
//! that nobody asked for. Tests start their own (see `testbed`). A machine that has PostgreSQL is left as it is.

pub(crate) mod browser;
pub(crate) mod languages;

use std::fs;
use std::io::IsTerminal;
use std::path::Path;
use std::process::Command;

use anyhow::bail;
use daypass_testbed::postgres::Installed;

use crate::run::run;
use crate::say::step;

/// What to do where we do not know the system.
const BY_HAND: &str = "\
  Try, and run this again:
    Debian, Ubuntu   apt-get install postgresql
    Fedora, RHEL     dnf install postgresql-server
    Arch             pacman -S postgresql
    Alpine           apk add postgresql
    macOS            brew install postgresql@17
  or set DAYPASS_PG_BINDIR to the directory that holds initdb and postgres.
  The tests start a server of their own; none has to run.";

/// Read by `pg_createcluster` while Debian's package is installed (createcluster.conf(5) is extended by this directory), and
/// removed afterwards: a person who installs another version later gets what Debian does.
const NO_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/daypass-setup.conf";

/// Where programs that Daypass starts look for others, and so where the example's `python3` must be.
const PROGRAM_DIRS: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// What to do where we do not know how to install Python.
const PYTHON_BY_HAND: &str = "\
  Try, and run this again:
    Fedora, RHEL     dnf install python3
    Arch             pacman -S python
    Alpine           apk add python3";

/// What to do where we do not know how to install rsync.
const RSYNC_BY_HAND: &str = "\
  Try, and run this again:
    Fedora, RHEL     dnf install rsync
    Arch             pacman -S rsync
    Alpine           apk add rsync";

/// What to do where we do not know how to install age.
const AGE_BY_HAND: &str = "\
  Try, and run this again:
    Fedora, RHEL     dnf install age
    Arch             pacman -S age
    Alpine           apk add age
    macOS            brew install age";

/// What to do where we do not know how to install PgBouncer.
const PGBOUNCER_BY_HAND: &str = "\
  Try, and run this again:
    Fedora, RHEL     dnf install pgbouncer
    Arch             pacman -S pgbouncer
    Alpine           apk add pgbouncer
    macOS            brew install pgbouncer
  or set DAYPASS_PGBOUNCER to the program. The benchmark starts one of its own; none has to run.";

/// What to do where we do not know how to install OpenSSH's server.
const SSHD_BY_HAND: &str = "\
  Try, and run this again:
    Fedora, RHEL     dnf install openssh-server
    Arch             pacman -S openssh
    Alpine           apk add openssh-server
  or set DAYPASS_SSHD to the program. The tests start a server of their own; none has to run.";

/// Debian's package `$1` starts and enables what it installs, unless it is told not to: policy-rc.d says no while it is
/// installed (where nobody's own says anything), and what was enabled, the units behind it, is disabled again.
const QUIETLY: &str = "\
  package=$1; shift; \
  if [ ! -e /usr/sbin/policy-rc.d ]; then \
    printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d && ours=1; fi; \
  apt-get install -q -y --no-install-recommends \"$package\"; end=$?; \
  [ -z \"$ours\" ] || rm -f /usr/sbin/policy-rc.d; \
  ! command -v systemctl >/dev/null || systemctl disable -q \"$@\" 2>/dev/null; \
  exit $end";

pub(crate) fn command() -> anyhow::Result<()> {
    postgres()?;
    python()?;
    sshd()?;
    program("rsync", RSYNC_BY_HAND)?;
    program("age", AGE_BY_HAND)
}

/// A program that the tests run, and that has the name of its package.
fn program(name: &str, by_hand: &str) -> anyhow::Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|dir| dir.join(name).is_file()) {
        eprintln!("✓ {name}");
        return Ok(());
    }
    debian((name, by_hand), name)
}

/// Installs a package of Debian's that starts nothing. `what`: in words, and how to have it by hand.
fn debian(what: (&str, &str), package: &str) -> anyhow::Result<()> {
    let root = Root::of_this_process();
    refuse(what, &os_release(), has_apt(), &root)?;
    step(&format!("installing Debian's {package} package"), || {
        run(&mut root.command(&["apt-get", "update", "-q"]))?;
        let install = [
            "apt-get",
            "install",
            "-q",
            "-y",
            "--no-install-recommends",
            package,
        ];
        run(&mut root.command(&install))
    })?;
    Ok(())
}

/// OpenSSH's server is only *installed*: no service of it is started, now or at the next boot.
fn sshd() -> anyhow::Result<()> {
    if let Ok(found) = daypass_testbed::sshd::installed() {
        eprintln!("✓ {}", found.display());
        return Ok(());
    }
    quietly(
        ("OpenSSH's server", SSHD_BY_HAND),
        &["openssh-server", "ssh.service", "ssh.socket"],
    )?;
    eprintln!("✓ {}", daypass_testbed::sshd::installed()?.display());
    Ok(())
}

/// What `cargo xtask bench gateway` needs: PostgreSQL, age, sshd, and PgBouncer to be measured beside.
pub(crate) fn bench_gateway() -> anyhow::Result<()> {
    postgres()?;
    sshd()?;
    program("age", AGE_BY_HAND)?;
    if daypass_testbed::pgbouncer::installed().is_err() {
        quietly(
            ("PgBouncer", PGBOUNCER_BY_HAND),
            &["pgbouncer", "pgbouncer.service"],
        )?;
    }
    eprintln!("✓ {}", daypass_testbed::pgbouncer::installed()?.display());
    Ok(())
}

/// Installs a package of Debian's (the first word) that would start something, without starting it. `what`: in words, and how to
/// have it by hand.
fn quietly(what: (&str, &str), package_and_units: &[&str]) -> anyhow::Result<()> {
    let root = Root::of_this_process();
    refuse(what, &os_release(), has_apt(), &root)?;
    let package = package_and_units.first().copied().unwrap_or_default();
    step(
        &format!("installing Debian's {package} package; no service is started"),
        || {
            run(&mut root.command(&["apt-get", "update", "-q"]))?;
            run(&mut root.command(&[&["sh", "-c", QUIETLY, "sh"], package_and_units].concat()))
        },
    )?;
    Ok(())
}

fn python() -> anyhow::Result<()> {
    if PROGRAM_DIRS
        .iter()
        .any(|dir| Path::new(dir).join("python3").exists())
    {
        eprintln!("✓ python3");
        return Ok(());
    }
    debian(("Python 3", PYTHON_BY_HAND), "python3")
}

fn os_release() -> String {
    fs::read_to_string("/etc/os-release").unwrap_or_default()
}

fn has_apt() -> bool {
    Path::new("/usr/bin/apt-get").exists()
}

fn postgres() -> anyhow::Result<()> {
    let found = Installed::find();
    // Where a person has named the place, installing another one would not be what they meant.
    if found.is_ok() || std::env::var_os("DAYPASS_PG_BINDIR").is_some() {
        let installed = found?;
        eprintln!("✓ {} in {}", installed.version()?, installed.bin_dir().display());
        return Ok(());
    }
    let root = Root::of_this_process();
    refuse(("PostgreSQL", BY_HAND), &os_release(), has_apt(), &root)?;
    step(
        "installing Debian's postgresql package (about a minute); no server is started",
        || install(&root),
    )?;
    let installed = Installed::find()?;
    eprintln!("✓ {} in {}", installed.version()?, installed.bin_dir().display());
    Ok(())
}

/// How to become root.
#[derive(Debug, PartialEq, Eq)]
enum Root {
    Already,
    /// Asks for a password where somebody is there to give it.
    Sudo {
        interactive: bool,
    },
    Impossible,
}

impl Root {
    fn of_this_process() -> Self {
        if rustix::process::geteuid().is_root() {
            return Self::Already;
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        if std::env::split_paths(&path).any(|dir| dir.join("sudo").is_file()) {
            return Self::Sudo {
                interactive: std::io::stdin().is_terminal(),
            };
        }
        Self::Impossible
    }

    /// The command, run as root, without questions from Debian's installer.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = match self {
            Self::Sudo { interactive } => {
                let mut sudo = Command::new("sudo");
                sudo.args((!interactive).then_some("-n")).arg("env");
                sudo
            }
            Self::Already | Self::Impossible => Command::new("env"),
        };
        command.arg("DEBIAN_FRONTEND=noninteractive").args(args);
        command
    }
}

/// Says why we cannot install here, and what to do by hand.
fn refuse((what, by_hand): (&str, &str), os_release: &str, has_apt: bool, root: &Root) -> anyhow::Result<()> {
    let name = field(os_release, "PRETTY_NAME").unwrap_or("this system");
    let debian_like = [field(os_release, "ID"), field(os_release, "ID_LIKE")]
        .into_iter()
        .flatten()
        .flat_map(str::split_whitespace)
        .any(|id| id == "debian" || id == "ubuntu");
    if !(debian_like && has_apt) {
        bail!("the tests need {what}, and I do not know how to install it on {name}\n{by_hand}");
    }
    if *root == Root::Impossible {
        bail!("the tests need {what}; to install it on {name} I must be root or find sudo\n{by_hand}");
    }
    Ok(())
}

/// A field of os-release(5), without quotes.
fn field<'a>(os_release: &'a str, name: &str) -> Option<&'a str> {
    os_release
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        .map(|value| value.trim_matches(['"', '\'']))
}

fn install(root: &Root) -> anyhow::Result<()> {
    let write =
        format!("mkdir -p \"$(dirname {NO_CLUSTER})\" && echo 'create_main_cluster = false' > {NO_CLUSTER}");
    run(&mut root.command(&["sh", "-c", &write]))?;
    let installed = run(&mut root.command(&["apt-get", "update", "-q"])).and_then(|()| {
        run(&mut root.command(&[
            "apt-get",
            "install",
            "-q",
            "-y",
            "--no-install-recommends",
            "postgresql",
        ]))
    });
    // Also when it failed: nothing of ours stays in /etc.
    run(&mut root.command(&["rm", "-f", NO_CLUSTER]))?;
    installed
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSTGRES: (&str, &str) = ("PostgreSQL", BY_HAND);
    const BOOKWORM: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n";
    const MINT: &str = "NAME=\"Linux Mint\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n";
    const ALPINE: &str = "NAME=\"Alpine Linux\"\nPRETTY_NAME=\"Alpine Linux v3.20\"\nID=alpine\n";

    #[test]
    fn debian_and_its_children_are_known() {
        assert!(refuse(POSTGRES, BOOKWORM, true, &Root::Already).is_ok());
        assert!(refuse(POSTGRES, MINT, true, &Root::Sudo { interactive: false }).is_ok());
    }

    #[test]
    fn an_unknown_system_is_told_what_to_do_by_hand() {
        let error = refuse(POSTGRES, ALPINE, false, &Root::Already)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("Alpine Linux v3.20") && error.contains("apk add postgresql"),
            "{error}"
        );
        assert!(
            refuse(POSTGRES, "", false, &Root::Already)
                .unwrap_err()
                .to_string()
                .contains("this system")
        );
    }

    #[test]
    fn without_root_and_sudo_it_says_so() {
        let error = refuse(POSTGRES, BOOKWORM, true, &Root::Impossible)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("root") && error.contains("DAYPASS_PG_BINDIR"),
            "{error}"
        );
    }

    #[test]
    fn what_is_needed_is_named() {
        let python = ("Python 3", PYTHON_BY_HAND);
        let error = refuse(python, ALPINE, true, &Root::Already)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("need Python 3") && error.contains("apk add python3"),
            "{error}"
        );
    }

    #[test]
    fn sudo_asks_nobody_when_nobody_is_there() {
        let args = |root: Root| {
            root.command(&["true"])
                .get_args()
                .map(|arg| arg.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            args(Root::Sudo { interactive: false }),
            ["-n", "env", "DEBIAN_FRONTEND=noninteractive", "true"]
        );
        assert_eq!(
            args(Root::Sudo { interactive: true }),
            ["env", "DEBIAN_FRONTEND=noninteractive", "true"]
        );
        assert_eq!(args(Root::Already), ["DEBIAN_FRONTEND=noninteractive", "true"]);
    }
}

//! A PostgreSQL server of our own: initialized, started, stopped, started again and removed.
//!
//! The server listens on a free port of 127.0.0.1 only, without a local socket, and lets in by password
//! (scram-sha-256). It runs as an unprivileged user when we are root, in a temporary directory that goes away with it,
//! also when this process panics or is killed (see `place`). A start takes about a third of a second once `initdb` has been
//! run for this version of PostgreSQL.

mod installed;
mod place;
mod struck;
mod template;

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

pub use installed::Installed;
use place::Place;

use crate::error::Doing;
use crate::port::{self, random_hex};
use crate::run_as::RunAs;
use crate::shown::Shown;
use crate::wait;
use crate::{Error, Result};

/// The superuser of every cluster.
pub const SUPERUSER: &str = "postgres";

/// How long a start or a stop may take. Crash recovery of a benchmark's cluster on a slow disk is the longest of them.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a start picks another port, because somebody took the one that was free a moment ago.
const PORTS_TRIED: usize = 5;

/// How to end a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Sessions are cut, everything is written: the next start is clean.
    Fast,
    /// As if the machine had crashed: the next start recovers from the write-ahead log.
    Immediate,
}

/// What may be chosen before a server starts: see [`Postgres::options`].
#[derive(Debug, Clone, Default)]
pub struct Options {
    durable: bool,
    settings: Vec<(String, String)>,
    tls: Option<Shown>,
}

impl Options {
    /// Whether commits are forced to disk (`fsync`, `synchronous_commit`, `full_page_writes`). Off unless asked for:
    /// then a crash of the *machine* loses data, a crash of the server does not.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Sets a parameter of `postgresql.conf`, such as `("log_statement", "all")`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes TLS too, and shows this certificate (PEM) then. Connections in the clear are taken as before.
    #[must_use]
    pub fn tls(mut self, shown: Shown) -> Self {
        self.tls = Some(shown);
        self.setting("ssl", "on")
    }

    /// Initializes a cluster and starts it; it accepts connections when this returns.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] without PostgreSQL; others when the system refuses or the server does not come up.
    pub fn start(self) -> Result<Postgres> {
        let installed = Installed::find()?;
        let run_as = RunAs::unprivileged()?;
        let place = Place::new(&run_as)?;
        template::lay_out(&installed, &run_as, place.path())?;
        let password = random_hex::<16>()?;
        set_password(&installed, &run_as, place.path(), &password)?;
        if let Some(shown) = &self.tls {
            // Where PostgreSQL looks for them unless it is told otherwise.
            shown.lay_out(&run_as, &place.path().join("data"))?;
        }
        let mut postgres = Postgres {
            options: self,
            installed,
            run_as,
            port: 0,
            password,
            server: None,
            place,
        };
        for last in (0..PORTS_TRIED).rev() {
            postgres.port = port::free()?;
            match postgres.start_again() {
                Err(Error::EndedEarly { log, .. }) if last > 0 && log.contains("Address already in use") => {}
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        Ok(postgres)
    }
}

/// A running (or stopped) PostgreSQL that nobody else uses. Dropping it ends the server and removes its data.
#[derive(Debug)]
pub struct Postgres {
    options: Options,
    installed: Installed,
    run_as: RunAs,
    port: u16,
    password: String,
    server: Option<Child>,
    // Last: its keeper ends the server and removes the directory.
    place: Place,
}

impl Postgres {
    /// A server with the usual choices; not durable, as fast as it gets.
    ///
    /// # Errors
    /// As [`Options::start`].
    pub fn start() -> Result<Self> {
        Self::options().start()
    }

    /// Choices to make before the start.
    #[must_use]
    pub fn options() -> Options {
        Options::default()
    }

    /// One server for the whole process, started at the first call: what a test binary shares among its tests, each with
    /// a database of its own ([`Postgres::create_database`]). It goes when the process does.
    ///
    /// # Errors
    /// As [`Options::start`]; the next call tries again.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: Mutex<Option<&'static Postgres>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(postgres) = *shared {
            return Ok(postgres);
        }
        // 64 concurrent writers and their observers at once, from tests that run side by side.
        let postgres = Self::options().setting("max_connections", "300").start()?;
        Ok(shared.insert(Box::leak(Box::new(postgres))))
    }

    /// Stops the server; its data and its port stay for [`Postgres::start_again`]. Nothing happens if it is stopped.
    ///
    /// # Errors
    /// The server does not end in time.
    pub fn stop(&mut self, how: Stop) -> Result<()> {
        let Some(server) = self.server.as_mut() else {
            return Ok(());
        };
        // postgres(1): SIGINT is the fast shutdown, SIGQUIT the immediate one.
        signal(
            server,
            if how == Stop::Fast {
                Signal::INT
            } else {
                Signal::QUIT
            },
        );
        wait::until("the end of PostgreSQL", PATIENCE, || {
            server.try_wait().doing(|| "waiting for PostgreSQL".into())
        })?;
        self.server = None;
        Ok(())
    }

    /// Starts the server on the data and the port that it had, after stopping it if it runs; it accepts connections when
    /// this returns.
    ///
    /// # Errors
    /// The server does not come up. Its log is in the error.
    pub fn start_again(&mut self) -> Result<()> {
        self.stop(Stop::Fast)?;
        let log = self.log_path();
        let out = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .doing(|| format!("opening {}", log.display()))?;
        let err = out.try_clone().doing(|| format!("opening {}", log.display()))?;
        let on = if self.options.durable { "on" } else { "off" };
        let port = self.port.to_string();
        let own = [
            ("listen_addresses", "127.0.0.1"),
            ("port", &port),
            ("unix_socket_directories", ""),
            ("fsync", on),
            ("synchronous_commit", on),
            ("full_page_writes", on),
        ];
        let mut command = self
            .run_as
            .command(&self.installed.program("postgres"), self.place.path());
        command.arg("-D").arg(self.data_dir());
        let chosen = self
            .options
            .settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.into_iter().chain(chosen) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        // A group of its own: Ctrl-C at the terminal is for us, and we decide what it means for the server.
        command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0);
        let server = command.spawn().doing(|| "starting postgres".into())?;
        let server = self.server.insert(server);
        let pid_file = self.place.path().join("data/postmaster.pid");
        let ready = wait::until("the start of PostgreSQL", PATIENCE, || {
            if let Some(status) = server.try_wait().doing(|| "waiting for postgres".into())? {
                let status = status.to_string();
                return Err(Error::EndedEarly {
                    what: "PostgreSQL",
                    status,
                    log: tail(&log),
                });
            }
            Ok(is_ready(&pid_file, server.id()).then_some(()))
        });
        if matches!(ready, Err(Error::EndedEarly { .. })) {
            self.server = None;
        }
        ready
    }

    /// Whether the server process is there.
    pub fn is_running(&mut self) -> bool {
        self.server
            .as_mut()
            .is_some_and(|server| matches!(server.try_wait(), Ok(None)))
    }

    /// Its port on 127.0.0.1; the same for as long as this value lives.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The password of [`SUPERUSER`]: random, of letters and digits only.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// A connection string for the superuser, as libpq and `tokio-postgres` read it: `postgres://…@127.0.0.1:…/database`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_as(SUPERUSER, &self.password, database)
    }

    /// A connection string for somebody else. The parts stand as they are: percent-encode what is not plain.
    #[must_use]
    pub fn url_as(&self, user: &str, password: &str, database: &str) -> String {
        format!(
            "postgres://{user}:{password}@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }

    /// What the server has written so far: statements too, with `("log_statement", "all")`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn log(&self) -> Result<String> {
        let path = self.log_path();
        let bytes = fs::read(&path).doing(|| format!("reading {}", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Where the server writes its log.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.place.path().join("postgres.log")
    }

    /// The programs that it was started from.
    #[must_use]
    pub fn installed(&self) -> &Installed {
        &self.installed
    }

    /// Runs SQL with `psql` as the superuser and returns what it prints: rows on lines, columns separated by `|`.
    ///
    /// # Errors
    /// `psql` is missing or reports an error, which is in the answer; the first error ends the run.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        let mut command = Command::new(self.installed.program("psql"));
        // Whatever the caller's environment says about another server (libpq's environment variables, PGHOST and so on).
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-w",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                "127.0.0.1",
                "-U",
                SUPERUSER,
            ])
            .args(["-p", &self.port.to_string(), "-d", database])
            .env("PGPASSWORD", &self.password)
            .env("PGCONNECT_TIMEOUT", "10");
        let mut printed = run(command, Some(sql))?;
        printed.truncate(printed.trim_end().len());
        Ok(printed)
    }

    /// Creates an empty database and returns its name, which begins with `prefix` (letters, digits, `_`).
    ///
    /// # Errors
    /// As [`Postgres::psql`].
    pub fn create_database(&self, prefix: &str) -> Result<String> {
        let name = format!("{prefix}_{}", random_hex::<6>()?);
        self.psql("postgres", &format!("CREATE DATABASE \"{name}\""))?;
        Ok(name)
    }

    fn data_dir(&self) -> PathBuf {
        self.place.path().join("data")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            signal(&mut server, Signal::QUIT);
            let ended = wait::until("the end of PostgreSQL", Duration::from_secs(10), || {
                server.try_wait().doing(|| "waiting for PostgreSQL".into())
            });
            if ended.is_err() {
                let _ = server.kill();
                let _ = server.wait();
            }
        }
    }
}

/// Sends a signal to a child, unless it has ended: then its id may be somebody else's by now.
fn signal(child: &mut Child, signal: Signal) {
    if let (Ok(None), Some(pid)) = (
        child.try_wait(),
        i32::try_from(child.id()).ok().and_then(Pid::from_raw),
    ) {
        // It fails only if the process has ended since, which is what the signal is for.
        let _ = kill_process(pid, signal);
    }
}

/// Whether the server with this process id accepts connections: what `pg_ctl --wait` looks at. The first line of
/// `postmaster.pid` is the process id, the eighth its state (PostgreSQL's `src/include/utils/pidfile.h`).
fn is_ready(pid_file: &Path, pid: u32) -> bool {
    let Ok(text) = fs::read_to_string(pid_file) else {
        return false;
    };
    let mut lines = text.lines();
    lines.next().and_then(|line| line.trim().parse().ok()) == Some(pid)
        && lines.nth(6).is_some_and(|state| state.trim() == "ready")
}

/// Gives the superuser its password before the first start, in single-user mode: there is no moment without one.
fn set_password(installed: &Installed, run_as: &RunAs, home: &Path, password: &str) -> Result<()> {
    let mut command = run_as.command(&installed.program("postgres"), home);
    command.args(["--single", "-D", "data", "-F", "postgres"]);
    run(
        command,
        Some(&format!("ALTER ROLE {SUPERUSER} PASSWORD '{password}'\n")),
    )
    .map(drop)
}

/// Runs a program to its end with this standard input, and returns what it printed on standard output.
fn run(mut command: Command, input: Option<&str>) -> Result<String> {
    let program = PathBuf::from(command.get_program());
    let doing = || format!("running {}", program.display());
    command.stdin(if input.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    });
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .doing(doing)?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // A program that ends early says why on its own; the broken pipe would hide it.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().doing(doing)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let printed = format!("{}{}", text(&output.stdout), text(&output.stderr));
    Err(Error::Program {
        program,
        status: output.status.to_string(),
        output: printed.trim_end().to_owned(),
    })
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines.split_at(lines.len().saturating_sub(20)).1.join("\n")
}

#[cfg(test)]
mod tests;

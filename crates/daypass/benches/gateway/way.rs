//! A way to the database: directly, through PgBouncer, or through Daypass. For libpq's programs and for ourselves.

use std::path::{Path, PathBuf};
use std::process::Command;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) database: String,
    /// By which all three are known.
    pub(crate) ca: PathBuf,
}

impl Way {
    /// Tells one of libpq's programs to go this way, whatever the surroundings say.
    pub(crate) fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command
            .env("PGHOST", "localhost")
            .env("PGHOSTADDR", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", &self.user)
            .env("PGPASSWORD", &self.password)
            .env("PGDATABASE", &self.database)
            .env("PGSSLMODE", "verify-full")
            .env("PGSSLROOTCERT", &self.ca)
            .env("PGGSSENCMODE", "disable")
    }

    /// The same for ourselves.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .host("localhost")
            .hostaddr([127, 0, 0, 1].into())
            .port(self.port)
            .user(&self.user)
            .password(&self.password)
            .dbname(&self.database)
            .ssl_mode(SslMode::Require);
        config
    }

    /// The cipher that libpq gets on this way.
    pub(crate) fn cipher(&self, psql: &Path) -> String {
        let mut command = Command::new(psql);
        let output = self
            .tell(&mut command)
            .args(["-X", "-w", "-c", "\\conninfo"])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        let (_, after) = told
            .split_once("(protocol: ")
            .unwrap_or_else(|| panic!("{} without TLS: {told}{why}", self.name));
        after
            .split(", compression")
            .next()
            .unwrap_or(after)
            .replace("cipher: ", "")
    }
}

//! A throwaway PgBouncer: on a free port of 127.0.0.1, in session mode, with TLS to its clients, in front of a PostgreSQL.
//!
//! What a gateway is measured beside: a proxy that everybody knows, which neither decides nor records.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;

use crate::error::Doing;
use crate::keeper::Kept;
use crate::run_as::RunAs;
use crate::shown::{self, Shown};
use crate::{Error, Result, port, program, wait};

/// Where packages put it.
const PLACES: [&str; 4] = [
    "/usr/sbin/pgbouncer",
    "/usr/bin/pgbouncer",
    "/usr/local/bin/pgbouncer",
    "/opt/homebrew/bin/pgbouncer",
];

/// Where PgBouncer is: `DAYPASS_PGBOUNCER` if set, else the usual places.
///
/// # Errors
/// [`Error::NoPgBouncer`] names the places.
pub fn installed() -> Result<PathBuf> {
    program::installed("DAYPASS_PGBOUNCER", &PLACES).map_err(|looked| Error::NoPgBouncer { looked })
}

/// What it is put in front of, and for whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// The PostgreSQL behind it.
    pub target: SocketAddr,
    /// The authority (PEM) by which the PostgreSQL's certificate is checked; without it, it is reached in the clear.
    pub ca: Option<String>,
    /// What clients are shown.
    pub shown: Shown,
    /// Who may come in, and the verifier that PostgreSQL has of their password (`pg_authid.rolpassword`): with it PgBouncer
    /// checks a client and logs in, and knows no password.
    pub user: (String, String),
    /// Connections to PostgreSQL at once.
    pub connections: u32,
}

/// A running PgBouncer. It ends with this value.
#[derive(Debug)]
pub struct PgBouncer {
    process: Kept,
    port: u16,
    // Last: it is used until the process has ended.
    folder: TempDir,
}

impl PgBouncer {
    /// Starts one; it accepts connections when this returns.
    ///
    /// # Errors
    /// Where it is not installed or does not start.
    pub fn start(options: &Options) -> Result<Self> {
        let program = installed()?;
        // It refuses to run as root.
        let run_as = RunAs::unprivileged()?;
        let folder = tempfile::Builder::new().prefix("pgbouncer-").tempdir();
        let folder = folder.doing(|| "making a folder for PgBouncer".to_owned())?;
        if let Some((uid, gid)) = run_as.ids() {
            chown(folder.path(), Some(uid), Some(gid)).doing(|| "giving PgBouncer its folder".to_owned())?;
        }
        let port = port::free()?;
        lay_out(options, &run_as, folder.path(), port)?;
        let log = File::create(folder.path().join("log")).doing(|| "writing PgBouncer's log".to_owned())?;
        let child = run_as
            .command(&program, folder.path())
            .arg("-q")
            .arg(folder.path().join("pgbouncer.ini"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .doing(|| format!("starting {}", program.display()))?;
        let mut started = Self {
            process: Kept::new(child)?,
            port,
            folder,
        };
        wait::until("PgBouncer listening", Duration::from_secs(10), || {
            let ended = started.process.ended();
            if let Some(status) = ended.doing(|| "waiting for PgBouncer".to_owned())? {
                return Err(Error::EndedEarly {
                    what: "PgBouncer",
                    status: status.to_string(),
                    log: started.log(),
                });
            }
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok())
        })?;
        Ok(started)
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has logged so far: little, because it is told to be quiet.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// What it reads.
fn lay_out(options: &Options, run_as: &RunAs, folder: &Path, port: u16) -> Result<()> {
    let (name, verifier) = &options.user;
    shown::write(
        run_as,
        &folder.join("users"),
        &format!("\"{name}\" \"{verifier}\"\n"),
    )?;
    options.shown.lay_out(run_as, folder)?;
    if let Some(ca) = &options.ca {
        shown::write(run_as, &folder.join("ca.pem"), ca)?;
    }
    shown::write(
        run_as,
        &folder.join("pgbouncer.ini"),
        &config(options, folder, port),
    )
}

fn config(options: &Options, folder: &Path, port: u16) -> String {
    let root = folder.display();
    let (host, target) = (options.target.ip(), options.target.port());
    let connections = options.connections;
    let behind = match &options.ca {
        Some(_) => format!("server_tls_sslmode = verify-full\nserver_tls_ca_file = {root}/ca.pem\n"),
        // Its default would take TLS where the server offers it.
        None => "server_tls_sslmode = disable\n".to_owned(),
    };
    format!(
        "[databases]\n* = host={host} port={target}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = scram-sha-256\nauth_file = {root}/users\npool_mode = session\n\
         max_client_conn = {connections}\ndefault_pool_size = {connections}\n\
         log_connections = 0\nlog_disconnections = 0\nlog_stats = 0\n\
         client_tls_sslmode = require\nclient_tls_cert_file = {root}/server.crt\nclient_tls_key_file = {root}/server.key\n\
         {behind}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_target_is_said_either_way() {
        let mut options = Options {
            target: SocketAddr::from((Ipv4Addr::LOCALHOST, 5432)),
            ca: None,
            shown: Shown::new("", ""),
            user: ("ana".to_owned(), "SCRAM-SHA-256$…".to_owned()),
            connections: 20,
        };
        let text = |options: &Options| config(options, Path::new("/place"), 6432);
        assert!(text(&options).contains("server_tls_sslmode = disable"));
        options.ca = Some("pem".to_owned());
        assert!(text(&options).contains("server_tls_sslmode = verify-full"));
        assert!(text(&options).contains("* = host=127.0.0.1 port=5432\n"));
    }
}

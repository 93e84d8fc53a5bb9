//! `daypass witness`: signs the checkpoints of others' logs, on another machine than theirs.

use std::net::SocketAddr;
use std::path::PathBuf;

use daypass_server::config::{LogConfig, LogFormat, TlsFiles};
use daypass_server::{Witness, WitnessConfig};

use crate::failure::Failure;
use crate::signal;
use crate::terminal::say;

/// Witness: sign a log's checkpoints after seeing that nothing was rewritten; for another machine than the server's.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  daypass witness --listen 0.0.0.0:7400 --state /var/lib/daypass-witness --log log-key.pub --tls-certificate w.pem --tls-key w.key
  daypass witness --listen 0.0.0.0:7400 --state w --log a.pub --log b.pub --name witness.example.com/w1

It speaks C2SP tlog-witness, so that it serves other logs too. Its public key is printed, and stands in STATE/key.pub: give it to the
server (witnesses in server.yaml) and to everybody who verifies (daypass audit verify --witness). docs/audit.md says what it finds.")]
pub(crate) struct WitnessArgs {
    /// Where the logs' servers reach it
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The folder with its key and what it signed last; made where it is missing. Never put an old copy of it back
    #[arg(long, value_name = "FOLDER")]
    state: PathBuf,
    /// A file with the public key of a log (log-key.pub). May be given several times
    #[arg(long, value_name = "FILE", required = true)]
    log: Vec<PathBuf>,
    /// The name of its key, at the first start: a host and path by custom
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Its certificate in PEM. Without one it speaks plain HTTP: nothing is secret, but its refusals are not signed
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The certificate's private key in PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
}

impl WitnessArgs {
    /// Runs it until it is told to stop.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        daypass_server::log::install(&LogConfig {
            format: LogFormat::Text,
            level: "info".to_owned(),
        });
        let tls = self.tls_certificate.zip(self.tls_key);
        let config = WitnessConfig {
            listen: self.listen,
            tls: tls.map(|(certificate, key)| TlsFiles { certificate, key }),
            state: self.state,
            name: self.name,
            logs: self.log,
        };
        let witness = Witness::start(&config)
            .await
            .map_err(|error| Failure::error(error.to_string()))?;
        for (log, size) in witness.logs() {
            say(format!("  looks after {log}, {size} entries so far"));
        }
        say(format!("  signs as {}", witness.key()));
        say(format!("✓ the witness answers on {}", witness.url()));
        let why = signal::told_to_stop().await;
        say(format!("{why}: finishing what is under way"));
        witness.stop().await;
        Ok(())
    }
}

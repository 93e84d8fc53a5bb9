//! `daypass gateway`: a gateway apart from its server, where clients or targets are.

use std::path::PathBuf;

use daypass_server::config::ApartConfig;
use daypass_server::{Apart, ApartError};

use crate::failure::Failure;
use crate::server::broken;
use crate::signal;
use crate::terminal::say;

/// Gateway: take sessions elsewhere than the server; it asks the server for each, and keeps nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  daypass service add edge --owner ana
  daypass service token edge gateway --scope gateway --resource orders-prod --for 90d > secrets/gateway-token
  daypass gateway --config gateway.yaml

It needs no database and no policy, dials the server and is dialled by clients alone. docs/gateway.md says what stands in its file.")]
pub(crate) struct GatewayArgs {
    /// The operator's file.
    #[arg(short, long, value_name = "FILE", default_value = "gateway.yaml")]
    config: PathBuf,
}

impl GatewayArgs {
    /// Runs it until it is told to stop.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let config = ApartConfig::load(&self.config)?;
        daypass_server::log::install(&config.log);
        let mut gateway = Apart::start(&config).await.map_err(failed)?;
        match gateway.registered() {
            Some(registered) => {
                let served: Vec<String> = registered.resources.iter().map(ToString::to_string).collect();
                say(format!(
                    "  is called {}, and serves {}",
                    registered.name,
                    served.join(", ")
                ));
            }
            None => say(format!(
                "! {} is not reached yet. Nobody comes in until it is.",
                config.server
            )),
        }
        say(format!("✓ the gateway answers on {}", gateway.address()));
        let ended = tokio::select! {
            why = signal::told_to_stop() => {
                say(format!("{why}: ending sessions"));
                Ok(())
            }
            part = gateway.broken() => Err(broken(part)),
        };
        gateway.stop().await;
        ended
    }
}

fn failed(error: ApartError) -> Failure {
    let hint = match &error {
        ApartError::Refused(_) => {
            "a token of a service account of its own: daypass service token LOGIN NAME --scope gateway --resource RESOURCE"
        }
        ApartError::Client(_) => {
            "server: https://… in the file, with ca: FILE where its certificate is your own"
        }
        ApartError::Start(_) => return Failure::error(error.to_string()),
    };
    Failure::error(error.to_string()).hint(hint)
}

//! `keys …`: the secrets that the connectors themselves work with, and the public keys of authorities.

use clap::{Args, Subcommand};
use daypass_api::client;
use daypass_api::connector::{Connector, Health};
use daypass_core::name::Name;

use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{ago, instant};
use crate::line::{Field, Grid, Line, Style};

/// Look after the connectors' own secrets.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// List connectors, how they are, and the keys of authorities
    Ls(LsArgs),
    /// Give a connector another admin password
    Rotate(RotateArgs),
}

/// List connectors, how they are, and the keys of authorities.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass keys ls
  daypass keys ls -o name | xargs -n1 daypass keys rotate

Of a connector of kind ssh the fingerprint of its authority is shown, as `ssh-keygen -lf /etc/ssh/daypass/ca.pub` on a host.
Last comes the public key of the log, which `daypass audit verify` takes; have it from the operator too, who has the file.")]
pub struct LsArgs {}

/// Give a connector another admin password.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass keys rotate pg-main

For administrators. The new password is set at the target and kept where server.yaml says; nobody sees it.
The key of an authority (kind ssh) is not rotated by this version.")]
pub struct RotateArgs {
    /// The connector's name in the policy
    connector: Name,
}

impl KeysCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        match self {
            Self::Ls(LsArgs {}) => {
                let connectors = client.connectors().await?.items;
                let mut grid = Grid::new(["CONNECTOR", "KIND", "HEALTH", "SEEN", "AUTHORITY"]);
                for connector in &connectors {
                    let health = match &connector.health {
                        Health::Healthy => Field(Style::Good, "healthy".into()),
                        Health::Failing { fault, detail } => Field(Style::Bad, format!("{fault}: {detail}")),
                    };
                    grid.row([
                        Field(Style::Strong, connector.name.to_string()),
                        Field::from(connector.kind.to_string()),
                        health,
                        Field::from(ago(connector.checked_at, edge::now())),
                        Field::from(authority(connector)),
                    ]);
                }
                let empty = "the policy has no connectors";
                context
                    .out
                    .list(&connectors, |connector| connector.name.to_string(), &grid, empty);
                if context.out.is_for_people() {
                    context.out.note(log_key(client.log_key().await));
                }
            }
            Self::Rotate(args) => {
                let rotated = client.rotate(&args.connector).await?;
                context.out.one(
                    &rotated,
                    || rotated.name.to_string(),
                    || {
                        let what = format!(
                            "{} has another admin password since {}",
                            rotated.name,
                            instant(rotated.rotated_at)
                        );
                        vec![Line::new().with(Style::Good, "✓ ").text(what)]
                    },
                );
            }
        }
        Ok(Exit::DONE)
    }
}

/// The key that the log is signed with, as the server says.
fn log_key(answer: Result<Vec<u8>, client::Error>) -> String {
    match answer {
        Ok(key) => format!(
            "The log is signed by {}",
            String::from_utf8_lossy(&key).trim_end()
        ),
        Err(error) => format!("The log's key is not to be had: {error}"),
    }
}

/// `SHA256:… since …`; `–` where it is no authority.
fn authority(connector: &Connector) -> String {
    connector.authority.as_ref().map_or_else(
        || "–".to_owned(),
        |key| {
            let since = key.since.map(|since| format!(" since {}", instant(since)));
            format!("{}{}", key.fingerprint, since.unwrap_or_default())
        },
    )
}

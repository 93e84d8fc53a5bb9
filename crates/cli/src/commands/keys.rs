//! `keys …`: the secrets that the connectors themselves work with, and the public keys of authorities.

use clap::{Args, Subcommand};
use daypass_api::connector::{Authority, Connector, Health, Rotate, Rotation};
use daypass_api::key::{RotateLog, Sealing};
use daypass_core::name::Name;

use super::log_key;
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{ago, instant};
use crate::line::{Field, Grid, Line, Style};

/// Look after the secrets and keys that Daypass itself works with.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// List connectors, how they are, and the keys of authorities
    Ls(LsArgs),
    /// Give a connector another admin password, an authority another key, or seal everything by another one
    Rotate(RotateArgs),
}

/// List connectors, how they are, and the keys of authorities.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass keys ls
  daypass keys ls -o name | xargs -n1 daypass keys rotate

Of a connector of kind ssh the fingerprint of its authority is shown, as `ssh-keygen -lf /etc/ssh/daypass/ca.pub` on a host;
while it gets another key, what that waits for. The key that seals what the server keeps is told below the list,
and the public key of the log, which `daypass audit verify` takes; have that from the operator too, who has the file.")]
pub struct LsArgs {}

/// Give a connector another admin password, an authority another key, or seal everything by another one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass keys rotate pg-main
  daypass keys rotate fleet            # kind ssh: the next key; it signs once all hosts trust it
  daypass keys rotate fleet --now      # does not wait: the next step at once
  daypass keys rotate sealing          # the key of sealing_key in server.yaml
  daypass keys rotate log              # the key that the log is signed with: the next one is announced, and signs beside it
  daypass keys rotate log --now        # the one before signs no more
  daypass keys rotate log --stolen     # somebody else may have the present one

For administrators. A new password is set at the target and kept where server.yaml says; nobody sees it.
An authority goes to its new key by itself, in steps; daypass keys ls shows how far it is. Repeating a command goes on with what was
begun. Of the log's key the last step is yours alone: first give the new log-key.pub to whoever verifies (docs/audit.md).")]
pub struct RotateArgs {
    /// The connector's name in the policy, or `sealing`, or `log`
    #[arg(value_name = "CONNECTOR|sealing|log")]
    key: Name,

    /// Take the next step without waiting: for hosts or servers to have the key, or for certificates to run out
    #[arg(long)]
    now: bool,

    /// Of the log's key: somebody else may have it; all steps at once, and nobody is to believe it about the next one
    #[arg(long)]
    stolen: bool,
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
                // A server without such a key says so; one of an older version has no such call.
                if let Ok(sealing) = client.sealing().await {
                    sealed(&sealing)
                        .into_iter()
                        .for_each(|line| context.out.note(line));
                }
                if context.out.is_for_people() {
                    log_key::told(&client, &context.out).await;
                }
            }
            Self::Rotate(RotateArgs { key, now, stolen }) if stolen || key.as_str() == "log" => {
                return log_key::rotate(context, &client, (&key, RotateLog { now, stolen })).await;
            }
            Self::Rotate(args) if args.key.as_str() == "sealing" => {
                if args.now {
                    return Err(Failure::usage(
                        "--now is for authorities and the log: nothing waits here",
                    ));
                }
                let sealing = client.rotate_sealing().await?;
                context
                    .out
                    .one(&sealing, || sealing.id.clone(), || sealed(&sealing));
            }
            Self::Rotate(args) => {
                let rotated = client.rotate(&args.key, Rotate { now: args.now }).await?;
                if let Some(authority) = &rotated.authority {
                    let lines = || steps(&rotated.name, authority);
                    context.out.one(&rotated, || rotated.name.to_string(), lines);
                    return Ok(Exit::DONE);
                }
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

/// `SHA256:… since …`; `–` where it is no authority.
fn authority(connector: &Connector) -> String {
    connector.authority.as_ref().map_or_else(
        || "–".to_owned(),
        |key| {
            let since = key.since.map(|since| format!(" since {}", instant(since)));
            let rotation = key.rotation.as_ref().map(|rotation| match rotation {
                Rotation::Staged { next, waiting, .. } if waiting.is_empty() => format!("; next {next}"),
                Rotation::Staged { next, waiting, .. } => {
                    format!("; next {next}, when trusted by {}", waiting.join(", "))
                }
                Rotation::Retiring { old, until, .. } => {
                    let until = until.map(|until| format!(" until {}", instant(until)));
                    format!("; before {old}, trusted{}", until.unwrap_or_default())
                }
            });
            [
                key.fingerprint.clone(),
                since.unwrap_or_default(),
                rotation.unwrap_or_default(),
            ]
            .concat()
        },
    )
}

/// What a rotation of an authority came to, and what happens next.
fn steps(name: &Name, authority: &Authority) -> Vec<Line> {
    let good = |what: String| Line::new().with(Style::Good, "✓ ").text(what);
    match &authority.rotation {
        None => vec![good(format!("{name} signs with {} alone", authority.fingerprint))],
        Some(Rotation::Staged { next, waiting, .. }) => {
            let then = if waiting.is_empty() {
                format!("{name} signs with it in a moment, by itself.")
            } else {
                format!(
                    "{name} signs with it by itself once these hosts say that they trust it: {}",
                    waiting.join(", ")
                )
            };
            let see = format!(
                "See: daypass keys ls. Not to wait for hosts, which then refuse logins until they sync: daypass keys rotate {name} --now"
            );
            let made =
                format!("{name} has a next key, {next}; hosts are told to trust it beside the present one");
            vec![good(made), Line::new().text(then), Line::new().text(see)]
        }
        Some(Rotation::Retiring { old, until, .. }) => {
            let until = until.map_or_else(
                || String::from("for a moment"),
                |until| format!("until {}", instant(until)),
            );
            vec![
                good(format!("{name} signs with {}", authority.fingerprint)),
                Line::new().text(format!(
                    "Hosts trust the key before, {old}, {until}, for what it signed. Its private key is gone."
                )),
                Line::new().text(format!(
                    "Not to wait for that, where it was stolen: daypass keys rotate {name} --now"
                )),
            ]
        }
    }
}

/// By which keys everything is sealed, and what is to be done.
fn sealed(sealing: &Sealing) -> Vec<Line> {
    let mut lines = vec![Line::new().with(Style::Good, "✓ ").text(format!(
        "sealing key {} ({} sealed by it)",
        sealing.id, sealing.values
    ))];
    for other in &sealing.others {
        let id = other.id.as_deref().unwrap_or("without an id");
        lines.push(
            Line::new()
                .with(Style::Warn, "! ")
                .text(match (other.here, other.values) {
                    (true, 0) => format!(
                        "key {id} seals nothing any more: take its line out of the file, on every server"
                    ),
                    (true, values) => format!("key {id} still seals {values}: daypass keys rotate sealing"),
                    (false, values) => {
                        format!("key {id} seals {values} and is not in the server's file: put its line back")
                    }
                }),
        );
    }
    lines
}

//! `session credential`: a password for tools that connect to the gateway by themselves, and ask for access by connecting.

use clap::Args;

use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::left;
use crate::line::{Line, Style};

/// Get a password for tools that connect to the gateway by themselves.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass session credential
  export PGPASSWORD=$(daypass session credential -o name)

It lets you in as yourself, for what you were granted; where you hold nothing, connecting asks for it and waits. The name of the database
says what you want: RESOURCE, or RESOURCE/ROLE; with ssh the user does (behind your
login and a colon, where passwords are taken; a key is better: daypass ssh-key add). It is shown this once; daypass token ls lists it, daypass token revoke ends it.")]
pub struct CredentialArgs {}

impl CredentialArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let credential = context.client()?.gateway_credential().await?;
        // Shown on purpose, this once: it is what was asked for.
        let secret = || credential.secret.expose().to_owned();
        context.out.one(&credential, secret, || {
            let mut lines = Vec::new();
            for (name, value) in &credential.fields {
                if name != "sslrootcert_pem" {
                    lines.push(
                        Line::new()
                            .with(Style::Faint, format!("{name:<9} "))
                            .text(value.clone()),
                    );
                }
            }
            if credential.fields.contains_key("host") {
                let what = Line::new().with(Style::Faint, "database  ");
                lines.push(what.text("RESOURCE or RESOURCE/ROLE"));
            }
            if let Some(ssh) = &credential.ssh {
                let login = credential.fields.get("user").filter(|_| ssh.passwords);
                let login = login.map_or_else(String::new, |login| format!("{login}:"));
                let how = format!("ssh -p {} -l {login}RESOURCE/ROLE {}", ssh.port, ssh.host);
                lines.push(Line::new().with(Style::Faint, "ssh       ").text(how));
                let known = format!("[{}]:{} {}", ssh.host, ssh.port, ssh.host_key);
                lines.push(Line::new().with(Style::Faint, "known as  ").text(known));
            }
            lines.push(
                Line::new()
                    .with(Style::Faint, "password  ")
                    .with(Style::Strong, secret()),
            );
            let until = left(credential.expires_at, edge::now());
            lines.push(Line::new().with(Style::Faint, "good for  ").text(until));
            if credential.fields.contains_key("sslrootcert_pem") {
                lines.push(Line::new().with(
                    Style::Faint,
                    "the certificate to trust (sslrootcert): -o json has it",
                ));
            }
            lines
        });
        Ok(Exit::DONE)
    }
}

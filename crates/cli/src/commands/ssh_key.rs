//! `ssh-key …`: keys of one's own that open the gateway. What is kept of one at the server is a credential like the others: it is in the
//! list of tokens, runs out, and is ended there.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::{Args, Subcommand};
use daypass_api::login::{Token, Via};
use daypass_api::ssh::NewSshKey;
use daypass_core::time::Span;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::commands::ssh::program;
use crate::commands::tokens;
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{ago, left};
use crate::line::{Field, Grid, Line, Style};

/// The longest file that is taken for a public key, in bytes.
const LONGEST: usize = 8192;

/// Keys of your own that open the gateway.
#[derive(Debug, Subcommand)]
pub enum SshKeyCommand {
    /// Have a key of yours open the gateway
    Add(AddArgs),
    /// List your keys
    Ls(LsArgs),
    /// Have a key open it no more
    Rm(RmArgs),
}

impl SshKeyCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Add(args) => args.run(context).await,
            Self::Ls(args) => args.run(context).await,
            Self::Rm(args) => args.run(context).await,
        }
    }
}

/// Have a key of yours open the gateway.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass ssh-key add ~/.ssh/id_ed25519.pub
  daypass ssh-key add ~/.ssh/id_ed25519_sk.pub --name yubikey --for 30d
  ssh -p 2222 web-1/deploy@ssh.example.com          from then on; where you hold nothing, connecting asks

What is sent is the public key, and a signature by which the server sees that you have the private one: ssh-keygen asks the agent for it, or
the file beside FILE, and perhaps you for a passphrase or a touch. A key is one person's. Added again, it is good for as long again.")]
pub struct AddArgs {
    /// The public key's file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// What to call it [default: the comment in the file]
    #[arg(long)]
    name: Option<String>,

    /// How long it is taken
    #[arg(long = "for", value_name = "TIME", default_value = "90d")]
    length: Span,
}

impl AddArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let shown = self.file.display();
        let bytes = std::fs::read(&self.file)
            .map_err(|error| Failure::error(format!("{shown} cannot be read: {error}")))?;
        let line = public_line(&bytes).map_err(|what| {
            Failure::usage(format!("{shown} {what}")).hint(format!("daypass ssh-key add {shown}.pub"))
        })?;
        let client = context.client()?;
        let text = NewSshKey::text(client.whoami().await?.person.id);
        let comment = line.split_whitespace().nth(2).unwrap_or("ssh key").to_owned();
        let new = NewSshKey {
            name: self.name.unwrap_or(comment),
            public_key: line,
            signature: signed(context, &self.file, text).await?,
            expires_in: self.length,
        };
        let token = client.add_ssh_key(&new).await?;
        let told = format!(
            "{} opens the gateway, {}",
            fingerprint(&token),
            left(token.expires_at, edge::now())
        );
        context.out.one(
            &token,
            || token.id.to_string(),
            || vec![Line::new().with(Style::Good, "✓ ").text(told)],
        );
        Ok(Exit::DONE)
    }
}

/// A signature of this text by the key in this file, or by the agent that has it. Whoever must touch or type something is asked.
async fn signed(context: &Context, file: &Path, text: String) -> Result<String, Failure> {
    let failed = |why: String| {
        Failure::error(format!("ssh-keygen cannot sign with {}: {why}", file.display()))
            .hint("the private key belongs beside it, or into an agent (ssh-add)")
    };
    let mut sign = Command::new(program(&context.env.path, "ssh-keygen")?);
    sign.args(["-q", "-Y", "sign", "-n", NewSshKey::PURPOSE, "-f"])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let mut running = sign.spawn().map_err(|error| failed(error.to_string()))?;
    let into = running.stdin.take();
    let written = async move {
        let mut into = into?;
        into.write_all(text.as_bytes()).await.ok()
    };
    let (_, output) = tokio::join!(written, running.wait_with_output());
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    String::from_utf8(output.stdout).map_err(|_| failed(String::from("it printed no text")))
}

/// The one line of a public key. A private one goes nowhere.
fn public_line(bytes: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is no public key")?;
    if text.contains("PRIVATE KEY") {
        return Err("is a private key, and was not sent: name the file beside it that ends with .pub");
    }
    let line = text.trim();
    if line.is_empty() || line.len() > LONGEST || line.lines().count() != 1 {
        return Err("is no public key: that is one line");
    }
    Ok(line.to_owned())
}

fn fingerprint(token: &Token) -> &str {
    match &token.via {
        Via::SshKey { fingerprint } => fingerprint,
        _ => "",
    }
}

/// List your keys.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass ssh-key ls
  daypass token ls --of ana          an administrator sees others' keys there")]
pub struct LsArgs {}

impl LsArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let keys = own(context).await?;
        let now = edge::now();
        let mut grid = Grid::new(["ID", "NAME", "FINGERPRINT", "ADDED", "TIME"]);
        for key in &keys {
            grid.row([
                Field(Style::Strong, key.id.short()),
                Field::from(key.name.as_str()),
                Field::from(fingerprint(key)),
                Field::from(ago(key.created_at, now)),
                Field::from(left(key.expires_at, now)),
            ]);
        }
        context
            .out
            .list(&keys, |key| key.id.to_string(), &grid, "there are none");
        Ok(Exit::DONE)
    }
}

/// Have a key open the gateway no more.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass ssh-key rm T7K2M9
  daypass ssh-key rm SHA256:uNiVztksCsDhcc0u9e8BrYhRGU0k6o0…

Sessions that are open do not end by it: daypass session kill, or daypass revoke for the grant.")]
pub struct RmArgs {
    /// The key, by its (short) id or its fingerprint
    key: String,
}

impl RmArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let keys = own(context).await?;
        let named = keys.iter().find(|key| fingerprint(key) == self.key);
        let id = match named {
            Some(key) => key.id,
            None => tokens::the_one(&keys, &self.key)?,
        };
        context.client()?.revoke_token(id).await?;
        context
            .out
            .note(format!("key {} opens the gateway no more", id.short()));
        Ok(Exit::DONE)
    }
}

async fn own(context: &Context) -> Result<Vec<Token>, Failure> {
    let mut tokens = tokens::of(&context.client()?, None).await?;
    tokens.retain(|token| matches!(token.via, Via::SshKey { .. }));
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_not_read_on() {
        let line = "ssh-ed25519 AAAA ana@laptop";
        assert_eq!(public_line(format!("{line}\n").as_bytes()).unwrap(), line);
        let private = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
        for bad in [private, "", "\n", "a\nb"] {
            assert!(public_line(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(public_line(&[0xff, 0xfe]).is_err());
    }
}

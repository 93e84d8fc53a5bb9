//! The gateway as a client of the target: the host must be the one that it is known to be, and is shown a certificate of this session's key.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::key::{self, PrivateKey};
use super::link::{Failed, Link};
use super::msg;
use super::target::SshTarget;
use super::transport::{Broken, Role};
use super::wire::{Reader, Writer};
use crate::edge;
use crate::gateway::keep_alive;

/// How long it may take until we are in there.
const WITHIN: Duration = Duration::from_secs(20);

/// How many messages, and how much of a banner, it may send before that.
const MESSAGES: u32 = 64;
const BANNER: usize = 4 * 1024;

const CERTIFIED: &str = "ssh-ed25519-cert-v01@openssh.com";

/// Logs in. What the target says to everybody is passed on.
pub(super) async fn connect(target: &SshTarget, key: &PrivateKey) -> Result<(Link, String), Failed> {
    let connecting = async {
        let connection = TcpStream::connect((target.host.as_str(), target.port)).await?;
        connection.set_nodelay(true)?;
        keep_alive(&connection)?;
        log_in(connection, target, key).await
    };
    let failed = match edge::within(WITHIN, connecting).await {
        Ok(Ok(connected)) => return Ok(connected),
        Ok(Err(failed)) => failed,
        Err(late) => Failed::Told(late.to_string()),
    };
    // Words that tell the client nothing of addresses and keys.
    let words = match &failed {
        Failed::Broken(Broken::UnknownHost) => {
            "the target showed a host key that is not known: tell whoever runs it"
        }
        Failed::Broken(_) => "the target does not speak SSH as this gateway does",
        Failed::Told(_) => "the target did not let the gateway in",
        Failed::Io(_) | Failed::Left | Failed::Control(_) => "the target cannot be reached",
    };
    tracing::warn!(host = target.host, port = target.port, error = %failed, "a target was not reached");
    Err(Failed::Told(words.to_owned()))
}

async fn log_in(
    connection: TcpStream,
    target: &SshTarget,
    key: &PrivateKey,
) -> Result<(Link, String), Failed> {
    let mut link = Link::new(connection, Role::Client(Arc::new(target.known.clone())))?;
    link.agree().await?;
    link.say(
        &Writer::message(msg::SERVICE_REQUEST)
            .string("ssh-userauth")
            .done(),
    )
    .await?;
    let session = link.transport.session().copied();
    let session = session.ok_or(super::wire::Malformed)?;
    let certificate = key::from_line(&target.certificate)?;
    let asked = Writer::message(msg::USERAUTH_REQUEST)
        .string(&target.user)
        .string("ssh-connection")
        .string("publickey")
        .bool(true)
        .string(CERTIFIED)
        .string(&certificate);
    let signed = Writer::default().string(session).raw(&asked.0).done();
    link.say(&asked.string(key.sign(&signed)).done()).await?;
    let mut banner = String::new();
    for _ in 0..MESSAGES {
        let message = link.receive().await?;
        let mut fields = Reader(&message);
        match fields.u8()? {
            msg::USERAUTH_SUCCESS => return Ok((link, banner)),
            msg::USERAUTH_BANNER => {
                let text = String::from_utf8_lossy(fields.string()?);
                if banner.len() + text.len() <= BANNER {
                    banner.push_str(&text);
                }
            }
            msg::SERVICE_ACCEPT => {}
            _ => break,
        }
    }
    Err(Failed::Told("it did not take the certificate".to_owned()))
}

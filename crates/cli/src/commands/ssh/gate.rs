//! The gateway in front of hosts: what ssh is told of it, and the way through for plain ssh.
//!
//! Plain ssh dials the gateway with `ssh-through`, since nothing else changes where a login goes once ssh has read everything. Its host
//! key is what the server said, and no other.

use std::io;
use std::net::{Shutdown, TcpStream};

use clap::Args;
use daypass_api::ssh::{Certificate, SshGateway};

use super::keep::{self, Keep};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// What gateways are called in `known_hosts`.
pub(super) const ALIAS: &str = "daypass-gateway";

/// The file by which ssh knows a gateway: a line of `known_hosts`, below one that says where it is.
///
/// # Errors
/// Where the server says what would be something else in that file.
pub(super) fn known(gateway: &SshGateway) -> Result<String, Failure> {
    keep::plain_name(&gateway.host)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "+/=-. ".contains(c);
    let words = gateway
        .host_key
        .split(' ')
        .filter(|word| !word.is_empty())
        .count();
    if words != 2 || !gateway.host_key.chars().all(fits) {
        return Err(Failure::error("the server says no host key of its gateway"));
    }
    Ok(format!(
        "# {} {}\n{ALIAS} {}\n",
        gateway.host, gateway.port, gateway.host_key
    ))
}

/// Where that file says that it is.
fn place(text: &str) -> Option<(String, u16)> {
    let mut words = text.lines().next()?.strip_prefix("# ")?.split(' ');
    let place = (words.next()?.to_owned(), words.next()?.parse().ok()?);
    words.next().is_none().then_some(place)
}

/// What somebody is called at a gateway who goes on to this user and host. An address of IPv6 is in brackets: outside of them a colon is
/// behind a login.
pub(super) fn user(certificate: &Certificate, user: &str, host: &str) -> String {
    let item = &certificate.item;
    match host.contains(':') {
        true => format!("{item}+{user}@[{host}]"),
        false => format!("{item}+{user}@{host}"),
    }
}

/// Go through the gateway; plain ssh calls this.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass ssh-through --for web-1.internal --user deploy

What ssh-config wrote has ssh run it where daypass ssh-certificate fetched a certificate for the gateway. It passes bytes on, and reads none.")]
pub struct SshThroughArgs {
    /// The host
    #[arg(long = "for", value_name = "HOST")]
    host: String,

    /// The user there
    #[arg(long, value_name = "USER")]
    user: String,
}

impl SshThroughArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let keep = Keep::open(context).await?;
        let text = keep.gateway(&self.host, &self.user)?;
        let (host, port) = text
            .as_deref()
            .and_then(place)
            .ok_or_else(|| Failure::error(format!("no gateway is known in front of {}", self.host)))?;
        let connected = TcpStream::connect((host.as_str(), port));
        let connection = connected
            .map_err(|error| Failure::error(format!("the gateway {host}:{port} is not reached: {error}")))?;
        pass(connection).map_err(|error| Failure::error(format!("the gateway {host}:{port}: {error}")))?;
        Ok(Exit::DONE)
    }
}

/// Both directions, until the gateway hangs up.
fn pass(connection: TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut up = connection.try_clone()?;
    // It ends with this process, if not before.
    std::thread::spawn(move || {
        let _ = copy(io::stdin().lock(), &mut up);
        let _ = up.shutdown(Shutdown::Write);
    });
    copy(connection, &mut io::stdout().lock())
}

/// Each piece goes on at once.
fn copy(mut from: impl io::Read, to: &mut impl io::Write) -> io::Result<()> {
    let mut piece = vec![0; 64 * 1024];
    loop {
        let length = match from.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let Some(some) = piece.get(..length).filter(|some| !some.is_empty()) else {
            return Ok(());
        };
        to.write_all(some)?;
        to.flush()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(host: &str, key: &str) -> SshGateway {
        SshGateway {
            host: host.to_owned(),
            port: 2222,
            host_key: key.to_owned(),
            passwords: false,
        }
    }

    #[test]
    fn what_the_server_says_gets_into_no_other_line() {
        let text = known(&gateway("gw.example", "ssh-ed25519 AAAA+/=")).unwrap();
        assert_eq!(text, "# gw.example 2222\ndaypass-gateway ssh-ed25519 AAAA+/=\n");
        assert_eq!(place(&text), Some(("gw.example".to_owned(), 2222)));
        for (host, key) in [
            ("gw\n* ssh-ed25519 AAAA", "ssh-ed25519 AAAA"),
            ("-oProxyCommand=x", "ssh-ed25519 AAAA"),
            ("gw", "ssh-ed25519 AAAA\n* ssh-ed25519 BBBB"),
            ("gw", "ssh-ed25519"),
            ("gw", ""),
            ("gw", "@cert-authority * ssh-ed25519 AAAA"),
        ] {
            assert!(known(&gateway(host, key)).is_err(), "{host} {key}");
        }
        assert_eq!(place("daypass-gateway ssh-ed25519 AAAA\n"), None);
    }
}

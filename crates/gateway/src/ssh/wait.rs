//! *Ask on connect*: between the proof and the word that they are in, the client waits, and is told who is being asked.
//!
//! What is said before that word (a banner) is what every client shows, `scp` and `sftp` too. There is no connection to the target meanwhile.

use std::time::{Duration, Instant};

use super::key::PrivateKey;
use super::link::{Failed, Link, one_line};
use super::login::Met;
use super::msg;
use super::target::SshTarget;
use super::wire::{Malformed, Writer};
use crate::control::{Opening, Origin, Target, Ticket, Waited};
use crate::edge;
use crate::gateway::{Gateway, Step};
use crate::session::Session;

/// Between two questions, should the answers come at once.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a client may take to hear something: whoever does not read holds a place that others wait for.
const HEARS: Duration = Duration::from_secs(5);

/// How many messages a client may send that has not been answered.
const EARLY: u32 = 64;

/// Opens a session for a client, and waits for others where they are asked.
pub(super) async fn open(
    gateway: &Gateway,
    link: &mut Link,
    met: &Met,
    key: &PrivateKey,
    origin: &Origin,
) -> Result<(Session, SshTarget), Failed> {
    let slot = gateway.slot(&met.proved.person);
    let mut slot = slot.map_err(|full| Failed::Told(full.to_string()))?;
    let mut opening = Opening {
        ticket: met.proved.ticket.clone(),
        target: met.target.clone(),
        origin: origin.clone(),
        program: link.transport.version().map(str::to_owned),
        key: Some(key.line()),
    };
    let until = edge::instant() + gateway.limits().waiting;
    loop {
        match gateway.open(opening.clone(), slot).await? {
            Step::Open(session, Target::Ssh(target)) => return Ok((*session, target)),
            Step::Open(session, Target::Postgres(_)) => {
                session.close(crate::control::Reason::TargetLost).await;
                return Err(Failed::Told(
                    "what you named is a database, and this is SSH".to_owned(),
                ));
            }
            Step::Refused(refusal) => return Err(refusal.into()),
            Step::Waiting(waiting, kept) => {
                slot = kept;
                notify(link, &waiting.lines).await?;
                opening.ticket = allowed(gateway, link, waiting.ticket, until).await?;
            }
        }
    }
}

/// Waits until somebody has allowed it: the answer is the ticket to open with.
async fn allowed(
    gateway: &Gateway,
    link: &mut Link,
    ticket: Ticket,
    until: Instant,
) -> Result<Ticket, Failed> {
    loop {
        let waited = tokio::select! {
            biased;
            gone = gone(link) => return Err(gone),
            () = gateway.stopping() => return Err(Failed::Told("this gateway stops".to_owned())),
            () = edge::sleep_until(until) => {
                let said = "nobody has decided in the time that a connection may wait; connect again later: the request goes on";
                return Err(Failed::Told(said.to_owned()));
            }
            waited = gateway.control().waited(&ticket) => waited?,
        };
        match waited {
            Waited::Open(ticket) => return Ok(ticket),
            Waited::Refused(refusal) => return Err(refusal.into()),
            Waited::Still(lines) => {
                notify(link, &lines).await?;
                edge::sleep(PAUSE).await;
            }
        }
    }
}

/// Waits until the client is gone, or says what nobody says who waits.
pub(super) async fn gone(link: &mut Link) -> Failed {
    for _ in 0..EARLY {
        match link.receive().await {
            // Another attempt to prove what is proved: it is not looked at (RFC 4252, 5.1).
            Ok(message) if matches!(message.first(), Some(50..=79)) => {}
            Ok(_) => break,
            Err(gone) => return gone,
        }
    }
    Malformed.into()
}

/// Says something before the client is in.
pub(super) async fn notify(link: &mut Link, lines: &[String]) -> Result<(), Failed> {
    for line in lines {
        let line = format!("{}\r\n", one_line(line));
        let message = Writer::message(msg::USERAUTH_BANNER)
            .string(line)
            .string("")
            .done();
        link.transport.send(&message)?;
    }
    let sent = edge::within(HEARS, link.flush()).await;
    Ok(sent.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))?)
}

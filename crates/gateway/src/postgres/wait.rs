//! *Ask on connect*: between the proof and readiness the client waits, and is told who is being asked.

use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::login::Met;
use super::message::Said;
use super::stream::{Failed, Wire};
use super::target::PostgresTarget;
use crate::control::{Opening, Origin, Proved, Reason, Refusal, Target, Ticket, Waited};
use crate::edge;
use crate::gateway::{Gateway, Step};
use crate::session::Session;

/// Between two questions, should the answers come at once.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a client may take to hear something: whoever does not read holds a place that others wait for.
const HEARS: Duration = Duration::from_secs(5);

fn refused(refusal: Refusal) -> Failed {
    Failed::Told(Said::fatal("28000", refusal.reason).hint(refusal.hint))
}

/// Opens a session for a client, and waits for others where they are asked. There is no connection to the target meanwhile.
pub(super) async fn open(
    gateway: &Gateway,
    met: &mut Met,
    proved: &Proved,
    origin: &Origin,
) -> Result<(Session, PostgresTarget), Failed> {
    let mut slot = gateway.slot(&proved.person).map_err(|full| {
        let refusal = Refusal::from(full);
        Failed::Told(Said::fatal("53300", refusal.reason))
    })?;
    let mut opening = Opening {
        ticket: proved.ticket.clone(),
        target: met.startup.get("database").unwrap_or_default().to_owned(),
        origin: origin.clone(),
        program: met.startup.get("application_name").map(str::to_owned),
        key: None,
    };
    let until = edge::instant() + gateway.limits().waiting;
    loop {
        match gateway.open(opening.clone(), slot).await? {
            Step::Open(session, Target::Postgres(target)) => return Ok((*session, target)),
            Step::Open(session, Target::Ssh(_)) => {
                session.close(Reason::TargetLost).await;
                let said = Said::fatal("28000", "what you named is a host, and this is PostgreSQL");
                return Err(Failed::Told(said));
            }
            Step::Refused(refusal) => return Err(refused(refusal)),
            Step::Waiting(waiting, kept) => {
                slot = kept;
                notify(&mut met.wire, &waiting.lines).await?;
                opening.ticket = allowed(gateway, &mut met.wire, waiting.ticket, until).await?;
            }
        }
    }
}

/// Waits until somebody has allowed it: the answer is the ticket to open with.
async fn allowed(
    gateway: &Gateway,
    wire: &mut Wire,
    ticket: Ticket,
    until: Instant,
) -> Result<Ticket, Failed> {
    loop {
        let waited = tokio::select! {
            biased;
            gone = wire.gone() => return Err(gone),
            () = gateway.stopping() => return Err(Failed::Told(Said::fatal("57P01", "this gateway stops"))),
            () = edge::sleep_until(until) => {
                let said = Said::fatal("57014", "nobody has decided in the time that a connection may wait");
                return Err(Failed::Told(said.hint(Some("connect again later: the request goes on".to_owned()))));
            }
            waited = gateway.control().waited(&ticket) => waited?,
        };
        match waited {
            Waited::Open(ticket) => return Ok(ticket),
            Waited::Refused(refusal) => return Err(refused(refusal)),
            Waited::Still(lines) => {
                notify(wire, &lines).await?;
                edge::sleep(PAUSE).await;
            }
        }
    }
}

async fn notify(wire: &mut Wire, lines: &[String]) -> Result<(), Failed> {
    let mut out = BytesMut::new();
    for line in lines {
        Said::notice(line).write(&mut out);
    }
    let sent = edge::within(HEARS, wire.send(&out)).await;
    Ok(sent.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))?)
}

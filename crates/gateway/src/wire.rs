//! The words of [`crate::control`] on their way between a gateway that runs apart and its server (`daypass_api::gateway`), in both
//! directions: what one side writes, the other reads. What cannot be read is no answer.

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use daypass_api::{Secret, gateway as api};

use crate::control::{
    Challenge, Closing, Ending, Lease, OnFailure, Opened, Opening, Origin, Proof, Proved, Reason, Recording,
    Refusal, Renewed, Target, Term, Ticket, Unavailable, Waited, Waiting, Which,
};
use crate::postgres::target::{Guardrails, Place, PostgresTarget, TargetTls};
use crate::scram;

/// The protocols that there are, by their names.
const PROTOCOLS: [&str; 1] = ["postgres"];

fn unread(what: &str) -> Unavailable {
    Unavailable(format!("the server's answer has no {what} that can be read"))
}

/// A ticket on its way.
#[must_use]
pub fn ticket(ticket: &Ticket) -> Secret {
    Secret::new(ticket.0.to_string())
}

/// A ticket that came.
#[must_use]
pub fn to_ticket(ticket: &Secret) -> Ticket {
    Ticket(Arc::from(ticket.expose()))
}

/// Where a client comes from, on its way.
#[must_use]
pub fn origin(origin: &Origin) -> api::ClientOrigin {
    api::ClientOrigin {
        peer: origin.peer,
        protocol: origin.protocol.to_owned(),
    }
}

/// The same, as it came; nothing where there is no such protocol.
#[must_use]
pub fn to_origin(origin: &api::ClientOrigin) -> Option<Origin> {
    let protocol = PROTOCOLS.iter().find(|name| **name == origin.protocol)?;
    Some(Origin {
        peer: origin.peer,
        protocol,
    })
}

/// A challenge on its way.
#[must_use]
pub fn challenge(given: &Challenge) -> api::ScramChallenge {
    api::ScramChallenge {
        ticket: ticket(&given.ticket),
        nonce: given.scram.nonce.clone(),
        salt: hex::encode(&given.scram.salt),
        iterations: given.scram.iterations.get(),
    }
}

/// A challenge that came.
///
/// # Errors
/// It cannot be read.
pub fn to_challenge(given: &api::ScramChallenge) -> Result<Challenge, Unavailable> {
    // It is a part of what the client signs, between commas.
    let is_nonce = |nonce: &str| nonce.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    if given.nonce.is_empty() || !is_nonce(&given.nonce) {
        return Err(unread("nonce"));
    }
    Ok(Challenge {
        ticket: to_ticket(&given.ticket),
        scram: scram::Challenge {
            nonce: given.nonce.clone(),
            salt: hex::decode(&given.salt).map_err(|_| unread("salt"))?,
            iterations: NonZeroU32::new(given.iterations).ok_or_else(|| unread("iterations"))?,
        },
    })
}

/// A proof on its way; nothing where it is one that no server takes of a gateway apart.
#[must_use]
pub fn prove(proof: &Proof, from: &Origin) -> Option<api::Prove> {
    let Proof::Scram { ticket: of, answer } = proof else {
        return None;
    };
    Some(api::Prove {
        ticket: ticket(of),
        said: answer.said.clone(),
        proof: Secret::new(hex::encode(&answer.proof)),
        origin: origin(from),
    })
}

/// A proof that came; nothing where it is none.
#[must_use]
pub fn to_proof(prove: &api::Prove) -> Option<Proof> {
    Some(Proof::Scram {
        ticket: to_ticket(&prove.ticket),
        answer: scram::Answer {
            said: prove.said.clone(),
            proof: hex::decode(prove.proof.expose()).ok()?,
        },
    })
}

/// Who proved who they are, on its way.
#[must_use]
pub fn proved(proved: Option<&Proved>) -> api::Proved {
    api::Proved {
        proved: proved.map(|proved| api::ProvedClient {
            ticket: ticket(&proved.ticket),
            person: proved.person.to_string(),
            name: proved.name.clone(),
            server_signature: Secret::new(hex::encode(&proved.server_signature)),
        }),
    }
}

/// The same, as it came.
///
/// # Errors
/// It cannot be read.
pub fn to_proved(proved: &api::Proved) -> Result<Option<Proved>, Unavailable> {
    let Some(proved) = &proved.proved else {
        return Ok(None);
    };
    let signature = hex::decode(proved.server_signature.expose());
    Ok(Some(Proved {
        ticket: to_ticket(&proved.ticket),
        person: proved.person.as_str().into(),
        name: proved.name.clone(),
        server_signature: signature.map_err(|_| unread("signature"))?,
    }))
}

/// An opening on its way.
#[must_use]
pub fn opening(opening: &Opening) -> api::OpenSession {
    api::OpenSession {
        ticket: ticket(&opening.ticket),
        target: opening.target.clone(),
        origin: origin(&opening.origin),
        program: opening.program.as_deref().map(short),
    }
}

/// As much of it as is taken. It is for the record alone; anybody can say anything here.
fn short(text: &str) -> String {
    let (short, _) = text.split_at(text.floor_char_boundary(api::LONGEST_TEXT));
    short.to_owned()
}

/// An opening that came; nothing where there is no such protocol.
#[must_use]
pub fn to_opening(opening: &api::OpenSession) -> Option<Opening> {
    Some(Opening {
        ticket: to_ticket(&opening.ticket),
        target: opening.target.clone(),
        origin: to_origin(&opening.origin)?,
        program: opening.program.clone(),
        key: None,
    })
}

/// The answer to an opening, on its way.
#[must_use]
pub fn opened(opened: Opened) -> api::OpenedSession {
    match opened {
        Opened::Lease(given) => match lease(*given) {
            Some(lease) => api::OpenedSession::Lease(Box::new(lease)),
            None => api::OpenedSession::Refused(api::NotOpened {
                reason: String::from("this is not reached through a gateway that runs apart"),
                hint: None,
            }),
        },
        Opened::Waiting(Waiting { ticket: of, lines }) => api::OpenedSession::Waiting {
            ticket: ticket(&of),
            lines,
        },
        Opened::Refused(refusal) => api::OpenedSession::Refused(refused(refusal)),
    }
}

/// The same, as it came.
#[must_use]
pub fn to_opened(opened: api::OpenedSession) -> Opened {
    match opened {
        api::OpenedSession::Lease(lease) => Opened::Lease(Box::new(to_lease(*lease))),
        api::OpenedSession::Waiting { ticket, lines } => Opened::Waiting(Waiting {
            ticket: to_ticket(&ticket),
            lines,
        }),
        api::OpenedSession::Refused(refusal) => Opened::Refused(to_refused(refusal)),
    }
}

fn refused(refusal: Refusal) -> api::NotOpened {
    api::NotOpened {
        reason: refusal.reason,
        hint: refusal.hint,
    }
}

fn to_refused(refusal: api::NotOpened) -> Refusal {
    Refusal {
        reason: refusal.reason,
        hint: refusal.hint,
    }
}

/// Nothing where it leads to what a gateway apart does not know.
fn lease(lease: Lease) -> Option<api::Lease> {
    let Target::Postgres(target) = lease.target else {
        return None;
    };
    let Recording {
        values,
        on_failure,
        begun,
        longest_line,
    } = lease.recording;
    Some(api::Lease {
        id: lease.id.to_string(),
        session: lease.session.to_string(),
        grant: lease.grant.to_string(),
        person: lease.person.to_string(),
        term: term(lease.term),
        ends_at: lease.ends_at,
        upstream: api::Upstream::Postgres(upstream(target)),
        recording: api::LeaseRecording {
            values,
            goes_on: on_failure == OnFailure::GoOn,
            begun,
            longest_line: u64::try_from(longest_line).unwrap_or(u64::MAX),
        },
    })
}

fn to_lease(lease: api::Lease) -> Lease {
    let api::Upstream::Postgres(target) = lease.upstream;
    let recording = lease.recording;
    Lease {
        id: lease.id.as_str().into(),
        session: lease.session.as_str().into(),
        grant: lease.grant.as_str().into(),
        person: lease.person.as_str().into(),
        term: to_term(lease.term),
        ends_at: lease.ends_at,
        target: Target::Postgres(to_upstream(target)),
        recording: Recording {
            values: recording.values,
            on_failure: if recording.goes_on {
                OnFailure::GoOn
            } else {
                OnFailure::End
            },
            begun: recording.begun,
            longest_line: usize::try_from(recording.longest_line).unwrap_or(usize::MAX),
        },
    }
}

fn upstream(target: PostgresTarget) -> api::PostgresUpstream {
    let (verify_full, ca_pem) = match target.place.tls {
        TargetTls::Disabled => (false, None),
        TargetTls::VerifyFull { ca_pem } => (true, ca_pem),
    };
    let Guardrails {
        read_only,
        no_ddl,
        qualified,
    } = target.guardrails;
    api::PostgresUpstream {
        host: target.place.host,
        port: target.place.port,
        verify_full,
        ca_pem,
        user: target.user,
        password: target.password.map(Secret::from),
        database: target.database,
        statements: api::RefusedStatements {
            read_only,
            no_ddl,
            qualified,
        },
    }
}

fn to_upstream(target: api::PostgresUpstream) -> PostgresTarget {
    let api::RefusedStatements {
        read_only,
        no_ddl,
        qualified,
    } = target.statements;
    PostgresTarget {
        place: Place {
            host: target.host,
            port: target.port,
            tls: if target.verify_full {
                TargetTls::VerifyFull {
                    ca_pem: target.ca_pem,
                }
            } else {
                TargetTls::Disabled
            },
        },
        user: target.user,
        password: target.password.map(Secret::into_inner),
        database: target.database,
        guardrails: Guardrails {
            read_only,
            no_ddl,
            qualified,
        },
    }
}

/// Rounded down: what ends early is safe.
fn term(term: Term) -> api::LeaseTerm {
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    api::LeaseTerm {
        renew_within_ms: millis(term.renew_within),
        ends_in_ms: millis(term.ends_in),
    }
}

fn to_term(term: api::LeaseTerm) -> Term {
    Term {
        renew_within: Duration::from_millis(term.renew_within_ms),
        ends_in: Duration::from_millis(term.ends_in_ms),
    }
}

/// How it went on for who waits, on its way.
#[must_use]
pub fn waited(waited: Waited) -> api::WaitedFor {
    match waited {
        Waited::Still(lines) => api::WaitedFor::Still { lines },
        Waited::Open(of) => api::WaitedFor::Open { ticket: ticket(&of) },
        Waited::Refused(refusal) => api::WaitedFor::Refused(refused(refusal)),
    }
}

/// The same, as it came.
#[must_use]
pub fn to_waited(waited: api::WaitedFor) -> Waited {
    match waited {
        api::WaitedFor::Still { lines } => Waited::Still(lines),
        api::WaitedFor::Open { ticket } => Waited::Open(to_ticket(&ticket)),
        api::WaitedFor::Refused(refusal) => Waited::Refused(to_refused(refusal)),
    }
}

/// How a lease goes on, on its way.
#[must_use]
pub fn renewed(renewed: Renewed) -> api::RenewedLease {
    match renewed {
        Renewed::Until(until) => api::RenewedLease::Until(term(until)),
        Renewed::Ended(why) => api::RenewedLease::Ended { reason: reason(why) },
    }
}

/// The same, as it came.
#[must_use]
pub fn to_renewed(renewed: api::RenewedLease) -> Renewed {
    match renewed {
        api::RenewedLease::Until(until) => Renewed::Until(to_term(until)),
        api::RenewedLease::Ended { reason } => Renewed::Ended(to_reason(reason)),
    }
}

/// Of those that there are words for: a closing never says `other`.
fn reason(reason: Reason) -> api::EndReason {
    use api::EndKind as K;
    let plain = |kind| (kind, String::new());
    let (kind, why) = match reason {
        Reason::Left => plain(K::Left),
        Reason::Expired => plain(K::Expired),
        Reason::Revoked(why) => (K::Revoked, why),
        Reason::Killed(why) => (K::Killed, why),
        Reason::Locked(why) => (K::Locked, why),
        Reason::LeaseLost => plain(K::LeaseLost),
        Reason::RecordingFailed => plain(K::RecordingFailed),
        Reason::TargetLost => plain(K::TargetLost),
        Reason::ProtocolViolation => plain(K::ProtocolViolation),
        Reason::Stopping => plain(K::Stopping),
    };
    api::EndReason { kind, why }
}

fn to_reason(reason: api::EndReason) -> Reason {
    use api::EndKind as K;
    let why = reason.why;
    match reason.kind {
        K::Left => Reason::Left,
        K::Expired => Reason::Expired,
        K::Revoked => Reason::Revoked(why),
        K::Killed => Reason::Killed(why),
        K::Locked => Reason::Locked(why),
        K::LeaseLost => Reason::LeaseLost,
        K::RecordingFailed => Reason::RecordingFailed,
        K::TargetLost => Reason::TargetLost,
        K::ProtocolViolation => Reason::ProtocolViolation,
        K::Stopping => Reason::Stopping,
        K::Other if why.is_empty() => {
            Reason::Revoked("for a reason that this version does not know".to_owned())
        }
        K::Other => Reason::Revoked(why),
    }
}

/// A closing on its way.
#[must_use]
pub fn closing(closing: Closing) -> api::CloseLease {
    api::CloseLease {
        lease: closing.lease.to_string(),
        reason: reason(closing.reason),
        counters: closing.counters.into(),
        last_record: closing.last_record,
    }
}

/// A closing that came.
#[must_use]
pub fn to_closing(closing: api::CloseLease) -> Closing {
    Closing {
        lease: closing.lease.as_str().into(),
        reason: to_reason(closing.reason),
        counters: closing.counters.into(),
        last_record: closing.last_record,
    }
}

/// An ending on its way.
#[must_use]
pub fn ending(ending: Ending) -> api::LeaseEnding {
    api::LeaseEnding {
        which: match ending.which {
            Which::Lease(id) => api::EndingOf::Lease(id.to_string()),
            Which::Grant(id) => api::EndingOf::Grant(id.to_string()),
            Which::Person(id) => api::EndingOf::Person(id.to_string()),
            Which::Every => api::EndingOf::Every,
        },
        reason: reason(ending.reason),
    }
}

/// An ending that came.
#[must_use]
pub fn to_ending(ending: api::LeaseEnding) -> Ending {
    Ending {
        which: match ending.which {
            api::EndingOf::Lease(id) => Which::Lease(id.as_str().into()),
            api::EndingOf::Grant(id) => Which::Grant(id.as_str().into()),
            api::EndingOf::Person(id) => Which::Person(id.as_str().into()),
            api::EndingOf::Every => Which::Every,
        },
        reason: to_reason(ending.reason),
    }
}

//! What one side writes, the other reads.

use daypass_core::time::Timestamp;

use super::*;
use crate::control::LeaseId;

/// There and back through JSON, as on the wire.
fn sent<T: serde::Serialize + serde::de::DeserializeOwned>(wire: &T) -> T {
    serde_json::from_str(&serde_json::to_string(wire).unwrap()).unwrap()
}

#[test]
fn a_lease_arrives_as_it_was_given_and_ends_no_later() {
    let given = Lease {
        id: LeaseId::from("l"),
        session: "s".into(),
        grant: "g".into(),
        person: "p".into(),
        term: Term {
            renew_within: Duration::from_micros(4_999_999),
            ends_in: Duration::from_secs(60),
        },
        ends_at: Timestamp::EPOCH,
        target: Target::Postgres(PostgresTarget {
            place: Place {
                host: "db".to_owned(),
                port: 5432,
                tls: TargetTls::VerifyFull {
                    ca_pem: Some("pem".to_owned()),
                },
            },
            user: "daypass_r1".to_owned(),
            password: Some("hunter2".into()),
            database: "orders".to_owned(),
            guardrails: Guardrails {
                no_ddl: true,
                ..Guardrails::default()
            },
        }),
        recording: Recording {
            values: true,
            on_failure: OnFailure::GoOn,
            begun: true,
            longest_line: 1 << 20,
        },
    };
    let wire = opened(Opened::Lease(Box::new(given)));
    assert!(!format!("{wire:?}").contains("hunter2"));
    let Opened::Lease(lease) = to_opened(sent(&wire)) else {
        panic!("another answer")
    };
    assert_eq!(lease.term.renew_within, Duration::from_millis(4_999));
    assert_eq!(lease.recording.on_failure, OnFailure::GoOn);
    let Target::Postgres(target) = &lease.target else {
        panic!("{:?}", lease.target)
    };
    assert_eq!(
        (
            &*target.place.host,
            target.guardrails.no_ddl,
            target.guardrails.read_only
        ),
        ("db", true, false)
    );
    assert!(!format!("{lease:?}").contains("hunter2"));
    use secrecy::ExposeSecret as _;
    assert_eq!(target.password.as_ref().unwrap().expose_secret(), "hunter2");
}

#[test]
fn every_reason_and_every_ending_arrives() {
    let why = || "why".to_owned();
    let reasons = [
        Reason::Left,
        Reason::Expired,
        Reason::Revoked(why()),
        Reason::Killed(why()),
        Reason::Locked(why()),
        Reason::LeaseLost,
        Reason::RecordingFailed,
        Reason::TargetLost,
        Reason::ProtocolViolation,
        Reason::Stopping,
    ];
    for reason in reasons {
        let wire = super::reason(reason.clone());
        assert_ne!(wire.kind, api::EndKind::Other, "a closing says why");
        let back = to_renewed(sent(&renewed(Renewed::Ended(reason.clone()))));
        assert_eq!(back, Renewed::Ended(reason));
    }
    let whiches = [
        Which::Lease("l".into()),
        Which::Grant("g".into()),
        Which::Person("p".into()),
        Which::Every,
    ];
    for which in whiches {
        let given = Ending {
            which,
            reason: Reason::Expired,
        };
        assert_eq!(to_ending(sent(&ending(given.clone()))), given);
    }
}

#[test]
fn what_no_server_says_is_no_answer() {
    let given = api::ScramChallenge {
        ticket: Secret::new(String::from("t")),
        nonce: "abc".to_owned(),
        salt: "00ff".to_owned(),
        iterations: 4096,
    };
    assert!(to_challenge(&given).is_ok());
    for (nonce, salt, iterations) in [("", "00", 1), ("a,b", "00", 1), ("a", "0", 1), ("a", "00", 0)] {
        let (nonce, salt) = (nonce.to_owned(), salt.to_owned());
        let bad = api::ScramChallenge {
            nonce,
            salt,
            iterations,
            ..given.clone()
        };
        assert!(to_challenge(&bad).is_err(), "{bad:?}");
    }
    let unknown = api::ClientOrigin {
        peer: ([127, 0, 0, 1], 1).into(),
        protocol: "mysql".to_owned(),
    };
    assert!(to_origin(&unknown).is_none());
}

#[test]
fn a_gateway_apart_has_no_words_for_ssh() {
    let origin = Origin {
        peer: ([127, 0, 0, 1], 1).into(),
        protocol: "ssh",
    };
    assert!(to_origin(&super::origin(&origin)).is_none());
    let password = Proof::Password {
        user: "ana".to_owned(),
        secret: "secret".to_owned().into(),
    };
    assert!(prove(&password, &origin).is_none());
}

#[test]
fn a_programs_name_is_cut_where_a_server_takes_no_more_of_it() {
    let opening = super::opening(&Opening {
        ticket: Ticket("t".into()),
        target: "orders".to_owned(),
        origin: Origin {
            peer: ([127, 0, 0, 1], 1).into(),
            protocol: "postgres",
        },
        program: Some(format!("{}ü", "x".repeat(api::LONGEST_TEXT - 1))),
        key: None,
    });
    assert_eq!(opening.program.unwrap(), "x".repeat(api::LONGEST_TEXT - 1));
}

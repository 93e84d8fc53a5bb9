//! What one side writes, the other reads.

use daypass_core::time::Timestamp;

use super::*;
use crate::control::LeaseId;

/// There and back through JSON, as on the wire.
fn sent<T: serde::Serialize + serde::de::DeserializeOwned>(wire: &T) -> T {
    serde_json::from_str(&serde_json::to_string(wire).unwrap()).unwrap()
}

fn lease_to(target: Target) -> Lease {
    Lease {
        id: LeaseId::from("l"),
        session: "s".into(),
        grant: "g".into(),
        person: "p".into(),
        term: Term {
            renew_within: Duration::from_micros(4_999_999),
            ends_in: Duration::from_secs(60),
        },
        ends_at: Timestamp::EPOCH,
        target,
        recording: Recording {
            values: true,
            on_failure: OnFailure::GoOn,
            begun: true,
            longest_line: 1 << 20,
        },
    }
}

#[test]
fn a_lease_arrives_as_it_was_given_and_ends_no_later() {
    let given = lease_to(Target::Postgres(PostgresTarget {
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
    }));
    let wire = opened(Opened::Lease(Box::new(given)));
    assert!(!format!("{wire:?}").contains("hunter2"));
    let Opened::Lease(lease) = to_opened(sent(&wire)).unwrap() else {
        panic!("another answer")
    };
    assert_eq!(lease.term.renew_within, Duration::from_millis(4_999));
    assert_eq!(lease.recording.on_failure, OnFailure::GoOn);
    let Target::Postgres(target) = &lease.target else {
        panic!("another target")
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
fn a_host_arrives_as_it_was_given_or_not_at_all() {
    let place = |host: &str, port| crate::ssh::target::Place {
        host: host.to_owned(),
        port,
    };
    let target = crate::ssh::target::SshTarget {
        host: "10.0.0.7".to_owned(),
        port: 22,
        user: "deploy".to_owned(),
        certificate: "ssh-ed25519-cert-v01@openssh.com AAAA".to_owned(),
        known: crate::ssh::key::Known {
            name: "web-1".to_owned(),
            keys: vec![vec![0, 255]],
            authorities: vec![vec![7]],
        },
        allowed: crate::ssh::target::Allowed {
            exec: true,
            forward: vec![place("db", 5432)],
            listen: vec![place("localhost", 8080)],
            ..Default::default()
        },
    };
    let wire = opened(Opened::Lease(Box::new(lease_to(Target::Ssh(target.clone())))));
    let Opened::Lease(lease) = to_opened(sent(&wire)).unwrap() else {
        panic!("another answer")
    };
    let Target::Ssh(found) = lease.target else {
        panic!("another target")
    };
    assert_eq!(format!("{found:?}"), format!("{target:?}"));
    // What a gateway does not know it must not overhear.
    let mut json = serde_json::to_value(&wire).unwrap();
    json["upstream"]["allowed"]["no_root"] = true.into();
    assert!(serde_json::from_value::<api::OpenedSession>(json.clone()).is_err());
    let allowed = json["upstream"]["allowed"].as_object_mut().unwrap();
    allowed.remove("no_root");
    json["upstream"]["host_keys"] = serde_json::json!(["zz"]);
    let wire = serde_json::from_value::<api::OpenedSession>(json).unwrap();
    assert!(to_opened(wire).is_err());
}

#[test]
fn every_proof_arrives_and_shows_no_secret_on_the_way() {
    let origin = Origin {
        peer: ([127, 0, 0, 1], 1).into(),
        protocol: "ssh",
    };
    let proofs = [
        Proof::Scram {
            ticket: Ticket("t".into()),
            answer: scram::Answer {
                said: "said".to_owned(),
                proof: b"hunter2".to_vec(),
            },
        },
        Proof::Key {
            ticket: Ticket("t".into()),
            signed: Signed {
                exchange: b"hunter2".to_vec(),
                message: vec![0, 1, 255],
                signature: vec![7],
            },
        },
    ];
    for given in proofs {
        let wire = sent(&prove(&given, &origin).unwrap());
        let shown = format!("{wire:?}{given:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains(&hex::encode("hunter2")),
            "{shown}"
        );
        assert_eq!(to_origin(&wire.origin).unwrap().protocol, "ssh");
        match (given, to_proof(wire.proof).unwrap()) {
            (Proof::Scram { answer: one, .. }, Proof::Scram { answer: other, .. }) => {
                assert_eq!((one.said, one.proof), (other.said, other.proof));
            }
            (Proof::Key { signed: one, .. }, Proof::Key { signed: other, .. }) => {
                assert_eq!(
                    (&one.exchange, &one.message, &one.signature),
                    (&other.exchange, &other.message, &other.signature)
                );
            }
            (one, other) => panic!("{one:?} came as {other:?}"),
        }
    }
    let secret = Proof::Password {
        user: "ada".to_owned(),
        secret: "hunter2".into(),
    };
    assert!(prove(&secret, &origin).is_none(), "it does not leave");
    for bad in [
        r#"{"kind":"key","ticket":"t","exchange":"00","message":"00","signature":"00","sudo":true}"#,
        r#"{"kind":"word","said":"please"}"#,
        r#"{"kind":"password","user":"ada","secret":"s"}"#,
    ] {
        assert!(serde_json::from_str::<api::ClientProof>(bad).is_err(), "{bad}");
    }
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
fn a_programs_name_is_cut_where_a_server_takes_no_more_of_it() {
    let opening = super::opening(&Opening {
        key: None,
        ticket: Ticket("t".into()),
        target: "orders".to_owned(),
        origin: Origin {
            peer: ([127, 0, 0, 1], 1).into(),
            protocol: "postgres",
        },
        program: Some(format!("{}ü", "x".repeat(api::LONGEST_TEXT - 1))),
    });
    assert_eq!(opening.program.unwrap(), "x".repeat(api::LONGEST_TEXT - 1));
}

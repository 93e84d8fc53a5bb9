//! TLS to the target: checked against the host's name, and never quietly without.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use daypass_core::entitlement::Fault;
use daypass_providers::Tls;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;

use super::Here;
use crate::stand::Stand as _;

/// Gives the server a certificate for these names, and returns the CA's.
async fn serve_tls(here: &Here, names: &[&str]) -> String {
    let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    let log = here.cluster(|cluster| cluster.log_path());
    let place = log.parent().unwrap();
    let owner = fs::metadata(place.join("data")).unwrap();
    for (name, text) in [
        ("server.crt", certificate.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        let path = place.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        let setting = if name == "server.crt" {
            "ssl_cert_file"
        } else {
            "ssl_key_file"
        };
        here.sql(
            "postgres",
            &format!("ALTER SYSTEM SET {setting} = '{}'", path.display()),
        )
        .await;
    }
    here.sql("postgres", "ALTER SYSTEM SET ssl = on").await;
    here.down().await;
    here.up().await;
    ca.pem()
}

fn trust(here: &Here, ca_pem: Option<&str>) {
    here.secrets.0.lock().unwrap().tls = Some(Tls::VerifyFull {
        ca_pem: ca_pem.map(str::to_owned),
    });
}

#[tokio::test]
async fn the_certificate_must_fit() {
    let here = Here::start().await;
    let case = here.case(1, json!({"member_of": ["app_reader"]}));
    trust(&here, None);
    let error = case.try_provision().await.unwrap_err();
    assert_eq!(
        error.fault,
        Fault::Misconfigured,
        "a server without TLS is not talked to: {error}"
    );

    let ca = serve_tls(&here, &["127.0.0.1"]).await;
    trust(&here, Some(&ca));
    case.provision().await;
    let used = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity USING (pid) WHERE s.ssl";
    assert_eq!(
        here.ask("postgres", used).await.as_deref(),
        Some("0"),
        "our own sessions are not kept open"
    );
    let credential = case.provider.credential(&case.key, &case.spec).await.unwrap();
    assert_eq!(
        credential.fields.get("sslmode").map(String::as_str),
        Some("verify-full")
    );
    assert_eq!(credential.fields.get("sslrootcert_pem"), Some(&ca));

    trust(&here, None);
    let error = case.try_provision().await.unwrap_err();
    assert_eq!(
        error.fault,
        Fault::Misconfigured,
        "the system does not know this CA: {error}"
    );
    trust(&here, Some("no certificate at all"));
    assert_eq!(
        case.try_provision().await.unwrap_err().fault,
        Fault::Misconfigured
    );

    let ca = serve_tls(&here, &["db.example.com"]).await;
    trust(&here, Some(&ca));
    let error = case.try_provision().await.unwrap_err();
    assert_eq!(
        error.fault,
        Fault::Misconfigured,
        "another host's certificate: {error}"
    );
}

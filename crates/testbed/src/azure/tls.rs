//! A throw-away authority and its certificate for 127.0.0.1: Microsoft's credentials take an authority by https only.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::{Error, Result};

/// What takes connections, and the authority's certificate as PEM.
pub(super) fn make() -> Result<(TlsAcceptor, String)> {
    let made = |what: &str, error: &dyn std::fmt::Display| Error::Io {
        what: format!("making {what}"),
        source: std::io::Error::other(error.to_string()),
    };
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name
        .push(DnType::CommonName, "the CA of the stand-in");
    let key = KeyPair::generate().map_err(|error| made("a key", &error))?;
    let ca = CertifiedIssuer::self_signed(ca, key).map_err(|error| made("a CA", &error))?;
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned()])
        .map_err(|error| made("a certificate", &error))?;
    leaf.subject_alt_names
        .push(SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()));
    let key = KeyPair::generate().map_err(|error| made("a key", &error))?;
    let leaf = leaf
        .signed_by(&key, &ca)
        .map_err(|error| made("a certificate", &error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| made("a configuration of TLS", &error))?
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .map_err(|error| made("a configuration of TLS", &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), ca.pem()))
}

//! TLS to the target: the certificate is always checked against the host's name; there is no weaker kind.

use std::sync::{Arc, OnceLock};

use daypass_core::entitlement::Fault;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::fault;
use crate::Error;

/// What connects with TLS: with this CA (PEM, one or more certificates), else with the system's.
pub(super) fn connector(ca_pem: Option<&str>) -> Result<MakeRustlsConnect, Error> {
    static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = match (ca_pem, SYSTEM.get()) {
        (Some(pem), _) => Arc::new(given(pem)?),
        (None, Some(roots)) => Arc::clone(roots),
        (None, None) => Arc::clone(SYSTEM.get_or_init(|| Arc::new(system()))),
    };
    if roots.is_empty() {
        let detail = "this machine has no system certificates; give the connector's secret a CA of its own";
        return Err(Error::new(Fault::Misconfigured, detail));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // What cannot be read of the system's store is left out, as every client of it does.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn given(pem: &str) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let added = certificate
            .map_err(|error| unusable(&error))
            .and_then(|certificate| roots.add(certificate).map_err(|error| unusable(&error)));
        added?;
    }
    Ok(roots)
}

/// The CA or the host's name cannot be used.
pub(super) fn unusable(error: &dyn std::fmt::Display) -> Error {
    Error::new(Fault::Misconfigured, format!("TLS cannot be set up: {error}"))
}

/// What went wrong when connecting. A certificate that does not fit is a matter of configuration, not of patience.
pub(super) fn explain(error: &tokio_postgres::Error, doing: &str) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inside = inner
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        let rustls = inside.and_then(|inside| inside.downcast_ref::<rustls::Error>());
        if let Some(error) = rustls.or_else(|| inner.downcast_ref()) {
            return Error::new(Fault::Misconfigured, format!("{doing}: TLS: {error}"));
        }
        if inner.to_string() == "server does not support TLS" {
            return Error::new(
                Fault::Misconfigured,
                format!("{doing}: the server does not offer TLS"),
            );
        }
        cause = inner.source();
    }
    fault::from(error, doing)
}

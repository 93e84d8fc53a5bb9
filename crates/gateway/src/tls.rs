//! TLS on both sides: rustls, with what channel binding needs of a certificate.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use thiserror::Error;
use x509_cert::der::Decode as _;

/// TLS cannot be set up as told.
#[derive(Debug, Clone, Error)]
#[error("TLS cannot be set up: {0}")]
pub struct BadTls(String);

impl BadTls {
    fn new(error: &dyn std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let made = || Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Arc::clone(PROVIDER.get_or_init(made))
}

/// What this gateway shows to clients.
#[derive(Clone)]
pub struct Identity {
    pub(crate) config: Arc<ServerConfig>,
    /// The digest of the certificate, where it has one.
    pub(crate) end_point: Option<Arc<[u8]>>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(…)")
    }
}

impl Identity {
    /// What clients that can are bound to: for [`crate::scram::Certificates`], where who decides knows its gateways.
    #[must_use]
    pub fn end_point(&self) -> Option<&[u8]> {
        self.end_point.as_deref()
    }

    /// Of a certificate with its chain and its key, both PEM, for a protocol's name (ALPN).
    ///
    /// # Errors
    /// They cannot be read, or do not fit each other.
    pub fn from_pem(chain: &[u8], key: &[u8], alpn: &[u8]) -> Result<Self, BadTls> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|error| BadTls::new(&error))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| BadTls::new(&error))?;
        let end_point = chain.first().and_then(|certificate| end_point(certificate));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| BadTls::new(&error))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| BadTls::new(&error))?;
        config.alpn_protocols = vec![alpn.to_vec()];
        Ok(Self {
            config: Arc::new(config),
            end_point: end_point.map(Arc::from),
        })
    }
}

/// What a target's certificate is held against: always its host's name too; there is no weaker kind.
///
/// # Errors
/// The CA cannot be read, or this machine has no system certificates.
pub(crate) fn trusting(ca_pem: Option<&str>, alpn: &[u8]) -> Result<Arc<ClientConfig>, BadTls> {
    static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = match ca_pem {
        Some(pem) => Arc::new(given(pem)?),
        None => Arc::clone(SYSTEM.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            // What cannot be read of the system's store is left out, as every client of it does.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Arc::new(roots)
        })),
    };
    if roots.is_empty() {
        return Err(BadTls("there is no certificate to trust".to_owned()));
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| BadTls::new(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(Arc::new(config))
}

fn given(pem: &str) -> Result<RootCertStore, BadTls> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| BadTls::new(&error))?;
        roots.add(certificate).map_err(|error| BadTls::new(&error))?;
    }
    Ok(roots)
}

/// The digests of all certificates in this text (PEM), for who knows which ones a gateway may show.
///
/// # Errors
/// It cannot be read, or has none.
pub fn end_points(pem: &[u8]) -> Result<Vec<Vec<u8>>, BadTls> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| BadTls::new(&error))?;
    if certificates.is_empty() {
        return Err(BadTls(String::from("there is no certificate in it")));
    }
    Ok(certificates.iter().filter_map(end_point).collect())
}

/// The digest of a certificate for `tls-server-end-point` (RFC 5929, 4.1): by the hash that signed it, or SHA-256 for the broken
/// ones. `None` where the signature has no hash of its own, as with Ed25519: libpq gives up there too.
pub(crate) fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let parsed = x509_cert::Certificate::from_der(certificate).ok()?;
    // RFC 8017 and RFC 5758: md5, sha1, sha256, sha384, sha512 with RSA; with ECDSA.
    let algorithm = match parsed.signature_algorithm.oid.to_string().as_str() {
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.113549.1.1.11" => &digest::SHA256,
        "1.2.840.10045.4.1" | "1.2.840.10045.4.3.2" => &digest::SHA256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &digest::SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &digest::SHA512,
        _ => return None,
    };
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

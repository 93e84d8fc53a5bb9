//! A client certificate shown to Entra: an assertion that says who calls, signed with the certificate's key.
//!
//! "Microsoft identity platform application authentication certificate credentials" at Microsoft Learn has its form: a JWT with RS256,
//! `x5t#S256`, and the token endpoint as its audience. The library's own credential for this needs OpenSSL.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use azure_core::error::ErrorKind;
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::ExposeSecret as _;
use serde_json::json;

/// How long an assertion is good for, in seconds. Entra takes at most ten minutes or so; it is used at once.
const LIFE: u64 = 300;

/// How far our clock may be ahead of Entra's, in seconds.
const SKEW: u64 = 30;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the certificate {}: {why}", file.display())]
pub(super) struct Unusable {
    file: PathBuf,
    why: String,
}

/// A certificate with its key, in a file that is read for each token: one that was replaced is seen.
#[derive(Debug)]
pub(super) struct Certificate {
    file: PathBuf,
    client_id: String,
    audience: String,
}

impl Certificate {
    pub(super) fn new(file: PathBuf, client_id: String, audience: String) -> Self {
        Self {
            file,
            client_id,
            audience,
        }
    }
}

#[async_trait::async_trait]
impl ClientAssertion for Certificate {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let (file, client_id, audience) = (self.file.clone(), self.client_id.clone(), self.audience.clone());
        let work = move || {
            let pem = read(&file)?;
            assertion(&pem, &client_id, &audience, super::edge::unix_seconds())
                .map_err(|why| Unusable { file, why })
        };
        let done = tokio::task::spawn_blocking(work).await;
        let done = done.map_err(|error| azure_core::Error::new(ErrorKind::Other, error))?;
        done.map_err(|error| azure_core::Error::new(ErrorKind::Credential, error))
    }
}

/// The file's text. It holds a private key: nobody but its owner may read it.
fn read(file: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, Unusable> {
    let wrong = |why: String| Unusable {
        file: file.to_owned(),
        why,
    };
    let mode = std::fs::metadata(file)
        .map_err(|error| wrong(error.to_string()))?
        .mode();
    if mode & 0o077 != 0 {
        return Err(wrong(format!(
            "others may read or write it (mode {:03o}); chmod 600 it",
            mode & 0o777
        )));
    }
    let text = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    Ok(zeroize::Zeroizing::new(text))
}

/// A signed assertion, good for five minutes.
fn assertion(pem: &[u8], client_id: &str, audience: &str, now: u64) -> Result<String, String> {
    let certificate = CertificateDer::from_pem_slice(pem).map_err(|_| "it has no certificate in PEM")?;
    let key = PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| "it has no private key in PEM: put certificate and key into one file")?;
    let key = match &key {
        PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err("its key is no RSA key, which Entra wants".to_owned()),
    };
    let key = key.map_err(|_| "its key is no RSA key of 2048 bits or more, which Entra wants")?;
    let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, certificate.as_ref()));
    let header = json!({"alg": "RS256", "typ": "JWT", "x5t#S256": thumbprint});
    let claims = json!({
        "aud": audience,
        "iss": client_id,
        "sub": client_id,
        "jti": crate::password::random().expose_secret(),
        "nbf": now.saturating_sub(SKEW),
        "iat": now,
        "exp": now.saturating_add(LIFE),
    });
    let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let mut signature = vec![0_u8; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .map_err(|_| "signing with its key failed")?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&signature)))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use rcgen::{CertificateParams, KeyPair as Maker, PKCS_RSA_SHA256};

    use super::*;

    fn rsa() -> (String, Vec<u8>) {
        let key = Maker::generate_for(&PKCS_RSA_SHA256).unwrap();
        let certificate = CertificateParams::new(vec!["daypass".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let own = KeyPair::from_pkcs8(&key.serialize_der()).unwrap();
        let public = own.public_key().as_ref().to_vec();
        (format!("{}{}", certificate.pem(), key.serialize_pem()), public)
    }

    #[test]
    fn an_assertion_says_who_calls_and_is_signed_by_the_certificates_key() {
        let (pem, public) = rsa();
        let jwt = assertion(
            pem.as_bytes(),
            "app",
            "https://login/t/oauth2/v2.0/token",
            1_000_000,
        )
        .unwrap();
        let (signed, signature) = jwt.rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let decode = |part: &str| -> serde_json::Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        let (header, claims) = (decode(header), decode(claims));
        assert_eq!(header["alg"], "RS256");
        assert_eq!(header["x5t#S256"].as_str().unwrap().len(), 43);
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["exp"]),
            (&json!("app"), &json!("app"), &json!(1_000_300))
        );
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        key.verify(signed.as_bytes(), &signature).unwrap();
        assert!(key.verify(b"other", &signature).is_err());
        let again = assertion(pem.as_bytes(), "app", "x", 1_000_000).unwrap();
        assert_ne!(jwt, again);
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let (pem, _) = rsa();
        let (certificate, key) = pem.split_once("-----BEGIN PRIVATE").unwrap();
        let of = |pem: &str| assertion(pem.as_bytes(), "a", "b", 1).unwrap_err();
        assert!(of(certificate).contains("no private key"));
        assert!(of(&format!("-----BEGIN PRIVATE{key}")).contains("no certificate"));
        let curve = Maker::generate().unwrap();
        assert!(of(&format!("{certificate}{}", curve.serialize_pem())).contains("RSA"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.pem");
        std::fs::write(&file, &pem).unwrap();
        assert!(
            read(&file).is_err_and(
                |error| error.to_string().contains("chmod 600") || error.to_string().contains("600")
            )
        );
    }
}

//! A certificate authority: an Ed25519 key, the certificates that it signs and its public line.
//!
//! Source: OpenSSH's PROTOCOL.certkeys. `ssh-keygen -L` and a real sshd read what is made here (see the tests).

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::entitlement::Fault;
use daypass_core::time::Timestamp;

use super::key::PublicKey;
use super::wire::Writer;
use crate::Error;

/// A certificate for a user, not for a host.
const USER: u32 = 1;
const ED25519: &str = "ssh-ed25519";

/// The authority of one connector. It has no `Debug`: it holds the key.
pub(super) struct Authority {
    pair: Ed25519KeyPair,
}

/// What a certificate says.
#[derive(Debug, Clone)]
pub(super) struct Claims<'a> {
    pub(super) key: &'a PublicKey,
    pub(super) serial: u64,
    pub(super) key_id: &'a str,
    pub(super) principals: &'a [String],
    pub(super) valid_after: Timestamp,
    pub(super) valid_before: Timestamp,
    pub(super) force_command: Option<&'a str>,
    pub(super) source_address: &'a [String],
    pub(super) extensions: &'a [String],
}

impl Authority {
    /// The authority with this private key.
    ///
    /// # Errors
    /// Where it cannot be one.
    pub(super) fn new(seed: &[u8; 32]) -> Result<Self, Error> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| Error::new(Fault::Bug, "the authority's key cannot be used"))?;
        Ok(Self { pair })
    }

    /// Its public key in SSH's encoding.
    pub(super) fn blob(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.string(ED25519);
        out.string(self.pair.public_key().as_ref());
        out.0
    }

    /// Its public key as it is.
    ///
    /// # Errors
    /// Where it is not one of Ed25519, which is a defect.
    pub(super) fn public(&self) -> Result<[u8; 32], Error> {
        let public = self.pair.public_key().as_ref().try_into();
        public.map_err(|_| Error::new(Fault::Bug, "the authority's public key has another length"))
    }

    /// Its public key's fingerprint, as `ssh-keygen -l` shows it.
    pub(super) fn fingerprint(&self) -> String {
        super::key::fingerprint(&self.blob())
    }

    /// The line for `TrustedUserCAKeys`.
    pub(super) fn line(&self, comment: &str) -> String {
        format!("{ED25519} {} {comment}\n", STANDARD.encode(self.blob()))
    }

    /// The certificate's line, as in a file `…-cert.pub`.
    pub(super) fn sign(&self, nonce: [u8; 32], claims: &Claims<'_>) -> String {
        let algorithm = format!("{}-cert-v01@openssh.com", claims.key.algorithm);
        let mut out = Writer::default();
        out.string(&algorithm);
        out.string(nonce);
        out.0.extend_from_slice(&claims.key.fields);
        out.u64(claims.serial);
        out.u32(USER);
        out.string(claims.key_id);
        let mut principals = Writer::default();
        claims
            .principals
            .iter()
            .for_each(|principal| principals.string(principal));
        out.string(&principals.0);
        // Rounded down: it is never valid for longer than was meant.
        out.u64(claims.valid_after.unix_seconds());
        out.u64(claims.valid_before.unix_seconds());
        let addresses = claims.source_address.join(",");
        let addresses = (!addresses.is_empty()).then_some(addresses.as_str());
        // In the order of their names, as must be.
        out.string(
            &options([
                ("force-command", claims.force_command),
                ("source-address", addresses),
            ])
            .0,
        );
        let mut extensions = Writer::default();
        let mut sorted: Vec<_> = claims.extensions.iter().collect();
        sorted.sort();
        for extension in sorted {
            extensions.string(extension);
            extensions.string("");
        }
        out.string(&extensions.0);
        out.string("");
        out.string(self.blob());
        let mut signature = Writer::default();
        signature.string(ED25519);
        signature.string(self.pair.sign(&out.0).as_ref());
        out.string(&signature.0);
        format!("{algorithm} {}\n", STANDARD.encode(&out.0))
    }
}

fn options<const N: usize>(all: [(&str, Option<&str>); N]) -> Writer {
    let mut out = Writer::default();
    for (name, value) in all {
        let Some(value) = value else { continue };
        let mut data = Writer::default();
        data.string(value);
        out.string(name);
        out.string(&data.0);
    }
    out
}

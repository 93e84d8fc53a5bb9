//! The list of certificates that are refused before they run out, as `RevokedKeys` takes it. Pure.
//!
//! Source: OpenSSH's PROTOCOL.krl. It is not signed: whoever may write it on a host may write that host's sshd_config too.

use std::collections::BTreeSet;

use daypass_core::time::Timestamp;

use super::rotation::Publics;
use super::wire::Writer;

/// `SSHKRL\n\0`.
const MAGIC: [u8; 8] = *b"SSHKRL\n\0";
const FORMAT: u32 = 1;
const SECTION_CERTIFICATES: u8 = 1;
/// Keys that are refused themselves, and every certificate that they signed.
const SECTION_KEYS: u8 = 2;
const CERTIFICATES_BY_SERIAL: u8 = 0x20;

/// Writes the list. `keys`: the authority's public keys in SSH's encoding; the serials are those of its certificates, whichever signed
/// each: no serial comes twice.
/// Serial 0 cannot be revoked by its number and is not written: no authority of ours uses it.
pub(super) fn write(version: u64, made: Timestamp, keys: &Publics, serials: &BTreeSet<u64>) -> Vec<u8> {
    let mut out = Writer(MAGIC.to_vec());
    out.u32(FORMAT);
    out.u64(version);
    out.u64(made.unix_seconds());
    out.u64(0);
    out.string("");
    out.string("daypass");
    let mut list = Writer::default();
    serials
        .iter()
        .filter(|serial| **serial != 0)
        .for_each(|serial| list.u64(*serial));
    for signing in &keys.signing {
        let mut section = Writer::default();
        section.string(signing);
        section.string("");
        if !list.0.is_empty() {
            section.u8(CERTIFICATES_BY_SERIAL);
            section.string(&list.0);
        }
        out.u8(SECTION_CERTIFICATES);
        out.string(&section.0);
    }
    if !keys.withdrawn.is_empty() {
        let mut section = Writer::default();
        keys.withdrawn.iter().for_each(|key| section.string(key));
        out.u8(SECTION_KEYS);
        out.string(&section.0);
    }
    out.0
}

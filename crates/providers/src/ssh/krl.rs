//! The list of certificates that are refused before they run out, as `RevokedKeys` takes it. Pure.
//!
//! Source: OpenSSH's PROTOCOL.krl. It is not signed: whoever may write it on a host may write that host's sshd_config too.

use std::collections::BTreeSet;

use daypass_core::time::Timestamp;

use super::wire::Writer;

/// `SSHKRL\n\0`.
const MAGIC: [u8; 8] = *b"SSHKRL\n\0";
const FORMAT: u32 = 1;
const SECTION_CERTIFICATES: u8 = 1;
const CERTIFICATES_BY_SERIAL: u8 = 0x20;

/// Writes the list. `authority`: the authority's public key in SSH's encoding; the serials are those of its certificates.
/// Serial 0 cannot be revoked by its number and is not written: no authority of ours uses it.
pub(super) fn write(version: u64, made: Timestamp, authority: &[u8], serials: &BTreeSet<u64>) -> Vec<u8> {
    let mut out = Writer(MAGIC.to_vec());
    out.u32(FORMAT);
    out.u64(version);
    out.u64(u64::try_from(made.micros().div_euclid(1_000_000)).unwrap_or(0));
    out.u64(0);
    out.string("");
    out.string("daypass");
    let mut section = Writer::default();
    section.string(authority);
    section.string("");
    let mut list = Writer::default();
    serials
        .iter()
        .filter(|serial| **serial != 0)
        .for_each(|serial| list.u64(*serial));
    if !list.0.is_empty() {
        section.u8(CERTIFICATES_BY_SERIAL);
        section.string(&list.0);
    }
    out.u8(SECTION_CERTIFICATES);
    out.string(&section.0);
    out.0
}

//! A certificate that somebody shows a gateway: whether an authority of ours signed it, for that alone, and whether it is still good.
//!
//! What it names is one principal that no host's file has and no user of a host is called (a name of a user has no colon). So it opens the
//! gateway, and nothing else. Everything about it is as we write it, or it is none of ours. Pure, but for the keys.
//!
//! Source: OpenSSH's PROTOCOL.certkeys.

use aws_lc_rs::signature::{ED25519, VerificationAlgorithm as _};
use daypass_core::time::Timestamp;

use super::wire::Reader;

/// A certificate for a user, not for a host.
const USER: u32 = 1;
const ED: &[u8] = b"ssh-ed25519";
const CERTIFIED: &str = "-cert-v01@openssh.com";
/// The longest that is looked at, in bytes.
const LONGEST: usize = 8192;

/// What it says, once it is known to be ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// Its serial.
    pub serial: u64,
    /// The one principal that it names.
    pub principal: String,
}

/// A certificate, read. Who signed it is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub(super) serial: u64,
    principal: String,
    after: u64,
    before: u64,
    authority: Vec<u8>,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

impl Shown {
    /// Reads one; nothing where it is none that is shown to gateways.
    #[must_use]
    pub fn read(blob: &[u8]) -> Option<Self> {
        let mut fields = Reader(Some(blob).filter(|blob| blob.len() <= LONGEST)?);
        let algorithm = std::str::from_utf8(fields.string()?).ok()?;
        fields.string()?;
        let of_key = match algorithm.strip_suffix(CERTIFIED)? {
            "ssh-ed25519" => 1,
            "ssh-rsa" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521" => 2,
            _ => return None,
        };
        for _ in 0..of_key {
            fields.string()?;
        }
        let (serial, kind) = (fields.u64()?, fields.u32()?);
        fields.string()?;
        let mut principals = Reader(fields.string()?);
        let principal = std::str::from_utf8(principals.string()?).ok()?.to_owned();
        let (after, before) = (fields.u64()?, fields.u64()?);
        // Critical options, extensions, and what is reserved: ours has none. What we do not understand, it does not say.
        let plain = (0..3).all(|_| fields.string().is_some_and(<[u8]>::is_empty));
        let authority = fields.string()?.to_vec();
        let signed = blob.get(..blob.len() - fields.0.len())?.to_vec();
        let signature = fields.string()?.to_vec();
        (fields.is_empty() && principals.is_empty() && plain && kind == USER).then_some(Self {
            serial,
            principal,
            after,
            before,
            authority,
            signed,
            signature,
        })
    }

    /// What it names. Nobody knows yet whether that is true.
    #[must_use]
    pub fn claims(&self) -> &str {
        &self.principal
    }

    /// Whether it is signed by one of these keys of Ed25519, each in SSH's encoding, and valid at this instant of the clock. The key that
    /// it brings along is looked at only to know which of ours is meant.
    pub(super) fn is_good(&self, authorities: &[Vec<u8>], clock: Timestamp) -> bool {
        let now = clock.unix_seconds();
        let ours = authorities.iter().find(|ours| **ours == self.authority);
        ours.is_some_and(|ours| (self.after..self.before).contains(&now) && self.is_signed(ours).is_some())
    }

    fn is_signed(&self, authority: &[u8]) -> Option<()> {
        let mut key = Reader(authority);
        let (kind, point) = (key.string()?, key.string()?);
        let mut signature = Reader(&self.signature);
        let (by, bytes) = (signature.string()?, signature.string()?);
        let whole = kind == ED && by == ED && key.is_empty() && signature.is_empty();
        ED25519
            .verify_sig(point, &self.signed, bytes)
            .ok()
            .filter(|()| whole)
    }

    pub(super) fn into_presented(self) -> Presented {
        Presented {
            serial: self.serial,
            principal: self.principal,
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use daypass_core::time::Span;

    use super::super::authority::{Authority, Claims};
    use super::super::key::PublicKey;
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEtBLR0QXeUZI8QYg3GQ5XoJH3WYM0eqF0C4sNeUMJvo x";

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH + Span::seconds(seconds)
    }

    fn texts(all: &[&str]) -> &'static [String] {
        Box::leak(all.iter().map(|one| (*one).to_owned()).collect())
    }

    fn signed(by: &Authority, change: impl FnOnce(&mut Claims<'static>)) -> Vec<u8> {
        let mut claims = Claims {
            key: Box::leak(Box::new(PublicKey::read(KEY).unwrap())),
            serial: 7,
            key_id: "ana",
            principals: texts(&["gateway:G:web/x"]),
            valid_after: at(1000),
            valid_before: at(1300),
            force_command: None,
            source_address: &[],
            extensions: &[],
        };
        change(&mut claims);
        let line = by.sign([9; 32], &claims);
        STANDARD.decode(line.split(' ').nth(1).unwrap().trim()).unwrap()
    }

    #[test]
    fn one_of_ours_is_good_for_its_time_and_by_our_key_alone() {
        let (ours, other) = (
            Authority::new(&[1; 32]).unwrap(),
            Authority::new(&[2; 32]).unwrap(),
        );
        let shown = Shown::read(&signed(&ours, |_| ())).unwrap();
        assert_eq!((shown.serial, shown.claims()), (7, "gateway:G:web/x"));
        let keys = [ours.blob()];
        assert!(shown.is_good(&keys, at(1000)) && shown.is_good(&keys, at(1299)));
        assert!(!shown.is_good(&keys, at(999)) && !shown.is_good(&keys, at(1300)));
        assert!(!shown.is_good(&[other.blob()], at(1100)), "another's key");
        assert!(!shown.is_good(&[], at(1100)));
        // Signed by another, and said to be by us.
        let mut forged = Shown::read(&signed(&other, |_| ())).unwrap();
        forged.authority = ours.blob();
        assert!(!forged.is_good(&keys, at(1100)));
    }

    #[test]
    fn no_byte_of_it_can_be_another() {
        let ours = Authority::new(&[1; 32]).unwrap();
        let blob = signed(&ours, |_| ());
        let keys = [ours.blob()];
        for index in 0..blob.len() {
            let mut other = blob.clone();
            other[index] ^= 1;
            let good = Shown::read(&other).is_some_and(|shown| shown.is_good(&keys, at(1100)));
            assert!(!good, "byte {index}");
        }
        for length in 0..blob.len() {
            assert!(Shown::read(&blob[..length]).is_none(), "{length} bytes");
        }
        let mut longer = blob;
        longer.push(0);
        assert!(Shown::read(&longer).is_none());
        assert!(Shown::read(&vec![0; 100_000]).is_none());
    }

    #[test]
    fn what_is_not_written_as_ours_is_none() {
        let ours = Authority::new(&[1; 32]).unwrap();
        let two = texts(&["gateway:G:web/x", "deploy@web"]);
        let (extensions, addresses) = (texts(&["permit-pty"]), texts(&["0.0.0.0/0"]));
        assert!(Shown::read(&signed(&ours, |claims| claims.principals = two)).is_none());
        assert!(Shown::read(&signed(&ours, |claims| claims.principals = &[])).is_none());
        assert!(Shown::read(&signed(&ours, |claims| claims.extensions = extensions)).is_none());
        assert!(Shown::read(&signed(&ours, |claims| claims.force_command = Some("x"))).is_none());
        assert!(Shown::read(&signed(&ours, |claims| claims.source_address = addresses)).is_none());
        let key = PublicKey::read(KEY).unwrap().blob();
        assert!(Shown::read(&key).is_none(), "a key is no certificate");
    }
}

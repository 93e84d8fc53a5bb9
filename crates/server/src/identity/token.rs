//! Sessions, API tokens and credentials for the gateway: opaque, 256 random bits, known to the store by their SHA-256 only.
//!
//! A slow hash would gain nothing here: nobody guesses 256 random bits.

use daypass_core::text::Hash;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroize as _;

/// What a login session begins with, so that scanners for leaked secrets find it.
pub(crate) const SESSION_PREFIX: &str = "dp_s_";
/// What an API token begins with.
pub(crate) const TOKEN_PREFIX: &str = "dp_t_";
/// What a credential for the gateway begins with. The API does not take it.
pub(crate) const GATEWAY_PREFIX: &str = "dp_g_";
/// 32 bytes in hexadecimal.
const DIGITS: usize = 64;

/// A secret that was just made. It is shown once and kept nowhere.
pub(crate) struct Minted {
    /// The secret itself, for its owner.
    pub secret: SecretString,
    /// What the store keeps.
    pub hash: Hash,
}

/// Makes a secret of 32 random bytes.
#[must_use]
pub(crate) fn mint(prefix: &str, mut bytes: [u8; 32]) -> Minted {
    let mut text = hex::encode(bytes);
    bytes.zeroize();
    let secret = SecretString::from(format!("{prefix}{text}"));
    text.zeroize();
    let hash = Hash::of(secret.expose_secret().as_bytes());
    Minted { secret, hash }
}

/// The hash of what somebody presented, or `None` where it cannot be one of ours.
#[must_use]
pub(crate) fn recognise(presented: &str) -> Option<Hash> {
    let digits = presented
        .strip_prefix(SESSION_PREFIX)
        .or_else(|| presented.strip_prefix(TOKEN_PREFIX))?;
    let ours = digits.len() == DIGITS
        && digits
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    ours.then(|| Hash::of(presented.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_secret_is_recognised_by_its_hash() {
        let minted = mint(SESSION_PREFIX, [0xa5; 32]);
        assert_eq!(recognise(minted.secret.expose_secret()), Some(minted.hash));
        assert_ne!(
            recognise(mint(TOKEN_PREFIX, [0xa5; 32]).secret.expose_secret()),
            Some(minted.hash)
        );
    }

    #[test]
    fn nothing_else_is_looked_up() {
        let good = format!("dp_s_{}", "a".repeat(64));
        assert!(recognise(&good).is_some());
        for bad in [
            "",
            "dp_s_",
            "dp_x_00",
            &good.to_uppercase(),
            &format!("{good}a"),
            &good.replace("dp_s_", "dp_g_"),
            &good.replace("dp_s_a", "dp_s_'"),
        ] {
            assert!(recognise(bad).is_none(), "{bad}");
        }
    }
}

//! Random passwords: the one place of this crate that draws randomness.

use rand::RngExt as _;
use rand::distr::Alphanumeric;
use secrecy::SecretString;

/// 32 letters and digits: 190 bits, and nothing that a shell, a URL or a password file would have to quote.
const LENGTH: usize = 32;

/// A fresh random password from the thread's cryptographically secure generator.
#[expect(
    clippy::disallowed_methods,
    reason = "a password that could be replayed would be no password"
)]
pub(crate) fn random() -> SecretString {
    let text: String = rand::rng()
        .sample_iter(Alphanumeric)
        .take(LENGTH)
        .map(char::from)
        .collect();
    SecretString::from(text)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    #[test]
    fn passwords_are_long_plain_and_never_the_same() {
        let all: std::collections::BTreeSet<_> = (0..100)
            .map(|_| super::random().expose_secret().to_owned())
            .collect();
        assert_eq!(all.len(), 100);
        assert!(
            all.iter()
                .all(|one| one.len() == 32 && one.chars().all(|c| c.is_ascii_alphanumeric()))
        );
    }
}

//! Passwords: argon2id, off the async threads, a few at a time, and with the same work for a login that does not exist.
//!
//! Parameters: 19 MiB of memory, two passes, one lane. Source: OWASP Password Storage Cheat Sheet
//! (<https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id>).

use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use daypass_core::refusal::{Code, Refusal};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

/// Memory in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// Lanes.
const LANES: u32 = 1;
/// How many are hashed at the same time: each takes [`MEMORY_KIB`] and a core for some 20 ms.
const AT_A_TIME: usize = 2;
/// How many may wait for their turn before others are sent away.
const WAITING: usize = 64;

/// The shortest password, in characters (NIST SP 800-63B asks for at least 8; there is no second factor yet).
pub(crate) const MIN_CHARS: usize = 12;
/// The longest, in bytes: what is longer only costs time.
pub(crate) const MAX_BYTES: usize = 256;

/// The password could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too many others are waiting.
    #[error("too many logins at the same time; try again in a few seconds")]
    Busy,
    /// The hasher failed; the text holds no password.
    #[error("passwords cannot be checked: {0}")]
    Broken(String),
}

/// Hashes and checks passwords. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    memory: Arc<Memory>,
    /// The hash of a password that nobody knows: what an unknown login is checked against.
    decoy: Arc<str>,
}

/// What hashing works in. It is used again and again: freed, every thread of the pool would keep a piece of this size.
#[derive(Default)]
struct Memory(Mutex<Vec<Vec<Block>>>);

impl Passwords {
    /// A hasher. `seed` makes the decoy; it must be random.
    ///
    /// # Errors
    /// Where argon2 cannot work here.
    pub(crate) fn new(seed: [u8; 32]) -> Result<Self, Error> {
        let (password, salt) = seed.split_at(16);
        let memory = Memory::default();
        let decoy = memory.hash(&hex::encode(password), salt)?;
        Ok(Self {
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            queue: Arc::new(Semaphore::new(WAITING)),
            memory: Arc::new(memory),
            decoy: decoy.into(),
        })
    }

    /// The hash of a password in PHC form, with a salt that the caller drew at random.
    ///
    /// # Errors
    /// Where too many are waiting.
    pub(crate) async fn hash(&self, password: SecretString, salt: [u8; 16]) -> Result<String, Error> {
        self.off_thread(move |memory| memory.hash(password.expose_secret(), &salt))
            .await?
    }

    /// Whether this is the password behind the hash. Without a hash the work is the same and the answer is no.
    ///
    /// # Errors
    /// Where too many are waiting.
    pub(crate) async fn verify(&self, stored: Option<String>, password: SecretString) -> Result<bool, Error> {
        let known = stored.is_some();
        let against = stored.unwrap_or_else(|| self.decoy.to_string());
        let fits = self
            .off_thread(move |memory| memory.verify(password.expose_secret(), &against))
            .await?;
        Ok(fits && known)
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Memory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let _place = self.queue.try_acquire().map_err(|_| Error::Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|error| Error::Broken(error.to_string()))?;
        let memory = Arc::clone(&self.memory);
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&memory);
            // The turn goes with the work, not with who waits for it: a client that hangs up frees nothing early.
            drop(turn);
            done
        });
        done.await.map_err(|error| Error::Broken(error.to_string()))
    }
}

impl Memory {
    fn hash(&self, password: &str, salt: &[u8]) -> Result<String, Error> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(broken)?;
        let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
        self.fill(params.clone(), password, salt, &mut out)
            .map_err(broken)?;
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).map_err(broken)?,
            salt: Some(Salt::new(salt).map_err(broken)?),
            hash: Some(Output::new(&out).map_err(broken)?),
        };
        Ok(hash.to_string())
    }

    /// Whether it fits. A hash that is none, or of another kind, fits nothing.
    fn verify(&self, password: &str, stored: &str) -> bool {
        let Ok(parsed) = PasswordHash::new(stored) else {
            return false;
        };
        let (Ok(params), Some(salt), Some(expected)) = (Params::try_from(&parsed), parsed.salt, parsed.hash)
        else {
            return false;
        };
        let ours =
            parsed.algorithm == Algorithm::Argon2id.ident() && parsed.version == Some(Version::V0x13.into());
        let mut out = vec![0; expected.len()];
        ours && password.len() <= MAX_BYTES
            && self.fill(params, password, &salt, &mut out).is_ok()
            // `Output` compares in constant time.
            && Output::new(&out).is_ok_and(|got| got == expected)
    }

    fn fill(&self, params: Params, password: &str, salt: &[u8], out: &mut [u8]) -> argon2::Result<()> {
        let mut blocks = self.free().pop().unwrap_or_default();
        blocks.resize(params.block_count(), Block::default());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let done = argon2.hash_password_into_with_memory(password.as_bytes(), salt, out, &mut blocks);
        blocks.fill(Block::default());
        self.free().push(blocks);
        done
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Vec<Block>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn broken(error: impl ToString) -> Error {
    Error::Broken(error.to_string())
}

/// What a new password must be.
///
/// # Errors
/// Where it is too short or too long.
pub(crate) fn check_new(password: &SecretString) -> Result<(), Refusal> {
    let text = password.expose_secret();
    if text.chars().count() < MIN_CHARS {
        let what = format!("a password has at least {MIN_CHARS} characters");
        return Err(Refusal::new(Code::Invalid, what).hint("four random words are easy to remember"));
    }
    if text.len() > MAX_BYTES {
        return Err(Refusal::new(
            Code::Invalid,
            format!("a password has at most {MAX_BYTES} bytes"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords() -> Passwords {
        Passwords::new([7; 32]).unwrap()
    }

    #[tokio::test]
    async fn only_the_password_fits_its_hash() {
        let passwords = passwords();
        let stored = passwords.hash("correct horse".into(), [1; 16]).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(
            passwords
                .verify(Some(stored.clone()), "correct horse".into())
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(Some(stored), "correct horsf".into())
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn an_unknown_login_never_fits_not_even_the_decoy() {
        let decoy = hex::encode([7; 16]);
        assert!(!passwords().verify(None, decoy.as_str().into()).await.unwrap());
    }

    #[tokio::test]
    async fn an_unknown_login_costs_the_work_of_a_known_one() {
        let passwords = passwords();
        let stored = passwords.hash("correct horse".into(), [1; 16]).await.unwrap();
        let parameters = |phc: &str| phc.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(parameters(&stored), parameters(&passwords.decoy));
    }

    #[tokio::test]
    async fn a_hash_of_argon2s_own_making_fits() {
        use argon2::password_hash::PasswordHasher as _;
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let theirs = argon2
            .hash_password_with_salt(b"correct horse", &[1; 16])
            .unwrap()
            .to_string();
        let passwords = passwords();
        assert_eq!(
            passwords.hash("correct horse".into(), [1; 16]).await.unwrap(),
            theirs
        );
        assert!(
            passwords
                .verify(Some(theirs), "correct horse".into())
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn a_broken_hash_is_a_no() {
        for stored in [
            "",
            "plain",
            "$argon2id$v=19$m=1,t=1,p=1$",
            "$2b$12$abcdefghijklmnopqrstuu",
            "$argon2i$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(
                !passwords().verify(Some(stored.into()), "x".into()).await.unwrap(),
                "{stored}"
            );
        }
    }

    #[test]
    fn new_passwords_are_long_enough() {
        assert!(check_new(&"short".into()).is_err());
        assert!(check_new(&"x".repeat(257).as_str().into()).is_err());
        assert!(check_new(&"a quiet river".into()).is_ok());
    }
}

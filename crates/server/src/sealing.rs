//! The keys of the operator's `sealing_key` file: the first line seals, all of them open.
//!
//! The file is read anew each time, as secrets are: whoever puts another line there needs no restart. What is sealed says by which key,
//! so that a file that lacks it is told from a store that was tampered with.

use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::entitlement::Fault;
use daypass_providers::Error as TargetError;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::edge;
use crate::secrets::{self, SecretError, file_error};

/// What the key is called where a secret has its name.
const NAME: &str = "sealing_key";
/// Bytes of a nonce of AES-GCM.
const NONCE: usize = 12;
/// Bytes of a key's id.
const ID: usize = 8;
/// What begins a value that says by which key it is sealed.
const MARK: [u8; 4] = *b"dps1";
/// How long a value is that was sealed before values said so.
const UNMARKED: usize = NONCE + 32 + 16;
/// How many keys a file may have: the present one, and a few that somebody forgot to take out.
const MOST: usize = 8;

/// Which key: the beginning of a hash of it, which tells nothing of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyId([u8; ID]);

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The keys of a file. It has no `Debug`.
pub(crate) struct Keyring(Vec<(KeyId, LessSafeKey)>);

/// By which key a value is sealed; `None` for one of the time before values said so.
pub(crate) fn sealed_by(sealed: &[u8]) -> Option<KeyId> {
    let (mark, rest) = sealed.split_first_chunk::<4>()?;
    let (id, _) = rest.split_first_chunk::<ID>()?;
    (*mark == MARK && sealed.len() != UNMARKED).then_some(KeyId(*id))
}

impl Keyring {
    /// The keys of these lines; `None` where one is no key, there are two of the same, or none or too many.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut keys: Vec<(KeyId, LessSafeKey)> = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let bytes = Zeroizing::new(STANDARD.decode(line).ok()?);
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?);
            let mut hash = Sha256::new();
            hash.update(b"daypass sealing key\0");
            hash.update(bytes.as_slice());
            let hash: [u8; 32] = hash.finalize().into();
            let id = KeyId(*hash.first_chunk::<ID>()?);
            if keys.iter().any(|(known, _)| *known == id) {
                return None;
            }
            keys.push((id, key));
        }
        (1..=MOST).contains(&keys.len()).then_some(Self(keys))
    }

    /// The one of the first line; then the others.
    pub(crate) fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.0.iter().map(|(id, _)| *id)
    }

    fn key(&self, id: KeyId) -> Option<&LessSafeKey> {
        self.0.iter().find(|(known, _)| *known == id).map(|(_, key)| key)
    }

    /// The mark, the key's id, a fresh nonce, then what it became. `about` must be the same to open it: no value can be put in another's
    /// place. `with`: by which key, the first line's where nothing is said.
    ///
    /// # Errors
    /// Where there is no such key.
    pub(crate) fn seal(
        &self,
        with: Option<KeyId>,
        about: &str,
        plain: &[u8; 32],
    ) -> Result<Vec<u8>, TargetError> {
        let id = with.or_else(|| self.ids().next());
        let found = id.and_then(|id| Some((id, self.key(id)?)));
        let failed = || TargetError::new(Fault::Bug, "a key could not be sealed");
        let (id, key) = found.ok_or_else(failed)?;
        let nonce: [u8; NONCE] = edge::random();
        let mut sealed = Zeroizing::new(plain.to_vec());
        let into = key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(about),
            &mut *sealed,
        );
        into.map_err(|_| failed())?;
        Ok([&MARK[..], &id.0[..], &nonce[..], &sealed[..]].concat())
    }

    /// Opens what was sealed for the same.
    ///
    /// # Errors
    /// [`Fault::Misconfigured`] where the file lacks its key, or it was tampered with.
    pub(crate) fn open(&self, about: &str, sealed: &[u8]) -> Result<Zeroizing<[u8; 32]>, TargetError> {
        let Some(id) = sealed_by(sealed) else {
            let opened = self.0.iter().find_map(|(_, key)| open(key, about, sealed));
            return opened.ok_or_else(wrong);
        };
        let key = self.key(id).ok_or_else(|| {
            let what = format!(
                "the authority's key cannot be opened: it is sealed with the key {id}, which the file of sealing_key in \
                 server.yaml does not have; put that line back"
            );
            TargetError::new(Fault::Misconfigured, what)
        })?;
        let rest = sealed.get(MARK.len() + ID..).unwrap_or_default();
        open(key, about, rest).ok_or_else(wrong)
    }
}

fn wrong() -> TargetError {
    let what = "the authority's key cannot be opened: sealing_key in server.yaml is not the one that it was \
                sealed with, or the store was tampered with";
    TargetError::new(Fault::Misconfigured, what)
}

fn open(key: &LessSafeKey, about: &str, sealed: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    let mut plain = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let opened = key.open_in_place(nonce, Aad::from(about), &mut plain).ok()?;
    Some(Zeroizing::new((&*opened).try_into().ok()?))
}

/// The operator's file.
#[derive(Debug, Clone)]
pub(crate) struct KeyFile {
    path: PathBuf,
    /// No other server uses this store, so that this one may write its file.
    ours: bool,
}

impl KeyFile {
    pub(crate) const fn new(path: PathBuf, ours: bool) -> Self {
        Self { path, ours }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether no other server uses the same store.
    pub(crate) const fn is_ours(&self) -> bool {
        self.ours
    }

    /// The keys in it. Blocks on a small file.
    ///
    /// # Errors
    /// Where it cannot be read, others can read it too, or it has no such keys.
    pub(crate) fn read_blocking(&self) -> Result<Keyring, SecretError> {
        let text = secrets::read(NAME, &self.path)?;
        Keyring::read(text.expose_secret()).ok_or_else(|| {
            let why = "each line must be the base64 of 32 bytes, another one each: head -c 32 /dev/urandom | base64";
            file_error(NAME, &self.path, &why)
        })
    }

    /// The keys in it.
    ///
    /// # Errors
    /// As [`read_blocking`](Self::read_blocking).
    pub(crate) async fn read(&self) -> Result<Keyring, TargetError> {
        let file = self.clone();
        secrets::off_thread(move || file.read_blocking()).await
    }

    /// Puts a fresh key before those that there are.
    ///
    /// # Errors
    /// Where the file cannot be written; it is then as before.
    pub(crate) async fn add(&self) -> Result<(), TargetError> {
        let fresh = fresh();
        self.change(move |text| format!("{}{}\n", fresh.expose_secret(), text.trim_end()))
            .await
    }

    /// Takes out all but the first.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub(crate) async fn keep_first(&self) -> Result<(), TargetError> {
        self.change(|text| {
            let first = text.lines().find(|line| !line.trim().is_empty());
            format!("{}\n", first.unwrap_or_default())
        })
        .await
    }

    async fn change(&self, to: impl FnOnce(&str) -> String + Send + 'static) -> Result<(), TargetError> {
        let path = self.path.clone();
        secrets::off_thread(move || {
            let text = secrets::read(NAME, &path)?;
            let text = SecretString::from(to(text.expose_secret()));
            secrets::write(&path, &text).map_err(|error| file_error(NAME, &path, &error))
        })
        .await
    }
}

/// A fresh key, as a line of the file.
pub(crate) fn fresh() -> SecretString {
    let key = Zeroizing::new(edge::random::<32>());
    SecretString::from(STANDARD.encode(key.as_slice()) + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(keys: &[u8]) -> Keyring {
        let lines = keys.iter().map(|n| STANDARD.encode([*n; 32]) + "\n");
        Keyring::read(&lines.collect::<String>()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_and_for_its_own_row_only() {
        let (ours, other) = (ring(&[7]), ring(&[8]));
        let sealed = ours.seal(None, "fleet", &[1; 32]).unwrap();
        assert!(
            !sealed.windows(8).any(|part| part == [1; 8]),
            "nothing of it can be read"
        );
        let again = ours.seal(None, "fleet", &[1; 32]).unwrap();
        assert_ne!(sealed, again, "each is sealed anew");
        assert_eq!(*ours.open("fleet", &sealed).unwrap(), [1; 32]);
        let lacks = other.open("fleet", &sealed).unwrap_err().detail;
        let id = ours.ids().next().unwrap().to_string();
        assert!(
            lacks.contains(&id) && lacks.contains("put that line back"),
            "{lacks}"
        );
        assert!(ours.open("other", &sealed).is_err(), "as another connector's");
        for at in [0, 6, 20, 40, 71] {
            let mut broken = sealed.clone();
            broken[at] ^= 1;
            assert!(ours.open("fleet", &broken).is_err(), "{at}");
        }
        for length in [0, 3, 5, 12, 30, 60, 71] {
            assert!(ours.open("fleet", &sealed[..length]).is_err());
        }
    }

    #[test]
    fn the_first_line_seals_and_each_opens() {
        let (before, both, after) = (ring(&[7]), ring(&[8, 7]), ring(&[8]));
        let old = before.seal(None, "fleet", &[1; 32]).unwrap();
        let new = both.seal(None, "fleet", &[1; 32]).unwrap();
        assert_eq!(sealed_by(&old), before.ids().next());
        assert_eq!(sealed_by(&new), after.ids().next());
        assert!(both.open("fleet", &old).is_ok() && after.open("fleet", &new).is_ok());
        let as_before = both.seal(sealed_by(&old), "fleet", &[2; 32]).unwrap();
        assert_eq!(*before.open("fleet", &as_before).unwrap(), [2; 32]);
        assert!(after.seal(sealed_by(&old), "fleet", &[2; 32]).is_err());
        // Of the time before values said by which key.
        let unmarked = &old[MARK.len() + ID..];
        assert_eq!(sealed_by(unmarked), None);
        assert!(both.open("fleet", unmarked).is_ok() && after.open("fleet", unmarked).is_err());
    }

    #[test]
    fn what_is_no_key_is_not_taken_for_one() {
        let key = STANDARD.encode([7; 32]);
        let many: String = (0..9).map(|n| STANDARD.encode([n; 32]) + "\n").collect();
        for bad in ["", "\n", "x", &key[..40], &format!("{key}\n{key}\n"), &many] {
            assert!(Keyring::read(bad).is_none(), "{bad}");
        }
        assert!(Keyring::read(&format!("\n  {key}\r\n")).is_some());
    }

    #[tokio::test]
    async fn the_file_gets_a_key_before_the_others_and_loses_them() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, STANDARD.encode([7; 32])).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let file = KeyFile::new(path.clone(), true);
        let old = ring(&[7]).ids().next().unwrap();
        file.add().await.unwrap();
        let ids: Vec<_> = file.read().await.unwrap().ids().collect();
        assert!(ids.len() == 2 && ids[0] != old && ids[1] == old);
        file.keep_first().await.unwrap();
        assert_eq!(file.read().await.unwrap().ids().collect::<Vec<_>>(), ids[..1]);
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(
            file.read()
                .await
                .is_err_and(|error| error.detail.contains("chmod 600"))
        );
    }
}

//! Keys that a first start makes, each 32 random bytes in a file of its own: the one by which this server knows its own recordings again, and
//! the one that SSH's clients know its gateway by.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_gateway::ssh::key::PrivateKey;
use daypass_recording::ServerKey;
use secrecy::{ExposeSecret as _, SecretBox};
use zeroize::Zeroizing;

use crate::durable;
use crate::edge;
use crate::secrets::{self, SecretError, file_error};

/// What the keys are called where a secret has its name.
const RECORDINGS: &str = "recordings.key";
const HOST: &str = "gateway.ssh.host_key";

/// The key of recordings. Blocks on the disk.
///
/// # Errors
/// Where it cannot be read or made, or is no key.
pub(super) fn of_recordings(path: &Path) -> Result<ServerKey, SecretError> {
    let bytes = read_or_make(RECORDINGS, path)?;
    Ok(ServerKey::new(SecretBox::new(Box::new(*bytes))))
}

/// The key of the gateway itself, for SSH. Blocks on the disk.
///
/// # Errors
/// As [`of_recordings`].
pub(super) fn of_host(path: &Path) -> Result<PrivateKey, SecretError> {
    let bytes = read_or_make(HOST, path)?;
    PrivateKey::from_seed(&bytes).map_err(|_| file_error(HOST, path, &"it is no key"))
}

/// Reads one, or makes it where there is none.
fn read_or_make(name: &'static str, path: &Path) -> Result<Zeroizing<[u8; 32]>, SecretError> {
    if !path.exists() {
        let bytes = Zeroizing::new(edge::random::<32>());
        let text = Zeroizing::new(format!("{}\n", STANDARD.encode(*bytes)));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| file_error(name, path, &error))?;
        }
        durable::replace(path, text.as_bytes()).map_err(|error| file_error(name, path, &error))?;
    }
    let text = secrets::read(name, path)?;
    let bytes = STANDARD.decode(text.expose_secret()).map(Zeroizing::new);
    let bytes = bytes
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
    let bytes = bytes.ok_or_else(|| file_error(name, path, &"it is no key: 32 bytes in base64"))?;
    Ok(Zeroizing::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/recording-key");
        of_recordings(&path).unwrap();
        let made = std::fs::read(&path).unwrap();
        of_recordings(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), made);
        std::fs::write(&path, "AAAA\n").unwrap();
        assert!(of_recordings(&path).is_err(), "too short");
        let path = folder.path().join("state/gateway-ssh-key");
        let made = of_host(&path).unwrap().line();
        assert_eq!(of_host(&path).unwrap().line(), made);
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }
}

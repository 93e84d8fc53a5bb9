//! The key by which this server knows its own recordings again: 32 random bytes, in a file that a first start makes.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_recording::ServerKey;
use secrecy::{ExposeSecret as _, SecretBox};
use zeroize::Zeroizing;

use crate::durable;
use crate::edge;
use crate::secrets::{self, SecretError, file_error};

/// What the key is called where a secret has its name.
const NAME: &str = "recordings.key";

/// Reads it, or makes it where there is none. Blocks on the disk.
///
/// # Errors
/// Where it cannot be read or made, or is no key.
pub(super) fn read_or_make(path: &Path) -> Result<ServerKey, SecretError> {
    if !path.exists() {
        let bytes = Zeroizing::new(edge::random::<32>());
        let text = Zeroizing::new(format!("{}\n", STANDARD.encode(*bytes)));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| file_error(NAME, path, &error))?;
        }
        durable::replace(path, text.as_bytes()).map_err(|error| file_error(NAME, path, &error))?;
    }
    let text = secrets::read(NAME, path)?;
    let bytes = STANDARD.decode(text.expose_secret()).map(Zeroizing::new);
    let bytes = bytes
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
    let bytes = bytes.ok_or_else(|| file_error(NAME, path, &"it is no key: 32 bytes in base64"))?;
    Ok(ServerKey::new(SecretBox::new(Box::new(bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/recording-key");
        read_or_make(&path).unwrap();
        let made = std::fs::read(&path).unwrap();
        read_or_make(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), made);
        std::fs::write(&path, "AAAA\n").unwrap();
        assert!(read_or_make(&path).is_err(), "too short");
    }
}

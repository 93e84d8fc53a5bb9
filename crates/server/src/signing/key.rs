//! The key of the log: a file outside the database, in the form that public tools read (C2SP `signed-note`).

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use daypass_tlog::key::{KeyName, NoKey, Signer, Use};
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::edge;
use crate::secrets::{self, SecretError};

/// The name by which errors call the key: that of its setting.
const NAME: &str = "signing_key";

/// A fresh key for the log of this installation: the line of its file, and the line that others verify with.
///
/// # Errors
/// Where the installation's id is no name of a key, or the cryptographic library fails.
pub fn new_log_key(installation: &str) -> Result<(Zeroizing<String>, String), NoKey> {
    // Not the host: a log keeps its name wherever it is served from.
    let name: KeyName = format!("daypass/{installation}").parse()?;
    let signer = Signer::new(name, Use::Note, Zeroizing::new(edge::random()))?;
    let secret = Zeroizing::new(format!("{}\n", *signer.to_secret()));
    Ok((secret, format!("{}\n", signer.verifier())))
}

/// Where the public half is written beside the key.
#[must_use]
pub(crate) fn public_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

/// Reads the key. Blocks on a small file.
///
/// # Errors
/// Where it cannot be read, others can read it too, or it is none.
pub(crate) fn read(file: &Path) -> Result<Signer, SecretError> {
    let text = secrets::read(NAME, file)?;
    let wrong = |why: String| secrets::file_error(NAME, file, &why);
    let signer = Signer::from_secret(text.expose_secret())
        .map_err(|why| wrong(format!("{why}; it begins with PRIVATE+KEY+")))?;
    match signer.verifier().what() {
        Use::Note => Ok(signer),
        Use::Cosignature => Err(wrong("it is the key of a witness, which signs no log".to_owned())),
    }
}

/// Makes the key of a log that nobody has signed yet, and its public half beside it. Blocks on small files.
///
/// # Errors
/// Where they cannot be written.
pub(crate) fn make(file: &Path, installation: &str) -> Result<Signer, SecretError> {
    let cannot = |why: &dyn std::fmt::Display| {
        let hint = "a first start makes it; let the server's account write the folder, or run daypass init";
        secrets::file_error(
            NAME,
            file,
            &format!("it is missing and cannot be made ({why}); {hint}"),
        )
    };
    let (secret, public) = new_log_key(installation).map_err(|why| cannot(&why))?;
    new_file(file, &secret, 0o600).map_err(|why| cannot(&why))?;
    new_file(&public_path(file), &public, 0o644).map_err(|why| cannot(&why))?;
    read(file)
}

fn new_file(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log-key");
        let made = make(&file, "0011223344556677").unwrap();
        assert_eq!(made.verifier().name().as_str(), "daypass/0011223344556677");
        assert_eq!(read(&file).unwrap().verifier(), made.verifier());
        let public = std::fs::read_to_string(public_path(&file)).unwrap();
        assert_eq!(public, format!("{}\n", made.verifier()));
        assert!(make(&file, "other").is_err(), "nothing is written over");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let open = read(&file).unwrap_err().to_string();
        assert!(open.contains("chmod 600"), "{open}");
    }

    #[test]
    fn what_is_no_key_is_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log-key");
        new_file(&file, "hunter2hunter2", 0o600).unwrap();
        let told = read(&file).unwrap_err().to_string();
        assert!(
            !told.contains("hunter2") && told.contains("PRIVATE+KEY+"),
            "{told}"
        );
    }
}

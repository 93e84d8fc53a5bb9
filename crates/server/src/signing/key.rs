//! The key of the log: a file outside the database, in the form that public tools read (C2SP `signed-note`).

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use daypass_tlog::key::{KeyName, NoKey, Signer, Use, Verifier};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::durable::replace;
use crate::edge;
use crate::secrets::{self, SecretError};

/// The name by which errors call the key: that of its setting.
const NAME: &str = "signing_key";
/// How many keys a file may have: the present one, the next, and some that somebody forgot to take out.
const MOST: usize = 8;

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

/// Reads the keys, a line each. Which of them signs, the log says. Blocks on a small file.
///
/// # Errors
/// Where it cannot be read, others can read it too, or a line is none.
pub(crate) fn read(file: &Path) -> Result<Vec<Signer>, SecretError> {
    let text = secrets::read(NAME, file)?;
    let wrong = |why: String| secrets::file_error(NAME, file, &why);
    let mut keys: Vec<Signer> = Vec::new();
    let lines = text.expose_secret().lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty()) {
        let signer =
            Signer::from_secret(line).map_err(|why| wrong(format!("{why}; it begins with PRIVATE+KEY+")))?;
        if signer.verifier().what() != Use::Note {
            return Err(wrong("it is the key of a witness, which signs no log".to_owned()));
        }
        if keys.iter().any(|known| known.verifier() == signer.verifier()) {
            return Err(wrong("a key stands in it twice".to_owned()));
        }
        keys.push(signer);
    }
    if (1..=MOST).contains(&keys.len()) {
        Ok(keys)
    } else {
        Err(wrong(format!(
            "it has no key, or more than {MOST}; one line each"
        )))
    }
}

/// Puts a fresh key of the same name below those that there are; its public half. The file is as before or has it. Blocks on the disk.
///
/// # Errors
/// Where the file cannot be read or written.
pub(crate) fn add(file: &Path, beside: &Verifier) -> Result<Verifier, SecretError> {
    let text = secrets::read(NAME, file)?;
    let cannot = |why: &dyn std::fmt::Display| secrets::file_error(NAME, file, &why.to_string());
    let seed = Zeroizing::new(edge::random());
    let fresh = Signer::new(beside.name().clone(), Use::Note, seed).map_err(|why| cannot(&why))?;
    let whole = format!("{}\n{}\n", text.expose_secret().trim_end(), *fresh.to_secret());
    secrets::write(file, &SecretString::from(whole)).map_err(|why| cannot(&why))?;
    Ok(fresh.verifier().clone())
}

/// Writes the public half of the log's present key beside the file, for everybody to read. Blocks on the disk.
///
/// # Errors
/// Where it cannot be written.
pub(crate) fn publish(file: &Path, key: &Verifier) -> std::io::Result<()> {
    let (path, line) = (public_path(file), format!("{key}\n"));
    if std::fs::read_to_string(&path).is_ok_and(|there| there == line) {
        return Ok(());
    }
    replace(&path, line.as_bytes())?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))
}

/// Makes the key of a log that nobody has signed yet, and its public half beside it. Blocks on small files.
///
/// # Errors
/// Where they cannot be written.
pub(crate) fn make(file: &Path, installation: &str) -> Result<Vec<Signer>, SecretError> {
    let cannot = |why: &dyn std::fmt::Display| {
        let hint = "a first start makes it; let the server's account write the folder, or run daypass init";
        secrets::file_error(
            NAME,
            file,
            &format!("it is missing and cannot be made ({why}); {hint}"),
        )
    };
    let (secret, _public) = new_log_key(installation).map_err(|why| cannot(&why))?;
    new_file(file, &secret, 0o600).map_err(|why| cannot(&why))?;
    let made = read(file)?;
    // One that lies there is of a key that is gone, and signed nothing here.
    if let Some(key) = made.first() {
        publish(file, key.verifier()).map_err(|why| cannot(&why))?;
    }
    Ok(made)
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
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log-key");
        let made = make(&file, "0011223344556677").unwrap();
        let made = made[0].verifier();
        assert_eq!(made.name().as_str(), "daypass/0011223344556677");
        assert_eq!(read(&file).unwrap()[0].verifier(), made);
        let public = std::fs::read_to_string(public_path(&file)).unwrap();
        assert_eq!(public, format!("{made}\n"));
        assert!(make(&file, "other").is_err(), "nothing is written over");
        std::fs::remove_file(&file).unwrap();
        let again = make(&file, "0011223344556677").unwrap();
        let public = std::fs::read_to_string(public_path(&file)).unwrap();
        assert_eq!(
            public,
            format!("{}\n", again[0].verifier()),
            "that of the key that is there"
        );
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let open = read(&file).unwrap_err().to_string();
        assert!(open.contains("chmod 600"), "{open}");
    }

    #[test]
    fn a_next_key_stands_below_and_the_public_half_is_for_everybody() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log-key");
        let made = make(&file, "0011223344556677").unwrap();
        let next = add(&file, made[0].verifier()).unwrap();
        let keys: Vec<_> = read(&file).unwrap();
        assert_eq!(
            keys.iter().map(Signer::verifier).collect::<Vec<_>>(),
            [made[0].verifier(), &next]
        );
        assert_eq!(next.name(), made[0].verifier().name());
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        publish(&file, &next).unwrap();
        let public = public_path(&file);
        assert_eq!(std::fs::read_to_string(&public).unwrap(), format!("{next}\n"));
        assert_eq!(
            std::fs::metadata(&public).unwrap().permissions().mode() & 0o777,
            0o644
        );
        let text = std::fs::read_to_string(&file).unwrap();
        let first = text.lines().next().unwrap();
        std::fs::write(&file, format!("{first}\n{first}\n")).unwrap();
        assert!(read(&file).is_err(), "twice the same");
        std::fs::write(&file, format!("{first}\nnext\n")).unwrap();
        assert!(read(&file).is_err(), "a line that is none");
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

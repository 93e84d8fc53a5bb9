//! The key of a witness: a file in its folder, made at its first start.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use daypass_tlog::key::{KeyName, Signer, Use};
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::WitnessError;
use crate::{edge, secrets};

/// The name by which errors call the key.
const NAME: &str = "the witness's key";

/// Reads the key, or makes it where this folder is new. `name`: how it is to be called.
///
/// # Errors
/// Where it cannot be read or written, or is called otherwise.
pub(super) fn open(folder: &Path, is_new: bool, name: Option<&str>) -> Result<Signer, WitnessError> {
    let file = folder.join("key");
    let wrong = |why: &dyn std::fmt::Display| WitnessError::State {
        file: file.clone(),
        why: why.to_string(),
    };
    if !file.exists() {
        if !is_new {
            return Err(wrong(
                &"it is missing, and this witness has signed before; put it back from its copy",
            ));
        }
        make(&file, name).map_err(|why| wrong(&why))?;
    }
    let text = secrets::read(NAME, &file)?;
    let key = Signer::from_secret(text.expose_secret()).map_err(|why| wrong(&why))?;
    if key.verifier().what() != Use::Cosignature {
        return Err(wrong(&"it is the key of a log, and no witness's"));
    }
    match name {
        Some(name) if name != key.verifier().name().as_str() => {
            let what = format!("it is called {}, not {name}", key.verifier().name());
            Err(wrong(&what))
        }
        _ => Ok(key),
    }
}

fn make(file: &Path, name: Option<&str>) -> Result<(), String> {
    let otherwise = || format!("daypass-witness/{}", hex::encode(edge::random::<8>()));
    let name = name.map_or_else(otherwise, str::to_owned);
    let name: KeyName = name
        .parse()
        .map_err(|error: daypass_tlog::key::NoKey| error.to_string())?;
    let key = Signer::new(name, Use::Cosignature, Zeroizing::new(edge::random()))
        .map_err(|error| error.to_string())?;
    let secret = Zeroizing::new(format!("{}\n", *key.to_secret()));
    new_file(
        &file.with_extension("pub"),
        &format!("{}\n", key.verifier()),
        0o644,
    )
    .and_then(|()| new_file(file, &secret, 0o600))
    .map_err(|error| error.to_string())
}

fn new_file(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

//! What commands beside a running server need of it: the hash of a first password, and whether its secrets and programs
//! are there.

use daypass_core::refusal::Refusal;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::ServerConfig;
use crate::edge;
use crate::identity::password::{self, Passwords, check_new};
use crate::notify;
use crate::sealing::{KeyFile, fresh};
use crate::secrets::{ConfiguredSecrets, SecretError};
use crate::signing;

/// Why a password is not hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// It is not one to take.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The hasher failed.
    #[error(transparent)]
    Broken(#[from] password::Error),
}

/// The hash of a new password, as the engine takes it, where no server runs yet.
///
/// # Errors
/// Where it is too short or too long.
pub async fn hash_password(password: SecretString) -> Result<String, HashError> {
    check_new(&password)?;
    Ok(Passwords::new(edge::random())?
        .hash(password, edge::random())
        .await?)
}

/// Reads every secret for each host and program that it may go to, and forgets it again. Blocks on small files.
///
/// # Errors
/// The first that is not there, cannot be read by this user, or is to sign webhooks and no key for that.
pub fn try_secrets(config: &ServerConfig) -> Result<(), SecretError> {
    let secrets = ConfiguredSecrets::new(config.secrets.clone()).with_programs(&config.programs);
    let secrets = secrets.with_identities(&config.identities)?;
    for (name, source) in &config.secrets {
        for (host, port) in &source.hosts {
            secrets.reveal_blocking(name, host, *port)?;
        }
    }
    for (name, config) in &config.programs {
        let program = &config.program;
        for secret in program.secrets.iter().chain(program.env_secrets.values()) {
            secrets.reveal_to_program_blocking(secret, name)?;
        }
    }
    if let Some(path) = &config.sealing_key {
        KeyFile::new(path.clone(), false).read_blocking()?;
    }
    // One that is missing, a first start makes.
    if let Some(key) = config.signing_key.as_ref().filter(|key| key.file.exists()) {
        signing::read(&key.file)?;
    }
    for hook in &config.notices.webhooks {
        let (host, port) = hook.address();
        let revealed = secrets.reveal_blocking(&hook.key, &host, port)?;
        if !notify::is_key(&revealed.value) {
            return Err(SecretError::NoKey(hook.key.clone()));
        }
    }
    Ok(())
}

/// A fresh key for `sealing_key`: the line that its file has.
#[must_use]
pub fn new_sealing_key() -> String {
    fresh().expose_secret().to_owned()
}

/// Looks at the file of every program that connectors may run. None is run.
///
/// # Errors
/// The first that would not be started, with the reason.
pub fn try_programs(config: &ServerConfig) -> Result<(), String> {
    for (name, config) in &config.programs {
        let said = |what| format!("the program \"{name}\" of server.yaml would not be run: {what}");
        config.program.check().map_err(said)?;
    }
    Ok(())
}

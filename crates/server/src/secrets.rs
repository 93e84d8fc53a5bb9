//! Where connectors' secrets come from, and the one place that decides whether a secret may go to a host or a program.
//!
//! Policy only names secrets; `server.yaml` binds each name to hosts. The check is made at the moment of use, with the host
//! that is about to be called, so that no configuration of a connector can send a secret to a host of its author's choosing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use daypass_core::entitlement::Fault;
use daypass_providers::azure::Identity;
use daypass_providers::ssh::Register;
use daypass_providers::{Error as TargetError, Notebook, Program, Revealed, Secrets, Tls};
use daypass_store::Store;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroize as _;

use crate::authorities::Authorities;
use crate::config::{IdentityConfig, ProgramConfig, SecretFrom, SecretSource, TlsMode};
use crate::durable::replace;
use crate::notebook::Notes;
use crate::sealing::KeyFile;

/// The longest secret that is read, in bytes.
const MAX_SECRET: u64 = 64 * 1024;

/// Why a secret is not handed out or not replaced. No variant holds any part of a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// `server.yaml` names no such secret.
    #[error("server.yaml names no secret \"{0}\"; add it under secrets, with the hosts it may be sent to")]
    Unknown(String),
    /// The secret may not go to this host.
    #[error("server.yaml does not let the secret \"{name}\" go to {host}:{port}")]
    OtherHost {
        /// The secret's name.
        name: String,
        /// The host that was about to get it.
        host: String,
        /// Its port.
        port: u16,
    },
    /// The secret may not go to this program.
    #[error("server.yaml does not let the program \"{program}\" have the secret \"{name}\"")]
    OtherProgram {
        /// The secret's name.
        name: String,
        /// The program that was about to get it.
        program: String,
    },
    /// The variable is not set.
    #[error("the environment variable {variable} of the secret \"{name}\" is not set")]
    NoVariable {
        /// The secret's name.
        name: String,
        /// The variable.
        variable: String,
    },
    /// The file could not be read or written.
    #[error("the file {} of the secret \"{name}\": {why}", file.display())]
    File {
        /// The secret's name.
        name: String,
        /// The file.
        file: PathBuf,
        /// What went wrong.
        why: String,
    },
    /// It is to sign webhooks, and is no key for that.
    #[error(
        "the secret \"{0}\" is no key of a webhook: whsec_ and the base64 of 24 to 64 bytes; \
         make one with: echo \"whsec_$(openssl rand -base64 32)\""
    )]
    NoKey(String),
    /// The secret comes from somewhere that Daypass cannot write.
    #[error(
        "the secret \"{0}\" comes from the environment, which Daypass cannot change; give it a file to rotate it"
    )]
    NotReplaceable(String),
}

/// The secrets of `server.yaml`. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ConfiguredSecrets {
    sources: Arc<BTreeMap<String, SecretSource>>,
    programs: Arc<BTreeMap<String, Program>>,
    identities: Arc<BTreeMap<String, Identity>>,
    register: Option<Arc<dyn Register>>,
    notebook: Option<Arc<dyn Notebook>>,
}

impl ConfiguredSecrets {
    /// Secrets from these sources. Nothing is read yet.
    #[must_use]
    pub(crate) fn new(sources: BTreeMap<String, SecretSource>) -> Self {
        Self {
            sources: Arc::new(sources),
            programs: Arc::default(),
            identities: Arc::default(),
            register: None,
            notebook: None,
        }
    }

    /// The same with authorities for SSH, sealed under the operator's key.
    #[must_use]
    pub(crate) fn with_authorities(mut self, store: &Store, sealing: Option<KeyFile>) -> Self {
        let over = |file| -> Arc<dyn Register> {
            let store = store.clone();
            Arc::new(Authorities { store, file })
        };
        self.register = sealing.map(over);
        self
    }

    /// The same with a notebook in this store.
    #[must_use]
    pub(crate) fn with_notebook(mut self, store: &Store) -> Self {
        let store = store.clone();
        self.notebook = Some(Arc::new(Notes { store }));
        self
    }

    /// The same with those as whom connectors may call a cloud. Their CAs are read now; blocks on small files.
    ///
    /// # Errors
    /// Where a CA cannot be read.
    pub(crate) fn with_identities(
        mut self,
        identities: &BTreeMap<String, IdentityConfig>,
    ) -> Result<Self, SecretError> {
        let whole = |(name, config): (&String, &IdentityConfig)| Ok((name.clone(), config.whole(name)?));
        let all = identities.iter().map(whole).collect::<Result<_, SecretError>>()?;
        self.identities = Arc::new(all);
        Ok(self)
    }

    /// The same with the programs that connectors may run. Variables that they inherit are read now.
    #[must_use]
    pub(crate) fn with_programs(mut self, programs: &BTreeMap<String, ProgramConfig>) -> Self {
        let whole = |config: &ProgramConfig| {
            let mut program = config.program.clone();
            let inherited = config
                .inherit
                .iter()
                .filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)));
            program.env.extend(inherited);
            program
        };
        let programs = programs
            .iter()
            .map(|(name, config)| (name.clone(), whole(config)));
        self.programs = Arc::new(programs.collect());
        self
    }

    /// The secret, for this host and no other. It is read anew each time, so that one that was rotated by hand is seen.
    ///
    /// Blocks on a small file; call it off the async threads.
    ///
    /// # Errors
    /// Where there is no such secret, it may not go to this host, or it cannot be read.
    pub(crate) fn reveal_blocking(&self, name: &str, host: &str, port: u16) -> Result<Revealed, SecretError> {
        let source = self.bound(name, host, port)?;
        let value = value(name, source)?;
        let tls = read_tls(&source.tls, name)?;
        Ok(Revealed { value, tls })
    }

    /// The secret, for a program that `server.yaml` gives it to. Blocks as [`Self::reveal_blocking`] does.
    ///
    /// # Errors
    /// Where there is no such secret, this program may not have it, or it cannot be read.
    pub(crate) fn reveal_to_program_blocking(
        &self,
        name: &str,
        program: &str,
    ) -> Result<SecretString, SecretError> {
        let source = self.source(name)?;
        let given = self.programs.get(program).is_some_and(|program| {
            program.secrets.contains(name) || program.env_secrets.values().any(|given| given == name)
        });
        if given {
            return value(name, source);
        }
        Err(SecretError::OtherProgram {
            name: name.to_owned(),
            program: program.chars().take(80).collect(),
        })
    }

    /// What was staged beside the secret, under the same conditions.
    ///
    /// # Errors
    /// As [`Self::reveal_blocking`].
    pub(crate) fn staged_blocking(
        &self,
        name: &str,
        host: &str,
        port: u16,
    ) -> Result<Option<SecretString>, SecretError> {
        match &self.bound(name, host, port)?.from {
            SecretFrom::File(file) if staged(file).exists() => read(name, &staged(file)).map(Some),
            SecretFrom::File(_) | SecretFrom::Env(_) => Ok(None),
        }
    }

    /// Keeps a new value durably beside the secret.
    ///
    /// # Errors
    /// As [`Self::replace_blocking`].
    pub(crate) fn stage_blocking(&self, name: &str, new: &SecretString) -> Result<(), SecretError> {
        let file = self.file(name)?;
        write(&staged(file), new).map_err(|error| file_error(name, file, &error))
    }

    /// Puts another secret in the place of this one, durably and at once: whoever reads sees the old or the new, never half.
    ///
    /// Blocks on the disk; call it off the async threads.
    ///
    /// # Errors
    /// Where there is no such secret, or it is not in a file that can be written.
    pub(crate) fn replace_blocking(&self, name: &str, new: &SecretString) -> Result<(), SecretError> {
        let file = self.file(name)?;
        write(file, new).map_err(|error| file_error(name, file, &error))?;
        match std::fs::remove_file(staged(file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file_error(name, file, &error)),
            _ => Ok(()),
        }
    }

    /// The source of a secret that may go to this host.
    fn bound(&self, name: &str, host: &str, port: u16) -> Result<&SecretSource, SecretError> {
        let source = self.source(name)?;
        let host = host.to_ascii_lowercase();
        if source
            .hosts
            .iter()
            .any(|(allowed, at)| *allowed == host && *at == port)
        {
            return Ok(source);
        }
        Err(SecretError::OtherHost {
            name: name.to_owned(),
            host,
            port,
        })
    }

    fn file(&self, name: &str) -> Result<&Path, SecretError> {
        match &self.source(name)?.from {
            SecretFrom::File(file) => Ok(file),
            SecretFrom::Env(_) => Err(SecretError::NotReplaceable(name.to_owned())),
        }
    }

    fn source(&self, name: &str) -> Result<&SecretSource, SecretError> {
        self.sources
            .get(name)
            .ok_or_else(|| SecretError::Unknown(name.chars().take(80).collect()))
    }
}

/// How a connection is protected, with the certificates read. `name` is whose they are, for errors.
///
/// # Errors
/// Where the certificates cannot be read.
pub(crate) fn read_tls(mode: &TlsMode, name: &str) -> Result<Tls, SecretError> {
    Ok(match mode {
        TlsMode::Disabled => Tls::Disabled,
        TlsMode::VerifyFull { ca: None } => Tls::VerifyFull { ca_pem: None },
        TlsMode::VerifyFull { ca: Some(ca) } => {
            let pem = std::fs::read_to_string(ca).map_err(|error| file_error(name, ca, &error))?;
            Tls::VerifyFull { ca_pem: Some(pem) }
        }
    })
}

/// What a value that is being brought in is kept in.
fn staged(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{name}.staged"))
}

impl From<SecretError> for TargetError {
    fn from(error: SecretError) -> Self {
        let fault = match &error {
            SecretError::Unknown(_) | SecretError::NoVariable { .. } => Fault::NotFound,
            SecretError::OtherHost { .. } | SecretError::OtherProgram { .. } => Fault::Denied,
            SecretError::NotReplaceable(_) | SecretError::NoKey(_) => Fault::Misconfigured,
            SecretError::File { .. } => Fault::Unavailable,
        };
        Self::new(fault, error.to_string())
    }
}

#[async_trait]
impl Secrets for ConfiguredSecrets {
    async fn reveal(&self, name: &str, host: &str, port: u16) -> Result<Revealed, TargetError> {
        let (all, name, host) = (self.clone(), name.to_owned(), host.to_owned());
        off_thread(move || all.reveal_blocking(&name, &host, port)).await
    }

    async fn staged(&self, name: &str, host: &str, port: u16) -> Result<Option<SecretString>, TargetError> {
        let (all, name, host) = (self.clone(), name.to_owned(), host.to_owned());
        off_thread(move || all.staged_blocking(&name, &host, port)).await
    }

    async fn stage(&self, name: &str, new: &SecretString) -> Result<(), TargetError> {
        let (all, name, new) = (self.clone(), name.to_owned(), new.clone());
        off_thread(move || all.stage_blocking(&name, &new)).await
    }

    async fn replace(&self, name: &str, new: &SecretString) -> Result<(), TargetError> {
        let (all, name, new) = (self.clone(), name.to_owned(), new.clone());
        off_thread(move || all.replace_blocking(&name, &new)).await
    }

    fn register(&self) -> Option<Arc<dyn Register>> {
        self.register.clone()
    }

    fn identity(&self, name: &str) -> Option<Identity> {
        self.identities.get(name).cloned()
    }

    fn identities(&self) -> Vec<String> {
        self.identities.keys().cloned().collect()
    }

    fn notebook(&self) -> Option<Arc<dyn Notebook>> {
        self.notebook.clone()
    }

    fn program(&self, name: &str) -> Option<Program> {
        self.programs.get(name).cloned()
    }

    fn programs(&self) -> Vec<String> {
        self.programs.keys().cloned().collect()
    }

    async fn reveal_to_program(&self, name: &str, program: &str) -> Result<SecretString, TargetError> {
        let (all, name, program) = (self.clone(), name.to_owned(), program.to_owned());
        off_thread(move || all.reveal_to_program_blocking(&name, &program)).await
    }
}

pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SecretError> + Send + 'static,
) -> Result<T, TargetError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| TargetError::new(Fault::Bug, error.to_string()))?
        .map_err(TargetError::from)
}

pub(crate) fn file_error(name: &str, file: &Path, why: &impl ToString) -> SecretError {
    SecretError::File {
        name: name.to_owned(),
        file: file.to_owned(),
        why: why.to_string(),
    }
}

/// The value of a secret, from where it is kept.
fn value(name: &str, source: &SecretSource) -> Result<SecretString, SecretError> {
    match &source.from {
        SecretFrom::File(file) => read(name, file),
        SecretFrom::Env(variable) => {
            std::env::var(variable)
                .map(SecretString::from)
                .map_err(|_| SecretError::NoVariable {
                    name: name.to_owned(),
                    variable: variable.clone(),
                })
        }
    }
}

/// The text of a secret's file, which must be its owner's only. Blocks on a small file.
pub(crate) fn read(name: &str, path: &Path) -> Result<SecretString, SecretError> {
    let mut file = File::open(path).map_err(|error| file_error(name, path, &error))?;
    // What was opened is looked at, not the path: the two could differ by now.
    let meta = file.metadata().map_err(|error| file_error(name, path, &error))?;
    if !meta.is_file() || meta.len() > MAX_SECRET {
        return Err(file_error(
            name,
            path,
            &format!("it is no file of at most {MAX_SECRET} bytes"),
        ));
    }
    if meta.mode() & 0o077 != 0 {
        let why = format!(
            "others may read or write it (mode {:03o}); chmod 600 it",
            meta.mode() & 0o777
        );
        return Err(file_error(name, path, &why));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)
        .map_err(|error| file_error(name, path, &error))?;
    // Editors and `echo` end a file with a line break that is no part of the secret.
    let secret = SecretString::from(text.trim_end_matches(['\r', '\n']));
    text.zeroize();
    if secret.expose_secret().is_empty() {
        return Err(file_error(name, path, &"it is empty"));
    }
    Ok(secret)
}

pub(crate) fn write(path: &Path, new: &SecretString) -> std::io::Result<()> {
    replace(path, new.expose_secret().as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn secrets(from: SecretFrom) -> ConfiguredSecrets {
        let hosts = vec![("127.0.0.1".to_owned(), 5432)];
        let source = SecretSource {
            from,
            hosts,
            tls: TlsMode::Disabled,
        };
        ConfiguredSecrets::new(BTreeMap::from([("pg".to_owned(), source)]))
    }

    fn file(folder: &Path, text: &str, mode: u32) -> PathBuf {
        let path = folder.join("pg");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_secret_goes_to_its_hosts_only() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = secrets(SecretFrom::File(file(folder.path(), "s3cret\n", 0o600)));
        let bound = secrets.reveal_blocking("pg", "127.0.0.1", 5432).unwrap();
        assert_eq!(bound.value.expose_secret(), "s3cret");
        for (host, port) in [
            ("127.0.0.1", 5433),
            ("127.0.0.2", 5432),
            ("evil.example", 5432),
            ("127.0.0.1.", 5432),
        ] {
            let refused = secrets.reveal_blocking("pg", host, port).unwrap_err();
            assert!(
                matches!(refused, SecretError::OtherHost { .. }),
                "{host}:{port} {refused}"
            );
            assert!(!refused.to_string().contains("s3cret"));
        }
        assert!(matches!(
            secrets.reveal_blocking("pq", "127.0.0.1", 5432),
            Err(SecretError::Unknown(_))
        ));
    }

    #[test]
    fn a_secret_goes_to_its_programs_only() {
        let folder = tempfile::tempdir().unwrap();
        let text = "secrets: {pg: {file: pg}, own: {file: pg}}\n\
                    programs: {badges: {path: /b, secrets: [pg], inherit: [CARGO_PKG_NAME, DAYPASS_UNSET]}, \
                               lists: {path: /l, env_secrets: {A: own}}}";
        file(folder.path(), "s3cret\n", 0o600);
        let config = crate::config::ServerConfig::parse(&folder.path().join("server.yaml"), text).unwrap();
        let secrets = ConfiguredSecrets::new(config.secrets).with_programs(&config.programs);
        let revealed = secrets.reveal_to_program_blocking("pg", "badges").unwrap();
        assert_eq!(revealed.expose_secret(), "s3cret");
        assert!(secrets.reveal_to_program_blocking("own", "lists").is_ok());
        for (name, program) in [("pg", "lists"), ("own", "badges"), ("pg", "none")] {
            let refused = secrets.reveal_to_program_blocking(name, program).unwrap_err();
            assert!(matches!(refused, SecretError::OtherProgram { .. }), "{refused}");
        }
        assert!(secrets.reveal_blocking("pg", "127.0.0.1", 5432).is_err());
        let env = secrets.program("badges").unwrap().env;
        assert_eq!(
            env,
            BTreeMap::from([("CARGO_PKG_NAME".to_owned(), "daypass-server".to_owned())])
        );
    }

    #[test]
    fn a_file_that_others_can_read_is_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o644, 0o640, 0o606, 0o660] {
            let secrets = secrets(SecretFrom::File(file(folder.path(), "s3cret", mode)));
            let refused = secrets
                .reveal_blocking("pg", "127.0.0.1", 5432)
                .unwrap_err()
                .to_string();
            assert!(refused.contains("chmod 600"), "{refused}");
        }
    }

    #[test]
    fn an_empty_or_missing_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let empty = secrets(SecretFrom::File(file(folder.path(), "\n", 0o600)));
        assert!(
            empty
                .reveal_blocking("pg", "127.0.0.1", 5432)
                .unwrap_err()
                .to_string()
                .contains("empty")
        );
        let missing = secrets(SecretFrom::File(folder.path().join("none")));
        assert!(missing.reveal_blocking("pg", "127.0.0.1", 5432).is_err());
    }

    #[test]
    fn a_replaced_secret_is_whole_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "old", 0o600);
        let secrets = secrets(SecretFrom::File(path.clone()));
        // What a crash in the middle of an earlier replacement leaves.
        std::fs::write(folder.path().join(".pg.new"), "half").unwrap();
        secrets
            .replace_blocking("pg", &SecretString::from("new"))
            .unwrap();
        assert_eq!(
            secrets
                .reveal_blocking("pg", "127.0.0.1", 5432)
                .unwrap()
                .value
                .expose_secret(),
            "new"
        );
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no draft stays"
        );
    }

    #[test]
    fn a_staged_secret_waits_beside_until_it_is_the_one() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = secrets(SecretFrom::File(file(folder.path(), "old", 0o600)));
        assert!(
            secrets
                .staged_blocking("pg", "127.0.0.1", 5432)
                .unwrap()
                .is_none()
        );
        secrets.stage_blocking("pg", &SecretString::from("next")).unwrap();
        let staged = secrets.staged_blocking("pg", "127.0.0.1", 5432).unwrap().unwrap();
        assert_eq!(staged.expose_secret(), "next");
        assert!(
            secrets.staged_blocking("pg", "127.0.0.2", 5432).is_err(),
            "it is bound like the secret itself"
        );
        assert_eq!(
            secrets
                .reveal_blocking("pg", "127.0.0.1", 5432)
                .unwrap()
                .value
                .expose_secret(),
            "old"
        );
        secrets.replace_blocking("pg", &staged).unwrap();
        assert_eq!(
            secrets
                .reveal_blocking("pg", "127.0.0.1", 5432)
                .unwrap()
                .value
                .expose_secret(),
            "next"
        );
        assert!(
            secrets
                .staged_blocking("pg", "127.0.0.1", 5432)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn the_environment_cannot_be_replaced() {
        let secrets = secrets(SecretFrom::Env("DAYPASS_TEST_UNSET_VARIABLE".to_owned()));
        assert!(matches!(
            secrets.reveal_blocking("pg", "127.0.0.1", 5432),
            Err(SecretError::NoVariable { .. })
        ));
        let refused = secrets
            .replace_blocking("pg", &SecretString::from("x"))
            .unwrap_err();
        assert!(matches!(refused, SecretError::NotReplaceable(_)));
    }
}

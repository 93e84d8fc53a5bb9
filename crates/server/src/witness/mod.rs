//! A witness (C2SP `tlog-witness`): on another machine than the server, it signs a log's checkpoints after it has seen that each goes on from
//! the one that it signed before. Whoever asks for its signature cannot be shown two logs, nor one that was put back.
//!
//! It knows the public keys of the logs that it looks after, and what it signed last of each. It asks nobody, and stores nothing else.

mod book;
mod evidence;
mod http;
mod key;

use std::fs::{DirBuilder, File};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use daypass_tlog::key::{Use, Verifier};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::book::Book;
use crate::config::TlsFiles;
use crate::http::listen::{self, TlsError};
use crate::secrets::SecretError;

/// The longest file of keys that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Why a witness does not start.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// A file of its folder cannot be used.
    #[error("{}: {why}", file.display())]
    State {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Its key cannot be used.
    #[error(transparent)]
    Key(#[from] SecretError),
    /// A file with the public key of a log holds none.
    #[error("{}: {why}; the server writes it beside its signing key (log-key.pub)", file.display())]
    Log {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        why: std::io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What a witness is to do.
#[derive(Debug, Clone)]
pub struct WitnessConfig {
    /// Where logs reach it.
    pub listen: SocketAddr,
    /// Its own certificate. Without one it speaks plain HTTP: nothing is secret, and no signature can be forged, but a refusal can.
    pub tls: Option<TlsFiles>,
    /// The folder with its key and with what it signed last. Made where it is missing.
    pub state: PathBuf,
    /// The name of its key, where that is to be made; a host and path by custom. Without one it is called by a number.
    pub name: Option<String>,
    /// Files with the public keys of the logs that it looks after, a line each.
    pub logs: Vec<PathBuf>,
}

/// A witness that runs in this process.
pub struct Witness {
    address: SocketAddr,
    tls: bool,
    book: Arc<Book>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    // Last: nobody else works on the folder until all has ended.
    _lock: File,
}

impl Witness {
    /// Starts it. It serves when this returns.
    ///
    /// # Errors
    /// Where it does not start; nothing is left running then.
    pub async fn start(config: &WitnessConfig) -> Result<Self, WitnessError> {
        let tls = config.tls.as_ref().map(listen::acceptor).transpose()?;
        let lock = lock(&config.state)?;
        let mut keys = Vec::new();
        for file in &config.logs {
            let why = |why| WitnessError::Log {
                file: file.clone(),
                why,
            };
            keys.extend(keys_of(file).map_err(why)?);
        }
        let is_new = is_new(&config.state)?;
        let key = key::open(&config.state, is_new, config.name.as_deref())?;
        let book = Arc::new(Book::open(&config.state, key, keys)?);
        if !is_new {
            book.say_what_begins();
        }
        let cannot = |why| WitnessError::Listen {
            address: config.listen,
            why,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let (stop, stopped) = watch::channel(false);
        let served = tls.is_some();
        let router = http::router(Arc::clone(&book));
        let serving = tokio::spawn(listen::serve(listener, tls, router, Vec::new(), stopped));
        Ok(Self {
            address,
            tls: served,
            book,
            stop,
            serving,
            _lock: lock,
        })
    }

    /// The address as a log's server takes it.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Its public key: what its signatures are verified with.
    #[must_use]
    pub fn key(&self) -> &Verifier {
        self.book.key()
    }

    /// The names of the logs that it looks after, and how many entries of each it signed last.
    #[must_use]
    pub fn logs(&self) -> Vec<(String, u64)> {
        let size = |log: &book::Log| log.size.load(std::sync::atomic::Ordering::Relaxed);
        let logs = self.book.logs.iter();
        logs.map(|(origin, log)| (origin.clone(), size(log))).collect()
    }

    /// Stops it: what is under way is finished.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the listener did not end in order");
        }
    }
}

/// Makes the folder where it is missing, and keeps others off it.
fn lock(folder: &Path) -> Result<File, WitnessError> {
    let path = folder.join("lock");
    let wrong = |why: String| WitnessError::State {
        file: path.clone(),
        why,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| wrong(error.to_string()))?;
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| wrong(error.to_string()))?;
    file.try_lock()
        .map_err(|error| wrong(format!("another witness is at work in this folder ({error})")))?;
    Ok(file)
}

/// Whether nothing was ever signed in this folder.
fn is_new(folder: &Path) -> Result<bool, WitnessError> {
    let wrong = |error: std::io::Error| WitnessError::State {
        file: folder.to_owned(),
        why: error.to_string(),
    };
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        let name = entry.map_err(wrong)?.file_name();
        if name.to_string_lossy().ends_with(".checkpoint") {
            return Ok(false);
        }
    }
    Ok(true)
}

fn keys_of(file: &Path) -> Result<Vec<Verifier>, String> {
    let length = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if length > LONGEST {
        return Err(format!("it has more than {LONGEST} bytes"));
    }
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let mut keys = Vec::new();
    for line in daypass_tlog::key::lines(&text) {
        let key: Verifier = line
            .parse()
            .map_err(|error: daypass_tlog::key::NoKey| error.to_string())?;
        if key.what() != Use::Note {
            return Err(String::from("this is the key of a witness, which signs no log"));
        }
        keys.push(key);
    }
    if keys.is_empty() {
        return Err(String::from("it holds no key"));
    }
    Ok(keys)
}

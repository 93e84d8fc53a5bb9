//! Where a verifier reads the log from: a server, or a folder that was exported. Both have the same files, and neither is believed.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use daypass_api::log::{KeyLink, KeyLinks};
use daypass_api::{Client, client};
use daypass_tlog::tile::{Kind, Tile};

use crate::failure::Failure;

/// The longest file of the log: a full bundle of the longest entries, in bytes.
const LONGEST: u64 = 256 * (65_535 + 2);

/// The file of an exported folder that has the announcements of keys.
pub(super) const LINKS: &str = "key-links.json";

/// Where from.
pub(super) enum Source {
    /// A server.
    Server(Box<Client>),
    /// A folder in the static layout of C2SP `tlog-tiles`.
    Folder(PathBuf),
}

impl Source {
    /// The newest checkpoint, as it is signed.
    pub(super) async fn checkpoint(&self) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Server(client) => Ok(client.log_checkpoint().await?),
            Self::Folder(folder) => read(&folder.join("checkpoint")),
        }
    }

    /// How somebody who has a former key comes to the one that signs; none where nothing is said of that.
    pub(super) async fn links(&self) -> Result<Vec<KeyLink>, Failure> {
        match self {
            // A server of an older version has no such call, and never rotated its key.
            Self::Server(client) => match client.log_key_links().await {
                Ok(KeyLinks { links }) => Ok(links),
                Err(client::Error::Problem(problem)) if problem.status == 404 => Ok(Vec::new()),
                Err(error) => Err(error.into()),
            },
            Self::Folder(folder) => {
                let path = folder.join(LINKS);
                if !path.exists() {
                    return Ok(Vec::new());
                }
                let links: KeyLinks = serde_json::from_slice(&read(&path)?)
                    .map_err(|error| Failure::error(format!("{}: {error}", path.display())))?;
                Ok(links.links)
            }
        }
    }

    /// A tile.
    pub(super) async fn tile(&self, tile: Tile) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Server(client) => {
                let path = tile.to_string();
                let index = path.splitn(3, '/').nth(2).unwrap_or_default();
                match tile.kind() {
                    Kind::Entries => Ok(client.log_entries(index).await?),
                    Kind::Hashes { level } => Ok(client.log_tile(&level.to_string(), index).await?),
                }
            }
            Self::Folder(folder) => read(&folder.join(tile.to_string())),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let wrong = |error: std::io::Error| {
        Failure::error(format!("{} cannot be read: {error}", path.display()))
            .hint("daypass audit export --dir FOLDER writes all files of a log")
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(wrong)?;
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(wrong)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= LONGEST) {
        Ok(bytes)
    } else {
        Err(Failure::error(format!(
            "{} is longer than a tile can be",
            path.display()
        )))
    }
}

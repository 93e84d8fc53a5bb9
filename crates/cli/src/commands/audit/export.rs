//! `audit export`: the whole log to keep: its entries as lines, or all its files as C2SP `tlog-tiles` lays them out.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use daypass_api::log::KeyLinks;
use daypass_tlog::tile::{Kind, Tile};
use daypass_tlog::{Checkpoint, Note};

use super::source::{LINKS, Source};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Write the whole log out, to keep it elsewhere.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass audit export > log.ndjson           each entry a line: the very bytes that its leaf is the hash of
  daypass audit export --dir log              all files of the log: checkpoint, tiles, entries
  daypass audit verify log --key log-key.pub  verifies those, anywhere and without the server

For auditors and administrators. It covers what is signed, which is everything but the last second. Nothing is verified on the way:
that is what daypass audit verify is for.")]
pub struct ExportArgs {
    /// A folder for all files of the log; it is made where it is missing, and what is there of the same log stays
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

impl ExportArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let source = Source::Server(context.client()?);
        let note = source.checkpoint().await?;
        let size = size(&note)?;
        match &self.dir {
            None => lines(&source, size).await?,
            Some(folder) => {
                files(&source, size, folder).await?;
                let links = source.links().await?;
                if !links.is_empty() {
                    let text = serde_json::to_vec_pretty(&KeyLinks { links })
                        .map_err(|error| Failure::error(error.to_string()))?;
                    write(&folder.join(LINKS), &text)?;
                }
                // Last: who finds it finds all that it covers.
                write(&folder.join("checkpoint"), &note)?;
                context
                    .out
                    .note(format!("{size} entries are in {}", folder.display()));
            }
        }
        Ok(Exit::DONE)
    }
}

fn size(note: &[u8]) -> Result<u64, Failure> {
    let wrong = |why: String| Failure::error(format!("the server's checkpoint cannot be read: {why}"));
    let note = Note::parse(note).map_err(|error| wrong(error.to_string()))?;
    let checkpoint: Result<Checkpoint, _> = note.text().parse();
    checkpoint
        .map(|checkpoint| checkpoint.size)
        .map_err(|error| wrong(error.to_string()))
}

async fn lines(source: &Source, size: u64) -> Result<(), Failure> {
    let lost = |error: std::io::Error| Failure::error(format!("standard output: {error}"));
    for tile in Tile::all(Kind::Entries, size) {
        let bytes = source.tile(tile).await?;
        let entries = tile
            .entries(&bytes)
            .map_err(|error| Failure::error(format!("{tile}: {error}")))?;
        let mut out = std::io::stdout().lock();
        for entry in entries {
            out.write_all(entry)
                .and_then(|()| out.write_all(b"\n"))
                .map_err(lost)?;
        }
    }
    Ok(())
}

async fn files(source: &Source, size: u64, folder: &Path) -> Result<(), Failure> {
    let hashes = (0..8).flat_map(|level| Tile::all(Kind::Hashes { level }, size));
    for tile in Tile::all(Kind::Entries, size).chain(hashes) {
        let path = folder.join(tile.to_string());
        // A full tile never changes: an export goes on from the one before.
        if tile.is_full() && path.exists() {
            continue;
        }
        write(&path, &source.tile(tile).await?)?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let cannot =
        |error: std::io::Error| Failure::error(format!("{} cannot be written: {error}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(cannot)?;
    }
    std::fs::write(path, bytes).map_err(cannot)
}

//! `audit export`: the whole log to keep: its entries as lines, or all its files as C2SP `tlog-tiles` lays them out.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use daypass_api::Client;
use daypass_api::log::{KeyLinks, ProofQuery};
use daypass_tlog::proof::verify_consistency;
use daypass_tlog::tile::{Kind, Tile};
use daypass_tlog::{Checkpoint, Note};

use super::reader::unsound;
use super::source::{LINKS, Source};
use super::verify::WITNESSED;
use crate::context::Context;
use crate::durable;
use crate::exit::Exit;
use crate::failure::Failure;

/// Write the whole log out, to keep it elsewhere.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass audit export > log.ndjson           each entry a line: the very bytes that its leaf is the hash of
  daypass audit export --dir log              all files of the log: checkpoint, tiles, entries
  daypass audit verify log --key log-key.pub  verifies those, anywhere and without the server

For auditors and administrators. It covers what is signed, which is everything but the last second. A folder that has a log is added
to only where the server's log goes on from it; each checkpoint stays as checkpoint.SIZE. Entries and signatures are not verified on the
way: that is what daypass audit verify is for.")]
pub struct ExportArgs {
    /// A folder for all files of the log; it is made where it is missing, and what is there of the same log stays
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,

    /// Up to the newest checkpoint that enough witnesses signed, instead of the newest of all
    #[arg(long)]
    witnessed: bool,
}

impl ExportArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let note = match self.witnessed {
            true => client.log_checkpoint_by(&WITNESSED).await?,
            false => client.log_checkpoint().await?,
        };
        let source = Source::Server(Box::new(client));
        let new = parse(&note, "the server's checkpoint")?;
        let size = new.size;
        match &self.dir {
            None => lines(&source, size).await?,
            Some(folder) => {
                let client = context.client()?;
                if let Some(more) = has_more(&client, folder, &new, self.witnessed).await? {
                    // With the witnesses' signatures, which the folder's own has not yet.
                    write(&folder.join(format!("checkpoint.{size}")), &note)?;
                    context.out.note(format!(
                        "{} has {more} entries, of which {size} are witnessed so far: checkpoint.{size} is there, and nothing else was changed",
                        folder.display()
                    ));
                    return Ok(Exit::DONE);
                }
                goes_on(&client, folder, &new).await?;
                files(&source, size, folder).await?;
                let links = source.links().await?;
                if !links.is_empty() {
                    let text = serde_json::to_vec_pretty(&KeyLinks { links })
                        .map_err(|error| Failure::error(error.to_string()))?;
                    write(&folder.join(LINKS), &text)?;
                }
                // By its size it stays: what was seen is to be held against what will be.
                write(&folder.join(format!("checkpoint.{size}")), &note)?;
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

fn parse(note: &[u8], what: &str) -> Result<Checkpoint, Failure> {
    let wrong = |why: String| Failure::error(format!("{what} cannot be read: {why}"));
    let note = Note::parse(note).map_err(|error| wrong(error.to_string()))?;
    let checkpoint: Result<Checkpoint, _> = note.text().parse();
    checkpoint.map_err(|error| wrong(error.to_string()))
}

/// The checkpoint that lies in a folder, where there is one.
fn there(folder: &Path) -> Result<Option<Checkpoint>, Failure> {
    let path = folder.join("checkpoint");
    match std::fs::read(&path) {
        Ok(note) => Ok(Some(parse(&note, &path.display().to_string())?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::error(format!(
            "{} cannot be read: {error}",
            path.display()
        ))),
    }
}

/// How many entries the folder has, where that is more than was witnessed, and all of it is of the server's log.
async fn has_more(
    client: &Client,
    folder: &Path,
    witnessed: &Checkpoint,
    is_witnessed: bool,
) -> Result<Option<u64>, Failure> {
    let old = match there(folder)? {
        Some(old) if is_witnessed && old.size > witnessed.size => old,
        _ => return Ok(None),
    };
    // That the server has less than the folder is another matter, and is told as that.
    let newest = parse(&client.log_checkpoint().await?, "the server's checkpoint")?;
    goes_on(client, folder, &newest).await?;
    proved(client, witnessed, &old).await.map_err(|why| {
        unsound(&format!(
            "the {} entries in {} do not go on from the {} that the witnesses signed: {why}. Nothing there was changed",
            old.size,
            folder.display(),
            witnessed.size
        ))
    })?;
    Ok(Some(old.size))
}

/// What lies in the folder is the beginning of what comes into it. Otherwise nothing there is touched: it may be the only thing
/// that shows what was taken away.
async fn goes_on(client: &Client, folder: &Path, new: &Checkpoint) -> Result<(), Failure> {
    let Some(old) = there(folder)? else {
        return Ok(());
    };
    let differs = |why: &str| {
        unsound(&format!(
            "the server's log ({} entries) does not go on from the {} entries in {}: {why}. Nothing there was changed",
            new.size,
            old.size,
            folder.display()
        ))
    };
    if old.size > new.size {
        return Err(differs("entries were taken away, or it was put back from a copy"));
    }
    proved(client, &old, new).await.map_err(|why| differs(&why))
}

/// That one checkpoint goes on from another, as the server proves it; why not.
async fn proved(client: &Client, old: &Checkpoint, new: &Checkpoint) -> Result<(), String> {
    if old.origin != new.origin {
        return Err(String::from("it has another name"));
    }
    if old.size == 0 {
        return Ok(());
    }
    let query = ProofQuery {
        from: Some(old.size),
        size: Some(new.size),
        ..ProofQuery::default()
    };
    let proof = client
        .log_proof(&query)
        .await
        .map_err(|error| error.to_string())?;
    let hashes: Vec<_> = proof.proof.iter().map(|hash| *hash.bytes()).collect();
    verify_consistency((old.size, &old.head), (new.size, &new.head), &hashes)
        .map_err(|error| error.to_string())
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
        if tile.is_full() && std::fs::read(&path).is_ok_and(|bytes| is_whole(tile, &bytes)) {
            continue;
        }
        let bytes = source.tile(tile).await?;
        if !is_whole(tile, &bytes) {
            return Err(Failure::error(format!(
                "{tile} did not come whole from the server"
            )));
        }
        write(&path, &bytes)?;
    }
    Ok(())
}

/// Whether these bytes are all of a tile: a write that was interrupted left fewer.
fn is_whole(tile: Tile, bytes: &[u8]) -> bool {
    match tile.kind() {
        Kind::Entries => tile.entries(bytes).is_ok(),
        Kind::Hashes { .. } => tile.hashes(bytes).is_ok(),
    }
}

/// Whoever looks sees the file of before or the new one, never a part.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let cannot =
        |error: std::io::Error| Failure::error(format!("{} cannot be written: {error}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(cannot)?;
    }
    durable::replace(path, bytes, None).map_err(cannot)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::Query;
    use axum::routing::get;
    use daypass_api::log::LogProof;
    use daypass_api::route::path;
    use daypass_tlog::proof::Proof;

    use super::*;
    use crate::pins::tests::{built, serve_with, shows, signed, tree};

    #[test]
    fn a_tile_that_was_cut_is_not_whole() {
        let hashes = Tile::within(Kind::Hashes { level: 0 }, 0, 256).unwrap();
        assert!(is_whole(hashes, &[7; 256 * 32]));
        assert!(!is_whole(hashes, &[7; 255 * 32]));
        let entries = Tile::within(Kind::Entries, 0, 256).unwrap();
        let one = [0, 2, b'{', b'}'];
        assert!(is_whole(entries, &one.repeat(256)));
        assert!(!is_whole(entries, &one.repeat(255)));
        assert!(!is_whole(entries, &one.repeat(256)[..1023]));
    }

    fn leaves(of: &str) -> Vec<Vec<u8>> {
        of.bytes().map(|byte| vec![byte]).collect()
    }

    /// What the server proves of a log of these eight.
    async fn proof(Query(query): Query<ProofQuery>) -> String {
        let (from, size) = (query.from.unwrap(), query.size.unwrap());
        let all = leaves("abcdefgh");
        let whole = &all[..usize::try_from(size).unwrap()];
        let hashes = built(Proof::of_consistency(from, size).unwrap(), whole);
        let proof = LogProof {
            size,
            head: daypass_core::text::Hash::from_bytes(tree(whole).head()),
            leaf: None,
            proof: hashes
                .into_iter()
                .map(daypass_core::text::Hash::from_bytes)
                .collect(),
        };
        serde_json::to_string(&proof).unwrap()
    }

    #[tokio::test]
    async fn a_folder_that_has_more_than_was_witnessed_lost_nothing() {
        let (log, client) = serve_with(Router::new().route(path::AUDIT_PROOF, get(proof))).await;
        let folder = tempfile::tempdir().unwrap();
        let of = |text: &str| parse(signed(&leaves(text), &[1]).to_string().as_bytes(), "it").unwrap();
        let lies = |text: &str| {
            let note = signed(&leaves(text), &[1]).to_string();
            std::fs::write(folder.path().join("checkpoint"), note).unwrap();
        };
        let more = async |witnessed: &str, is_witnessed| {
            let more = has_more(&client, folder.path(), &of(witnessed), is_witnessed).await;
            more.map_err(|failure| failure.told().0.to_owned())
        };
        shows(&log, b"abcdefgh", 1);
        assert_eq!(more("abc", true).await, Ok(None), "there is no folder yet");
        lies("abcde");
        assert_eq!(more("abc", true).await, Ok(Some(5)));
        assert_eq!(more("abcde", true).await, Ok(None), "nothing more");
        assert_eq!(more("abc", false).await, Ok(None), "nobody asked for witnesses");
        // Not what the witnesses signed, and not what the server has.
        let told = more("aXc", true).await.unwrap_err();
        assert!(
            told.contains("do not go on from the 3 that the witnesses signed"),
            "{told}"
        );
        lies("abcdX");
        let told = more("abc", true).await.unwrap_err();
        assert!(told.contains("does not go on from the 5 entries"), "{told}");
        lies("abcde");
        shows(&log, b"abcd", 1);
        let told = more("abc", true).await.unwrap_err();
        assert!(told.contains("entries were taken away"), "{told}");
    }
}

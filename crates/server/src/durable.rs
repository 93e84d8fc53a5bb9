//! Files that are replaced whole, for their owner only: secrets that are rotated, and what the log's key signed last.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// Puts these bytes in the place of a file, or makes it, for its owner only; durably and at once. Blocks on the disk.
pub(crate) fn replace(path: &Path, new: &[u8]) -> std::io::Result<()> {
    // A link is followed, so that the file behind it is replaced and not the link.
    let path = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path))?;
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    // A name of its own: several servers may share the folder. For the owner only, as tempfile makes them.
    let mut draft = tempfile::Builder::new().prefix(".daypass-").tempfile_in(folder)?;
    draft.write_all(new)?;
    draft.as_file().sync_all()?;
    draft.persist(&path)?;
    File::open(folder)?.sync_all()
}

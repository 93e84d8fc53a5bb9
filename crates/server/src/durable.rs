//! Files that are replaced whole, for their owner only: secrets that are rotated, and what the log's key signed last.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Puts these bytes in the place of a file, or makes it, for its owner only; durably and at once. Blocks on the disk.
pub(crate) fn replace(path: &Path, new: &[u8]) -> std::io::Result<()> {
    // A link is followed, so that the file behind it is replaced and not the link.
    let path = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path))?;
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let draft = folder.join(format!(".{name}.new"));
    // One at a time, where several servers share the folder; where it cannot be locked there is one server.
    let folder = File::open(folder)?;
    let _alone = folder.lock();
    // A draft that a crash left behind was never in force.
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(new)?;
    file.sync_all()?;
    std::fs::rename(&draft, &path)?;
    folder.sync_all()
}

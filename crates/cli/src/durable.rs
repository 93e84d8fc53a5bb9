//! A file that is replaced whole, and stays replaced: whoever looks sees the old one or the new one, also after a crash.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Result, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Puts these bytes in the place of a file: written beside, made durable, moved over, and the folder made durable. `mode` is who may
/// read it, whatever the umask takes away; without one, as the umask says.
///
/// # Errors
/// Where it cannot be written; the file of before is then still there.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: Option<u32>) -> Result<()> {
    let name = path
        .file_name()
        .ok_or_else(|| Error::from(ErrorKind::InvalidInput))?;
    let mut draft = OsString::from(".");
    draft.push(name);
    draft.push(format!(".{}.new", std::process::id()));
    let draft = path.with_file_name(draft);
    // What a process of the same number left behind was never in force.
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode.unwrap_or(0o666))
        .open(&draft)
        .and_then(|mut file| {
            if let Some(mode) = mode {
                file.set_permissions(Permissions::from_mode(mode))?;
            }
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&draft, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    written?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_no_draft_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.a");
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let left = format!(".file.a.{}.new", std::process::id());
        std::fs::write(folder.path().join(left), "of a crash").unwrap();
        replace(&path, b"one", Some(0o600)).unwrap();
        assert_eq!(mode(), 0o600);
        replace(&path, b"another", Some(0o644)).unwrap();
        assert_eq!(
            (std::fs::read(&path).unwrap(), mode()),
            (b"another".to_vec(), 0o644)
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        // Where it cannot be moved over, nothing is left either.
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        assert!(replace(&folder.path().join("folder"), b"x", None).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(replace(Path::new("/"), b"x", None).is_err());
    }
}

//! Whether this host's sshd reads the list of the revoked that is written here: a list that nobody reads revokes nothing.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

/// Where packages put sshd, which is rarely on `PATH` and must be started by its whole path.
const PLACES: [&str; 4] = [
    "/usr/sbin/sshd",
    "/usr/local/sbin/sshd",
    "/opt/homebrew/sbin/sshd",
    "/usr/bin/sshd",
];

/// How it is found out before a version is acknowledged.
#[derive(Debug, Clone)]
pub(super) enum Check {
    /// sshd tells what its configuration comes to.
    Ask {
        /// Where to look for it before the usual places.
        path: OsString,
        /// Its configuration; its own where nothing is said.
        config: Option<PathBuf>,
    },
    /// The operator vouches for it.
    Unchecked,
}

impl Check {
    /// Whether sshd refuses what this list names, for each of these users: `Match` may say another for one of them.
    ///
    /// # Errors
    /// In words, why not, or why that cannot be told.
    pub(super) async fn list(&self, list: &Path, users: impl Iterator<Item = &str>) -> Result<(), String> {
        self.reads("RevokedKeys", "so it takes what was revoked", list, users)
            .await
    }

    /// Whether sshd trusts what this file names, for each of these users.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub(super) async fn authorities(
        &self,
        file: &Path,
        users: impl Iterator<Item = &str>,
    ) -> Result<(), String> {
        self.reads(
            "TrustedUserCAKeys",
            "so another authority must be written there by hand",
            file,
            users,
        )
        .await
    }

    async fn reads(
        &self,
        key: &str,
        so: &str,
        list: &Path,
        users: impl Iterator<Item = &str>,
    ) -> Result<(), String> {
        let Self::Ask { path, config } = self else {
            return Ok(());
        };
        let sshd = find(path).ok_or("sshd is not found here, so what it reads cannot be told")?;
        let users: Vec<_> = users.map(Some).collect();
        let users = if users.is_empty() { vec![None] } else { users };
        for user in users {
            let mut ask = Command::new(&sshd);
            ask.arg("-T");
            if let Some(config) = config {
                ask.arg("-f").arg(config);
            }
            if let Some(user) = user {
                ask.arg("-C")
                    .arg(format!("user={user},host=localhost,addr=127.0.0.1"));
            }
            says(&told(ask).await?, (key, so), list)?;
        }
        Ok(())
    }
}

fn find(path: &OsStr) -> Option<PathBuf> {
    let named = std::env::split_paths(path).map(|folder| folder.join("sshd"));
    // sshd insists on being started by its whole path.
    named
        .filter(|file| file.is_absolute())
        .chain(PLACES.iter().map(PathBuf::from))
        .find(|file| file.is_file())
}

/// What `sshd -T` prints.
async fn told(mut ask: Command) -> Result<String, String> {
    let output = ask.stdin(Stdio::null()).output().await;
    let output = output.map_err(|error| format!("sshd -T cannot be started: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().last().unwrap_or_default();
    Err(format!("sshd -T failed, so what it reads cannot be told: {last}"))
}

/// Whether this is the configuration of an sshd that reads the list.
fn says(told: &str, (key, so): (&str, &str), list: &Path) -> Result<(), String> {
    let lines = told.lines().filter_map(|line| line.split_once(' '));
    let found = lines.filter(|(one, _)| one.eq_ignore_ascii_case(key));
    let reads = found
        .map(|(_, value)| value.trim().trim_matches('"'))
        .next()
        .unwrap_or("none");
    let same = |one: &Path| std::fs::canonicalize(one).ok();
    let list_itself = same(list).ok_or_else(|| format!("{} cannot be found", list.display()))?;
    if same(Path::new(reads)) == Some(list_itself) {
        return Ok(());
    }
    Err(format!(
        "sshd's configuration has {key} {reads} and not {}, {so}",
        list.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_sshd_that_reads_this_list_has_it_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let (list, other) = (dir.path().join("revoked.krl"), dir.path().join("other.krl"));
        std::fs::write(&list, "").unwrap();
        std::fs::write(&other, "").unwrap();
        std::os::unix::fs::symlink(&list, dir.path().join("same")).unwrap();
        let with = |path: &str| format!("port 22\nrevokedkeys {path}\ntrustedusercakeys /x/ca.pub\n");
        let at = |name: &str| with(&dir.path().join(name).display().to_string());
        let revoked = ("RevokedKeys", "so it takes what was revoked");
        let says = |told: &str, list: &Path| super::says(told, revoked, list);
        assert_eq!(says(&at("revoked.krl"), &list), Ok(()));
        assert_eq!(says(&at("same"), &list), Ok(()), "the same file by another name");
        let trusts = super::says(&at("revoked.krl"), ("TrustedUserCAKeys", "so"), &list).unwrap_err();
        assert!(trusts.contains("TrustedUserCAKeys /x/ca.pub and not"), "{trusts}");
        for told in [
            at("other.krl"),
            at("missing"),
            with("none"),
            "port 22\n".to_owned(),
        ] {
            let why = says(&told, &list).unwrap_err();
            assert!(why.contains("and not") && why.contains("revoked.krl"), "{why}");
        }
    }

    #[tokio::test]
    async fn a_host_where_sshd_does_not_answer_has_nothing_in_place() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (list, sshd) = (dir.path().join("revoked.krl"), dir.path().join("sshd"));
        std::fs::write(&list, "").unwrap();
        let check = Check::Ask {
            path: dir.path().into(),
            config: None,
        };
        let script = |body: &str| {
            std::fs::write(&sshd, format!("#!/bin/sh\n{body}\n")).unwrap();
            std::fs::set_permissions(&sshd, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        script("echo 'sshd: no hostkeys available -- exiting.' >&2; exit 1");
        let why = check.list(&list, ["deploy"].into_iter()).await.unwrap_err();
        assert!(why.contains("no hostkeys available"), "{why}");
        // One user of several who is let in past the list is enough.
        let one = format!(
            "case \"$*\" in *user=root,*) echo revokedkeys none;; *) echo revokedkeys {};; esac",
            list.display()
        );
        script(&one);
        assert_eq!(check.list(&list, ["deploy"].into_iter()).await, Ok(()));
        let why = check
            .list(&list, ["deploy", "root"].into_iter())
            .await
            .unwrap_err();
        assert!(why.contains("RevokedKeys none"), "{why}");
        assert_eq!(Check::Unchecked.list(&list, ["root"].into_iter()).await, Ok(()));
    }
}

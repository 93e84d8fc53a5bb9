//! What the client keeps for SSH, in a private folder of the profile: its own key, certificates, and which item has which host.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use daypass_api::Item;
use daypass_api::ssh::Certificate;
use daypass_core::id::GrantId;
use daypass_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::gate;
use super::pick::leads;
use super::{lasts, program};
use crate::context::Context;
use crate::failure::Failure;

/// The name of the private key's file.
pub(super) const KEY: &str = "id_ed25519";

/// What the file beside a certificate ends with that says through which gateway it leads.
pub(super) const GATEWAY: &str = "gateway";

/// The folder of the profile, open.
pub(crate) struct Keep {
    folder: PathBuf,
    /// The private key's file. It never leaves this machine.
    pub(super) key: PathBuf,
    /// The public key's line.
    pub(super) public_key: String,
}

/// What is known of a certificate beside its file.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// Missing in what was kept before it was.
    #[serde(default)]
    valid_after: Option<Timestamp>,
    valid_before: Timestamp,
    /// Whose it is: what is kept is worth nothing once that is over.
    grant: GrantId,
    /// The public key that it is for.
    key: String,
}

/// Where an item of a grant leads, from its last certificate. A grant keeps what its resource was when it was asked for.
#[derive(Debug, Serialize, Deserialize)]
struct Leads {
    item: Item,
    narrow: bool,
    hosts: Vec<String>,
    users: Vec<String>,
    /// That certificate: it is for all of the item's hosts, and for as many logins as there are while it lasts.
    #[serde(default)]
    last: Option<Last>,
}

/// A certificate, and the public key that it is for.
#[derive(Debug, Serialize, Deserialize)]
struct Last {
    key: String,
    certificate: Certificate,
}

/// The folder, whether or not it is there.
pub(super) fn folder(context: &Context) -> Result<PathBuf, Failure> {
    Ok(context.place()?.own("ssh"))
}

impl Keep {
    /// Opens the folder; makes it and the key the first time.
    pub(crate) async fn open(context: &Context) -> Result<Self, Failure> {
        let folder = folder(context)?;
        private_dir(&folder)?;
        let keygen = program(&context.env.path, "ssh-keygen")?;
        let key = folder.join(KEY);
        if !key.exists() {
            // Made aside and linked into place: of two at the same time one wins, and both use that one.
            let aside =
                tempfile::tempdir_in(&folder).map_err(|error| cannot("write into", &folder, &error))?;
            let fresh = aside.path().join(KEY);
            let mut make = Command::new(&keygen);
            make.args(["-q", "-t", "ed25519", "-N", "", "-C", "daypass", "-f"])
                .arg(&fresh);
            output(make).await?;
            match std::fs::hard_link(&fresh, &key) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(cannot("write", &key, &error));
                }
                _ => {}
            }
        }
        let mut show = Command::new(&keygen);
        show.arg("-y").arg("-P").arg("").arg("-f").arg(&key);
        let public_key = output(show).await?.trim().to_owned();
        Ok(Self {
            folder,
            key,
            public_key,
        })
    }

    /// A folder that is there, with a key that is not made.
    #[cfg(test)]
    pub(super) fn at(folder: &Path, public_key: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            key: folder.join(KEY),
            public_key: public_key.to_owned(),
        }
    }

    /// The grant of a certificate that is there and still serves.
    pub(super) fn has(&self, host: &str, user: &str, now: Timestamp) -> Result<Option<GrantId>, Failure> {
        let file = self.file(host, user)?;
        let note = read::<Note>(&file.with_extension("json")).filter(|_| file.exists());
        let serves = |note: &Note| {
            let after = note.valid_after.unwrap_or(Timestamp::EPOCH);
            note.key == self.public_key && lasts((after, note.valid_before), now)
        };
        let good = note.filter(serves);
        Ok(good.map(|note| note.grant))
    }

    /// Keeps a certificate for plain ssh to a host as a user.
    pub(super) fn certificate(
        &self,
        (host, user): (&str, &str),
        grant: GrantId,
        certificate: &Certificate,
    ) -> Result<(), Failure> {
        self.put(&self.file(host, user)?, grant, certificate)
    }

    /// Keeps a certificate for one login to an item, beside what plain ssh uses: another role may open the same user. Its file.
    pub(crate) fn for_item(&self, grant: GrantId, certificate: &Certificate) -> Result<PathBuf, Failure> {
        self.remember(grant, certificate)?;
        let item = &certificate.item;
        let file = self
            .folder
            .join(format!("{}={}-cert.pub", item.resource, item.role));
        self.put(&file, grant, certificate)?;
        Ok(file)
    }

    fn put(&self, file: &Path, grant: GrantId, certificate: &Certificate) -> Result<(), Failure> {
        let beside = file.with_extension(GATEWAY);
        // Before the certificate: one that opens a gateway alone must not be shown to a host.
        match &certificate.gateway {
            Some(gateway) => replace(&beside, gate::known(gateway)?.as_bytes())?,
            None => remove(&beside)?,
        }
        replace(file, certificate.certificate.as_bytes())?;
        // After the certificate: a note without its certificate would promise what is not there.
        write(
            &file.with_extension("json"),
            &Note {
                valid_after: Some(certificate.valid_after),
                valid_before: certificate.valid_before,
                grant,
                key: self.public_key.clone(),
            },
        )
    }

    /// Takes away what no grant gives any more.
    pub(super) fn forget(&self, host: &str, user: &str) -> Result<(), Failure> {
        let file = self.file(host, user)?;
        remove(&file.with_extension("json"))?;
        remove(&file.with_extension(GATEWAY))?;
        remove(&file)
    }

    /// What is known of the gateway in front of a host, where there is one.
    pub(super) fn gateway(&self, host: &str, user: &str) -> Result<Option<String>, Failure> {
        let file = self.file(host, user)?.with_extension(GATEWAY);
        Ok(std::fs::read_to_string(file).ok())
    }

    /// Keeps where an item of a grant leads.
    pub(super) fn remember(&self, grant: GrantId, certificate: &Certificate) -> Result<(), Failure> {
        let leads = Leads {
            item: certificate.item.clone(),
            narrow: certificate.narrow,
            hosts: certificate.hosts.clone(),
            users: certificate.users.clone(),
            last: Some(Last {
                key: self.public_key.clone(),
                certificate: certificate.clone(),
            }),
        };
        write(&self.leads(grant, &certificate.item), &leads)
    }

    /// The last certificate of an item of a grant, where it still serves. That the grant is still there, the caller knows.
    pub(super) fn fresh(&self, grant: GrantId, item: &Item, now: Timestamp) -> Option<Certificate> {
        let last = self.known(grant, item)?.last?;
        let good = last.key == self.public_key
            && last.certificate.item == *item
            && lasts((last.certificate.valid_after, last.certificate.valid_before), now);
        good.then_some(last.certificate)
    }

    /// Whether an item of a grant is known to lead elsewhere.
    pub(super) fn rules_out(&self, grant: GrantId, item: &Item, host: &str, user: &str) -> bool {
        let known = self.known(grant, item);
        known.is_some_and(|known| !leads(&known.hosts, host) || !known.users.iter().any(|one| one == user))
    }

    /// Whether an item of a grant is known to run one command only, or to be taken from some networks only.
    pub(super) fn narrow(&self, grant: GrantId, item: &Item) -> bool {
        self.known(grant, item).is_some_and(|known| known.narrow)
    }

    fn known(&self, grant: GrantId, item: &Item) -> Option<Leads> {
        // A folder may take two names for one that differ in upper and lower case.
        read::<Leads>(&self.leads(grant, item)).filter(|known| known.item == *item)
    }

    fn leads(&self, grant: GrantId, item: &Item) -> PathBuf {
        // Names hold no slash and no `=`, and do not begin with a dot.
        self.folder
            .join(format!("{grant}={}={}.item", item.resource, item.role))
    }

    /// Takes away what is known of grants that are over.
    pub(super) fn only(&self, grants: &[GrantId]) {
        for (name, path) in entries(&self.folder) {
            let of = name.strip_suffix(".item").and_then(|name| name.split_once('='));
            let live = of.is_none_or(|(of, _)| grants.iter().any(|grant| grant.to_string() == of));
            if !live {
                // What cannot be taken away is not used: it is asked for by its grant.
                let _ = remove(&path);
            }
        }
    }

    /// The certificate's file, named as `CertificateFile` of `ssh-config` has it.
    fn file(&self, host: &str, user: &str) -> Result<PathBuf, Failure> {
        plain_name(host)?;
        plain_name(user)?;
        Ok(self.folder.join(format!("{host}_{user}-cert.pub")))
    }
}

/// Refuses what is no name of a host or user.
pub(super) fn plain_name(name: &str) -> Result<(), Failure> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    let plain = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if !plain || name.len() > 253 || !name.chars().all(fits) {
        return Err(Failure::usage(format!("{name:?} is no name of a host or user")));
    }
    Ok(())
}

/// Takes away everything of a grant in a folder: its certificates and where it leads.
pub(super) fn forget_grant(folder: &Path, grant: GrantId) -> Result<(), Failure> {
    for (name, path) in entries(folder) {
        let leads = name.ends_with(".item") && name.starts_with(&format!("{grant}="));
        if leads {
            remove(&path)?;
        } else if name.ends_with("-cert.json") && read::<Note>(&path).is_some_and(|note| note.grant == grant)
        {
            remove(&path)?;
            remove(&path.with_extension(GATEWAY))?;
            remove(&path.with_extension("pub"))?;
        }
    }
    Ok(())
}

/// The files of a folder by their names; none where there is no folder.
fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let there = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let named = |entry: std::fs::DirEntry| Some((entry.file_name().into_string().ok()?, entry.path()));
    there.filter_map(named).collect()
}

fn remove(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(cannot("remove", path, &error)),
        _ => Ok(()),
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), Failure> {
    let text = serde_json::to_vec(value).map_err(|error| Failure::error(error.to_string()))?;
    replace(path, &text)
}

/// What a program prints.
async fn output(mut command: Command) -> Result<String, Failure> {
    let output = command.stdin(std::process::Stdio::null()).output().await;
    let output = output.map_err(|error| Failure::error(format!("ssh-keygen cannot be started: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::error(format!("ssh-keygen failed: {}", said.trim())));
    }
    String::from_utf8(output.stdout).map_err(|_| Failure::error("ssh-keygen printed no text"))
}

pub(super) fn private_dir(path: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| cannot("make", path, &error))
}

/// Writes a private file beside and moves it over: a crash leaves the old one or the new one, whole.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let beside = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written.map_err(|error| cannot("write", path, &error))
}

fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::error(format!("cannot {verb} {}: {error}", path.display()))
}

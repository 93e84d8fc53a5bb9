//! `daypass init`: a folder that a server starts from, with its first administrator.
//!
//! It makes new files only. What it made is taken away again where it cannot finish, so that a second run starts clean.
//! With `--only-admin` it makes no files at all: that is for a `server.yaml` which names another store.

mod folder;
mod password;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use daypass_core::name::Name;
use daypass_core::person::{Kind, SystemRole};
use daypass_engine::NewPerson;
use daypass_server::config::ServerConfig;

use self::folder::Folder;
use crate::failure::Failure;
use crate::terminal::say;

/// The file that makes a folder one of Daypass's.
const SERVER_YAML: &str = "server.yaml";
/// The folder of policy files beside it.
const POLICY: &str = "policy";

/// Make a folder with all that a server needs, and the first administrator.
#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// The folder; it is made where it is missing.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The login of the first administrator.
    #[arg(long, value_name = "LOGIN", default_value = "admin")]
    admin: Name,
    /// Read the administrator's password from standard input (its first line) instead of asking for it.
    #[arg(long)]
    password_stdin: bool,
    /// The address that the server will listen on.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7373")]
    listen: SocketAddr,
    /// Make only the first administrator, in the store that the folder's server.yaml names.
    #[arg(long, conflicts_with = "listen")]
    only_admin: bool,
}

impl Init {
    /// Does it. With `no_input` nothing is asked: a password is made up, and printed once.
    pub(crate) async fn run(self, no_input: bool) -> Result<(), Failure> {
        if self.only_admin {
            return self.add_admin(no_input).await;
        }
        if !self.listen.ip().is_loopback() {
            return Err(Failure::usage(format!(
                "{} can be reached from other machines, which takes TLS",
                self.listen
            ))
            .hint("daypass init, then add tls: and listen: to server.yaml, which says how"));
        }
        let config_file = self.dir.join(SERVER_YAML);
        refuse_second(&self.dir, &config_file)?;
        // Asked for first: who gives up at the question has changed nothing.
        let chosen = password::choose(self.admin.as_str(), self.password_stdin, no_input)?;
        let mut folder = Folder::create(&self.dir)?;
        let made = self.fill(&mut folder, &config_file, &chosen).await;
        match made {
            Ok(()) => folder.keep(),
            Err(failure) => {
                folder.undo();
                return Err(failure);
            }
        }
        self.tell(&chosen);
        Ok(())
    }

    async fn fill(
        &self,
        folder: &mut Folder,
        config_file: &Path,
        chosen: &password::Chosen,
    ) -> Result<(), Failure> {
        let text = server_yaml(self.listen);
        let config = ServerConfig::parse(config_file, &text)?;
        folder.private_dir("secrets")?;
        folder.secret("secrets/sealing-key", &daypass_server::new_sealing_key())?;
        folder.private_dir("data")?;
        folder.dir(POLICY)?;
        folder.file("policy/daypass.yaml", include_str!("policy.yaml"))?;
        folder.all_in("data");
        let installation = self.bootstrap(&config, chosen).await?;
        let (key, public) =
            daypass_server::new_log_key(&installation).map_err(|error| Failure::error(error.to_string()))?;
        folder.secret("secrets/log-key", &key)?;
        folder.file("secrets/log-key.pub", &public)?;
        // Last: this is the file that says "done".
        folder.file(SERVER_YAML, &text)
    }

    /// The first administrator of a store that `init` did not make, such as one on PostgreSQL.
    async fn add_admin(self, no_input: bool) -> Result<(), Failure> {
        let config = ServerConfig::load(&self.dir.join(SERVER_YAML))?;
        let chosen = password::choose(self.admin.as_str(), self.password_stdin, no_input)?;
        let _installation = self.bootstrap(&config, &chosen).await?;
        self.tell_admin(&chosen);
        Ok(())
    }

    /// Makes the administrator; answers the store's own id.
    async fn bootstrap(&self, config: &ServerConfig, chosen: &password::Chosen) -> Result<String, Failure> {
        let hash = daypass_server::hash_password(chosen.password.clone()).await?;
        let engine = daypass_server::open(config, daypass_providers::ALL).await?;
        let administrator = NewPerson {
            login: self.admin.clone(),
            display: self.admin.to_string(),
            kind: Kind::Person,
            role: SystemRole::Administrator,
            groups: BTreeSet::new(),
            manager: None,
            owner: None,
            mail: None,
            password: Some(hash),
        };
        engine.bootstrap(administrator).await?;
        Ok(engine.store().installation().to_owned())
    }

    fn tell(&self, chosen: &password::Chosen) {
        let dir = self.dir.display();
        let told = [
            format!("✓ {dir}/server.yaml        what the operator of this machine decides"),
            format!("✓ {dir}/policy/            who may ask for what, and who must agree"),
            format!(
                "✓ {dir}/secrets/           passwords of targets, the key that seals Daypass's own, the key that signs the log; only you"
            ),
            format!("✓ {dir}/data/              state and log; only you can read it"),
        ];
        told.into_iter().for_each(say);
        self.tell_admin(chosen);
        say("Next:");
        say(format!("  daypass server --config {dir}/{SERVER_YAML}"));
        let (listen, admin) = (self.listen, &self.admin);
        say(format!(
            "  daypass login {admin} --server http://{listen}          (in another terminal)"
        ));
        say("  docs/quickstart.md goes on from there: the first grant on your own PostgreSQL in ten minutes");
    }

    fn tell_admin(&self, chosen: &password::Chosen) {
        say(format!("✓ the administrator {} is in the directory", self.admin));
        if let Some(shown) = chosen.shown() {
            say("  Their password is shown this once; keep it:");
            // The one thing that is data: a script may keep it with `daypass init --no-input >FILE`.
            let _ = writeln!(std::io::stdout().lock(), "{shown}");
        }
    }
}

/// Says what there is already, and what to do with it.
fn refuse_second(dir: &Path, config_file: &Path) -> Result<(), Failure> {
    if config_file.exists() {
        return Err(Failure::error(format!(
            "{} is there already, and init never writes over anything",
            config_file.display()
        ))
        .hint(format!(
            "daypass server --config {} (starts it), or daypass init OTHER-FOLDER",
            config_file.display()
        )));
    }
    for name in ["data/daypass.sqlite", "policy/daypass.yaml"] {
        let left = dir.join(name);
        if left.exists() {
            return Err(Failure::error(format!(
                "{} is there already, but {} is not: this looks like a part of another installation",
                left.display(),
                config_file.display()
            ))
            .hint("daypass init OTHER-FOLDER, or put its server.yaml back"));
        }
    }
    Ok(())
}

fn server_yaml(listen: SocketAddr) -> String {
    let listen = match listen {
        SocketAddr::V4(listen) => listen.to_string(),
        // Without quotes it would be a list in YAML.
        SocketAddr::V6(listen) => format!("\"{listen}\""),
    };
    include_str!("server.yaml").replace("@LISTEN@", &listen)
}

#[cfg(test)]
mod tests {
    use daypass_policy::{Policy, Source};

    use super::*;

    /// The lines of a file with what is commented out in it, unless it is prose.
    fn uncommented(text: &str, is_yaml: impl Fn(&str) -> bool) -> Vec<String> {
        text.lines()
            .map(|line| {
                let (before, after) = line.split_once("# ").unwrap_or((line, ""));
                let yaml = before.trim().is_empty() && is_yaml(after);
                if yaml {
                    format!("{before}{after}")
                } else {
                    line.to_owned()
                }
            })
            .collect()
    }

    #[test]
    fn addresses_of_both_kinds_are_read_again() {
        for listen in ["127.0.0.1:8080", "[::1]:8080"] {
            let listen: SocketAddr = listen.parse().unwrap();
            let config = ServerConfig::parse(Path::new("server.yaml"), &server_yaml(listen)).unwrap();
            assert_eq!(config.listen, listen);
        }
    }

    #[test]
    fn what_server_yaml_suggests_can_be_written() {
        let file = Path::new("server.yaml");
        let keys = [
            "tls:",
            "behind_proxy:",
            "trusted_proxies:",
            "store:",
            "programs:",
            "sessions:",
            "reconcile:",
            "log:",
        ];
        let is_yaml = |text: &str| keys.iter().any(|key| text.starts_with(key));
        let suggested: Vec<_> = include_str!("server.yaml")
            .lines()
            .filter_map(|line| line.strip_prefix("# ").filter(|text| is_yaml(text)))
            .collect();
        assert_eq!(suggested.len(), keys.len(), "{suggested:#?}");
        for text in suggested {
            let own = "secrets: {own-store: {file: secrets/own-store, hosts: [\"10.0.0.9:5432\"]}}";
            // These two go together.
            let proxies = match text.starts_with("behind_proxy:") {
                true => "trusted_proxies: [10.0.0.7]\n",
                false => "",
            };
            let parsed = ServerConfig::parse(file, &format!("{text}\n{proxies}{own}\n"));
            assert!(parsed.is_ok(), "{text}: {parsed:?}");
        }
        let (_, after) = include_str!("server.yaml")
            .split_once("# secrets:\n")
            .expect("it suggests a secret");
        let block = after
            .lines()
            .map_while(|line| line.strip_prefix("# "))
            .fold(String::from("secrets:\n"), |all, line| all + line + "\n");
        let parsed = ServerConfig::parse(file, &block).expect(&block);
        assert!(parsed.secrets.contains_key("pg-main-admin"), "{block}");
        let (_, after) = include_str!("server.yaml")
            .split_once("# notices:\n")
            .expect("it suggests notices");
        let secrets = "secrets:\n  smtp: {file: s, hosts: [\"mail.example.com:587\"]}\n  \
                       chat-hook: {file: h, hosts: [\"hooks.example.com:443\"]}\nnotices:\n";
        let block = after
            .lines()
            .map_while(|line| line.strip_prefix("# "))
            .fold(String::from(secrets), |all, line| all + line + "\n");
        let notices = ServerConfig::parse(file, &block).expect(&block).notices;
        assert!(notices.mail.is_some() && notices.webhooks.len() == 1, "{block}");
    }

    #[test]
    fn what_the_policy_suggests_loads_and_passes_its_tests() {
        let keys = [
            "connectors:",
            "resources:",
            "guardrails:",
            "rules:",
            "  ",
            "- {as:",
        ];
        let lines = uncommented(include_str!("policy.yaml"), |text| {
            keys.iter().any(|key| text.starts_with(key)) && !text.starts_with("  daypass")
        });
        let kept = lines
            .iter()
            .filter(|line| !line.contains("refused: unknown-resource"));
        let text: String = kept.map(|line| format!("{line}\n")).collect();
        let policy = Policy::load(&[Source {
            name: "daypass.yaml".to_owned(),
            text: text.clone(),
        }]);
        let policy = policy.unwrap_or_else(|found| panic!("{found}\n{text}"));
        let outcomes = policy.run_tests();
        assert_eq!(outcomes.len(), 3);
        assert!(outcomes.iter().all(|outcome| outcome.passed), "{outcomes:#?}");
    }
}

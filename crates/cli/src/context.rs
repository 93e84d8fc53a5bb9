//! What every command starts with: the options that all have, the environment, the output, and the way to the server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use daypass_api::client::{Client, Connection, Guard};
use daypass_api::{Page, client};
use daypass_tlog::key::Verifier;

use crate::commands::audit::trust;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Format, Output};
use crate::pins::{ACCEPT, Blind, PinGuard};
use crate::profile::Place;

/// Options that every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The server's address [env: DAYPASS_SERVER] [default: the profile's]
    #[arg(long, global = true, value_name = "URL")]
    pub server: Option<String>,

    /// Which profile to use; login writes it [env: DAYPASS_PROFILE] [default: default]
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,

    /// The form of the output
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value_t
    )]
    pub output: Format,

    /// Short for -o json
    #[arg(long, global = true, conflicts_with = "output")]
    pub json: bool,

    /// Print data and errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// Never ask anything; fail instead
    #[arg(long, global = true)]
    pub no_input: bool,
}

/// What a command works with.
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) env: Environment,
    pub(crate) out: Output,
}

impl Context {
    pub(crate) fn new(global: Global, env: Environment) -> Self {
        let format = if global.json { Format::Json } else { global.output };
        let out = Output {
            format,
            quiet: global.quiet,
            streams: env.streams,
        };
        Self { global, env, out }
    }

    /// Whether somebody can be asked.
    pub(crate) fn may_ask(&self) -> bool {
        self.env.interactive && !self.global.no_input
    }

    /// Where the profile is kept.
    pub(crate) fn place(&self) -> Result<Place, Failure> {
        let name = self.global.profile.as_deref().or(self.env.profile.as_deref());
        Place::new(self.env.config.as_deref(), name)
    }

    /// The server that is named on the command line or by the environment.
    pub(crate) fn named_server(&self) -> Option<&str> {
        self.global.server.as_deref().or(self.env.server.as_deref())
    }

    /// A client that is logged in. It asks for nothing at a server whose log is not the one that was seen before.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Ok(self.watching(Client::new(&self.connection()?)?))
    }

    /// The same client, which looks at the server's log first.
    pub(crate) fn watching(&self, client: Client) -> Client {
        let guard: Arc<dyn Guard> = match (self.given_keys(), self.pins()) {
            // In an emergency that is no obstacle either.
            (Err(why), _) => Blind::new(&why, self.out),
            (Ok(given), Some(folder)) => PinGuard::new(&folder, client.server(), given, ACCEPT, self.out),
            (Ok(given), None) if given.is_empty() => return client,
            (Ok(_), None) => {
                let what = "DAYPASS_LOG_KEY is set, and there is no home directory to keep in what was seen of the log";
                let why = Failure::error(what).hint("set HOME or XDG_CONFIG_HOME");
                Blind::new(&why, self.out)
            }
        };
        client.guarded(guard)
    }

    /// Where pins are kept: one for each server, whatever the profile.
    pub(crate) fn pins(&self) -> Option<PathBuf> {
        self.env.config.as_ref().map(|config| config.join("pins"))
    }

    /// The keys of `DAYPASS_LOG_KEY`.
    ///
    /// # Errors
    /// Where the file holds none.
    pub(crate) fn given_keys(&self) -> Result<Vec<Verifier>, Failure> {
        match &self.env.log_key {
            None => Ok(Vec::new()),
            Some(file) => trust::keys_of(file).map_err(trust::failure),
        }
    }

    /// Where to, as nobody: for what needs no login, and must work where a login is refused.
    pub(crate) fn as_nobody(&self) -> Result<Client, Failure> {
        // A host's service has no home, and so no profile.
        let profile = match &self.env.config {
            Some(_) => self.place()?.load()?,
            None => None,
        };
        let named = self.named_server();
        let server = named.or(profile.as_ref().map(|profile| profile.server.as_str()));
        let server = server.ok_or_else(|| {
            Failure::usage("no server is named").hint("--server https://daypass.example.com")
        })?;
        let ca = self
            .env
            .ca
            .as_deref()
            .or(profile.as_ref().and_then(|profile| profile.ca.as_deref()));
        Ok(Client::new(&Connection {
            server: server.to_owned(),
            token: None,
            ca_pem: ca.map(read_ca).transpose()?,
        })?)
    }

    /// Where to, and as whom.
    pub(crate) fn connection(&self) -> Result<Connection, Failure> {
        let named = self.named_server();
        if let (Some(server), Some(token)) = (named, &self.env.token) {
            let ca_pem = self.env.ca.as_deref().map(read_ca).transpose()?;
            return Ok(Connection {
                server: server.to_owned(),
                token: Some(token.clone()),
                ca_pem,
            });
        }
        let profile = self.place()?.load()?;
        let ca = self
            .env
            .ca
            .as_deref()
            .or(profile.as_ref().and_then(|profile| profile.ca.as_deref()));
        let ca_pem = ca.map(read_ca).transpose()?;
        let server = named.or(profile.as_ref().map(|profile| profile.server.as_str()));
        let Some(server) = server else {
            return Err(
                Failure::new(Exit::LOGIN_NEEDED, "nobody is logged in, and no server is named")
                    .hint("daypass login --server https://daypass.example.com"),
            );
        };
        let token = self.env.token.clone().or_else(|| {
            // A session goes to the server that gave it, and to no other.
            let own = profile.as_ref().filter(|profile| same(&profile.server, server));
            own.map(|profile| profile.token.clone().into_inner())
        });
        if token.is_none() {
            // What is no address is no place to log in to either.
            Client::new(&Connection {
                server: server.to_owned(),
                ..Connection::default()
            })?;
            return Err(
                Failure::new(Exit::LOGIN_NEEDED, format!("nobody is logged in at {server}"))
                    .hint(format!("daypass login --server {server}")),
            );
        }
        Ok(Connection {
            server: server.to_owned(),
            token,
            ca_pem,
        })
    }
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// The certificates of a file.
pub(crate) fn read_ca(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::error(format!("{} cannot be read: {error}", path.display())))
}

/// The entries of all pages, up to a number.
pub(crate) async fn pages<T>(
    most: usize,
    mut fetch: impl AsyncFnMut(Option<String>) -> Result<Page<T>, client::Error>,
) -> Result<Vec<T>, Failure> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let page = fetch(cursor.clone()).await?;
        // An empty page may have a next one. One that leads to itself would never end.
        let stuck = page.next == cursor;
        all.extend(page.items);
        cursor = page.next;
        if cursor.is_none() || stuck || all.len() >= most {
            all.truncate(most);
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use daypass_api::Secret;
    use daypass_core::time::Timestamp;
    use secrecy::{ExposeSecret as _, SecretString};

    use super::*;
    use crate::profile::Profile;

    fn context(config: &Path, server: Option<&str>, token: Option<&str>) -> Context {
        let env = Environment {
            server: server.map(str::to_owned),
            token: token.map(SecretString::from),
            config: Some(config.to_owned()),
            ..Environment::default()
        };
        Context::new(Global::default(), env)
    }

    #[tokio::test]
    async fn an_empty_page_is_not_the_end_and_one_that_leads_nowhere_is() {
        let answers = [
            (vec![1], Some("a")),
            (vec![], Some("b")),
            (vec![2], Some("c")),
            (vec![3], Some("c")),
        ];
        let mut answers = answers.into_iter();
        let all = pages(10, async |_| {
            let (items, next) = answers.next().unwrap();
            Ok(Page {
                items,
                next: next.map(str::to_owned),
            })
        });
        assert_eq!(all.await.unwrap(), [1, 2, 3]);
    }

    #[test]
    fn a_session_goes_to_its_own_server_only() {
        let home = tempfile::tempdir().unwrap();
        let none = context(home.path(), None, None).connection().unwrap_err();
        assert_eq!(none.exit, Exit::LOGIN_NEEDED);
        let profile = Profile {
            server: "https://one.example.com".into(),
            login: "ana".into(),
            token: Secret::new("session".to_owned()),
            expires_at: Timestamp::MAX,
            ca: None,
        };
        context(home.path(), None, None)
            .place()
            .unwrap()
            .save(&profile)
            .unwrap();
        let token = |server, token| {
            let connection = context(home.path(), server, token).connection().ok()?;
            Some((connection.server, connection.token?.expose_secret().to_owned()))
        };
        let one = "https://one.example.com";
        let two = "https://two.example.com";
        assert_eq!(token(None, None), Some((one.into(), "session".into())));
        assert_eq!(
            token(Some("https://one.example.com/"), None).unwrap().1,
            "session"
        );
        assert_eq!(token(Some(two), None), None, "not to another one");
        assert_eq!(token(Some(two), Some("api")), Some((two.into(), "api".into())));
        assert_eq!(token(None, Some("api")), Some((one.into(), "api".into())));
        let failure = context(home.path(), Some("example.com"), None)
            .connection()
            .unwrap_err();
        assert_eq!(failure.exit, Exit::USAGE, "no login helps there");
        assert!(failure.told().0.ends_with("write it as https://example.com"));
    }
}

//! `daypass demo`: everything on this machine, in one process, and gone when it ends.
//!
//! It has lived ninety days before anybody looks (`past/`). Then it plays the main job once, over the real API and (where one is installed)
//! on a real PostgreSQL, then on a real sshd of its own, leaves some things waiting, opens its pages, and leaves the stage to whoever watches.

mod history;
mod host;
mod lists;
mod narrator;
mod open;
mod past;
mod people;
mod place;
mod play;
mod recorded;
mod target;
mod tour;
mod trail;
mod visit;
mod wrappers;

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use daypass_engine::Kinds;
use daypass_policy::Source;
use daypass_providers::memory::Memory;
use daypass_server::config::ServerConfig;
use daypass_server::{Entrance, Personas, Server, edge};
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;

use self::history::History;
use self::host::Host;
use self::lists::Lists;
use self::narrator::Narrator;
use self::people::People;
use self::play::Play;
use self::target::Target;
use self::tour::Tour;
use self::visit::Visit;
use self::wrappers::Tools;
use crate::failure::Failure;
use crate::server::broken;
use crate::signal;

/// Show the main job on this machine, then let you try it. Nothing stays behind.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// The port of the demo's server; a free one where nothing is said.
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// End after the play. The exit code is 0 only if every step of it held.
    #[arg(long)]
    once: bool,
    /// Open no browser: the address of the pages is printed either way
    #[arg(long)]
    no_open: bool,
}

/// What runs, in the order in which it was started.
#[derive(Default)]
struct Stage {
    target: Option<Target>,
    host: Option<Host>,
    server: Option<Server>,
}

/// What there is to give access to.
struct Scenery<'a> {
    target: &'a Target,
    host: Option<&'a Host>,
    lists: Option<&'a Lists>,
    memory: &'static Memory,
}

impl Demo {
    /// Runs it, and removes everything afterwards, whatever happened.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let narrator = Narrator::new();
        // It will hold everybody's sessions.
        let folder = tempfile::Builder::new()
            .prefix("daypass-demo-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir();
        let folder = folder.map_err(|error| Failure::error(format!("no temporary folder: {error}")))?;
        let mut stage = Stage::default();
        let ended = tokio::select! {
            ended = self.perform(narrator, folder.path(), &mut stage) => ended,
            name = signal::told_to_stop() => {
                narrator.blank();
                narrator.aside(&format!("{name}: stopping"));
                if self.once { Err(Failure::error("the demo was stopped before its story had ended")) } else { Ok(()) }
            }
        };
        stage.clear(narrator, folder).await;
        ended
    }

    async fn perform(&self, narrator: Narrator, folder: &Path, stage: &mut Stage) -> Result<(), Failure> {
        narrator
            .title("Daypass: ask for production access, get it approved, lose it automatically, prove it");
        narrator.aside("Everything runs on this machine only, and is removed when the demo ends.");
        narrator
            .aside("A line with $ is what somebody would type; the demo makes the same calls to the server.");
        narrator.blank();
        let Stage { target, host, server } = stage;
        // Kinds are listed for the whole life of a process; the demo is one process.
        let memory: &'static Memory = Box::leak(Box::new(Memory::new()));
        let target = &*target.insert(Target::start(narrator, memory).await?);
        *host = Host::start(narrator, folder).await?;
        let lists = Lists::lay_out(narrator, folder)?;
        let scenery = Scenery {
            target,
            host: host.as_ref(),
            lists: lists.as_ref(),
            memory,
        };
        let password = random_password();
        let (begun, entrance) = self.begin(narrator, folder, &scenery, &password).await?;
        let running = server.insert(begun);
        let address = running.url();
        let slow = narrator.begin(
            "logging in ana and eve (engineers), bo (their manager), cy (security), dee (auditor) and root",
        );
        let people = People::log_in(&address, &password).await?;
        running.engine().load_policy(&scenery.policy()?).await?;
        if let Some(host) = host {
            host.enrol(&people, &address).await?;
        }
        slow.done("");
        Play {
            narrator,
            people: &people,
            target,
        }
        .run()
        .await?;
        let tools = Tools {
            own: host.as_ref().map(Host::tools),
            target: target.programs(),
        };
        let bin = wrappers::write(folder, &people, &address, &tools)?;
        let host = visit(narrator, &people, host.as_ref(), (folder, &bin)).await?;
        recorded::play(narrator, (folder, &bin), target, host).await?;
        let history = History::make(&people).await?;
        if self.once {
            narrator.blank();
            narrator.done("every step held");
            return Ok(());
        }
        let tour = Tour {
            bin: &bin,
            password: &place::file(folder, "password", password.expose_secret(), place::DATA)?,
            target,
            host,
            lists: lists.as_ref(),
            history: &history,
            pages: &entrance.at(&address),
        };
        tour.invite(narrator);
        if let Some(page) = entrance.page(&address).filter(|_| !self.no_open) {
            open::in_browser(folder, &page);
        }
        Err(broken(running.broken().await))
    }

    /// Lives through the past, and starts the server that goes on from there; with the way into its pages.
    async fn begin(
        &self,
        narrator: Narrator,
        folder: &Path,
        scenery: &Scenery<'_>,
        password: &SecretString,
    ) -> Result<(Server, Entrance), Failure> {
        let slow =
            narrator.begin("living through ninety days of a made-up company: its people, requests, policies");
        let hash = daypass_server::hash_password(password.clone()).await?;
        let lived = match past::live(folder, scenery.memory, hash).await {
            Ok(lived) => lived,
            Err(failure) => {
                slow.failed();
                return Err(failure);
            }
        };
        slow.done(&format!("{} entries in the log", lived.entries));
        let personas = Personas::new(password.clone(), people::personas());
        let entrance = personas.entrance();
        let slow = narrator.begin("starting a Daypass server that goes on from there");
        match self.serve(folder, scenery, personas).await {
            Ok(running) => {
                slow.done(&format!("on {}", running.url()));
                Ok((running, entrance))
            }
            Err(failure) => {
                slow.failed();
                Err(failure)
            }
        }
    }

    async fn serve(
        &self,
        folder: &Path,
        scenery: &Scenery<'_>,
        personas: Personas,
    ) -> Result<Server, Failure> {
        let listen = SocketAddr::from(([127, 0, 0, 1], self.port));
        let secrets = scenery.target.secrets(folder)?;
        let programs = scenery.lists.map(Lists::programs).unwrap_or_default();
        let gateway = recorded::gateway(folder)?;
        let key = place::file(
            folder,
            "sealing-key",
            &daypass_server::new_sealing_key(),
            place::DATA,
        )?;
        let text = format!(
            "listen: {listen}\nstore: {{sqlite: {store}}}\nstate_dir: state\nreconcile: {{drift_every: 5s}}\n\
             sealing_key: {{file: {:?}}}\nsigning_key: {{file: log-key}}\n{gateway}{secrets}{programs}",
            key.display().to_string(),
            store = past::STORE,
        );
        let config = ServerConfig::parse(&folder.join("server.yaml"), &text)?;
        Ok(Server::start_demo(config, &scenery.kinds(), personas).await?)
    }
}

impl Scenery<'_> {
    /// The kinds of target that the server must know: all, and the stand-in of this process.
    fn kinds(&self) -> Kinds {
        let mut kinds = daypass_providers::ALL.to_vec();
        kinds.push(self.memory);
        kinds
    }

    fn policy(&self) -> Result<Vec<Source>, Failure> {
        let source = |name: &str, text: String| Source {
            name: name.to_owned(),
            text,
        };
        // Which role of a resource of each kind `env:staging/debug` stands for.
        let mut kinds = format!("{}: write", self.target.kind());
        kinds.extend(self.host.map(|_| ", ssh: shell"));
        kinds.extend(self.lists.map(|_| ", command: operator"));
        let mut all = vec![
            source("rules.yaml", include_str!("rules.yaml").to_owned()),
            source("estate.yaml", include_str!("estate.yaml").to_owned()),
            source(
                "environments.yaml",
                include_str!("environments.yaml").replace("@KINDS@", &kinds),
            ),
            self.target.policy(),
        ];
        all.extend(self.host.map(Host::policy));
        all.extend(self.lists.map(|_| Lists::policy()));
        all.extend(recorded::policy(self.target, self.host)?);
        Ok(all)
    }
}

/// Plays the scene at the host, where there is one; the host, where it can be logged in to.
async fn visit<'a>(
    narrator: Narrator,
    people: &People,
    host: Option<&'a Host>,
    (folder, bin): (&Path, &Path),
) -> Result<Option<&'a Host>, Failure> {
    let Some(host) = host else { return Ok(None) };
    let scene = Visit {
        narrator,
        people,
        host,
        folder,
        bin,
    };
    Ok(scene.run().await?.then_some(host))
}

impl Stage {
    /// Stops what runs, the last first, and removes the folder.
    async fn clear(mut self, narrator: Narrator, folder: TempDir) {
        if let Some(host) = &mut self.host {
            host.leave().await;
        }
        if let Some(server) = self.server {
            server.stop().await;
        }
        if let Some(target) = self.target {
            target.stop().await;
        }
        if let Some(host) = self.host {
            host.stop().await;
        }
        let path = folder.path().to_owned();
        match folder.close() {
            Ok(()) => narrator.aside("Everything is stopped and removed."),
            Err(error) => narrator.refused(&format!("{} could not be removed: {error}", path.display())),
        }
    }
}

/// A password that nobody has to type.
fn random_password() -> SecretString {
    let bytes: [u8; 16] = edge::random();
    SecretString::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

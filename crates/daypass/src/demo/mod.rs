//! `daypass demo`: everything on this machine, in one process, and gone when it ends.
//!
//! It plays the main job once, over the real API and (where one is installed) on a real PostgreSQL, and then leaves the
//! stage to whoever watches.

mod narrator;
mod people;
mod play;
mod target;
mod trail;
mod wrappers;

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use daypass_policy::Source;
use daypass_server::config::ServerConfig;
use daypass_server::{Server, edge};
use secrecy::SecretString;
use tempfile::TempDir;

use self::narrator::Narrator;
use self::people::People;
use self::play::Play;
use self::target::Target;
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
    /// Open no browser. There is no page to open yet, so this changes nothing.
    #[arg(long, hide = true)]
    no_open: bool,
}

/// What runs, in the order in which it was started.
#[derive(Default)]
struct Stage {
    target: Option<Target>,
    server: Option<Server>,
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
        let target = &*stage.target.insert(Target::start(narrator).await?);
        let slow = narrator.begin("starting a Daypass server with an empty store");
        let running = match self.serve(folder, target).await {
            Ok(running) => stage.server.insert(running),
            Err(failure) => {
                slow.failed();
                return Err(failure);
            }
        };
        let address = running.url();
        slow.done(&format!("on {address}"));
        let slow = narrator
            .begin("making ana (an engineer), bo (her manager), cy (security), dee (auditor) and root");
        let people = People::settle_in(running, &address).await?;
        slow.done("");
        Play {
            narrator,
            people: &people,
            target,
        }
        .run()
        .await?;
        if self.once {
            narrator.blank();
            narrator.done("every step held");
            return Ok(());
        }
        let bin = wrappers::write(folder, &people, &address, target.programs())?;
        invite(narrator, &bin, target);
        Err(broken(running.broken().await))
    }

    async fn serve(&self, folder: &Path, target: &Target) -> Result<Server, Failure> {
        let listen = SocketAddr::from(([127, 0, 0, 1], self.port));
        let secrets = target.secrets(folder)?;
        let text = format!(
            "listen: {listen}\nstore: {{sqlite: daypass.sqlite}}\nstate_dir: state\nreconcile: {{drift_every: 5s}}\n{secrets}"
        );
        let config = ServerConfig::parse(&folder.join("server.yaml"), &text)?;
        let server = Server::start(config, &target.kinds()).await?;
        let rules = Source {
            name: "rules.yaml".to_owned(),
            text: include_str!("rules.yaml").to_owned(),
        };
        let loaded = server.engine().load_policy(&[rules, target.policy()]).await;
        if let Err(error) = loaded {
            server.stop().await;
            return Err(error.into());
        }
        Ok(server)
    }
}

impl Stage {
    /// Stops what runs, the last first, and removes the folder.
    async fn clear(self, narrator: Narrator, folder: TempDir) {
        if let Some(server) = self.server {
            server.stop().await;
        }
        if let Some(target) = self.target {
            target.stop().await;
        }
        let path = folder.path().to_owned();
        match folder.close() {
            Ok(()) => narrator.aside("Everything is stopped and removed."),
            Err(error) => narrator.refused(&format!("{} could not be removed: {error}", path.display())),
        }
    }
}

/// What to type next.
fn invite(narrator: Narrator, bin: &Path, target: &Target) {
    narrator.heading("Now you, in another terminal");
    narrator.line(&format!("  export PATH={}:$PATH", bin.display()));
    let ask = [
        ("ana ls", "what ana may ask for, and what it takes"),
        (
            "ana request orders-prod/write --for 2m --reason \"PAY-7: fix a stuck order\"",
            "",
        ),
        ("bo inbox", "what waits for bo"),
        ("bo approve R…", "the id that inbox shows"),
        ("cy approve R…", "the second of two"),
    ];
    let look = [("dee audit ls", "the auditor sees all of it")];
    for (command, why) in ask.into_iter().chain(target.invitation()).chain(look) {
        let why = if why.is_empty() {
            String::new()
        } else {
            format!("   # {why}")
        };
        narrator.line(format!("  {command:<34}{why}").trim_end());
    }
    narrator.blank();
    narrator.aside("Ctrl-C here stops and removes everything.");
}

/// A password that nobody has to type.
fn random_password() -> SecretString {
    let bytes: [u8; 16] = edge::random();
    SecretString::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

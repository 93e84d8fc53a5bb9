//! Who may get to the host by way of the gateway: everybody's own key, a grant each, and the host's own part.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use daypass_api::Scope;
use daypass_api::grant::{GrantState, Revoke};
use daypass_api::login::NewToken;
use daypass_api::person::{Kind, NewPerson, SystemRole};
use daypass_api::request::NewRequest;
use daypass_api::ssh::NewSshKey;
use daypass_core::id::GrantId;
use daypass_core::time::Span;
use daypass_gateway::ssh::key::from_line;
use futures_util::future::join_all;

use super::host::{ACCOUNT, By, Host, NAME};
use super::sessions::To;
use crate::daypass::{Daypass, Person, until};

/// The host, and how it is reached.
pub(crate) struct Access {
    pub(crate) host: Host,
    /// The gateway's port.
    pub(crate) port: u16,
    /// What it is known by, as `known_hosts` has it.
    key: String,
    /// By which the host fetches its files.
    token: String,
    program: PathBuf,
    grants: Vec<GrantId>,
}

impl Access {
    /// Everybody adds their key and holds a grant; the host knows who may come.
    pub(crate) async fn new(daypass: &Daypass, host: Host, port: u16) -> Self {
        let account = NewPerson {
            login: ACCOUNT.parse().unwrap(),
            display: None,
            kind: Kind::Service,
            role: SystemRole::Member,
            groups: [].into(),
            manager: None,
            owner: Some("admin".parse().unwrap()),
            mail: None,
            password: None,
        };
        daypass.admin.add_person(&account).await.unwrap();
        let token = NewToken {
            name: String::from("sync"),
            scopes: [Scope::Read, Scope::Request].into(),
            resources: [].into(),
            expires_in: Span::hours(24),
            login: Some(ACCOUNT.parse().unwrap()),
        };
        let token = daypass.admin.add_token(&token).await.unwrap();
        let mut key = String::new();
        for (number, person) in daypass.people.iter().enumerate() {
            let id = person.api.whoami().await.unwrap().person.id;
            let new = NewSshKey {
                name: String::from("bench"),
                public_key: host.public(number),
                signature: host.signed(number, NewSshKey::PURPOSE, &NewSshKey::text(id)),
                expires_in: Span::hours(24),
            };
            person.api.add_ssh_key(&new).await.unwrap();
            let gateway = person.api.gateway_credential().await.unwrap().ssh;
            key = gateway.expect("there is one for ssh").host_key;
        }
        let mut access = Self {
            host,
            port,
            key,
            token: token.secret.expose().to_owned(),
            program: daypass.program.clone(),
            grants: Vec::new(),
        };
        access.sync(&daypass.url);
        access.anew(&daypass.people).await;
        access
    }

    /// What the host's own timer runs.
    fn sync(&self, url: &str) {
        let mut sync = Command::new(&self.program);
        sync.args(["ssh-host", "sync", "fleet", "127.0.0.1", "--once", "--dir"])
            .arg(self.host.folder())
            .arg("--sshd-config")
            .arg(self.host.folder().join("sshd_config"))
            .env("DAYPASS_SERVER", url)
            .env("DAYPASS_TOKEN", &self.token)
            .env("XDG_CONFIG_HOME", self.host.folder());
        let output = sync.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    async fn anew(&mut self, people: &[Person]) {
        if self.grants.is_empty() {
            self.grants = join_all(people.iter().map(granted)).await;
        }
    }
}

async fn granted(person: &Person) -> GrantId {
    let item = format!("{NAME}/shell")
        .parse::<daypass_core::name::Item>()
        .unwrap();
    let ask = NewRequest {
        items: [item.into()].into(),
        environments: [].into(),
        duration: None,
        start: None,
        reason: Some(String::from("the benchmark")),
        ticket: None,
    };
    let grant = person.api.add_request(&ask).await.unwrap().grant;
    let grant = grant.expect("nobody has to agree");
    until(&person.api, grant, GrantState::Active).await;
    grant
}

impl Daypass {
    fn access(&self) -> &Access {
        self.access.as_ref().expect("it is there from the start on")
    }

    pub(crate) fn host(&self) -> &Host {
        &self.access().host
    }

    /// OpenSSH's client, for somebody.
    pub(crate) fn ssh(&self, by: By, number: usize) -> tokio::process::Command {
        let access = self.access();
        access.host.client(by, (access.port, &access.key), number)
    }

    /// Everybody's way by the gateway.
    pub(crate) fn ssh_people(&self) -> Vec<To> {
        let access = self.access();
        let to = |number| To {
            port: access.port,
            host_key: from_line(&access.key).unwrap(),
            user: format!("{NAME}/shell"),
            key: Arc::new(access.host.key(number)),
        };
        (0..self.people.len()).map(to).collect()
    }

    /// Everybody's way without it.
    pub(crate) fn ssh_direct(&self) -> Vec<To> {
        let host = self.host();
        let to = |number| To {
            port: host.port(),
            host_key: host.host_key(),
            user: host.user().to_owned(),
            key: Arc::new(host.key(number)),
        };
        (0..self.people.len()).map(to).collect()
    }

    /// Who holds no access to the host asks for it.
    pub(crate) async fn hosts_anew(&mut self) {
        if let Some(access) = &mut self.access {
            access.anew(&self.people).await;
        }
    }

    /// Takes everybody's access to the host away, all at once.
    pub(crate) async fn revoke_hosts(&self) {
        let revoke = Revoke {
            reason: Some(String::from("the benchmark")),
        };
        let all = self.access().grants.iter();
        for answer in join_all(all.map(|grant| self.admin.revoke(*grant, &revoke))).await {
            answer.unwrap();
        }
    }

    /// Waits until it was seen at the host that nobody holds anything any more.
    pub(crate) async fn until_hosts_ended(&mut self) {
        let url = self.url.clone();
        let Some(access) = &mut self.access else { return };
        access.sync(&url);
        for grant in access.grants.drain(..) {
            until(&self.admin, grant, GrantState::Ended).await;
        }
    }
}

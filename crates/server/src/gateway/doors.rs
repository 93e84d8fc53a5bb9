//! Where the gateway in this process listens: one door for each protocol that `server.yaml` names, and one gateway behind all of them.

use std::net::SocketAddr;
use std::sync::Arc;

use daypass_gateway::postgres::Postgres;
use daypass_gateway::ssh::Ssh;
use daypass_gateway::{Gateway, Protocol};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::entrance::{Entrance, SshEntrance};
use super::key;
use super::start::{StartError, settings};
use crate::config::{GatewayConfig, PostgresGateway, SshGateway};

/// What listens, and what clients are told of it.
pub(super) struct Doors {
    all: Vec<(TcpListener, Arc<dyn Protocol>)>,
    pub(super) postgres: Option<Entrance>,
    pub(super) ssh: Option<SshEntrance>,
    /// The digests of what clients are shown: the certificate of TLS, the host key of SSH.
    pub(super) end_points: Vec<Vec<u8>>,
}

impl Doors {
    /// Opens them: files are read, addresses are listened on, and nobody is served yet. Blocks on small files.
    ///
    /// # Errors
    /// Where something of it is not there or cannot be used.
    pub(super) async fn open(config: &GatewayConfig) -> Result<Self, StartError> {
        let mut doors = Self {
            all: Vec::new(),
            postgres: None,
            ssh: None,
            end_points: Vec::new(),
        };
        if let Some(config) = &config.postgres {
            doors.open_postgres(config).await?;
        }
        if let Some(config) = &config.ssh {
            doors.open_ssh(config).await?;
        }
        Ok(doors)
    }

    async fn open_postgres(&mut self, config: &PostgresGateway) -> Result<(), StartError> {
        let settings = settings(config.tls.as_ref())?;
        let identity = settings.identity.as_ref();
        let end_point = identity.and_then(|identity| identity.end_point().map(<[u8]>::to_vec));
        self.end_points.extend(end_point);
        let entrance = Entrance::read(&config.address)?;
        let (listener, bound) = bind(config.listen).await?;
        tracing::info!(address = %bound, "the gateway takes PostgreSQL's clients");
        self.postgres = Some(entrance.bound(bound.port()));
        self.all.push((listener, Arc::new(Postgres::new(settings))));
        Ok(())
    }

    async fn open_ssh(&mut self, config: &SshGateway) -> Result<(), StartError> {
        let key = key::of_host(&config.host_key)?;
        self.end_points.push(key.end_point());
        let (listener, bound) = bind(config.listen).await?;
        let (host, port) = config.address.clone();
        let entrance = SshEntrance {
            host,
            // Port 0 is any that is free: clients are told which it became.
            port: if port == 0 { bound.port() } else { port },
            host_key: key.line(),
            passwords: config.passwords,
            own_keys: config.own_keys,
        };
        tracing::info!(address = %bound, host_key = entrance.host_key, "the gateway takes SSH's clients");
        self.ssh = Some(entrance);
        let ssh = Ssh::new(key);
        let ssh = if config.passwords {
            ssh.with_passwords()
        } else {
            ssh
        };
        self.all.push((listener, Arc::new(ssh)));
        Ok(())
    }

    /// Takes clients, each door by itself.
    pub(super) fn serve(self, gateway: &Arc<Gateway>) -> JoinSet<()> {
        let mut serving = JoinSet::new();
        for (listener, protocol) in self.all {
            serving.spawn(Arc::clone(gateway).listen(listener, protocol));
        }
        serving
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let listening = |why| StartError::Listen { address, why };
    let listener = TcpListener::bind(address).await.map_err(listening)?;
    let bound = listener.local_addr().map_err(listening)?;
    Ok((listener, bound))
}

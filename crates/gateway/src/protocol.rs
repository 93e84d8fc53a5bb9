//! What a protocol is to the rest: something that serves one connection.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::TcpStream;

use crate::gateway::{Gateway, Handshake};

/// A protocol, set up. Another one is a folder beside `postgres/`, a variant of [`crate::control::Target`] and a `pub mod`.
#[async_trait]
pub trait Protocol: Send + Sync + 'static {
    /// Its name in records and rules: `postgres`.
    fn name(&self) -> &'static str;

    /// Serves a connection to its end. `handshake` is given back as soon as the client has proved who they are: there are few
    /// places for those who have not.
    async fn serve(
        &self,
        gateway: Arc<Gateway>,
        connection: TcpStream,
        peer: SocketAddr,
        handshake: Handshake,
    );
}

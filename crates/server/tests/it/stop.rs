//! Stopping in order, and starting again on what was kept.

use daypass_api::grant::GrantState;
use daypass_api::person::SetMail;
use daypass_providers::Kind;
use daypass_server::config::{MailConfig, MailTls, ServerConfig, StoreConfig};
use daypass_server::{Server, StartError};

use crate::bed::{Bed, soon};

fn on_disk(config: &mut ServerConfig) {
    config.store = StoreConfig::Sqlite {
        path: config.state_dir.join("state/daypass.sqlite"),
    };
}

#[tokio::test]
async fn a_stopped_server_ends_its_streams_and_keeps_everything() {
    let bed = Bed::with(on_disk).await;
    let grant = bed.granted().await;
    bed.reaches(grant, GrantState::Active).await;
    let session = bed.session("ana").await;
    let mut stream = bed.client_of(&session).events(None).await.unwrap();
    let mut config = ServerConfig::ephemeral(bed.folder.path());
    on_disk(&mut config);
    let kinds: [&'static dyn Kind; 1] = [bed.kind];

    let Err(second) = Server::start(config.clone(), &kinds).await else {
        panic!("two servers on one file")
    };
    assert!(
        matches!(second, StartError::Store(daypass_store::Error::Locked(_))),
        "{second}"
    );

    let Bed {
        server,
        folder,
        kind,
        target,
        http,
    } = bed;
    let address = server.address();
    soon("the stop", server.stop()).await;
    soon("the end of the stream", async {
        while let Ok(Some(_)) = stream.next().await {}
    })
    .await;
    assert!(
        tokio::net::TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );

    let server = Server::start(config, &kinds).await.unwrap();
    let bed = Bed {
        server,
        target,
        kind,
        folder,
        http,
    };
    let ana = bed.client_of(&session);
    assert_eq!(ana.whoami().await.unwrap().person.login, "ana");
    assert_eq!(
        ana.grant(&grant.to_string()).await.unwrap().state,
        GrantState::Active
    );
    ana.release(grant).await.unwrap();
    bed.reaches(grant, GrantState::Ended).await;
    assert!(bed.server.engine().store().verify().await.is_ok());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(bed.folder.path().join("state"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "nobody else looks into the store's folder");
    }
}

#[tokio::test]
async fn a_server_that_is_dropped_stops_by_itself() {
    let bed = Bed::with(on_disk).await;
    let mut config = ServerConfig::ephemeral(bed.folder.path());
    on_disk(&mut config);
    let Bed {
        server, folder, kind, ..
    } = bed;
    let kinds: [&'static dyn Kind; 1] = [kind];
    drop(server);
    let again = soon("the file to be free again", async {
        loop {
            match Server::start(config.clone(), &kinds).await {
                Ok(server) => return server,
                Err(StartError::Store(daypass_store::Error::Locked(_))) => {}
                Err(other) => panic!("{other}"),
            }
        }
    })
    .await;
    soon("the stop", again.stop()).await;
    drop(folder);
}

#[tokio::test]
async fn an_address_that_is_taken_is_said() {
    let bed = Bed::start().await;
    let mut config = ServerConfig::ephemeral(bed.folder.path());
    config.listen = bed.server.address();
    let Err(error) = Server::start(config, &[]).await else {
        panic!("two servers on one address")
    };
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot listen on {}", bed.server.address())),
        "{error}"
    );
}

/// A mail server that takes a connection and says nothing holds up no stop: whoever stops a server kills it after a while.
#[tokio::test]
async fn a_mail_server_that_hangs_holds_up_no_stop() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let bed = Bed::with(|config| {
        config.notices.base_url = Some(String::from("https://daypass.example"));
        config.notices.mail = Some(MailConfig {
            host: String::from("127.0.0.1"),
            port,
            tls: MailTls::None,
            from: "Daypass <daypass@example.com>".parse().unwrap(),
            login: None,
            kinds: None,
        });
    })
    .await;
    let mail = SetMail {
        mail: Some(String::from("bo@example.com")),
    };
    let root = bed.client("root").await;
    root.set_mail(&"bo".parse().unwrap(), &mail).await.unwrap();
    bed.ask("ana", "orders/write").await;
    let _taken = soon("the letter", silent.accept()).await.unwrap();
    soon("the stop", bed.server.stop()).await;
}

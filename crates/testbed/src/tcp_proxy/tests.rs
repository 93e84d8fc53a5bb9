//! The proxy between a client and a service that says every line back.

use super::*;
use crate::wait;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::sync::mpsc::{Receiver, channel};

const SOON: Duration = Duration::from_secs(5);
/// How long "nothing comes" is waited for. Too short can only make a test pass that should fail, never the reverse.
const QUIET: Duration = Duration::from_millis(100);

/// A service that answers each line with itself, and tells what it got.
fn echo() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (tell, got) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tell = tell.clone();
            std::thread::spawn(move || {
                let mut out = stream.try_clone().unwrap();
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = tell.send(line.clone());
                    let _ = writeln!(out, "{line}");
                }
            });
        }
    });
    (addr, got)
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(proxy: &TcpProxy) -> Self {
        Self(BufReader::new(TcpStream::connect(proxy.addr()).unwrap()))
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The next line, `None` at the end of the connection.
    fn line(&mut self, within: Duration) -> Result<Option<String>, ErrorKind> {
        self.0.get_ref().set_read_timeout(Some(within)).unwrap();
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(line.trim_end().to_owned())),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(error.kind()),
        }
    }
}

#[track_caller]
fn says(client: &mut Client, expected: &str) {
    assert_eq!(client.line(SOON), Ok(Some(expected.to_owned())));
}

#[track_caller]
fn is_silent(client: &mut Client) {
    let got = client.line(QUIET);
    assert!(
        matches!(got, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)),
        "{got:?}"
    );
}

#[test]
fn forwards_both_ways_and_passes_the_end_on() {
    let (service, _got) = echo();
    let proxy = TcpProxy::start(service).unwrap();
    let mut client = Client::connect(&proxy);
    client.send("one\n");
    says(&mut client, "one");
    assert_eq!(proxy.connections(), 1);

    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.line(SOON), Ok(None));
    wait::until("the end", SOON, || Ok((proxy.connections() == 0).then_some(()))).unwrap();
}

#[test]
fn pause_holds_and_resume_loses_nothing() {
    let (service, got) = echo();
    let proxy = TcpProxy::start(service).unwrap();
    let mut client = Client::connect(&proxy);
    client.send("before\n");
    says(&mut client, "before");
    assert_eq!(got.recv_timeout(SOON).unwrap(), "before");

    proxy.pause();
    client.send("held\n");
    is_silent(&mut client);
    assert!(got.try_recv().is_err(), "the service heard what should be held");
    proxy.resume();
    says(&mut client, "held");
}

#[test]
fn cut_ends_connections_even_paused_and_takes_new_ones() {
    let (service, _got) = echo();
    let proxy = TcpProxy::start(service).unwrap();
    let mut client = Client::connect(&proxy);
    client.send("one\n");
    says(&mut client, "one");
    proxy.pause();
    client.send("never\n");
    proxy.cut();
    assert_eq!(client.line(SOON), Ok(None));
    proxy.resume();
    let mut second = Client::connect(&proxy);
    second.send("two\n");
    says(&mut second, "two");
}

#[test]
fn refuse_refuses_and_accept_takes_the_same_port_again() {
    let (service, _got) = echo();
    let proxy = TcpProxy::start(service).unwrap();
    let mut old = Client::connect(&proxy);
    old.send("old\n");
    says(&mut old, "old");
    for _ in 0..3 {
        proxy.refuse();
        let refused = TcpStream::connect(proxy.addr()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        proxy.accept().unwrap();
        let mut client = Client::connect(&proxy);
        client.send("again\n");
        says(&mut client, "again");
    }
    old.send("still\n");
    says(&mut old, "still");
}

#[test]
fn a_service_that_is_not_there_closes_the_client() {
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, port::free().unwrap()));
    let proxy = TcpProxy::start(nobody).unwrap();
    assert_eq!(Client::connect(&proxy).line(SOON), Ok(None));
}

#[test]
fn holds_the_answer_to_certain_bytes_on_that_connection_alone() {
    let (service, got) = echo();
    let proxy = TcpProxy::start(service).unwrap();
    let created = proxy.when(b"CREATE ROLE", Then::HoldAnswers);
    let (mut client, mut other) = (Client::connect(&proxy), Client::connect(&proxy));
    client.send("SELECT 1\n");
    says(&mut client, "SELECT 1");
    assert!(!created.has_happened());

    client.send("CREATE ROLE x\n");
    created.wait(SOON).unwrap();
    assert!(created.has_happened());
    created.wait(Duration::ZERO).unwrap();
    assert_eq!(
        (got.recv().unwrap(), got.recv_timeout(SOON).unwrap()),
        ("SELECT 1".into(), "CREATE ROLE x".into())
    );
    is_silent(&mut client);
    other.send("unconcerned\n");
    says(&mut other, "unconcerned");

    proxy.resume();
    says(&mut client, "CREATE ROLE x");
}

#[test]
fn cut_before_hides_the_call_and_cut_after_hides_the_answer() {
    let (service, got) = echo();
    let proxy = TcpProxy::start(service).unwrap();

    let before = proxy.when(b"DROP", Then::CutBefore);
    let mut client = Client::connect(&proxy);
    client.send("DROP a\n");
    before.wait(SOON).unwrap();
    assert_eq!(client.line(SOON), Ok(None));
    assert!(got.recv_timeout(QUIET).is_err());

    let after = proxy.when(b"DROP", Then::CutAfter);
    let mut client = Client::connect(&proxy);
    client.send("DROP b\n");
    after.wait(SOON).unwrap();
    assert_eq!(client.line(SOON), Ok(None));
    assert_eq!(got.recv_timeout(SOON).unwrap(), "DROP b");

    let mut client = Client::connect(&proxy);
    client.send("DROP c\n");
    says(&mut client, "DROP c");
}

#[test]
fn a_sighting_that_does_not_come_is_an_error_that_says_what() {
    let (service, _got) = echo();
    let proxy = TcpProxy::start(service).unwrap();
    let error = proxy
        .when(b"REVOKE", Then::Forward)
        .wait(Duration::from_millis(10))
        .unwrap_err();
    assert!(error.to_string().contains("REVOKE"), "{error}");
}

#[test]
fn drop_closes_everything() {
    let (service, _got) = echo();
    let proxy = TcpProxy::start(service).unwrap();
    let mut client = Client::connect(&proxy);
    client.send("one\n");
    says(&mut client, "one");
    let addr = proxy.addr();
    drop(proxy);
    assert_eq!(client.line(SOON), Ok(None));
    assert!(TcpStream::connect(addr).is_err());
}

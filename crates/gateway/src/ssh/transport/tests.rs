//! Both sides of a connection, without a wire between them.

use bytes::Buf as _;

use super::*;

fn pair() -> (Transport, Transport) {
    let key = Arc::new(PrivateKey::draw().unwrap());
    let known = Known {
        name: "target".to_owned(),
        keys: vec![key.public()],
        authorities: Vec::new(),
    };
    let mut server = Transport::new(Role::Server(key)).unwrap();
    server.begin([3; 16]).unwrap();
    (server, Transport::new(Role::Client(Arc::new(known))).unwrap())
}

/// Passes on what each has to say, until neither has anything.
fn talk(one: &mut Transport, other: &mut Transport) -> Result<Vec<BytesMut>, Broken> {
    let mut said = Vec::new();
    for _ in 0..10 {
        other.feed(&one.drain());
        while let Some(message) = other.message()? {
            said.push(message);
        }
        one.feed(&other.drain());
        while let Some(message) = one.message()? {
            said.push(message);
        }
    }
    Ok(said)
}

#[test]
fn both_sides_agree_on_keys_and_change_them_while_messages_wait() {
    let (mut server, mut client) = pair();
    client.send(b"\x05early").unwrap();
    let said = talk(&mut server, &mut client).unwrap();
    assert_eq!(said.len(), 1);
    server.settle();
    let session = *server.session().unwrap();
    assert_eq!(client.session(), Some(&session));
    client.rekey().unwrap();
    client.send(b"\x05held").unwrap();
    assert!(client.waiting() > 0 && !client.is_ready());
    server.send(b"\x06crossing").unwrap();
    let said = talk(&mut server, &mut client).unwrap();
    assert_eq!(said.len(), 2);
    assert_eq!(
        (client.session(), server.session()),
        (Some(&session), Some(&session))
    );
    assert!(client.is_ready() && server.is_ready() && client.waiting() == 0);
}

#[test]
fn keys_that_were_used_for_much_are_changed_whoever_says_it() {
    let (mut server, mut client) = pair();
    talk(&mut server, &mut client).unwrap();
    server.settle();
    client.bytes = 100_000;
    let (mut said, mut seen) = (0, 0);
    for _ in 0..100 {
        // One side only hears, and changes keys all the same.
        server.send(&[5; 10_000]).unwrap();
        said += 1;
        let before = client.opening.as_ref().unwrap().bytes;
        seen += talk(&mut server, &mut client).unwrap().len();
        let after = client.opening.as_ref().unwrap().bytes;
        assert!(after <= 110_100, "{before} {after}");
    }
    assert_eq!(seen, said);
    assert!(client.is_ready() && server.is_ready());
}

#[test]
fn a_stranger_has_keys_made_once() {
    let (mut server, mut client) = pair();
    talk(&mut server, &mut client).unwrap();
    client.rekey().unwrap();
    assert!(talk(&mut server, &mut client).is_err());
}

#[test]
fn a_host_that_is_another_is_left() {
    let (mut server, _) = pair();
    let (_, mut client) = pair();
    assert_eq!(talk(&mut server, &mut client), Err(Broken::UnknownHost));
}

#[test]
fn nothing_is_slipped_in_before_there_are_keys() {
    for slipped in [
        &[msg::IGNORE, 0, 0, 0, 0][..],
        &[msg::DEBUG, 0],
        &[msg::USERAUTH_REQUEST],
        &[msg::NEWKEYS],
    ] {
        let (mut server, mut client) = pair();
        let mut wire = BytesMut::from(format!("{VERSION}\r\n").as_bytes());
        cipher::seal(None, &[slipped], &mut wire).unwrap();
        server.feed(&wire);
        assert_eq!(server.message(), Err(Broken::Malformed(Malformed)), "{slipped:?}");
        // And after the offer.
        let (mut server, _) = pair();
        server.feed(&client.drain());
        assert_eq!(server.message(), Ok(None));
        wire.advance(VERSION.len() + 2);
        server.feed(&wire);
        assert_eq!(server.message(), Err(Broken::Malformed(Malformed)), "{slipped:?}");
    }
}

#[test]
fn a_client_that_does_not_want_it_strict_is_refused() {
    let (mut server, mut client) = pair();
    let mut said = client.drain();
    let mark = b"kex-strict-c-v00@openssh.com";
    let at = said.windows(mark.len()).position(|bytes| bytes == mark).unwrap();
    said[at] = b'x';
    server.feed(&said);
    assert_eq!(server.message(), Err(Broken::NotStrict));
}

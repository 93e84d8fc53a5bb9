//! What a client signed that proves who it is by a key, and what that says. Without IO.
//!
//! **Whoever decides reads all of it**, and believes no gateway: the signature is of the connection's name, which is the hash of what both sides
//! said when they agreed on keys. There stand the gateway's host key and what whoever decides had just given to the gateway
//! ([`cookie`]). So a gateway that was stolen can prove nothing of anybody who does not connect to it just then, as with SCRAM.
//! Sources: RFC 4252, 7; RFC 4253, 8; OpenSSH's PROTOCOL, 3.1 (`publickey-hostbound`).

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroize as _;

use super::key;
use super::msg;
use super::transport::VERSION;
use super::wire::{Malformed, Reader};

/// A signature that is also of the server's host key.
pub(super) const HOSTBOUND: &str = "publickey-hostbound-v00@openssh.com";

/// What a client signed.
#[derive(Clone)]
pub struct Signed {
    /// What both sides said when they agreed on keys: its hash names the connection. The secret of both is a part of it.
    pub exchange: Vec<u8>,
    /// The message that was signed: the connection's name, and the request.
    pub message: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

impl Drop for Signed {
    fn drop(&mut self) {
        // The first keys of the connection follow from it.
        self.exchange.zeroize();
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({} bytes)", self.message.len())
    }
}

/// Who signed: the holder of this key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Whom they say they are, where they say it.
    pub login: Option<String>,
    /// What they want to reach.
    pub target: String,
    /// How the key signs, as it was announced: `ssh-ed25519`, `ssh-ed25519-cert-v01@openssh.com`.
    pub algorithm: String,
    /// The key or certificate, in SSH's encoding. Whether a certificate is good is not looked at here.
    pub key: Vec<u8>,
}

/// What stands for the user: `LOGIN:RESOURCE/ROLE`, where a key needs no login. A colon in brackets is of an address of IPv6.
pub(super) fn split(user: &str) -> (Option<&str>, &str) {
    match user.split_once([':', '[']) {
        Some((login, target)) if user.as_bytes().get(login.len()) == Some(&b':') => (Some(login), target),
        _ => (None, user),
    }
}

/// The random bytes in a gateway's offer, from what whoever decides gave it for this connection.
#[must_use]
pub fn cookie(nonce: &str) -> [u8; 16] {
    let said = [b"daypass ssh cookie ", nonce.as_bytes()].concat();
    let mut cookie = [0; 16];
    let hash = digest(&SHA256, &said);
    cookie
        .iter_mut()
        .zip(hash.as_ref())
        .for_each(|(to, from)| *to = *from);
    cookie
}

impl Signed {
    /// Who signed; nothing where it is no proof. `nonce` is of the challenge that was given for this connection, and `shown` are the
    /// digests of what the gateway shows to clients, its host key among them ([`key::PrivateKey::end_point`]).
    #[must_use]
    pub fn check(&self, nonce: &str, shown: &[&[u8]]) -> Option<Holder> {
        self.read(nonce, shown).ok()
    }

    fn read(&self, nonce: &str, shown: &[&[u8]]) -> Result<Holder, Malformed> {
        let host_key = self.agreed(nonce, shown)?;
        let mut fields = Reader(&self.message);
        if fields.string()? != digest(&SHA256, &self.exchange).as_ref()
            || fields.u8()? != msg::USERAUTH_REQUEST
        {
            return Err(Malformed);
        }
        let (user, service, method) = (fields.text()?, fields.text()?, fields.text()?);
        let signs = fields.u8()? == 1;
        let (algorithm, blob) = (fields.text()?, fields.string()?);
        let is_here = match method {
            "publickey" => true,
            HOSTBOUND => fields.string()? == host_key,
            _ => false,
        };
        fields.end()?;
        if service != "ssh-connection" || !signs || !is_here {
            return Err(Malformed);
        }
        key::verify(algorithm, blob, &self.message, &self.signature)?;
        let (login, target) = split(user);
        Ok(Holder {
            login: login.map(str::to_owned),
            target: target.to_owned(),
            algorithm: algorithm.to_owned(),
            key: blob.to_vec(),
        })
    }

    /// The gateway's host key, where keys were agreed on with it, and just now.
    fn agreed(&self, nonce: &str, shown: &[&[u8]]) -> Result<&[u8], Malformed> {
        let mut said = Reader(&self.exchange);
        let _client = said.string()?;
        let server = said.string()?;
        let _offer = said.string()?;
        let offer = said.string()?;
        let host_key = said.string()?;
        let is_fresh = offer
            .strip_prefix(&[msg::KEXINIT])
            .is_some_and(|rest| rest.starts_with(&cookie(nonce)));
        let digest = digest(&SHA256, host_key);
        let is_shown = shown.contains(&digest.as_ref());
        if server == VERSION.as_bytes() && is_fresh && is_shown {
            Ok(host_key)
        } else {
            Err(Malformed)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::key::{Known, PrivateKey};
    use super::super::transport::{Role, Transport};
    use super::super::wire::Writer;
    use super::*;

    const NONCE: &str = "nonce-1";

    #[test]
    fn a_colon_ends_a_login_where_it_is_not_of_an_address() {
        for (user, login, target) in [
            ("web/ops", None, "web/ops"),
            ("ada:web/ops", Some("ada"), "web/ops"),
            (
                "ada:web/ops+root@[2001:db8::1]",
                Some("ada"),
                "web/ops+root@[2001:db8::1]",
            ),
            ("web/ops+root@[2001:db8::1]", None, "web/ops+root@[2001:db8::1]"),
            ("web/ops@[::1", None, "web/ops@[::1"),
            ("ada:", Some("ada"), ""),
            (":web", Some(""), "web"),
            ("", None, ""),
        ] {
            assert_eq!(split(user), (login, target), "{user}");
        }
    }

    /// A connection whose keys are agreed on, on the server's side.
    fn agreed(host: &Arc<PrivateKey>, nonce: &str) -> Transport {
        let known = Known {
            keys: vec![host.public()],
            ..Known::default()
        };
        let mut server = Transport::new(Role::Server(Arc::clone(host))).unwrap();
        let mut client = Transport::new(Role::Client(Arc::new(known))).unwrap();
        server.begin(cookie(nonce)).unwrap();
        for _ in 0..4 {
            client.feed(&server.drain());
            client.message().unwrap();
            server.feed(&client.drain());
            server.message().unwrap();
        }
        assert!(server.is_ready() && client.session() == server.session());
        server
    }

    fn request(session: &[u8], method: &str, public: &[u8]) -> Writer {
        Writer::default()
            .string(session)
            .u8(msg::USERAUTH_REQUEST)
            .string("ada:web/ops")
            .string("ssh-connection")
            .string(method)
            .bool(true)
            .string("ssh-ed25519")
            .string(public)
    }

    fn signed(server: &Transport, key: &PrivateKey, message: Writer) -> Signed {
        let message = message.done();
        Signed {
            exchange: server.exchange().unwrap().to_vec(),
            signature: key.sign(&message),
            message,
        }
    }

    #[test]
    fn whoever_decides_believes_what_was_signed_to_this_gateway_just_now() {
        let host = Arc::new(PrivateKey::from_seed(&[7; 32]).unwrap());
        let ours = PrivateKey::from_seed(&[8; 32]).unwrap();
        let server = agreed(&host, NONCE);
        let session = server.session().unwrap().to_vec();
        let point = host.end_point();
        let shown: &[&[u8]] = &[&[1; 32], &point];
        let plain = || request(&session, "publickey", &ours.public());
        let good = signed(&server, &ours, plain());
        let holder = good.check(NONCE, shown).unwrap();
        assert_eq!(
            (holder.login.as_deref(), &*holder.target),
            (Some("ada"), "web/ops")
        );
        assert_eq!((&*holder.algorithm, holder.key), ("ssh-ed25519", ours.public()));
        assert!(!format!("{good:?}").contains(&format!("{:?}", &good.exchange[..8])));
        let bound = |host: &[u8]| request(&session, HOSTBOUND, &ours.public()).string(host);
        assert!(
            signed(&server, &ours, bound(&host.public()))
                .check(NONCE, shown)
                .is_some()
        );

        // What a stolen gateway has: another time, another gateway, another connection, another key, another request.
        assert_eq!(good.check("nonce-2", shown), None);
        assert_eq!(good.check(NONCE, &[&[1; 32]]), None);
        assert_eq!(
            signed(&server, &ours, bound(&ours.public())).check(NONCE, shown),
            None
        );
        let other = agreed(&host, NONCE);
        assert_eq!(signed(&other, &ours, plain()).check(NONCE, shown), None);
        assert_eq!(signed(&server, &host, plain()).check(NONCE, shown), None);
        assert_eq!(signed(&server, &ours, plain().u8(0)).check(NONCE, shown), None);
        assert_eq!(
            signed(&server, &ours, request(&session, "none", &ours.public())).check(NONCE, shown),
            None
        );
        for at in [0, 40, 60] {
            let mut changed = good.clone();
            changed.message[at] ^= 1;
            assert_eq!(changed.check(NONCE, shown), None, "{at}");
            let mut changed = good.clone();
            let at = changed.exchange.len() - 1 - at;
            changed.exchange[at] ^= 1;
            assert_eq!(changed.check(NONCE, shown), None, "{at}");
        }
    }
}

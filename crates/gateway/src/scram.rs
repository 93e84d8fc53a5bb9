//! SCRAM-SHA-256 (RFC 5802, RFC 7677) from the side of whoever is logged in to, without IO.
//!
//! In two halves, because a gateway holds no secret of people: [`Exchange`] speaks with the client and checks everything but
//! the proof; [`Verifier`], which whoever is [`crate::Control`] keeps, checks the proof.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use zeroize::Zeroizing;

/// Without channel binding.
pub const PLAIN: &str = "SCRAM-SHA-256";
/// Bound to the certificate of this gateway: whoever stands between, with another certificate, is found out.
pub const PLUS: &str = "SCRAM-SHA-256-PLUS";

/// What PostgreSQL itself uses by default. Our credentials are random and short-lived: more would only cost time.
pub const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");

/// The salt of somebody's verifiers: a function of their name and of a secret of whoever decides, and of nothing else. So it is the same
/// whatever credential they have just now, and asking again and again tells nobody whether there is such a person: whom there is not has
/// such a salt too. That two credentials of one person have one salt does no harm, because they are random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 16]);

impl Salt {
    /// Of somebody, whether they exist or not. `key` is a secret of whoever decides, and the same for all.
    #[must_use]
    pub fn of(key: &[u8], user: &str) -> Self {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), user.as_bytes());
        let mut salt = [0; 16];
        salt.iter_mut()
            .zip(tag.as_ref())
            .for_each(|(to, from)| *to = *from);
        Self(salt)
    }
}

/// Which certificates gateways show to clients, as whoever checks a proof knows it: the digests of [`crate::tls::Identity::end_point`].
/// A gateway that was stolen or set up by somebody else cannot pass on proofs that are bound to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificates<'a> {
    /// These. Where there is none, a proof that is bound to one is refused.
    Known(&'a [&'a [u8]]),
    /// Nobody knows: the form of what was bound is checked, and nothing more.
    Unknown,
}

/// How somebody is to prove who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The server's part of the nonce: random, new for each attempt, printable without a comma.
    pub nonce: String,
    /// Of the verifier.
    pub salt: Vec<u8>,
    /// Of the verifier.
    pub iterations: NonZeroU32,
}

impl Challenge {
    /// A challenge for somebody who does not exist: no proof fits it, and nothing tells it from one for somebody who does, at any
    /// number of attempts.
    #[must_use]
    pub fn decoy(salt: Salt, nonce: String) -> Self {
        Self {
            nonce,
            salt: salt.0.to_vec(),
            iterations: ITERATIONS,
        }
    }

    fn first(&self, client_nonce: &str) -> String {
        let Self {
            nonce,
            salt,
            iterations,
        } = self;
        format!("r={client_nonce}{nonce},s={},i={iterations}", BASE64.encode(salt))
    }
}

/// What a client proved, for [`Verifier::check`].
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// All that was said, in the form that is signed.
    pub said: String,
    /// The proof.
    pub proof: Vec<u8>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer(…)")
    }
}

/// Why an exchange fails. None says anything about the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Broken {
    /// It is no SCRAM.
    #[error("a malformed SCRAM message")]
    Malformed,
    /// The client says that we offer no channel binding, and we do: somebody in between took it out of our offer.
    #[error("the offer of channel binding did not reach the client")]
    Downgraded,
    /// The client is bound to another certificate than ours: somebody is in between.
    #[error("the channel binding is that of another certificate")]
    Binding,
}

/// Whether this connection can be bound to our certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding<'a> {
    /// No TLS, or a certificate without a digest of its own.
    None,
    /// With this digest of our certificate (`tls-server-end-point`, RFC 5929).
    EndPoint(&'a [u8]),
}

/// The client's first message, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct First {
    gs2: String,
    /// What the client's last message must repeat, decoded.
    bound: Vec<u8>,
    bare: String,
    nonce: String,
}

impl First {
    /// Reads it. `mechanism` is the one that the client chose.
    ///
    /// # Errors
    /// It is malformed, or says that it was tampered with.
    pub fn read(mechanism: &str, message: &str, binding: Binding<'_>) -> Result<Self, Broken> {
        let mut parts = message.splitn(3, ',');
        let (flag, authzid, bare) = match (parts.next(), parts.next(), parts.next()) {
            (Some(flag), Some(authzid), Some(bare)) => (flag, authzid, bare),
            _ => return Err(Broken::Malformed),
        };
        let gs2 = format!("{flag},{authzid},");
        let data = match (mechanism, flag, binding) {
            (PLUS, "p=tls-server-end-point", Binding::EndPoint(digest)) => digest,
            (PLAIN, "n", _) | (PLAIN, "y", Binding::None) => &[],
            (PLAIN, "y", Binding::EndPoint(_)) => return Err(Broken::Downgraded),
            _ => return Err(Broken::Malformed),
        };
        // Nobody acts for somebody else here.
        if !authzid.is_empty() {
            return Err(Broken::Malformed);
        }
        let mut fields = bare.split(',');
        // The user's name is that of the startup message; libpq leaves this one empty.
        let name = fields.next().is_some_and(|field| field.starts_with("n="));
        let nonce = fields.next().and_then(|field| field.strip_prefix("r="));
        let nonce = nonce
            .filter(|nonce| is_nonce(nonce) && name)
            .ok_or(Broken::Malformed)?;
        let bound = [gs2.as_bytes(), data].concat();
        let (nonce, bare) = (nonce.to_owned(), bare.to_owned());
        Ok(Self {
            gs2,
            bound,
            bare,
            nonce,
        })
    }

    /// Goes on with the challenge.
    #[must_use]
    pub fn challenged(self, challenge: &Challenge) -> Exchange {
        let server = challenge.first(&self.nonce);
        let nonce = format!("{}{}", self.nonce, challenge.nonce);
        Exchange {
            first: self,
            server,
            nonce,
        }
    }
}

fn is_nonce(nonce: &str) -> bool {
    !nonce.is_empty()
        && nonce.len() <= 256
        && nonce.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

/// A challenge that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    first: First,
    server: String,
    nonce: String,
}

impl Exchange {
    /// The server's first message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.server
    }

    /// Reads the client's last message: all is checked here but the proof.
    ///
    /// # Errors
    /// It is malformed, of another exchange, or bound to another certificate.
    pub fn answered(&self, message: &str) -> Result<Answer, Broken> {
        let (without, proof) = message.rsplit_once(",p=").ok_or(Broken::Malformed)?;
        let proof = BASE64.decode(proof).map_err(|_| Broken::Malformed)?;
        let mut fields = without.split(',');
        let bound = fields.next().and_then(|field| field.strip_prefix("c="));
        let bound = bound
            .and_then(|text| BASE64.decode(text).ok())
            .ok_or(Broken::Malformed)?;
        if bound != self.first.bound {
            // The header is not secret; a differing one is somebody in between, as differing data is.
            let header = bound.starts_with(self.first.gs2.as_bytes());
            return Err(if header {
                Broken::Binding
            } else {
                Broken::Malformed
            });
        }
        let nonce = fields.next().and_then(|field| field.strip_prefix("r="));
        if nonce != Some(self.nonce.as_str()) {
            return Err(Broken::Malformed);
        }
        let said = format!("{},{},{without}", self.first.bare, self.server);
        Ok(Answer { said, proof })
    }
}

/// The server's last message.
#[must_use]
pub fn last(server_signature: &[u8]) -> String {
    format!("v={}", BASE64.encode(server_signature))
}

/// What is kept of a secret in order to check proofs of it. Nobody can log in with it, but whoever has it can pose as us.
#[derive(Clone)]
pub struct Verifier {
    salt: Vec<u8>,
    iterations: NonZeroU32,
    stored_key: Vec<u8>,
    server_key: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(…)")
    }
}

impl Certificates<'_> {
    /// Whether a client may have bound itself so: to nothing, because it cannot; to nothing, because it was told that we cannot;
    /// or to a certificate.
    fn allow(&self, bound: &[u8]) -> bool {
        let to = bound.strip_prefix(b"p=tls-server-end-point,,");
        match (self, bound, to) {
            (_, b"n,,", _) => true,
            (Self::Unknown | Self::Known([]), b"y,,", _) => true,
            (Self::Known(known), _, Some(digest)) => known.contains(&digest),
            // SHA-256 to SHA-512.
            (Self::Unknown, _, Some(digest)) => matches!(digest.len(), 32 | 48 | 64),
            _ => false,
        }
    }
}

impl Verifier {
    /// Of a secret, with as many iterations as decoys have ([`ITERATIONS`]). It takes milliseconds on purpose. The secret is taken to be
    /// ASCII, as ours are (no SASLprep).
    #[must_use]
    pub fn of(secret: &SecretString, salt: Salt) -> Self {
        let (salt, iterations) = (&salt.0, ITERATIONS);
        let mut salted = Zeroizing::new([0; 32]);
        let secret = secret.expose_secret().as_bytes();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, secret, &mut *salted);
        let client_key = Zeroizing::new(sign(&*salted, b"Client Key"));
        Self {
            salt: salt.to_vec(),
            iterations,
            stored_key: digest::digest(&digest::SHA256, &client_key).as_ref().to_vec(),
            server_key: Zeroizing::new(sign(&*salted, b"Server Key")),
        }
    }

    /// As PostgreSQL writes it (`SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`).
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        let [salt, stored, server] =
            [&self.salt, &self.stored_key, &*self.server_key].map(|bytes| BASE64.encode(bytes));
        format!("{PLAIN}${}:{salt}${stored}:{server}", self.iterations).into()
    }

    /// What [`Self::to_text`] wrote; nothing where it is something else.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split('$');
        let (PLAIN, Some(asked), Some(keys), None) =
            (parts.next()?, parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let (iterations, salt) = asked.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let key = |text: &str| {
            BASE64
                .decode(text)
                .ok()
                .filter(|key| key.len() == digest::SHA256_OUTPUT_LEN)
        };
        Some(Self {
            salt: BASE64.decode(salt).ok()?,
            iterations: iterations.parse().ok()?,
            stored_key: key(stored)?,
            server_key: Zeroizing::new(key(server)?),
        })
    }

    /// A challenge for a proof of this secret.
    #[must_use]
    pub fn challenge(&self, nonce: String) -> Challenge {
        Challenge {
            nonce,
            salt: self.salt.clone(),
            iterations: self.iterations,
        }
    }

    /// Checks a proof; the answer is the server's signature. Each challenge is good for one proof: whoever calls sees to that.
    #[must_use]
    pub fn check(
        &self,
        challenge: &Challenge,
        answer: &Answer,
        certificates: Certificates<'_>,
    ) -> Option<Vec<u8>> {
        // The gateway is not taken at its word that this challenge was answered: the nonce is ours. Nor that the client is bound to it.
        let fields: Vec<&str> = answer.said.split(',').collect();
        let &[name, first, nonce, salt, iterations, bound, again] = fields.as_slice() else {
            return None;
        };
        let client = first.strip_prefix("r=")?;
        let asked = [nonce, salt, iterations].join(",");
        let is_answer = name.starts_with("n=") && asked == challenge.first(client) && again == nonce;
        let bound = BASE64.decode(bound.strip_prefix("c=")?).ok()?;
        if !is_answer || !certificates.allow(&bound) {
            return None;
        }
        let signature = sign(&self.stored_key, answer.said.as_bytes());
        if answer.proof.len() != signature.len() {
            return None;
        }
        let client_key: Zeroizing<Vec<u8>> =
            Zeroizing::new(answer.proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect());
        let stored = digest::digest(&digest::SHA256, &client_key);
        verify_slices_are_equal(stored.as_ref(), &self.stored_key).ok()?;
        Some(sign(&self.server_key, answer.said.as_bytes()))
    }
}

fn sign(key: &[u8], data: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data)
        .as_ref()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

    const DIGEST: &[u8] = &[7; 32];

    fn verifier() -> Verifier {
        Verifier::of(&SecretString::from("pencil"), Salt::of(b"key", "ada"))
    }

    /// A client that nobody here wrote logs in.
    fn login(
        secret: &str,
        client: ChannelBinding,
        mechanism: &str,
        ours: Binding<'_>,
    ) -> Result<bool, Broken> {
        let mut client = ScramSha256::new(secret.as_bytes(), client);
        let first = First::read(mechanism, std::str::from_utf8(client.message()).unwrap(), ours)?;
        let challenge = verifier().challenge("the-servers-part".to_owned());
        let exchange = first.challenged(&challenge);
        client.update(exchange.message().as_bytes()).unwrap();
        let answer = exchange.answered(std::str::from_utf8(client.message()).unwrap())?;
        let known = match ours {
            Binding::EndPoint(digest) => vec![digest],
            Binding::None => Vec::new(),
        };
        let certificates = Certificates::Known(&known);
        let Some(signature) = verifier().check(&challenge, &answer, certificates) else {
            return Ok(false);
        };
        client.finish(last(&signature).as_bytes()).unwrap();
        let other = verifier().challenge("another".to_owned());
        assert_eq!(
            verifier().check(&other, &answer, certificates),
            None,
            "a proof of another challenge"
        );
        Ok(true)
    }

    #[test]
    fn a_verifier_is_kept_as_postgresql_keeps_it() {
        let text = verifier().to_text();
        let text = text.expose_secret();
        assert!(
            text.starts_with("SCRAM-SHA-256$4096:cIpyfSR1NX6qzE+IyA1+7A==$"),
            "{text}"
        );
        assert_eq!(Verifier::from_text(text).unwrap().to_text().expose_secret(), text);
        for bad in [
            "",
            "SCRAM-SHA-256$4096:c2FsdA==$YQ==:YQ==",
            &text[1..],
            &format!("{text}$"),
            &text.replace("4096", "0"),
        ] {
            assert!(Verifier::from_text(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_right_secret_is_let_in_with_and_without_binding() {
        let bound = || ChannelBinding::tls_server_end_point(DIGEST.to_vec());
        assert_eq!(
            login(
                "pencil",
                ChannelBinding::unsupported(),
                PLAIN,
                Binding::EndPoint(DIGEST)
            ),
            Ok(true)
        );
        assert_eq!(
            login("pencil", ChannelBinding::unrequested(), PLAIN, Binding::None),
            Ok(true)
        );
        assert_eq!(
            login("pencil", bound(), PLUS, Binding::EndPoint(DIGEST)),
            Ok(true)
        );
        assert_eq!(login("pen", bound(), PLUS, Binding::EndPoint(DIGEST)), Ok(false));
        assert_eq!(
            login("", ChannelBinding::unsupported(), PLAIN, Binding::None),
            Ok(false)
        );
    }

    #[test]
    fn whoever_stands_between_is_found_out() {
        let other = ChannelBinding::tls_server_end_point(vec![8; 32]);
        assert_eq!(
            login("pencil", other, PLUS, Binding::EndPoint(DIGEST)),
            Err(Broken::Binding)
        );
        let unaware = ChannelBinding::unrequested();
        assert_eq!(
            login("pencil", unaware, PLAIN, Binding::EndPoint(DIGEST)),
            Err(Broken::Downgraded)
        );
    }

    #[test]
    fn what_is_no_scram_is_refused() {
        for bad in [
            "",
            "n",
            "n,,",
            "n,,n=",
            "n,,n=,r=",
            "n,,r=x,n=",
            "n,a=root,n=,r=x",
            "p=tls-unique,,n=,r=x",
            "n,,n=,r=a b",
        ] {
            assert!(First::read(PLAIN, bad, Binding::None).is_err(), "{bad}");
        }
        let challenge = verifier().challenge("s".to_owned());
        let exchange = First::read(PLAIN, "n,,n=,r=c", Binding::None)
            .unwrap()
            .challenged(&challenge);
        for bad in [
            "",
            "c=biws",
            "c=biws,r=cs",
            "c=biws,r=c,p=AA==",
            "c=eSws,r=cs,p=AA==",
            "c=biws,r=cs,p=*",
        ] {
            assert!(exchange.answered(bad).is_err(), "{bad}");
        }
        let short = exchange.answered("c=biws,r=cs,p=AA==").unwrap();
        assert_eq!(verifier().check(&challenge, &short, Certificates::Unknown), None);
    }

    /// What a client that knows the secret signs, bound so.
    fn bound_to(bound: &[u8], certificates: Certificates<'_>) -> bool {
        let (verifier, nonce) = (verifier(), "clientserver");
        let challenge = verifier.challenge("server".to_owned());
        let said = format!(
            "n=,r=client,{},c={},r={nonce}",
            challenge.first("client"),
            BASE64.encode(bound)
        );
        let mut salted = [0; 32];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            ITERATIONS,
            &verifier.salt,
            b"pencil",
            &mut salted,
        );
        let key = sign(&salted, b"Client Key");
        let signature = sign(digest::digest(&digest::SHA256, &key).as_ref(), said.as_bytes());
        let proof = key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        verifier
            .check(&challenge, &Answer { said, proof }, certificates)
            .is_some()
    }

    #[test]
    fn a_gateway_is_not_taken_at_its_word_that_a_client_is_bound_to_it() {
        let to = |digest: &[u8]| [b"p=tls-server-end-point,,", digest].concat();
        let (ours, other) = (to(DIGEST), to(&[8; 32]));
        let known = Certificates::Known(&[DIGEST]);
        let none = Certificates::Known(&[]);
        let unknown = Certificates::Unknown;
        for (bound, allowed) in [
            (&b"n,,"[..], [true, true, true]),
            (b"y,,", [false, true, true]),
            (&ours, [true, false, true]),
            (&other, [false, false, true]),
            (&to(b""), [false, false, false]),
            (
                b"p=tls-unique,,12345678901234567890123456789012",
                [false, false, false],
            ),
            (b"n,a=root,", [false, false, false]),
            (b"", [false, false, false]),
        ] {
            let seen = [known, none, unknown].map(|certificates| bound_to(bound, certificates));
            assert_eq!(seen, allowed, "{}", bound.escape_ascii());
        }
    }

    #[test]
    fn somebody_who_does_not_exist_looks_like_somebody_who_does() {
        let salt = |user| Salt::of(b"key", user);
        let decoy = |user, nonce: &str| Challenge::decoy(salt(user), nonce.to_owned());
        assert_eq!(decoy("nobody", "a").salt, decoy("nobody", "b").salt);
        assert_ne!(decoy("nobody", "a").salt, decoy("noone", "a").salt);
        // And the other way round: a new credential does not change what somebody who exists is asked.
        let of = |secret: &str| Verifier::of(&SecretString::from(secret), salt("ada"));
        assert_eq!(
            of("old").challenge("a".to_owned()),
            of("new").challenge("a".to_owned())
        );
        assert_eq!(of("old").challenge("a".to_owned()), decoy("ada", "a"));
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(format!("{:?}", verifier()), "Verifier(…)");
    }
}

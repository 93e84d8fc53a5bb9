//! How a client proves who they are: with a key whose signature is checked here, or with their personal credential.
//!
//! **Only the key whose signature was verified counts** (CVE-2024-45337): a key that is offered proves nothing, nothing is kept of one request for
//! the next, and the proof is made of the very message that was signed. Sources: RFC 4252, RFC 4256.

use secrecy::SecretString;

use super::key;
use super::link::{Failed, Link};
use super::msg::{self, Bye};
use super::proof::{self, HOSTBOUND, Signed, split};
use super::wire::{Malformed, Reader, Writer};
use crate::control::{Control, Origin, Proof, Proved, Ticket};

/// How many attempts there are in one connection; a key that is only offered is none, and has a bound of its own.
const ATTEMPTS: u32 = 10;
const OFFERS: u32 = 64;

const METHODS: &str = "publickey";
const PASSWORDS: &str = "publickey,keyboard-interactive,password";

/// The longest user name and secret that are looked at, and the longest key.
const LONGEST: usize = 1024;
const LONGEST_KEY: usize = 8 * 1024;

/// Somebody who proved who they are, and what they want.
#[derive(Debug)]
pub(super) struct Met {
    pub(super) proved: Proved,
    /// A resource, perhaps with a role.
    pub(super) target: String,
}

/// What one request came to.
enum Asked {
    /// This proves it, perhaps.
    Proof(Proof, String),
    /// Nothing yet.
    Answered,
    /// It does not.
    No,
}

/// What whoever decides gave for this connection. It is given back when that ends: who connects and says nothing takes no place of others.
pub(super) struct Given<'a> {
    control: &'a dyn Control,
    ticket: Ticket,
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        self.control.forget(&self.ticket);
    }
}

struct Login<'a> {
    link: &'a mut Link,
    /// Of what whoever decides gave us for this connection.
    given: Given<'a>,
    /// Whether secrets are taken.
    passwords: bool,
    /// Whom the secret is of that was just asked for, with keyboard-interactive.
    asked: Option<String>,
}

/// Agrees on keys with a client: programs do that, and nobody has to be asked anything.
pub(super) async fn begin<'a>(
    link: &mut Link,
    control: &'a dyn Control,
    origin: &Origin,
) -> Result<Given<'a>, Failed> {
    link.greet().await?;
    // It becomes a part of what is signed: a signature of another time is no proof.
    let challenge = control.challenge("", origin).await?;
    let given = Given {
        control,
        ticket: challenge.ticket,
    };
    link.transport.begin(proof::cookie(&challenge.scram.nonce))?;
    link.agree().await?;
    Ok(given)
}

/// Has a client prove who they are. It does not know yet that it is in.
pub(super) async fn meet(
    link: &mut Link,
    passwords: bool,
    given: Given<'_>,
    origin: &Origin,
) -> Result<Met, Failed> {
    let control = given.control;
    let message = link.receive().await?;
    let mut fields = Reader(&message);
    if fields.u8()? != msg::SERVICE_REQUEST || fields.string()? != b"ssh-userauth" {
        return Err(Malformed.into());
    }
    link.say(&Writer::message(msg::SERVICE_ACCEPT).string("ssh-userauth").done())
        .await?;
    let mut login = Login {
        link,
        given,
        passwords,
        asked: None,
    };
    let (mut attempts, mut offers) = (0, 0);
    loop {
        let message = login.link.receive().await?;
        match login.look(&message).await? {
            Asked::Answered if offers < OFFERS => {
                offers += 1;
                continue;
            }
            Asked::Proof(proof, target) => {
                if let Some(proved) = control.prove(proof, origin).await? {
                    login.link.transport.settle();
                    return Ok(Met { proved, target });
                }
            }
            Asked::Answered | Asked::No => {}
        }
        attempts += 1;
        if attempts > ATTEMPTS || offers >= OFFERS {
            login
                .link
                .hang_up(Bye::NoMoreAuthMethods, "too many attempts")
                .await?;
            return Err(Failed::Left);
        }
        login.refuse().await?;
    }
}

impl Login<'_> {
    async fn refuse(&mut self) -> Result<(), Failed> {
        let message = Writer::message(msg::USERAUTH_FAILURE)
            .string(if self.passwords { PASSWORDS } else { METHODS })
            .bool(false)
            .done();
        self.link.say(&message).await
    }

    async fn look(&mut self, message: &[u8]) -> Result<Asked, Failed> {
        let mut fields = Reader(message);
        match fields.u8()? {
            msg::USERAUTH_REQUEST => {}
            msg::USERAUTH_INFO_RESPONSE => return Ok(self.response(fields)?),
            _ => return Err(Malformed.into()),
        }
        self.asked = None;
        let (user, service) = (fields.text()?, fields.string()?);
        let method = fields.string()?;
        if service != b"ssh-connection" || user.len() > LONGEST {
            return Err(Malformed.into());
        }
        match method {
            b"publickey" => self.key((user, false), fields, message).await,
            method if method == HOSTBOUND.as_bytes() => self.key((user, true), fields, message).await,
            b"password" if self.passwords => Ok(password(user, fields)?),
            b"keyboard-interactive" if self.passwords => self.ask(user).await,
            _ => Ok(Asked::No),
        }
    }

    async fn key(
        &mut self,
        (user, bound): (&str, bool),
        mut fields: Reader<'_>,
        message: &[u8],
    ) -> Result<Asked, Failed> {
        let signs = fields.bool()?;
        let (algorithm, blob) = (fields.text()?, fields.string()?);
        if bound {
            // For which host it is: whoever decides sees whether it is ours.
            fields.string()?;
        }
        if !key::is_known(algorithm) || blob.len() > LONGEST_KEY {
            return Ok(Asked::No);
        }
        if !signs {
            fields.end()?;
            // Whose it is, is asked once there is a signature: nobody learns here which keys are anybody's.
            let answer = Writer::message(msg::USERAUTH_PK_OK)
                .string(algorithm)
                .string(blob)
                .done();
            self.link.say(&answer).await?;
            return Ok(Asked::Answered);
        }
        let before = message.len() - fields.0.len();
        let signature = fields.string()?;
        fields.end()?;
        let transport = &self.link.transport;
        let (session, exchange) = transport.session().zip(transport.exchange()).ok_or(Malformed)?;
        let written = Writer::default()
            .string(session)
            .raw(message.get(..before).ok_or(Malformed)?)
            .done();
        // Whoever decides looks at it too, and is not asked for nothing.
        if key::verify(algorithm, blob, &written, signature).is_err() {
            return Ok(Asked::No);
        }
        let proof = Proof::Key {
            ticket: self.given.ticket.clone(),
            signed: Signed {
                exchange: exchange.to_vec(),
                message: written,
                signature: signature.to_vec(),
            },
        };
        Ok(Asked::Proof(proof, split(user).1.to_owned()))
    }

    /// Asks for the secret.
    async fn ask(&mut self, user: &str) -> Result<Asked, Failed> {
        let (Some(_), _) = split(user) else {
            return Ok(Asked::No);
        };
        let question = Writer::message(msg::USERAUTH_INFO_REQUEST)
            .string("")
            .string("")
            .string("")
            .u32(1)
            .string("Password of daypass session credential: ")
            .bool(false)
            .done();
        self.link.say(&question).await?;
        self.asked = Some(user.to_owned());
        Ok(Asked::Answered)
    }

    fn response(&mut self, mut fields: Reader<'_>) -> Result<Asked, Malformed> {
        let user = self.asked.take().ok_or(Malformed)?;
        if fields.u32()? != 1 {
            return Err(Malformed);
        }
        let secret = fields.text()?;
        fields.end()?;
        Ok(proof(&user, secret))
    }
}

fn password(user: &str, mut fields: Reader<'_>) -> Result<Asked, Malformed> {
    if fields.bool()? {
        // Nobody changes it here.
        return Ok(Asked::No);
    }
    let secret = fields.text()?;
    fields.end()?;
    Ok(proof(user, secret))
}

fn proof(user: &str, secret: &str) -> Asked {
    let (Some(login), target) = split(user) else {
        return Asked::No;
    };
    if secret.len() > LONGEST {
        return Asked::No;
    }
    let proof = Proof::Password {
        user: login.to_owned(),
        secret: SecretString::from(secret.to_owned()),
    };
    Asked::Proof(proof, target.to_owned())
}

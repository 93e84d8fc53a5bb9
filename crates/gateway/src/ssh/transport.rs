//! One connection's bytes, as packets: versions, key exchange, ciphers, and keys that are changed on the way. Both roles, without IO.
//!
//! What is read is put into [`Transport::input`], what is to be written stands in [`Transport::output`]; [`Transport::message`] gives the messages
//! that are not the transport's own. **A client must want the strict key exchange**: before keys are agreed nothing is taken but what belongs to that.
//! Between an offer of ours and the new keys nothing else goes out: it is held, and whoever sends looks at [`Transport::waiting`].

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use zeroize::Zeroizing;

use super::cipher::{self, Key};
use super::kex::{self, Chosen, Half, Said};
use super::key::{Known, PrivateKey, SIGNATURES};
use super::msg;
use super::wire::{Malformed, Reader, Writer};

/// What we call ourselves.
pub const VERSION: &str = "SSH-2.0-Daypass";

/// A first line is no longer (RFC 4253, 4.2), and a server may say so many lines before it.
const LONGEST_LINE: usize = 255;
const LINES_BEFORE: usize = 20;

/// Keys are changed after so many packets or bytes (RFC 4253, 9): long before a nonce comes round or the cipher's bounds are near.
const PACKETS: u64 = 1 << 28;
const BYTES: u64 = 1 << 30;

/// Which side we are.
#[derive(Debug, Clone)]
pub enum Role {
    /// To clients, with this key.
    Server(Arc<PrivateKey>),
    /// To a target, which must be this one.
    Client(Arc<Known>),
}

/// Why a connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// What came is not what the protocol has.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Nothing that both have.
    #[error(
        "both sides have no key exchange, host key or cipher in common (this one has mlkem768x25519-sha256, curve25519-sha256 and AES-GCM)"
    )]
    NothingInCommon,
    /// The client does not know of the strict key exchange.
    #[error(
        "this gateway asks for the strict key exchange (kex-strict-c-v00@openssh.com): use a newer client"
    )]
    NotStrict,
    /// The target is not the one that it must be.
    #[error("the target's host key is none that is known")]
    UnknownHost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    /// Our offer is out, theirs has not come.
    Offered,
    /// Both are there; the halves are exchanged.
    Halves,
    /// Only the word that new keys are used is missing.
    Keys,
}

/// See the module.
pub struct Transport {
    role: Role,
    /// What came and was not looked at.
    pub input: BytesMut,
    /// What is to be written.
    pub output: BytesMut,
    theirs: Option<String>,
    lines: usize,
    stage: Stage,
    offers: [Vec<u8>; 2],
    chosen: Option<Chosen>,
    half: Option<Half>,
    skip: bool,
    opening: Option<Key>,
    next_opening: Option<Key>,
    sealing: Option<Key>,
    session: Option<[u8; 32]>,
    strict: bool,
    received: u32,
    held: VecDeque<Vec<u8>>,
    held_bytes: usize,
    offered_extensions: bool,
    /// After how many bytes keys are changed.
    bytes: u64,
    exchange: Option<Zeroizing<Vec<u8>>>,
    is_settled: bool,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transport({:?})", self.stage)
    }
}

impl Transport {
    /// A connection that begins: our version is to be written, and a client's offer; a server's follows ([`Transport::begin`]).
    ///
    /// # Errors
    /// Never, but for a fault of ours.
    pub fn new(role: Role) -> Result<Self, Malformed> {
        let mut begun = Self {
            role,
            input: BytesMut::new(),
            output: BytesMut::from(format!("{VERSION}\r\n").as_bytes()),
            theirs: None,
            lines: 0,
            stage: Stage::Idle,
            offers: [Vec::new(), Vec::new()],
            chosen: None,
            half: None,
            skip: false,
            opening: None,
            next_opening: None,
            sealing: None,
            session: None,
            strict: false,
            received: 0,
            held: VecDeque::new(),
            held_bytes: 0,
            offered_extensions: false,
            bytes: BYTES,
            exchange: None,
            is_settled: false,
        };
        if !begun.is_server() {
            begun.offer(cipher::cookie())?;
        }
        Ok(begun)
    }

    /// A server's first offer, with these for its random bytes.
    ///
    /// # Errors
    /// It was made already.
    pub fn begin(&mut self, cookie: [u8; 16]) -> Result<(), Malformed> {
        if self.stage != Stage::Idle || self.session.is_some() {
            return Err(Malformed);
        }
        self.offer(cookie)
    }

    /// Whether the other side has said which version it speaks.
    ///
    /// # Errors
    /// It said something else.
    pub fn is_greeted(&mut self) -> Result<bool, Malformed> {
        Ok(self.theirs.is_some() || self.first_line()?)
    }

    /// What both sides said when they agreed on keys for the first time, until the connection is settled.
    #[must_use]
    pub fn exchange(&self) -> Option<&[u8]> {
        self.exchange.as_ref().map(|said| said.as_slice())
    }

    /// The client is known: what its proof was made of is not needed any more, and keys may be changed.
    pub(super) fn settle(&mut self) {
        self.exchange = None;
        self.is_settled = true;
    }

    const fn is_server(&self) -> bool {
        matches!(self.role, Role::Server(_))
    }

    fn host_keys(&self) -> Vec<String> {
        match &self.role {
            Role::Server(_) => vec!["ssh-ed25519".to_owned()],
            Role::Client(known) => known.algorithms(),
        }
    }

    /// Our place, and theirs, where the client comes first.
    const fn places(&self) -> (usize, usize) {
        if self.is_server() { (1, 0) } else { (0, 1) }
    }

    /// What the other side calls itself.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.theirs.as_deref()
    }

    /// Names this connection in what is signed, once keys are agreed.
    #[must_use]
    pub const fn session(&self) -> Option<&[u8; 32]> {
        self.session.as_ref()
    }

    /// Whether keys are agreed, and something that is sent goes out.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.session.is_some() && matches!(self.stage, Stage::Idle | Stage::Keys)
    }

    /// The number of the packet that came last.
    pub(super) const fn number(&self) -> u32 {
        self.received.wrapping_sub(1)
    }

    /// How many bytes wait to be written, with those that wait for new keys.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.output.len() + self.held_bytes
    }

    fn write(&mut self, payload: &[&[u8]]) -> Result<(), Malformed> {
        cipher::seal(self.sealing.as_mut(), payload, &mut self.output)
    }

    /// Sends our offer. What we send besides waits from here on.
    fn offer(&mut self, cookie: [u8; 16]) -> Result<(), Malformed> {
        let offer = kex::offer(self.is_server(), &self.host_keys(), &cookie);
        self.write(&[&offer])?;
        let (ours, _) = self.places();
        if let Some(place) = self.offers.get_mut(ours) {
            *place = offer;
        }
        self.stage = Stage::Offered;
        Ok(())
    }

    /// Sends a message.
    ///
    /// # Errors
    /// It is too long.
    pub fn send(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        self.send_parts(&[payload])
    }

    /// The same of a message in parts.
    ///
    /// # Errors
    /// It is too long.
    pub fn send_parts(&mut self, payload: &[&[u8]]) -> Result<(), Malformed> {
        if !self.is_ready() {
            let payload = payload.concat();
            self.held_bytes += payload.len();
            self.held.push_back(payload);
            return Ok(());
        }
        self.write(payload)?;
        self.refresh()
    }

    /// Changes keys that were used for much, in whichever direction.
    fn refresh(&mut self) -> Result<(), Malformed> {
        let is_old =
            |key: &Option<Key>| matches!(key, Some(key) if key.packets >= PACKETS || key.bytes >= self.bytes);
        if self.stage == Stage::Idle && (is_old(&self.sealing) || is_old(&self.opening)) {
            self.offer(cipher::cookie())?;
        }
        Ok(())
    }

    /// Changes the keys: our offer goes out.
    ///
    /// # Errors
    /// Never, but for a fault of ours.
    pub fn rekey(&mut self) -> Result<(), Malformed> {
        if self.stage == Stage::Idle && self.session.is_some() {
            self.offer(cipher::cookie())?;
        }
        Ok(())
    }

    /// The next message, if there is a whole one.
    ///
    /// # Errors
    /// The connection cannot go on.
    pub fn message(&mut self) -> Result<Option<BytesMut>, Broken> {
        if self.theirs.is_none() && !self.first_line()? {
            return Ok(None);
        }
        while let Some(packet) = cipher::open(self.opening.as_mut(), &mut self.input)? {
            self.received = self.received.wrapping_add(1);
            let message = self.look(packet)?;
            self.refresh()?;
            if message.is_some() {
                return Ok(message);
            }
        }
        Ok(None)
    }

    /// Reads the first line; a server may say others before it.
    fn first_line(&mut self) -> Result<bool, Malformed> {
        loop {
            let Some(end) = self
                .input
                .iter()
                .take(LONGEST_LINE)
                .position(|byte| *byte == b'\n')
            else {
                return if self.input.len() < LONGEST_LINE {
                    Ok(false)
                } else {
                    Err(Malformed)
                };
            };
            let line = self.input.split_to(end + 1);
            let line = str::from_utf8(&line)
                .map_err(|_| Malformed)?
                .trim_end_matches(['\r', '\n']);
            if line.starts_with("SSH-2.0-") || line.starts_with("SSH-1.99-") {
                self.theirs = Some(line.to_owned());
                return Ok(true);
            }
            self.lines += 1;
            if self.is_server() || self.lines > LINES_BEFORE || line.starts_with("SSH-") {
                return Err(Malformed);
            }
        }
    }

    /// What is the transport's own is done here; the rest is given on.
    fn look(&mut self, packet: BytesMut) -> Result<Option<BytesMut>, Broken> {
        let kind = *packet.first().ok_or(Malformed)?;
        let first = self.session.is_none();
        // Theirs is there, so all that was on its way before it has come.
        let inside = matches!(self.stage, Stage::Halves | Stage::Keys);
        if std::mem::take(&mut self.skip) {
            return Ok(None);
        }
        match kind {
            msg::DISCONNECT => return Ok(Some(packet)),
            msg::KEXINIT => {
                self.their_offer(&packet, first)?;
                return Ok(None);
            }
            msg::KEX_INIT if self.is_server() => {
                self.answer(&packet)?;
                return Ok(None);
            }
            msg::KEX_REPLY if !self.is_server() => {
                self.answered(&packet)?;
                return Ok(None);
            }
            msg::NEWKEYS => {
                self.new_keys()?;
                return Ok(None);
            }
            _ => {}
        }
        // Before there are keys, nothing else belongs here: what is slipped in would be counted (CVE-2023-48795).
        if first || self.opening.is_none() {
            return Err(Malformed.into());
        }
        match kind {
            msg::IGNORE | msg::DEBUG | msg::UNIMPLEMENTED | msg::EXT_INFO => Ok(None),
            20..=49 => Err(Malformed.into()),
            _ if inside => Err(Malformed.into()),
            _ => Ok(Some(packet)),
        }
    }

    fn their_offer(&mut self, packet: &[u8], first: bool) -> Result<(), Broken> {
        // Nothing comes before the first offer.
        if first && self.received != 1 {
            return Err(Malformed.into());
        }
        // No client does that before it is known; a stranger could have us make keys again and again.
        if !first && self.is_server() && !self.is_settled {
            return Err(Malformed.into());
        }
        match self.stage {
            Stage::Idle => self.offer(cipher::cookie())?,
            Stage::Offered => {}
            Stage::Halves | Stage::Keys => return Err(Malformed.into()),
        }
        let (_, theirs) = self.places();
        if let Some(place) = self.offers.get_mut(theirs) {
            *place = packet.to_vec();
        }
        let chosen =
            kex::choose(packet, self.is_server(), &self.host_keys()).map_err(|_| Broken::NothingInCommon)?;
        if first {
            self.strict = chosen.strict;
            if self.is_server() && !self.strict {
                return Err(Broken::NotStrict);
            }
        }
        self.skip = chosen.wrong_guess;
        self.chosen = Some(chosen);
        self.stage = Stage::Halves;
        if !self.is_server() {
            let method = self.chosen.as_ref().map_or("", |chosen| chosen.method);
            let half = Half::draw(method)?;
            let message = Writer::message(msg::KEX_INIT).string(&half.public).done();
            self.half = Some(half);
            self.write(&[&message])?;
        }
        Ok(())
    }

    fn said<'a>(&'a self, host_key: &'a [u8], halves: [&'a [u8]; 2]) -> Result<Said<'a>, Malformed> {
        let theirs = self.theirs.as_deref().ok_or(Malformed)?;
        let [client, server] = &self.offers;
        Ok(Said {
            versions: if self.is_server() {
                [theirs, VERSION]
            } else {
                [VERSION, theirs]
            },
            offers: [client, server],
            host_key,
            halves,
        })
    }

    /// The client's half has come: ours, signed, goes out, and what we say from here on is under new keys.
    fn answer(&mut self, packet: &[u8]) -> Result<(), Broken> {
        let Role::Server(host_key) = self.role.clone() else {
            return Err(Malformed.into());
        };
        if self.stage != Stage::Halves {
            return Err(Malformed.into());
        }
        let mut fields = Reader(packet);
        fields.u8()?;
        let theirs = fields.string()?;
        fields.end()?;
        let method = self.chosen.as_ref().ok_or(Malformed)?.method;
        let (ours, secret) = kex::answer(method, theirs)?;
        let public = host_key.public();
        let said = self.said(&public, [theirs, &ours])?.written(&secret);
        let hash = kex::sha256(&[&said]);
        if self.session.is_none() {
            self.exchange = Some(said);
        }
        let reply = Writer::message(msg::KEX_REPLY)
            .string(&public)
            .string(&ours)
            .string(host_key.sign(&hash))
            .done();
        self.write(&[&reply])?;
        self.turn(&secret, &hash)
    }

    /// The target's half has come, signed.
    fn answered(&mut self, packet: &[u8]) -> Result<(), Broken> {
        let Role::Client(known) = self.role.clone() else {
            return Err(Malformed.into());
        };
        let half = self
            .half
            .take()
            .filter(|_| self.stage == Stage::Halves)
            .ok_or(Malformed)?;
        let mut fields = Reader(packet);
        fields.u8()?;
        let (host_key, theirs, signature) = (fields.string()?, fields.string()?, fields.string()?);
        fields.end()?;
        let secret = half.agree(theirs)?;
        let said = self.said(host_key, [&half.public, theirs])?.written(&secret);
        let hash = kex::sha256(&[&said]);
        let algorithm = self
            .chosen
            .as_ref()
            .map(|chosen| chosen.host_key.clone())
            .ok_or(Malformed)?;
        known
            .check(&algorithm, host_key, &hash, signature)
            .map_err(|_| Broken::UnknownHost)?;
        self.turn(&secret, &hash)
    }

    /// From here on what we send is under new keys; what they send is once they say so.
    fn turn(&mut self, secret: &[u8], hash: &[u8; 32]) -> Result<(), Broken> {
        self.write(&[&[msg::NEWKEYS]])?;
        let first = self.session.is_none();
        let session = *self.session.get_or_insert(*hash);
        let chosen = self.chosen.as_ref().ok_or(Malformed)?;
        let (up, down) = kex::keys(chosen, secret, hash, &session)?;
        let extensions = first && self.is_server() && chosen.ext_info;
        let (opening, sealing) = if self.is_server() { (up, down) } else { (down, up) };
        self.sealing = Some(sealing);
        self.next_opening = Some(opening);
        self.stage = Stage::Keys;
        if extensions && !std::mem::replace(&mut self.offered_extensions, true) {
            // By which algorithms keys may sign: a client with an RSA key asks. And that signatures may be of our host key too.
            let message = Writer::message(msg::EXT_INFO)
                .u32(2)
                .string("server-sig-algs")
                .string(SIGNATURES.join(","))
                .string("publickey-hostbound@openssh.com")
                .string("0");
            self.write(&[&message.done()])?;
        }
        self.release()?;
        Ok(())
    }

    /// Sends something although keys are not agreed: a goodbye.
    pub(super) fn send_now(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        self.write(&[payload])
    }

    fn release(&mut self) -> Result<(), Malformed> {
        while let Some(payload) = self.held.pop_front() {
            self.held_bytes -= payload.len();
            self.write(&[&payload])?;
        }
        Ok(())
    }

    fn new_keys(&mut self) -> Result<(), Broken> {
        let opening = self
            .next_opening
            .take()
            .filter(|_| self.stage == Stage::Keys)
            .ok_or(Malformed)?;
        self.opening = Some(opening);
        if self.strict {
            self.received = 0;
        }
        self.chosen = None;
        self.offers = [Vec::new(), Vec::new()];
        self.stage = Stage::Idle;
        Ok(())
    }

    /// Takes what was read into `bytes` without waiting for more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// What is to be written, all of it.
    pub fn drain(&mut self) -> BytesMut {
        self.output.split()
    }

    /// Memory that a quiet connection need not hold.
    pub(super) fn shrink(&mut self) {
        if !self.input.is_empty() || !self.output.is_empty() {
            return;
        }
        for buffer in [&mut self.input, &mut self.output] {
            if buffer.capacity() > 16 * 1024 {
                *buffer = BytesMut::new();
            }
        }
    }
}

//! What a client says first: asks for TLS, cancels something, or begins. Without IO.

use super::frame::{Fields, Malformed};

/// PostgreSQL's own limit (`MAX_STARTUP_PACKET_LENGTH`).
pub const LONGEST: usize = 10_000;

const SSL_REQUEST: i32 = 80_877_103;
const GSS_REQUEST: i32 = 80_877_104;
const CANCEL_REQUEST: i32 = 80_877_102;
const MAJOR: i32 = 3;

/// The length that the first four bytes say: of the whole packet, themselves included.
///
/// # Errors
/// It is impossible, or longer than PostgreSQL takes.
pub fn length(bytes: [u8; 4]) -> Result<usize, Malformed> {
    let length = usize::try_from(i32::from_be_bytes(bytes)).map_err(|_| Malformed::Length)?;
    match length {
        ..8 => Err(Malformed::Length),
        8..=LONGEST => Ok(length),
        _ => Err(Malformed::TooLong),
    }
}

/// A first packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// Wants TLS.
    Ssl,
    /// Wants GSSAPI's encryption.
    Gss,
    /// Cancels what another connection does.
    Cancel(CancelKey),
    /// Begins.
    Startup(Startup),
}

/// What names a connection to whoever wants to cancel what it does: all of it is random, and a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CancelKey {
    /// Said to be a process id.
    pub process: u32,
    /// The key.
    pub key: u32,
}

impl std::fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CancelKey(…)")
    }
}

/// The beginning of a session.
#[derive(Clone, PartialEq, Eq)]
pub struct Startup {
    /// The minor version that the client speaks.
    pub minor: i32,
    /// Its parameters, in order.
    pub parameters: Vec<(String, String)>,
    /// Extensions of the protocol that it asks for (`_pq_.…`). We have none.
    pub extensions: Vec<String>,
}

/// The names of its parameters: `options` may hold anything.
impl std::fmt::Debug for Startup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.parameters.iter().map(|(name, _)| name);
        f.debug_set().entries(names).finish()
    }
}

impl Startup {
    /// The value of a parameter; the last one counts, as in PostgreSQL.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.parameters.iter().rev().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }
}

impl Packet {
    /// Reads what follows the length.
    ///
    /// # Errors
    /// It is none of the four.
    pub fn read(body: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields(body);
        let code = fields.int32().ok_or(Malformed::Body)?;
        match code {
            SSL_REQUEST if fields.0.is_empty() => Ok(Self::Ssl),
            GSS_REQUEST if fields.0.is_empty() => Ok(Self::Gss),
            CANCEL_REQUEST => {
                let (process, key) = (fields.int32(), fields.int32());
                match (process, key, fields.0) {
                    (Some(process), Some(key), []) => Ok(Self::Cancel(CancelKey {
                        process: process.cast_unsigned(),
                        key: key.cast_unsigned(),
                    })),
                    // Keys of another length are not ours.
                    _ => Err(Malformed::Body),
                }
            }
            _ if code >> 16 == MAJOR => read_startup(code & 0xffff, fields).map(Self::Startup),
            _ => Err(Malformed::Kind),
        }
    }
}

fn read_startup(minor: i32, mut fields: Fields<'_>) -> Result<Startup, Malformed> {
    let mut startup = Startup {
        minor,
        parameters: Vec::new(),
        extensions: Vec::new(),
    };
    loop {
        let name = text(&mut fields)?;
        if name.is_empty() {
            // Nothing may follow: not another packet, not a message.
            return if fields.0.is_empty() {
                Ok(startup)
            } else {
                Err(Malformed::Body)
            };
        }
        let value = text(&mut fields)?;
        if name.starts_with("_pq_.") {
            startup.extensions.push(name);
        } else {
            startup.parameters.push((name, value));
        }
    }
}

fn text(fields: &mut Fields<'_>) -> Result<String, Malformed> {
    let bytes = fields.text().ok_or(Malformed::Body)?;
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed::Body)
}

/// Writes a beginning, as a client.
pub fn write(parameters: &[(&str, &str)], out: &mut bytes::BytesMut) {
    use bytes::BufMut as _;
    let size: usize = parameters
        .iter()
        .map(|(name, value)| name.len() + value.len() + 2)
        .sum();
    out.put_u32(u32::try_from(size + 9).unwrap_or(u32::MAX));
    out.put_i32(MAJOR << 16);
    for (name, value) in parameters {
        for text in [name, value] {
            out.put_slice(text.as_bytes());
            out.put_u8(0);
        }
    }
    out.put_u8(0);
}

/// Asks for TLS, as a client.
#[must_use]
pub fn ssl_request() -> [u8; 8] {
    let mut packet = [0, 0, 0, 8, 0, 0, 0, 0];
    packet
        .iter_mut()
        .skip(4)
        .zip(SSL_REQUEST.to_be_bytes())
        .for_each(|(to, from)| *to = from);
    packet
}

/// Cancels, as a client.
#[must_use]
pub fn cancel_request(key: CancelKey) -> Vec<u8> {
    let head = [16_u32, CANCEL_REQUEST.cast_unsigned(), key.process, key.key];
    head.iter().flat_map(|part| part.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(parameters: &[(&str, &str)]) -> Vec<u8> {
        let mut out = bytes::BytesMut::new();
        write(parameters, &mut out);
        let (size, body) = out.split_first_chunk::<4>().unwrap();
        assert_eq!(length(*size).unwrap(), out.len());
        body.to_vec()
    }

    #[test]
    fn a_beginning_is_read_as_it_was_written() {
        let body = packet(&[
            ("user", "ada"),
            ("database", "orders"),
            ("user", "bo"),
            ("_pq_.x", "1"),
        ]);
        let Ok(Packet::Startup(startup)) = Packet::read(&body) else {
            panic!("no beginning");
        };
        assert_eq!(startup.minor, 0);
        assert_eq!(startup.get("user"), Some("bo"), "the last one counts");
        assert_eq!(startup.extensions, ["_pq_.x"]);
    }

    #[test]
    fn nothing_may_follow_a_beginning() {
        let mut body = packet(&[("user", "ada")]);
        body.extend_from_slice(b"Q\0\0\0\x0dDROP x;\0");
        assert_eq!(Packet::read(&body), Err(Malformed::Body));
    }

    #[test]
    fn lengths_are_within_postgresqls_own() {
        for (said, expected) in [
            (-1, Err(Malformed::Length)),
            (i32::MIN, Err(Malformed::Length)),
            (0, Err(Malformed::Length)),
            (7, Err(Malformed::Length)),
            (8, Ok(8)),
            (10_000, Ok(10_000)),
            (10_001, Err(Malformed::TooLong)),
            (i32::MAX, Err(Malformed::TooLong)),
        ] {
            assert_eq!(length(said.to_be_bytes()), expected, "{said}");
        }
    }

    #[test]
    fn a_cancellation_has_a_key_of_eight_bytes_and_nothing_else() {
        let key = CancelKey {
            process: 7,
            key: u32::MAX,
        };
        let written = cancel_request(key);
        assert_eq!(Packet::read(&written[4..]), Ok(Packet::Cancel(key)));
        assert_eq!(Packet::read(&written[4..12]), Err(Malformed::Body));
        assert_eq!(
            Packet::read(&[&written[4..], b"x"].concat()),
            Err(Malformed::Body)
        );
        assert!(!format!("{key:?}").contains('7'));
    }

    #[test]
    fn only_version_three_is_spoken() {
        for code in [2 << 16, 4 << 16, 0, -1, SSL_REQUEST + 10] {
            let code: i32 = code;
            assert_eq!(Packet::read(&code.to_be_bytes()), Err(Malformed::Kind), "{code}");
        }
        assert_eq!(Packet::read(&ssl_request()[4..]), Ok(Packet::Ssl));
        assert_eq!(
            Packet::read(&[&ssl_request()[4..], b"Q"].concat()),
            Err(Malformed::Kind)
        );
    }
}

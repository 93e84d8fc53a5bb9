//! Packets, sealed and opened: AES-GCM, and nothing else once keys are agreed. Without IO.
//!
//! Only ciphers are here that are not cut at the front by whoever sits in between (CVE-2023-48795), and that both sides' processors
//! do in hardware. Sources: RFC 4253, section 6; RFC 5647; OpenSSH's PROTOCOL, 1.6.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bytes::{Buf as _, BytesMut};

use super::wire::Malformed;
use crate::edge;

/// The ciphers, in the order in which we like them.
pub const CIPHERS: [&str; 2] = ["aes256-gcm@openssh.com", "aes128-gcm@openssh.com"];

/// What a packet may have at most, as in OpenSSH.
const LONGEST: usize = 256 * 1024;

const BLOCK: usize = 16;
const TAG: usize = 16;
const HEAD: usize = 4;

/// How many bytes of key a cipher takes.
pub(super) fn key_length(cipher: &str) -> usize {
    if cipher == "aes128-gcm@openssh.com" {
        16
    } else {
        32
    }
}

/// A key of one direction, and the number of the next packet under it.
pub(super) struct Key {
    key: LessSafeKey,
    fixed: [u8; 4],
    counter: u64,
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

impl Key {
    /// Of bytes of which there may be more than are needed.
    pub(super) fn new(cipher: &str, key: &[u8], iv: &[u8]) -> Result<Self, Malformed> {
        let algorithm = if key_length(cipher) == 16 {
            &AES_128_GCM
        } else {
            &AES_256_GCM
        };
        let key = key.get(..key_length(cipher)).ok_or(Malformed)?;
        let (fixed, rest) = iv.split_first_chunk::<4>().ok_or(Malformed)?;
        let counter = rest.first_chunk::<8>().ok_or(Malformed)?;
        Ok(Self {
            key: LessSafeKey::new(UnboundKey::new(algorithm, key).map_err(|_| Malformed)?),
            fixed: *fixed,
            counter: u64::from_be_bytes(*counter),
            packets: 0,
            bytes: 0,
        })
    }

    /// No nonce is used twice: keys are changed long before the counter comes round.
    fn nonce(&mut self, bytes: usize) -> Nonce {
        let mut nonce = [0; 12];
        let (fixed, counter) = nonce.split_at_mut(4);
        fixed.copy_from_slice(&self.fixed);
        counter.copy_from_slice(&self.counter.to_be_bytes());
        self.counter = self.counter.wrapping_add(1);
        self.packets += 1;
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Adds a packet with this payload to what goes out.
pub(super) fn seal(key: Option<&mut Key>, payload: &[&[u8]], out: &mut BytesMut) -> Result<(), Malformed> {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    // The length itself is not sealed, and does not count there.
    let (block, counted) = if key.is_some() {
        (BLOCK, 1 + length)
    } else {
        (8, HEAD + 1 + length)
    };
    let mut padding = block - counted % block;
    if padding < 4 {
        padding += block;
    }
    let size = 1 + length + padding;
    if size > LONGEST {
        return Err(Malformed);
    }
    let head = u32::try_from(size).map_err(|_| Malformed)?.to_be_bytes();
    out.reserve(HEAD + size + TAG);
    out.extend_from_slice(&head);
    let begin = out.len();
    out.extend_from_slice(&[u8::try_from(padding).map_err(|_| Malformed)?]);
    for part in payload {
        out.extend_from_slice(part);
    }
    // Sealed, it looks like chance anyway; and in the clear there is nothing to hide.
    out.resize(begin + size, 0);
    if let Some(key) = key {
        let nonce = key.nonce(size);
        let body = out.get_mut(begin..).ok_or(Malformed)?;
        let sealed = key.key.seal_in_place_separate_tag(nonce, Aad::from(head), body);
        let tag = sealed.map_err(|_| Malformed)?;
        out.extend_from_slice(tag.as_ref());
    }
    Ok(())
}

/// Takes the first packet out of what came, once it is whole: its payload.
pub(super) fn open(key: Option<&mut Key>, input: &mut BytesMut) -> Result<Option<BytesMut>, Malformed> {
    let Some(head) = input.first_chunk::<HEAD>().copied() else {
        return Ok(None);
    };
    let size = usize::try_from(u32::from_be_bytes(head)).map_err(|_| Malformed)?;
    let (aligned, tag) = match &key {
        Some(_) => (size.is_multiple_of(BLOCK), TAG),
        None => ((HEAD + size).is_multiple_of(8), 0),
    };
    // Before keys are agreed nothing that is said is long.
    let longest = if key.is_some() { LONGEST } else { 35_000 };
    if !(12..=longest).contains(&size) || !aligned {
        return Err(Malformed);
    }
    if input.len() < HEAD + size + tag {
        input.reserve(HEAD + size + tag - input.len());
        return Ok(None);
    }
    let mut packet = input.split_to(HEAD + size + tag);
    packet.advance(HEAD);
    if let Some(key) = key {
        let nonce = key.nonce(size);
        let opened = key.key.open_in_place(nonce, Aad::from(head), &mut packet);
        opened.map_err(|_| Malformed)?;
        packet.truncate(size);
    }
    let padding = usize::from(*packet.first().ok_or(Malformed)?);
    let length = size.checked_sub(1 + padding).ok_or(Malformed)?;
    if padding < 4 || length == 0 {
        return Err(Malformed);
    }
    packet.advance(1);
    packet.truncate(length);
    Ok(Some(packet))
}

/// Sixteen bytes that nobody can foresee, for a KEXINIT.
pub(super) fn cookie() -> [u8; 16] {
    edge::random()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::new(CIPHERS[0], &[7; 32], &[9; 12]).unwrap()
    }

    #[test]
    fn what_is_sealed_is_opened_in_its_order_and_nothing_else_is() {
        let (mut sealing, mut opening) = (key(), key());
        let mut wire = BytesMut::new();
        for length in [1, 15, 16, 17, 32_000] {
            seal(Some(&mut sealing), &[&[5], &vec![1; length]], &mut wire).unwrap();
        }
        let mut whole = wire.clone();
        for length in [1, 15, 16, 17, 32_000] {
            let opened = open(Some(&mut opening), &mut whole).unwrap().unwrap();
            assert_eq!((opened[0], opened.len()), (5, length + 1));
        }
        assert!(whole.is_empty());
        // Without its first packet it is nothing.
        let first = HEAD + usize::try_from(u32::from_be_bytes(*wire.first_chunk().unwrap())).unwrap() + TAG;
        wire.advance(first);
        assert_eq!(open(Some(&mut key()), &mut wire), Err(Malformed));
    }

    #[test]
    fn lengths_that_cannot_be_are_refused_before_anything_is_kept_for_them() {
        for size in [0_u32, 11, 13, 300_000, u32::MAX] {
            let mut wire = BytesMut::from(&size.to_be_bytes()[..]);
            assert_eq!(open(Some(&mut key()), &mut wire), Err(Malformed), "{size}");
            assert_eq!(open(None, &mut wire), Err(Malformed), "{size}");
        }
        let mut wire = BytesMut::from(&16_u32.to_be_bytes()[..]);
        assert_eq!(open(Some(&mut key()), &mut wire), Ok(None));
    }
}

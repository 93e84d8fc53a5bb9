//! Free loopback ports that stay free: a service that is stopped and started again must find its port unused.

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};

use crate::error::Doing;
use crate::{Error, Result};

/// Below the range from which Linux (32768, `ip_local_port_range`) and macOS (49152) pick ports for outgoing connections:
/// no client can be given a port of ours while its service is down.
const FROM: u16 = 15_000;
const TO: u16 = 32_000;

/// A port on which nobody listens on 127.0.0.1. Somebody may take it before the caller does: retry then.
pub(crate) fn free() -> Result<u16> {
    let width = TO - FROM;
    let start = u16::from_le_bytes(random()?) % width;
    (0..width)
        .map(|step| FROM + (start + step) % width)
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .ok_or(Error::NoPort { from: FROM, to: TO })
}

/// Random bytes from the operating system; enough for a throwaway password, and no dependency.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .doing(|| "reading /dev/urandom".into())?;
    Ok(bytes)
}

/// Random text of two hexadecimal digits per byte: safe inside SQL, URLs and file names without quoting.
pub(crate) fn random_hex<const N: usize>() -> Result<String> {
    Ok(random::<N>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_not_given() {
        let port = free().unwrap();
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        for _ in 0..50 {
            assert_ne!(free().unwrap(), port);
        }
    }

    #[test]
    fn random_text_differs_and_has_its_length() {
        let (one, two) = (random_hex::<16>().unwrap(), random_hex::<16>().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, two);
    }
}

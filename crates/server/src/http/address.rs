//! Which machine a request came from, as far as that is certain.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// What a proxy adds.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// The other end of the TCP connection. The listener puts it into every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(pub SocketAddr);

/// The client's address: the rightmost hop of `X-Forwarded-For` that is no trusted proxy, or the peer itself.
///
/// What stands further left was written by the client. A hop that cannot be read ends the walk at the last proxy that
/// could: an address that is not certain is never taken from the client's own words.
#[must_use]
pub(crate) fn client(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let trusts = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut certain = peer.ip().to_canonical();
    if !trusts(&certain) {
        return certain;
    }
    let lines: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(|line| line.to_str().unwrap_or("?"))
        .collect();
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Some(address) = parse(hop.trim()) else { break };
        certain = address;
        if !trusts(&address) {
            break;
        }
    }
    certain
}

/// The client's address where it is certain, for what is decided by it.
///
/// One of our own proxies is no client: it is all that is known where a header says nothing, or nothing that can be read. And a
/// peer that forwards for somebody is no client either: a proxy that nobody named.
#[must_use]
pub(crate) fn origin(
    peer: SocketAddr,
    client: IpAddr,
    headers: &HeaderMap,
    trusted: &[IpNet],
) -> Option<IpAddr> {
    let trusts = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let forwards = FORWARDED.iter().any(|name| headers.contains_key(*name));
    let straight = trusts(peer.ip().to_canonical()) || !forwards;
    (straight && !trusts(client)).then_some(client)
}

/// An address, with the port and brackets that some proxies add.
fn parse(hop: &str) -> Option<IpAddr> {
    let plain = hop.parse::<IpAddr>().ok();
    let address = plain.or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(address.to_canonical())
}

/// Whether a request is a program's on this machine and no page's in a browser nor anybody's behind a proxy here.
#[must_use]
pub(crate) fn is_local(peer: SocketAddr, headers: &HeaderMap, behind_proxy: bool) -> bool {
    let page = ["origin", "sec-fetch-site"];
    let host = headers
        .get("host")
        .and_then(|host| host.to_str().ok())
        .unwrap_or("");
    // A page elsewhere can have its own name point at loopback; the Host header then tells that name.
    let named_local = host.rsplit_once(':').map_or(host, |(name, _)| name);
    peer.ip().to_canonical().is_loopback()
        && !behind_proxy
        && !FORWARDED
            .iter()
            .chain(&page)
            .any(|name| headers.contains_key(*name))
        && ["localhost", "127.0.0.1", "[::1]"].contains(&named_local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(peer: &str, forwarded: &[&str], expect: &str) {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        assert_eq!(
            client(peer, &headers, &trusted),
            expect.parse::<IpAddr>().unwrap(),
            "{peer} {forwarded:?}"
        );
    }

    /// What a rule's `source` is held against.
    #[test]
    fn a_proxy_is_no_origin_and_a_faked_header_makes_none() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let origin = |peer: &str, forwarded: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in forwarded {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            let peer = SocketAddr::new(peer.parse().unwrap(), 1);
            let client = client(peer, &headers, &trusted);
            super::origin(peer, client, &headers, &trusted).map(|address| address.to_string())
        };
        let is = |address: &str| Some(address.to_owned());
        // Straight from the client. Where it says that it forwards, it is a proxy that nobody named, or pretends to be one.
        assert_eq!(origin("192.0.2.1", &[]), is("192.0.2.1"));
        assert_eq!(origin("192.0.2.1", &["203.0.113.9"]), None);
        // Behind a proxy: what the proxy wrote, last and rightmost; what stands left of it the client wrote.
        assert_eq!(origin("10.0.0.1", &["192.0.2.1"]), is("192.0.2.1"));
        assert_eq!(origin("10.0.0.1", &["203.0.113.9, 192.0.2.1"]), is("192.0.2.1"));
        assert_eq!(origin("10.0.0.1", &["203.0.113.9", "192.0.2.1"]), is("192.0.2.1"));
        assert_eq!(
            origin("10.0.0.1", &["203.0.113.9, 192.0.2.1, 10.0.0.7"]),
            is("192.0.2.1")
        );
        assert_eq!(origin("::1", &["::ffff:192.0.2.1"]), is("192.0.2.1"));
        // Nothing, only proxies, or what cannot be read: not certain, and never the proxy's own network.
        assert_eq!(origin("10.0.0.1", &[]), None);
        assert_eq!(origin("10.0.0.1", &["10.0.0.9"]), None);
        assert_eq!(origin("10.0.0.1", &["203.0.113.9, unknown"]), None);
        assert_eq!(origin("10.0.0.1", &["203.0.113.9, for=192.0.2.1"]), None);
        assert_eq!(origin("10.0.0.1", &["203.0.113.9, "]), None);
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        check("192.0.2.1", &["198.51.100.9"], "192.0.2.1");
        check("10.0.0.1", &["198.51.100.9"], "198.51.100.9");
        check("::ffff:10.0.0.1", &["198.51.100.9"], "198.51.100.9");
        check("10.0.0.1", &[], "10.0.0.1");
    }

    #[test]
    fn the_rightmost_untrusted_hop_counts() {
        check("10.0.0.1", &["1.1.1.1, 198.51.100.9"], "198.51.100.9");
        check("10.0.0.1", &["1.1.1.1, 198.51.100.9, 10.0.0.2"], "198.51.100.9");
        check("10.0.0.1", &["1.1.1.1", "198.51.100.9,10.0.0.2"], "198.51.100.9");
        check("10.0.0.1", &["198.51.100.9:4711"], "198.51.100.9");
        check("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1");
    }

    #[test]
    fn what_cannot_be_read_ends_the_walk() {
        check("10.0.0.1", &["1.1.1.1, unknown"], "10.0.0.1");
        check("10.0.0.1", &["1.1.1.1, ; DROP, 10.0.0.2"], "10.0.0.2");
        check("10.0.0.1", &[""], "10.0.0.1");
    }

    #[test]
    fn local_is_a_program_on_this_machine() {
        let headers = |pairs: &[(&'static str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect::<HeaderMap>()
        };
        let peer = "127.0.0.1:1".parse().unwrap();
        assert!(is_local(peer, &headers(&[("host", "127.0.0.1:7373")]), false));
        assert!(is_local(peer, &headers(&[("host", "localhost:7373")]), false));
        assert!(!is_local(peer, &headers(&[("host", "127.0.0.1:7373")]), true));
        assert!(!is_local(
            peer,
            &headers(&[("host", "rebound.example:7373")]),
            false
        ));
        assert!(!is_local(
            peer,
            &headers(&[("host", "localhost"), ("x-forwarded-for", "1.1.1.1")]),
            false
        ));
        assert!(!is_local(
            "192.0.2.1:1".parse().unwrap(),
            &headers(&[("host", "localhost")]),
            false
        ));
    }
}

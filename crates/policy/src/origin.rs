//! Networks: from which addresses a rule may be asked for.

use std::fmt;
use std::net::IpAddr;

use daypass_core::planted::{Fault, is};
use ipnet::{IpNet, Ipv6Net};

/// Where a rule's access may be asked from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Within one of these, where there are any.
    pub(crate) networks: Vec<IpNet>,
    /// The access is for the address that it is asked from, and for no other.
    pub(crate) my_ip: bool,
}

/// Why an address will not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// It is not certain.
    Unknown,
    /// It is in none of the networks.
    Outside(IpAddr),
}

impl Origin {
    /// Whether somebody may ask from here.
    pub(crate) fn admits(&self, from: Option<IpAddr>) -> Result<(), Foreign> {
        let from = from.ok_or(Foreign::Unknown)?.to_canonical();
        let inside = self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&from));
        if inside || is(Fault::AnySource) {
            Ok(())
        } else {
            Err(Foreign::Outside(from))
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let my_ip = self.my_ip.then(|| String::from("my-ip"));
        let networks = self.networks.iter().map(ToString::to_string);
        let all: Vec<String> = my_ip.into_iter().chain(networks).collect();
        f.write_str(&all.join(", "))
    }
}

/// Reads a network in CIDR notation (RFC 4632); `Err` is what is wrong with it and what to write instead.
///
/// # Errors
/// As said: what is wrong, and a hint.
pub fn network(text: &str) -> Result<IpNet, (String, String)> {
    if let Ok(address) = text.parse::<IpAddr>() {
        let one = IpNet::from(address);
        return Err((
            format!("{text} is an address, no network"),
            format!("write {one}"),
        ));
    }
    let network: IpNet = text.parse().map_err(|_| {
        let what = format!("{text:?} is no network");
        (
            what,
            String::from("write it as 203.0.113.0/24 or 2001:db8::/32, or my-ip"),
        )
    })?;
    if network != network.trunc() {
        let what = format!("{network} has bits beyond its length");
        return Err((what, format!("write {}", network.trunc())));
    }
    if let IpNet::V6(six) = network
        && covers_mapped(six)
    {
        let what = format!("{network} holds IPv4 addresses in their IPv6 form");
        return Err((what, String::from("write them as IPv4")));
    }
    Ok(network)
}

/// All addresses of a family that a machine can have on the internet: IPv4 without multicast and what is reserved (RFC 5771,
/// RFC 1112), and the global unicast addresses of IPv6 (RFC 4291, 2.4; IANA gives out none beyond these).
static EVERYWHERE: [&[&str]; 2] = [&["0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/3"], &["2000::/3"]];

/// Whether networks together are all addresses of a family that anybody can come from, however they are cut.
#[must_use]
pub fn is_everywhere(networks: &[IpNet]) -> bool {
    let networks = IpNet::aggregate(&networks.to_vec());
    let holds = |block: &str| {
        let block: Option<IpNet> = block.parse().ok();
        block.is_some_and(|block| networks.iter().any(|network| network.contains(&block)))
    };
    EVERYWHERE
        .iter()
        .any(|blocks| blocks.iter().all(|block| holds(block)))
}

/// Whether a network overlaps with `::ffff:0:0/96` (RFC 4291, 2.5.5.2), but is not everything.
fn covers_mapped(network: Ipv6Net) -> bool {
    let mapped = std::net::Ipv4Addr::UNSPECIFIED.to_ipv6_mapped();
    let within =
        network.prefix_len() >= 96 && Ipv6Net::new(mapped, 96).is_ok_and(|all| all.contains(&network));
    let around = network.prefix_len() > 0 && network.contains(&mapped);
    within || around
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_exact() {
        for text in [
            "203.0.113.0/24",
            "2001:db8::/32",
            "10.0.0.1/32",
            "0.0.0.0/0",
            "::/0",
        ] {
            assert_eq!(network(text).map(|net| net.to_string()), Ok(text.to_owned()));
        }
        for (text, hint) in [
            ("203.0.113.7", "203.0.113.7/32"),
            ("203.0.113.7/24", "203.0.113.0/24"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::ffff:10.0.0.0/104", "IPv4"),
            ("::ffff:0:0/96", "IPv4"),
            ("::/64", "IPv4"),
            ("10.0.0.0/33", "203.0.113.0/24"),
            ("office", "my-ip"),
            ("", "my-ip"),
        ] {
            let (_, told) = network(text).unwrap_err();
            assert!(told.contains(hint), "{text}: {told}");
        }
    }

    #[test]
    fn everywhere_is_recognised_however_it_is_cut() {
        let all = |texts: &[&str]| {
            let networks: Vec<IpNet> = texts.iter().map(|text| network(text).unwrap()).collect();
            is_everywhere(&networks)
        };
        assert!(all(&["0.0.0.0/0"]) && all(&["::/0"]) && all(&["10.0.0.0/8", "::/0"]));
        assert!(all(&["0.0.0.0/1", "128.0.0.0/1"]));
        assert!(all(&["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/2"]));
        assert!(all(&["2000::/3"]) && all(&["2000::/4", "3000::/4"]));
        assert!(all(&["0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/3"]));
        assert!(!all(&["0.0.0.0/1", "128.0.0.0/2"]) && !all(&["2000::/4"]));
        assert!(!all(&["0.0.0.0/1"]) && !all(&["10.0.0.0/8", "2001:db8::/32"]) && !all(&[]));
    }

    #[test]
    fn an_address_is_inside_or_not_certain() {
        let origin = |networks: &[&str]| Origin {
            networks: networks.iter().map(|text| network(text).unwrap()).collect(),
            my_ip: true,
        };
        let from = |text: &str| Some(text.parse().unwrap());
        let office = origin(&["203.0.113.0/24", "2001:db8::/32"]);
        assert_eq!(office.admits(from("203.0.113.9")), Ok(()));
        assert_eq!(
            office.admits(from("::ffff:203.0.113.9")),
            Ok(()),
            "the same in its IPv6 form"
        );
        assert_eq!(office.admits(from("2001:db8::9")), Ok(()));
        assert!(matches!(office.admits(from("8.8.8.8")), Err(Foreign::Outside(_))));
        assert_eq!(office.admits(None), Err(Foreign::Unknown));
        assert_eq!(origin(&[]).admits(from("8.8.8.8")), Ok(()));
        assert_eq!(origin(&[]).admits(None), Err(Foreign::Unknown));
        assert_eq!(origin(&["0.0.0.0/0"]).admits(None), Err(Foreign::Unknown));
    }
}

//! How many connections one address may have that have not proved who they are, so that nobody takes all places.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many there are of each.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Mutex<HashMap<Network, usize>>);

/// A place of an address, given back when it is gone.
#[derive(Debug)]
pub(crate) struct Place {
    all: Arc<Addresses>,
    whose: Vec<Network>,
}

/// Its first address, and how many bits all of its addresses begin with.
type Network = (IpAddr, u32);

/// Networks of IPv6, and how many times the places of an address each has. A host or a household has a whole /64; a site a /48, with
/// 65,536 of them (RFC 6177), and a provider a /32 at least, with as many sites.
const NETWORKS: [(u32, usize); 3] = [(64, 1), (48, 2), (32, 4)];

/// Whose an address is, and how many times the places of one each has. A mapped one is the IPv4 address that it maps.
fn whose(address: IpAddr) -> Vec<(Network, usize)> {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = |(bits, times): (u32, usize)| {
                let rest = 128 - bits;
                let first = u128::from(address) >> rest << rest;
                ((IpAddr::V6(Ipv6Addr::from(first)), bits), times)
            };
            NETWORKS.into_iter().map(network).collect()
        }
        address => vec![((address, 32), 1)],
    }
}

impl Addresses {
    fn all(&self) -> MutexGuard<'_, HashMap<Network, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, where this address has fewer than so many, and each network that it is of as many times that as it may.
    pub(crate) fn place(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Place> {
        let whose = whose(address);
        let mut all = self.all();
        let is_full = |(network, times): &(Network, usize)| {
            all.get(network).copied().unwrap_or(0) >= most.saturating_mul(*times)
        };
        if whose.iter().any(is_full) {
            return None;
        }
        let whose: Vec<Network> = whose.into_iter().map(|(network, _)| network).collect();
        for network in &whose {
            *all.entry(*network).or_default() += 1;
        }
        drop(all);
        Some(Place {
            all: Arc::clone(self),
            whose,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.all.all();
        for network in &self.whose {
            let left = all.get_mut(network).map(|count| {
                *count = count.saturating_sub(1);
                *count
            });
            if left == Some(0) {
                all.remove(network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_so_many_places_and_a_network_of_ipv6_is_one_address() {
        let all = Arc::<Addresses>::default();
        let place = |text: &str| all.place(text.parse().unwrap(), 2);
        let first = place("192.0.2.1").unwrap();
        let _second = place("::ffff:192.0.2.1").unwrap();
        assert!(place("192.0.2.1").is_none());
        let _other = place("192.0.2.2").unwrap();
        drop(first);
        let _third = place("192.0.2.1").unwrap();
        let near = [
            place("2001:db8:0:1::1").unwrap(),
            place("2001:db8:0:1:ffff::9").unwrap(),
        ];
        assert!(place("2001:db8:0:1::2").is_none());
        assert!(place("2001:db8:0:2::1").is_some());
        drop(near);
        assert!(place("2001:db8:0:1::2").is_some());
        assert_eq!(all.all().len(), 2, "what is given back is forgotten");
    }

    #[test]
    fn who_has_many_networks_has_twice_or_four_times_the_places_of_one() {
        let all = Arc::<Addresses>::default();
        let places = |range: std::ops::Range<u32>, at: fn(u32) -> String| {
            let taken = range.filter_map(|number| all.place(at(number).parse().unwrap(), 4));
            taken.collect::<Vec<_>>()
        };
        let site = places(0..100, |number| format!("2001:db8:1:{number:x}::1"));
        assert_eq!(site.len(), 8, "of one /48, however many of its /64s");
        let provider = places(0..100, |number| format!("2001:db8:{:x}::1", 0x100 + number));
        assert_eq!(provider.len(), 8, "of one /32, with those");
        let other = places(0..100, |_| "2001:db9::1".to_owned());
        assert_eq!(other.len(), 4);
        drop((site, provider, other));
        assert_eq!(all.all().len(), 0);
    }
}

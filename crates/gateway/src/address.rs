//! How many connections one address may have that have not proved who they are, so that nobody takes all places.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many there are of each.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Mutex<HashMap<IpAddr, usize>>);

/// A place of an address, given back when it is gone.
#[derive(Debug)]
pub(crate) struct Place {
    all: Arc<Addresses>,
    whose: IpAddr,
}

/// Whose an address is: a host or a household has a whole /64 of IPv6 (RFC 6177), and a mapped one is the IPv4 address that it maps.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

impl Addresses {
    fn all(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, where this address has fewer than so many.
    pub(crate) fn place(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Place> {
        let whose = whose(address);
        let mut all = self.all();
        let count = all.get(&whose).copied().unwrap_or(0);
        if count >= most {
            return None;
        }
        all.insert(whose, count + 1);
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
        let left = all.get_mut(&self.whose).map(|count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == Some(0) {
            all.remove(&self.whose);
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
}

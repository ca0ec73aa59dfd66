//! Addresses that stand for names: whatever name is asked for gets one, so that a later connection tells what it was meant for.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// The first address is never given out; the network 198.18.0.0/15 is set aside for tests and never routed (RFC 2544).
const FIRST_V4: u32 = u32::from_be_bytes([198, 18, 0, 0]);
/// Locally assigned addresses (RFC 4193).
const FIRST_V6: u128 = 0xfd00_05e7 << 96;
/// Names of one run. An engine that asks for more gets no answers any more.
const MOST: usize = 4096;

/// The names of one run.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<String, usize>,
    names: Vec<String>,
}

impl Names {
    /// The addresses that stand for a name; `None` when there are too many names.
    pub(super) fn addresses_of(&mut self, name: &str) -> Option<(Ipv4Addr, Ipv6Addr)> {
        let number = match self.numbers.get(name) {
            Some(number) => *number,
            None if self.names.len() >= MOST => return None,
            None => {
                self.names.push(name.to_owned());
                self.numbers.insert(name.to_owned(), self.names.len());
                self.names.len()
            }
        };
        let number = u32::try_from(number).ok()?;
        Some((Ipv4Addr::from(FIRST_V4 + number), Ipv6Addr::from(FIRST_V6 + u128::from(number))))
    }

    /// The name an address stands for.
    pub(super) fn name_of(&self, address: IpAddr) -> Option<&str> {
        let number = match address {
            IpAddr::V4(address) => u128::from(u32::from(address).checked_sub(FIRST_V4)?),
            IpAddr::V6(address) => u128::from(address).checked_sub(FIRST_V6)?,
        };
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.names.get(index).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_back_to_its_name() {
        let mut names = Names::default();
        let (v4, v6) = names.addresses_of("a.example").unwrap();
        assert_eq!((v4.to_string(), v6.to_string()), ("198.18.0.1".to_owned(), "fd00:5e7::1".to_owned()));
        let (other, _) = names.addresses_of("b.example").unwrap();
        assert_eq!(names.addresses_of("a.example").unwrap(), (v4, v6));
        for (address, name) in [(v4.into(), "a.example"), (v6.into(), "a.example"), (other.into(), "b.example")] {
            assert_eq!(names.name_of(address), Some(name));
        }
        for stranger in ["198.18.0.0", "198.18.0.3", "8.8.8.8", "::1", "fd00:5e7::", "fd00:5e7::3"] {
            assert_eq!(names.name_of(stranger.parse().unwrap()), None, "{stranger}");
        }
    }

    #[test]
    fn names_are_not_kept_without_end() {
        let mut names = Names::default();
        assert!((0..MOST).all(|i| names.addresses_of(&format!("{i}.example")).is_some()));
        assert_eq!(names.addresses_of("one-more.example"), None);
        assert!(names.addresses_of("7.example").is_some());
    }
}

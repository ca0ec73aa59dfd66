//! Where a request comes from, as far as failed logins are counted by it.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::HeaderMap;

/// The address of whoever sent a request. Behind a proxy of ours it is the last address in `X-Forwarded-For` that is no proxy of ours: what
/// stands before it anybody could have written.
pub fn of(peer: IpAddr, headers: &HeaderMap, proxies: &[IpAddr]) -> String {
    let mut sender = peer.to_canonical();
    if proxies.contains(&sender) {
        let named = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        let named: Vec<Option<IpAddr>> = named.map(|text| text.trim().parse().ok()).collect();
        for address in named.into_iter().rev() {
            let Some(address) = address else { break };
            sender = address.to_canonical();
            if !proxies.contains(&sender) {
                break;
            }
        }
    }
    match sender {
        IpAddr::V4(address) => address.to_string(),
        // One household has a whole /64 to guess from.
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(peer: &str, forwarded: &[&str], proxies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let proxies: Vec<IpAddr> = proxies.iter().map(|text| text.parse().unwrap()).collect();
        of(peer.parse().unwrap(), &headers, &proxies)
    }

    #[test]
    fn only_a_proxy_of_ours_is_believed() {
        assert_eq!(sender("192.0.2.1", &["198.51.100.9"], &[]), "192.0.2.1");
        assert_eq!(sender("192.0.2.1", &["203.0.113.5, 198.51.100.9"], &["192.0.2.1"]), "198.51.100.9");
        assert_eq!(sender("192.0.2.1", &["203.0.113.5", "198.51.100.9, 192.0.2.2"], &["192.0.2.1", "192.0.2.2"]), "198.51.100.9");
        assert_eq!(sender("192.0.2.1", &["198.51.100.9, nonsense"], &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(sender("192.0.2.1", &[], &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(sender("::ffff:192.0.2.1", &["198.51.100.9"], &["192.0.2.1"]), "198.51.100.9");
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        assert_eq!(sender("2001:db8:1:2:3:4:5:6", &[], &[]), "2001:db8:1:2::/64");
    }
}

//! The resolver inside a run's network: which address it has, and what it answers about the engine's own machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::build::{GATE_V4, GATE_V6};
use crate::wire::dns;

/// Its port.
pub(super) const DNS: u16 = 53;
/// The host's name inside; whoever asks for it means itself.
const OWN_NAMES: [&str; 2] = ["localhost", "engine"];

/// Whether this is the resolver that the engine was given.
pub(super) fn is_resolver(target: SocketAddr) -> bool {
    target.port() == DNS && [IpAddr::V4(GATE_V4), IpAddr::V6(GATE_V6)].contains(&target.ip())
}

/// Questions about the engine's own machine are no attempt to reach anything.
pub(super) fn about_itself(query: &dns::Query) -> Option<Vec<u8>> {
    let name = query.name.as_str();
    if OWN_NAMES.contains(&name) || name.ends_with(".localhost") {
        return Some(query.answer(Ipv4Addr::LOCALHOST, Some(Ipv6Addr::LOCALHOST)));
    }
    let own = name.strip_suffix(".in-addr.arpa").is_some_and(|address| address.ends_with(".127") || address == "2.255.19.198")
        || name
            .strip_suffix(".ip6.arpa")
            .is_some_and(|address| address.ends_with("7.e.5.0.0.0.d.f") || address.ends_with("0.0.0.0.0.0.0.0"));
    (own && query.kind == dns::PTR).then(|| query.refuse(dns::NO_SUCH_NAME))
}

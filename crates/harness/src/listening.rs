//! Where an engine listens, if not where its hook says; or if only there, and nowhere else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use model::run::{Listening, Ready};

use crate::{client::CallError, hook::Hook, run::Run};

/// Ports that servers are used to.
const USUAL: &[u16] = &[
    80, 443, 1234, 3000, 3001, 4000, 4567, 5000, 5001, 5050, 6000, 7000, 7860, 8000, 8001, 8002, 8003, 8004, 8005, 8008, 8010, 8080, 8081,
    8082, 8083, 8084, 8085, 8086, 8087, 8088, 8089, 8090, 8181, 8443, 8500, 8501, 8787, 8888, 9000, 9001, 9002, 9005, 9080, 9090, 9091,
    9092, 9099, 9999, 10000, 18080, 50051,
];

/// Looks, once the engine has nothing more to do. `via` is the address that answered the ready hook.
pub(crate) async fn listening(run: &Run<'_>, hook: &Hook, ready: &Ready, via: Option<SocketAddr>) -> Option<Listening> {
    let port = hook.addresses[0].port();
    let mut found = Listening { port, ..Listening::default() };
    match (ready, via) {
        (Ready::NotInTime { last, .. }, _) if *last == CallError::Refused(hook.addresses[0]).to_string() => {
            let ours = run.desk.facts.base_url.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
            let others = USUAL.iter().filter(|other| **other != port && Some(**other) != ours);
            let addresses = others.map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), *port)).collect();
            found.elsewhere = run.client.open_ports(addresses).await.iter().map(SocketAddr::port).collect();
        }
        (Ready::Ready { .. }, Some(via)) => {
            found.ipv6_only = via.is_ipv6() && hook.addresses[0].is_ipv4();
            if let (Some(own), false) = (run.client.own_address(), via.is_ipv6()) {
                found.loopback_only = Some(run.client.open_ports(vec![SocketAddr::new(own, port)]).await.is_empty());
            }
        }
        _ => return None,
    }
    Some(found)
}

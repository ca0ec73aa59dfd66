//! The world outside, for engines that may reach some of it: names become addresses here, on the host, and not every address is one.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket},
    sync::Arc,
    time::Duration,
};

use model::network::Decision;

/// Addresses of one name that are tried.
const MOST_ADDRESSES: usize = 8;

type Resolve = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// How declared hosts are reached.
#[derive(Clone)]
pub struct Outside {
    resolve: Arc<Resolve>,
    admits: fn(IpAddr) -> bool,
    timeout: Duration,
}

impl Outside {
    /// The real one: this host's resolver, and public addresses that are not this host's own.
    pub fn internet() -> Self {
        Self::with(|name, port| (name, port).to_socket_addrs().map(Iterator::collect), |address| is_public(address) && !is_own(address))
    }

    /// Another resolver and another rule, for tests. The rule is asked about every address that is connected to, each time.
    pub fn with(resolve: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static, admits: fn(IpAddr) -> bool) -> Self {
        Self { resolve: Arc::new(resolve), admits, timeout: Duration::from_secs(10) }
    }

    /// The resolver of `self` with the rule of the real one.
    #[must_use]
    pub fn strictly(self) -> Self {
        Self { admits: Self::internet().admits, ..self }
    }

    /// The addresses of a name, or an address itself, that may be reached; for connections that are made elsewhere, which must go to one of these.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn addresses(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let found = match name.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => (self.resolve)(name, port).map_err(|error| format!("{name} cannot be looked up: {error}"))?,
        };
        let (admitted, refused): (Vec<_>, Vec<_>) = found.into_iter().take(MOST_ADDRESSES).partition(|address| (self.admits)(address.ip()));
        match (admitted.is_empty(), refused.first()) {
            (false, _) => Ok(admitted),
            (true, Some(inside)) => Err(format!("{name} leads to {}, which is no public address", inside.ip())),
            (true, None) => Err(format!("{name} has no address")),
        }
    }

    /// Connects to a name. The name is resolved for every connection anew, and the connection goes to an address that was looked at, not to
    /// a name that could mean another one by then.
    pub(super) fn connect(&self, name: &str, port: u16) -> Result<TcpStream, Decision> {
        let unreachable = |error: io::Error| Decision::Unreachable { reason: error.to_string() };
        let addresses = match name.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => (self.resolve)(name, port).map_err(unreachable)?,
        };
        let mut why = unreachable(io::Error::new(ErrorKind::NotFound, "the name has no address"));
        for address in addresses.into_iter().take(MOST_ADDRESSES) {
            match self.connect_to(address) {
                Ok(stream) => return Ok(stream),
                // An address that may not be reached says more than one that could not.
                Err(refused @ Decision::PrivateAddress { .. }) => why = refused,
                Err(_) if matches!(why, Decision::PrivateAddress { .. }) => {}
                Err(other) => why = other,
            }
        }
        Err(why)
    }

    fn connect_to(&self, address: SocketAddr) -> Result<TcpStream, Decision> {
        let private = |address: IpAddr| Decision::PrivateAddress { address: address.to_string() };
        if !(self.admits)(address.ip()) {
            return Err(private(address.ip()));
        }
        let unreachable = |error: io::Error| Decision::Unreachable { reason: error.to_string() };
        let stream = TcpStream::connect_timeout(&address, self.timeout).map_err(unreachable)?;
        let peer = stream.peer_addr().map_err(unreachable)?;
        if (self.admits)(peer.ip()) { Ok(stream) } else { Err(private(peer.ip())) }
    }
}

/// Only an address of this host can be bound to on it.
fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Whether an address belongs to the public internet: neither private nor local nor shared nor set aside for anything (RFC 6890).
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match a {
        0 | 10 | 127 => true,
        100 => (64..128).contains(&b),
        169 => b == 254,
        172 => (16..32).contains(&b),
        192 => b == 168 || (b == 0 && (c == 0 || c == 2)) || (b == 88 && c == 99),
        198 => b == 18 || b == 19 || (b == 51 && c == 100),
        203 => b == 0 && c == 113,
        224.. => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    // An IPv4 address in other clothes is what it is underneath.
    let inner = |high: u16, low: u16| is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => inner(high, low),
        // Teredo, benchmarks, ORCHID, documentation.
        [0x2001, 0, ..] | [0x2001, 2, 0, ..] | [0x2001, 0x10..=0x2f, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first >> 13 == 1,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        for public in
            ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "192.0.1.1", "223.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "127.0.0.1",
            "127.9.9.9",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.251",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "2001:20::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }

    fn leading_to(addresses: &'static [&'static str]) -> Outside {
        Outside::with(|_, port| Ok(addresses.iter().map(|a| SocketAddr::new(a.parse().unwrap(), port)).collect()), |_| true)
    }

    #[test]
    fn a_name_that_leads_inside_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let inside = leading_to(&["127.0.0.1"]);
        assert!(inside.connect("api.example.com", port).is_ok(), "it would have worked");
        let refused = inside.strictly().connect("api.example.com", port).unwrap_err();
        assert_eq!(refused, Decision::PrivateAddress { address: "127.0.0.1".to_owned() });
        let literal = Outside::internet().connect("169.254.169.254", 80).unwrap_err();
        assert_eq!(literal, Decision::PrivateAddress { address: "169.254.169.254".to_owned() });
    }

    #[test]
    fn only_public_addresses_are_given_to_others() {
        let mixed = leading_to(&["10.0.0.1", "8.8.8.8"]).strictly();
        assert_eq!(mixed.addresses("a.example", 80), Ok(vec!["8.8.8.8:80".parse().unwrap()]));
        let inside = leading_to(&["10.0.0.1"]).strictly().addresses("a.example", 80).unwrap_err();
        assert_eq!(inside, "a.example leads to 10.0.0.1, which is no public address");
        assert!(Outside::internet().addresses("::1", 80).unwrap_err().contains("no public address"));
        assert_eq!(leading_to(&[]).addresses("a.example", 80).unwrap_err(), "a.example has no address");
    }

    #[test]
    fn each_connection_is_looked_at_anew() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = std::sync::atomic::AtomicUsize::new(0);
        // As an attacker's name server would: harmless first, then inside.
        let rebinding = Outside::with(
            move |_, port| {
                let first = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
                Ok(vec![SocketAddr::from(([127, 0, 0, if first { 1 } else { 2 }], port))])
            },
            |address| address == IpAddr::from([127, 0, 0, 1]),
        );
        assert!(rebinding.connect("api.example.com", port).is_ok());
        let refused = rebinding.connect("api.example.com", port).unwrap_err();
        assert_eq!(refused, Decision::PrivateAddress { address: "127.0.0.2".to_owned() });
    }

    #[test]
    fn this_host_s_own_addresses_are_no_outside() {
        assert!(is_own(IpAddr::from([127, 0, 0, 1])));
        assert!(!is_own(IpAddr::from([192, 0, 2, 77])));
    }

    #[test]
    fn the_reason_of_a_failure_is_kept() {
        let nowhere = Outside::with(|_, _| Ok(Vec::new()), |_| true);
        assert!(matches!(nowhere.connect("a.example", 1), Err(Decision::Unreachable { reason }) if reason.contains("no address")));
        let broken = Outside::with(|_, _| Err(io::Error::other("no resolver")), |_| true);
        assert!(matches!(broken.connect("a.example", 1), Err(Decision::Unreachable { reason }) if reason == "no resolver"));
    }
}

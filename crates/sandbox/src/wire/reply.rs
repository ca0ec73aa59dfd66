//! What is answered to a packet, and new addresses for one: checksums included.

use std::net::{IpAddr, SocketAddr};

use super::packet::{ACK, Content, FIN, ICMP, ICMP6, Packet, RST, SYN, Segment, TCP, UDP, UDP_LITE};

/// Bytes of a refused packet that are sent back, as the standards want it.
const QUOTED_V4: usize = 548;
const QUOTED_V6: usize = 1200;

/// What refuses a packet at once; `None` where silence is the only right answer.
pub fn refusal(bytes: &[u8], packet: &Packet<'_>) -> Option<Vec<u8>> {
    let nowhere = |address: IpAddr| match address {
        IpAddr::V4(address) => address.is_broadcast() || address.is_multicast() || address.is_unspecified(),
        IpAddr::V6(address) => address.is_multicast() || address.is_unspecified(),
    };
    if nowhere(packet.target) || nowhere(packet.source) {
        return None;
    }
    match packet.content {
        Content::Tcp(segment) => reset(packet, &segment),
        Content::Fragment => None,
        Content::Control { kind, .. } => {
            let asks = matches!((packet.protocol, kind), (ICMP, 8 | 13 | 42) | (ICMP6, 128 | 160));
            asks.then(|| prohibited(bytes, packet)).flatten()
        }
        Content::Udp { .. } | Content::Other(_) => prohibited(bytes, packet),
    }
}

/// A reset, as RFC 9293 (3.5.2) wants it for a connection that does not exist.
fn reset(packet: &Packet<'_>, segment: &Segment) -> Option<Vec<u8>> {
    if segment.flags & RST != 0 {
        return None;
    }
    let (sequence, acknowledged, flags) = if segment.flags & ACK != 0 {
        (segment.acknowledged, 0, RST)
    } else {
        let control = u32::from(segment.flags & SYN != 0) + u32::from(segment.flags & FIN != 0);
        (0, segment.sequence.wrapping_add(segment.length).wrapping_add(control), RST | ACK)
    };
    let mut tcp = Vec::with_capacity(20);
    tcp.extend(segment.to.to_be_bytes());
    tcp.extend(segment.from.to_be_bytes());
    tcp.extend(sequence.to_be_bytes());
    tcp.extend(acknowledged.to_be_bytes());
    tcp.extend([0x50, flags, 0, 0, 0, 0, 0, 0]);
    wrap(packet.target, packet.source, TCP, tcp, 16)
}

/// "Administratively prohibited", from the address that was meant.
fn prohibited(bytes: &[u8], packet: &Packet<'_>) -> Option<Vec<u8>> {
    let (protocol, kind, code, most) = match packet.target {
        IpAddr::V4(_) => (ICMP, 3, 13, QUOTED_V4),
        IpAddr::V6(_) => (ICMP6, 1, 1, QUOTED_V6),
    };
    let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
    message.extend(bytes.get(..bytes.len().min(most))?);
    wrap(packet.target, packet.source, protocol, message, 2)
}

/// A datagram back to where one came from.
pub fn datagram(packet: &Packet<'_>, payload: &[u8]) -> Option<Vec<u8>> {
    let Content::Udp { from, to, .. } = packet.content else { return None };
    let length = u16::try_from(payload.len() + 8).ok()?;
    let mut udp = Vec::with_capacity(payload.len() + 8);
    udp.extend(to.to_be_bytes());
    udp.extend(from.to_be_bytes());
    udp.extend(length.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    wrap(packet.target, packet.source, UDP, udp, 6)
}

/// Puts an IP header before `inner` and its checksum at `checksum_at`.
fn wrap(source: IpAddr, target: IpAddr, protocol: u8, mut inner: Vec<u8>, checksum_at: usize) -> Option<Vec<u8>> {
    let length = u16::try_from(inner.len()).ok()?;
    let mut sum = if protocol == ICMP { 0 } else { pseudo_sum(source, target, protocol, u32::from(length)) };
    sum = add(sum, &inner);
    // In UDP a sum of zero says that there is none.
    let checksum = match !fold(sum) {
        0 if protocol == UDP || protocol == UDP_LITE => 0xffff,
        checksum => checksum,
    };
    inner.get_mut(checksum_at..checksum_at + 2)?.copy_from_slice(&checksum.to_be_bytes());
    let mut bytes = Vec::with_capacity(inner.len() + 40);
    match (source, target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            let total = length.checked_add(20)?.to_be_bytes();
            bytes.extend([0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, protocol, 0, 0]);
            bytes.extend(source.octets());
            bytes.extend(target.octets());
            let checksum = (!fold(add(0, &bytes))).to_be_bytes();
            bytes[10..12].copy_from_slice(&checksum);
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            let length = length.to_be_bytes();
            bytes.extend([0x60, 0, 0, 0, length[0], length[1], protocol, 64]);
            bytes.extend(source.octets());
            bytes.extend(target.octets());
        }
        _ => return None,
    }
    bytes.extend(inner);
    Some(bytes)
}

/// Gives a TCP packet another sender and receiver, of the same IP version. The payload is not looked at: the checksums are corrected by what changed.
pub fn readdress(bytes: &mut [u8], offset: usize, source: SocketAddr, target: SocketAddr) -> Option<()> {
    let mut header = Vec::with_capacity(36);
    let at = match (source.ip(), target.ip(), bytes.first()? >> 4) {
        (IpAddr::V4(source), IpAddr::V4(target), 4) => {
            header.extend(source.octets());
            header.extend(target.octets());
            12
        }
        (IpAddr::V6(source), IpAddr::V6(target), 6) => {
            header.extend(source.octets());
            header.extend(target.octets());
            8
        }
        _ => return None,
    };
    let mut ports = [0; 4];
    ports[..2].copy_from_slice(&source.port().to_be_bytes());
    ports[2..].copy_from_slice(&target.port().to_be_bytes());
    let addresses_change = change(bytes.get(at..at + header.len())?, &header);
    let ports_change = change(bytes.get(offset..offset + 4)?, &ports);
    correct(bytes, offset + 16, addresses_change + ports_change)?;
    if at == 12 {
        correct(bytes, 10, addresses_change)?;
    }
    bytes.get_mut(at..at + header.len())?.copy_from_slice(&header);
    bytes.get_mut(offset..offset + 4)?.copy_from_slice(&ports);
    Some(())
}

/// What a checksum has to be corrected by (RFC 1624).
fn change(before: &[u8], after: &[u8]) -> u64 {
    u64::from(!fold(add(0, before))) + add(0, after)
}

fn correct(bytes: &mut [u8], at: usize, change: u64) -> Option<()> {
    let field = bytes.get_mut(at..at + 2)?;
    let before = u16::from_be_bytes([field[0], field[1]]);
    field.copy_from_slice(&(!fold(u64::from(!before) + change)).to_be_bytes());
    Some(())
}

fn pseudo_sum(source: IpAddr, target: IpAddr, protocol: u8, length: u32) -> u64 {
    let address = |sum, address: IpAddr| match address {
        IpAddr::V4(address) => add(sum, &address.octets()),
        IpAddr::V6(address) => add(sum, &address.octets()),
    };
    address(address(0, source), target) + u64::from(protocol) + u64::from(length)
}

fn add(sum: u64, bytes: &[u8]) -> u64 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let sum = pairs.iter().fold(sum, |sum, pair| sum + u64::from(u16::from_be_bytes(*pair)));
    sum + rest.first().map_or(0, |last| u64::from(*last) << 8)
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::wire::packet::parse;

    /// Both checksums of a packet are right.
    fn is_sound(bytes: &[u8]) -> bool {
        let packet = parse(bytes).unwrap();
        let inner = &bytes[packet.offset..];
        let length = u32::try_from(inner.len()).unwrap();
        let pseudo = if packet.protocol == ICMP { 0 } else { pseudo_sum(packet.source, packet.target, packet.protocol, length) };
        let header = packet.source.is_ipv6() || fold(add(0, &bytes[..packet.offset])) == 0xffff;
        header && fold(add(pseudo, inner)) == 0xffff
    }

    fn ends(six: bool) -> (IpAddr, IpAddr) {
        if six {
            ("fd00:9::2".parse::<Ipv6Addr>().unwrap().into(), "2001:db8::1".parse::<Ipv6Addr>().unwrap().into())
        } else {
            (Ipv4Addr::new(10, 9, 0, 2).into(), Ipv4Addr::new(8, 8, 8, 8).into())
        }
    }

    fn tcp(six: bool, flags: u8, payload: &[u8]) -> Vec<u8> {
        let (source, target) = ends(six);
        let mut inner = vec![0x9c, 0x40, 1, 0xbb, 0, 0, 0, 9, 0, 0, 0, 5, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0];
        inner.extend(payload);
        wrap(source, target, TCP, inner, 16).unwrap()
    }

    fn udp(six: bool, payload: &[u8]) -> Vec<u8> {
        let (source, target) = ends(six);
        let length = u16::try_from(payload.len() + 8).unwrap().to_be_bytes();
        let mut inner = vec![0x9c, 0x40, 0, 53, length[0], length[1], 0, 0];
        inner.extend(payload);
        wrap(source, target, UDP, inner, 6).unwrap()
    }

    #[test]
    fn a_connect_is_answered_with_a_reset_that_acknowledges_it() {
        for six in [false, true] {
            let bytes = tcp(six, SYN, b"");
            let answer = refusal(&bytes, &parse(&bytes).unwrap()).unwrap();
            let packet = parse(&answer).unwrap();
            let Content::Tcp(segment) = packet.content else { panic!("{packet:?}") };
            assert_eq!((packet.source, packet.target), (ends(six).1, ends(six).0));
            assert_eq!((segment.from, segment.to, segment.flags, segment.acknowledged), (443, 40000, RST | ACK, 10));
            assert!(is_sound(&answer));
            let bytes = tcp(six, ACK, b"late");
            let answer = refusal(&bytes, &parse(&bytes).unwrap()).unwrap();
            let Content::Tcp(segment) = parse(&answer).unwrap().content else { panic!() };
            assert_eq!((segment.flags, segment.sequence), (RST, 5));
            let bytes = tcp(six, RST, b"");
            assert_eq!(refusal(&bytes, &parse(&bytes).unwrap()), None, "a reset is never answered");
        }
    }

    #[test]
    fn a_datagram_is_answered_with_a_prohibition_that_quotes_it() {
        for six in [false, true] {
            let bytes = udp(six, &[7; 3000]);
            let answer = refusal(&bytes, &parse(&bytes).unwrap()).unwrap();
            assert!(is_sound(&answer) && answer.len() < 1300);
            let packet = parse(&answer).unwrap();
            assert!(matches!(packet.content, Content::Control { kind: 1 | 3, body } if body[4..44] == bytes[..40]));
        }
    }

    #[test]
    fn nothing_is_said_to_groups_and_errors() {
        let mut bytes = udp(false, b"x");
        bytes[16..20].copy_from_slice(&[224, 0, 0, 251]);
        assert_eq!(refusal(&bytes, &parse(&bytes).unwrap()), None);
        let error = wrap(ends(false).0, ends(false).1, ICMP, vec![3, 3, 0, 0, 0, 0, 0, 0], 2).unwrap();
        assert_eq!(refusal(&error, &parse(&error).unwrap()), None);
    }

    proptest! {
        #[test]
        fn answers_and_new_addresses_keep_checksums_right(
            six in any::<bool>(), payload in prop::collection::vec(any::<u8>(), 0..100), from in any::<u16>(), to in any::<u16>(), octet in any::<u8>(),
        ) {
            let question = udp(six, &payload);
            prop_assert!(is_sound(&question));
            prop_assert!(is_sound(&datagram(&parse(&question).unwrap(), &payload).unwrap()));
            let mut bytes = tcp(six, ACK, &payload);
            let (a, b) = ends(!six);
            prop_assert!(readdress(&mut bytes, 20, SocketAddr::new(a, from), SocketAddr::new(b, to)).is_none());
            let ip: IpAddr = if six { Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, octet.into()).into() } else { Ipv4Addr::new(10, 9, 0, octet).into() };
            let offset = parse(&bytes).unwrap().offset;
            readdress(&mut bytes, offset, SocketAddr::new(ip, from), SocketAddr::new(ends(six).1, to)).unwrap();
            prop_assert!(is_sound(&bytes));
            let packet = parse(&bytes).unwrap();
            prop_assert_eq!(packet.source, ip);
            prop_assert!(matches!(packet.content, Content::Tcp(s) if s.from == from && s.to == to && s.length as usize == payload.len()));
        }
    }
}

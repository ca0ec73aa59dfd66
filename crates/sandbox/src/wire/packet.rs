//! An IP packet as a TUN device gives it: who to whom, which protocol, and what a recorder wants to know of its content.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{u16_at, u32_at};

/// Protocol numbers that are looked into.
pub const ICMP: u8 = 1;
/// Group membership of IPv4.
pub const IGMP: u8 = 2;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// ICMP of IPv6.
pub const ICMP6: u8 = 58;
/// UDP with partial checksums.
pub const UDP_LITE: u8 = 136;

/// The flags of a TCP segment that matter here.
pub const FIN: u8 = 0x01;
/// Begins a connection.
pub const SYN: u8 = 0x02;
/// Refuses or breaks one.
pub const RST: u8 = 0x04;
/// Acknowledges.
pub const ACK: u8 = 0x10;

/// More extension headers than any honest packet has.
const MAX_EXTENSIONS: usize = 8;

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Sender.
    pub source: IpAddr,
    /// Receiver.
    pub target: IpAddr,
    /// Number of the protocol inside.
    pub protocol: u8,
    /// Where the content begins in the packet.
    pub offset: usize,
    /// What is inside.
    pub content: Content<'a>,
}

/// What is inside a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A TCP segment.
    Tcp(Segment),
    /// A UDP or UDP-Lite datagram.
    Udp {
        /// Sending port.
        from: u16,
        /// Receiving port.
        to: u16,
        /// Its payload.
        payload: &'a [u8],
    },
    /// A message of ICMP or ICMPv6, or a report of IGMP.
    Control {
        /// Type of the message.
        kind: u8,
        /// What follows type, code and checksum.
        body: &'a [u8],
    },
    /// A later part of a datagram whose first part was seen.
    Fragment,
    /// Anything else, also a known protocol that is cut off.
    Other(&'a [u8]),
}

/// The header of a TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Sending port.
    pub from: u16,
    /// Receiving port.
    pub to: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledged: u32,
    /// FIN, SYN, RST, ACK and others.
    pub flags: u8,
    /// Bytes of payload.
    pub length: u32,
}

impl Segment {
    /// It wants to begin a connection.
    pub fn opens(&self) -> bool {
        self.flags & (SYN | ACK | RST) == SYN
    }
}

/// Reads a packet; `None` if it is neither IPv4 nor IPv6 or is cut off in its header.
pub fn parse(bytes: &[u8]) -> Option<Packet<'_>> {
    match bytes.first()? >> 4 {
        4 => parse_v4(bytes),
        6 => parse_v6(bytes),
        _ => None,
    }
}

fn parse_v4(bytes: &[u8]) -> Option<Packet<'_>> {
    let header = usize::from(bytes[0] & 0x0f) * 4;
    let total = usize::from(u16_at(bytes, 2)?);
    let address = |at: usize| Some(Ipv4Addr::from(u32_at(bytes, at)?));
    let (source, target) = (address(12)?.into(), address(16)?.into());
    if header < 20 || total < header {
        return None;
    }
    let bytes = bytes.get(..total.min(bytes.len()))?;
    let protocol = *bytes.get(9)?;
    let inner = bytes.get(header..)?;
    let later_part = u16_at(bytes, 6)? & 0x1fff != 0;
    let content = if later_part { Content::Fragment } else { content(protocol, inner) };
    Some(Packet { source, target, protocol, offset: header, content })
}

fn parse_v6(bytes: &[u8]) -> Option<Packet<'_>> {
    let address = |at: usize| {
        let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
        Some(IpAddr::from(Ipv6Addr::from(octets)))
    };
    let (source, target) = (address(8)?, address(24)?);
    let total = 40 + usize::from(u16_at(bytes, 4)?);
    let bytes = bytes.get(..total.min(bytes.len()))?;
    let (mut protocol, mut offset) = (*bytes.get(6)?, 40);
    for _ in 0..MAX_EXTENSIONS {
        let Some(length) = extension(protocol, bytes, offset) else { break };
        if protocol == 44 && u16_at(bytes, offset + 2)? & 0xfff8 != 0 {
            let protocol = *bytes.get(offset)?;
            return Some(Packet { source, target, protocol, offset, content: Content::Fragment });
        }
        protocol = *bytes.get(offset)?;
        offset += length;
    }
    let inner = bytes.get(offset..)?;
    Some(Packet { source, target, protocol, offset, content: content(protocol, inner) })
}

/// Length of an extension header; `None` if the protocol is none.
fn extension(protocol: u8, bytes: &[u8], offset: usize) -> Option<usize> {
    let length = usize::from(*bytes.get(offset + 1)?);
    match protocol {
        0 | 43 | 60 | 135 => Some((length + 1) * 8),
        44 => Some(8),
        51 => Some((length + 2) * 4),
        _ => None,
    }
}

fn content(protocol: u8, inner: &[u8]) -> Content<'_> {
    let known = match protocol {
        TCP => segment(inner).map(Content::Tcp),
        UDP | UDP_LITE => datagram(inner),
        ICMP | ICMP6 | IGMP => inner.first().zip(inner.get(4..)).map(|(kind, body)| Content::Control { kind: *kind, body }),
        _ => None,
    };
    known.unwrap_or(Content::Other(inner))
}

fn segment(inner: &[u8]) -> Option<Segment> {
    let header = usize::from(inner.get(12)? >> 4) * 4;
    let payload = inner.len().checked_sub(header).filter(|_| header >= 20)?;
    Some(Segment {
        from: u16_at(inner, 0)?,
        to: u16_at(inner, 2)?,
        sequence: u32_at(inner, 4)?,
        acknowledged: u32_at(inner, 8)?,
        flags: *inner.get(13)?,
        length: u32::try_from(payload).ok()?,
    })
}

fn datagram(inner: &[u8]) -> Option<Content<'_>> {
    Some(Content::Udp { from: u16_at(inner, 0)?, to: u16_at(inner, 2)?, payload: inner.get(8..)? })
}

/// What a kernel says by itself: neighbours, routers, errors about packets it got, and groups it belongs to anyhow. An engine cannot send any of it.
pub fn is_kernel_noise(packet: &Packet<'_>) -> bool {
    match (packet.protocol, packet.content) {
        (ICMP, Content::Control { kind, .. }) => matches!(kind, 0 | 3 | 4 | 5 | 9..=12 | 14 | 18),
        (ICMP6, Content::Control { kind, .. }) => match kind {
            1..=4 | 129 | 130 | 132..=137 => true,
            131 | 143 => joined_groups(packet).iter().all(|group| is_kernel_group(*group)),
            _ => false,
        },
        // A group is left when its socket is closed; joining it was told before.
        (IGMP, Content::Control { kind, .. }) => kind == 0x17 || joined_groups(packet).is_empty(),
        (_, Content::Fragment) => true,
        _ => false,
    }
}

/// The multicast groups that a report of IGMP or MLD joins, at most a few.
pub fn joined_groups(packet: &Packet<'_>) -> Vec<IpAddr> {
    let Content::Control { kind, body } = packet.content else { return Vec::new() };
    let width = if packet.protocol == ICMP6 { 16 } else { 4 };
    let address = |bytes: &[u8]| -> Option<IpAddr> {
        match width {
            16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(..16)?).ok()?).into()),
            _ => Some(Ipv4Addr::from(u32_at(bytes, 0)?).into()),
        }
    };
    match (packet.protocol, kind) {
        (IGMP, 0x12 | 0x16) => address(body).into_iter().collect(),
        (ICMP6, 131) => body.get(4..).and_then(address).into_iter().collect(),
        (IGMP, 0x22) | (ICMP6, 143) => joins(body, width, address),
        _ => Vec::new(),
    }
}

/// Records of a report: type, length of what follows, number of sources, group, sources. Leaving a group is no attempt.
fn joins(body: &[u8], width: usize, address: impl Fn(&[u8]) -> Option<IpAddr>) -> Vec<IpAddr> {
    let (mut groups, mut at) = (Vec::new(), 4);
    while groups.len() < 16 {
        let Some(record) = body.get(at..).filter(|record| record.len() >= 4 + width) else { break };
        let sources = usize::from(u16_at(record, 2).unwrap_or(0));
        // "Include these sources" with no source is how a group is left.
        let leaves = matches!(record[0], 1 | 3 | 6) && sources == 0;
        groups.extend(address(&record[4..]).filter(|_| !leaves));
        at += 4 + width + sources * width + usize::from(record[1]) * 4;
    }
    groups
}

/// All nodes, all routers, solicited nodes: what every interface belongs to.
fn is_kernel_group(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group.octets() == [224, 0, 0, 1],
        IpAddr::V6(group) => {
            let s = group.segments();
            let all = s[1..7] == [0; 6] && matches!(s[7], 1 | 2);
            all || (s[0] == 0xff02 && s[1..5] == [0; 4] && s[5] == 1 && s[6] >> 8 == 0xff)
        }
    }
}

/// The name of a protocol, for people.
pub fn protocol_name(protocol: u8) -> String {
    let name = match protocol {
        ICMP => "icmp",
        IGMP => "igmp",
        TCP => "tcp",
        UDP => "udp",
        33 => "dccp",
        41 => "ipv6-in-ip",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        ICMP6 => "icmp6",
        89 => "ospf",
        115 => "l2tp",
        132 => "sctp",
        UDP_LITE => "udplite",
        other => return format!("ip protocol {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v4(protocol: u8, inner: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 9, 0, 2, 8, 8, 8, 8];
        bytes.extend(inner);
        let total = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        bytes[2..4].copy_from_slice(&total);
        bytes
    }

    fn v6(protocol: u8, inner: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 0, protocol, 64];
        bytes.extend("fd00:9::2".parse::<Ipv6Addr>().unwrap().octets());
        bytes.extend("2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        bytes.extend(inner);
        let length = u16::try_from(inner.len()).unwrap().to_be_bytes();
        bytes[4..6].copy_from_slice(&length);
        bytes
    }

    #[test]
    fn a_syn_is_understood_in_both_versions() {
        let tcp = [0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 7, 0, 0, 0, 0, 0x50, SYN, 0xff, 0xff, 0, 0, 0, 0, b'x'];
        for (bytes, target) in [(v4(TCP, &tcp), "8.8.8.8"), (v6(TCP, &tcp), "2001:db8::1")] {
            let packet = parse(&bytes).unwrap();
            let Content::Tcp(segment) = packet.content else { panic!("{packet:?}") };
            assert_eq!((packet.target, segment.to, segment.sequence, segment.length), (target.parse().unwrap(), 443, 7, 1));
            assert!(segment.opens());
        }
    }

    #[test]
    fn extension_headers_do_not_hide_a_datagram() {
        let mut inner = vec![60, 0, 0, 0, 0, 0, 0, 0, UDP, 0, 1, 4, 0, 0, 0, 0];
        inner.extend([0, 1, 0, 53, 0, 11, 0, 0, 1, 2, 3]);
        let bytes = v6(0, &inner);
        let packet = parse(&bytes).unwrap();
        assert_eq!((packet.protocol, packet.content), (UDP, Content::Udp { from: 1, to: 53, payload: &[1, 2, 3] }));
    }

    #[test]
    fn later_parts_and_cut_off_headers_are_no_attempts() {
        let mut bytes = v4(UDP, &[0; 16]);
        bytes[7] = 5;
        assert_eq!(parse(&bytes).unwrap().content, Content::Fragment);
        assert_eq!(parse(&v4(TCP, &[0; 8])).unwrap().content, Content::Other(&[0; 8]));
        assert_eq!(parse(&[0x45, 0, 0]), None);
        assert_eq!(parse(&[]), None);
    }

    #[test]
    fn a_kernel_s_own_words_are_told_from_an_engine_s() {
        let noise = |bytes: Vec<u8>| is_kernel_noise(&parse(&bytes).unwrap());
        for kind in [133, 134, 135, 136, 1, 129] {
            assert!(noise(v6(ICMP6, &[kind, 0, 0, 0, 0, 0, 0, 0])), "{kind}");
        }
        assert!(!noise(v6(ICMP6, &[128, 0, 0, 0, 0, 0, 0, 0])), "an echo request is an attempt");
        assert!(noise(v4(ICMP, &[3, 3, 0, 0, 0, 0, 0, 0])) && !noise(v4(ICMP, &[8, 0, 0, 0, 0, 0, 0, 0])));
        let report = |group: &str| {
            let mut body = vec![143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0];
            body.extend(group.parse::<Ipv6Addr>().unwrap().octets());
            v6(ICMP6, &body)
        };
        assert!(noise(report("ff02::1:ff00:2")) && noise(report("ff02::2")) && !noise(report("ff02::fb")));
        let igmp = v4(IGMP, &[0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 2, 3]);
        assert_eq!(joined_groups(&parse(&igmp).unwrap()), ["239.1.2.3".parse::<IpAddr>().unwrap()]);
        assert!(noise(v4(IGMP, &[0x22, 0, 0, 0, 0, 0, 0, 1, 3, 0, 0, 0, 239, 1, 2, 3])), "leaving is no attempt");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), six in any::<bool>()) {
            if let Some(first) = bytes.first_mut() {
                *first = if six { 0x60 } else { 0x40 | *first & 0x0f };
            }
            if let Some(packet) = parse(&bytes) {
                prop_assert!(packet.offset <= bytes.len());
                is_kernel_noise(&packet);
                prop_assert!(joined_groups(&packet).len() <= 16);
                super::super::reply::refusal(&bytes, &packet);
            }
        }
    }
}

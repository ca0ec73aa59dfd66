//! The handful of messages that bring up two interfaces, written by hand: one batch, each answered by the kernel (rtnetlink(7)).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const CREATE: u16 = 0x400 | 0x200;

const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const ERROR: u16 = 2;

const LINK_MTU: u16 = 4;
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const OUT: u16 = 4;

/// No check whether somebody else has the address: there is nobody else.
const NODAD: u8 = 0x02;
const UP: u32 = 0x1;

/// Requests to be sent together.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    count: u32,
}

impl Batch {
    /// Brings an interface up and, where wanted, sets the size of its largest packet.
    pub(super) fn up(&mut self, interface: u32, mtu: Option<u32>) {
        let mut body = vec![0; 16];
        body[4..8].copy_from_slice(&interface.to_ne_bytes());
        body[8..12].copy_from_slice(&UP.to_ne_bytes());
        body[12..16].copy_from_slice(&UP.to_ne_bytes());
        if let Some(mtu) = mtu {
            attribute(&mut body, LINK_MTU, &mtu.to_ne_bytes());
        }
        self.request(NEW_LINK, 0, &body);
    }

    /// Gives an interface an address of a network of its own.
    pub(super) fn address(&mut self, interface: u32, address: IpAddr) {
        let (family, bits, octets) = parts(address);
        let mut body = vec![family, bits, NODAD, 0];
        body.extend(interface.to_ne_bytes());
        attribute(&mut body, LOCAL, &octets);
        attribute(&mut body, ADDRESS, &octets);
        self.request(NEW_ADDRESS, CREATE, &body);
    }

    /// Everything that is not known otherwise leaves by this interface. `like` says of which version of IP.
    pub(super) fn default_route(&mut self, interface: u32, like: IpAddr) {
        let (family, ..) = parts(like);
        // Table main, made at boot, whole universe, unicast.
        let mut body = vec![family, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        attribute(&mut body, OUT, &interface.to_ne_bytes());
        self.request(NEW_ROUTE, CREATE, &body);
    }

    fn request(&mut self, kind: u16, flags: u16, body: &[u8]) {
        self.count += 1;
        let length = 16 + body.len() as u32;
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((REQUEST | ACK | flags).to_ne_bytes());
        self.bytes.extend(self.count.to_ne_bytes());
        self.bytes.extend(0_u32.to_ne_bytes());
        self.bytes.extend(body);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// Sends them in the network of this thread.
    pub(super) fn send(self) -> io::Result<()> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        send(&socket, &self.bytes, SendFlags::empty())?;
        let mut answered = 0;
        while answered < self.count {
            let mut answer = vec![0; 8192];
            let (_, length) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
            let errors = errors(answer.get(..length).unwrap_or_default());
            if errors.is_empty() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if let Some(error) = errors.iter().find(|error| **error != 0) {
                return Err(io::Error::from_raw_os_error(-error));
            }
            answered += errors.len() as u32;
        }
        Ok(())
    }
}

/// The error numbers in an answer, zero for success.
fn errors(mut answer: &[u8]) -> Vec<i32> {
    let mut errors = Vec::new();
    while let (Some(head), Some(error)) = (answer.first_chunk::<8>(), answer.get(16..20)) {
        let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if u16::from_ne_bytes([head[4], head[5]]) == ERROR {
            errors.push(i32::from_ne_bytes([error[0], error[1], error[2], error[3]]));
        }
        answer = answer.get(length.max(16).next_multiple_of(4)..).unwrap_or_default();
    }
    errors
}

fn parts(address: IpAddr) -> (u8, u8, Vec<u8>) {
    let v4 = |address: Ipv4Addr| (libc::AF_INET as u8, 32, address.octets().to_vec());
    let v6 = |address: Ipv6Addr| (libc::AF_INET6 as u8, 128, address.octets().to_vec());
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
    }
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend((4 + value.len() as u16).to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_form_the_kernel_wants() {
        let mut batch = Batch::default();
        batch.address(7, IpAddr::from([10, 9, 0, 2]));
        assert_eq!(batch.bytes.len(), 16 + 8 + 8 + 8);
        assert_eq!(batch.bytes[..4], 40_u32.to_ne_bytes());
        assert_eq!(batch.bytes[16..24], [2, 32, 2, 0, 7, 0, 0, 0]);
        batch.address(7, IpAddr::from([0xfd00, 9, 0, 0, 0, 0, 0, 2]));
        assert_eq!(batch.bytes.len() % 4, 0);
        assert_eq!(batch.count, 2);
    }

    #[test]
    fn what_the_kernel_does_not_want_is_an_error() {
        let mut batch = Batch::default();
        batch.up(0x7fff_0000, None);
        // An ordinary user is refused before anybody looks.
        let reason = if crate::ordinary::is_true_root() { libc::ENODEV } else { libc::EPERM };
        assert_eq!(batch.send().unwrap_err().raw_os_error(), Some(reason));
    }

    #[test]
    fn a_cut_off_answer_is_no_success() {
        assert!(errors(&[]).is_empty());
        assert!(errors(&[0; 19]).is_empty());
        let mut answer = vec![0; 20];
        answer[4] = 2;
        assert_eq!(errors(&answer), [0]);
    }
}

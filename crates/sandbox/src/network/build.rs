//! Makes a run's network: everything that needs privileges is done here, on one thread, in one go.
//!
//! What it takes is the right to administer the network that is made. A process that has just made a user namespace has it as well as root, and
//! what comes out are descriptors that can be handed to another process.

use std::{
    fs::{self, File},
    io::{self, Error as IoError},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, netdevice::name_to_index, socket_with},
    thread::UnshareFlags,
};

use super::netlink::Batch;

/// The engine's own address, out of the networks that are set aside for tests and given to no name.
pub(super) const SELF_V4: Ipv4Addr = Ipv4Addr::new(198, 19, 255, 2);
pub(super) const SELF_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x5e7, 0, 1, 0, 0, 0, 2);
/// Where its resolver is, and where connections that pass come from.
pub(super) const GATE_V4: Ipv4Addr = Ipv4Addr::new(198, 19, 255, 1);
pub(super) const GATE_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x5e7, 0, 1, 0, 0, 0, 1);

/// What programs expect an interface to be called.
const DEVICE: &str = "eth0";
/// The largest packet there is: nothing is ever sent in parts.
const MTU: u32 = 65_535;
/// The first interface of every network.
const LOOPBACK: u32 = 1;

/// A network.
pub(super) struct Parts {
    /// Its namespace.
    pub(super) namespace: OwnedFd,
    /// Reads what leaves it and writes what enters it, packet by packet, without waiting.
    pub(super) device: File,
    /// It knows IPv6.
    pub(super) six: bool,
}

/// Makes a network and moves this thread into it. Its one way out is a device that somebody has to read.
pub(super) fn make() -> io::Result<Parts> {
    enter_new_namespace()?;
    // Engines run without capabilities and must still be able to listen on port 80, as they can under Docker.
    fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")?;
    // So that an attempt to ping is seen; without this right it would fail in silence.
    let groups = fs::read_to_string("/proc/thread-self/gid_map")?;
    fs::write("/proc/sys/net/ipv4/ping_group_range", format!("0 {}", last_group(&groups)))?;
    let six = Path::new("/proc/sys/net/ipv6").exists();
    if six {
        // A quiet interface: no address that nobody asked for, no search for routers or neighbours.
        for (name, value) in
            [("disable_ipv6", "0"), ("accept_dad", "0"), ("accept_ra", "0"), ("router_solicitations", "0"), ("addr_gen_mode", "1")]
        {
            fs::write(format!("/proc/sys/net/ipv6/conf/default/{name}"), value)?;
        }
    }
    let device = open_device()?;
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let index = name_to_index(&socket, DEVICE)?;
    let mut batch = Batch::default();
    batch.up(LOOPBACK, None);
    batch.up(index, Some(MTU));
    let addresses: [IpAddr; 2] = [SELF_V4.into(), SELF_V6.into()];
    for address in addresses.into_iter().filter(|address| six || address.is_ipv4()) {
        batch.address(index, address);
        batch.default_route(index, address);
    }
    batch.send()?;
    Ok(Parts { namespace: File::open("/proc/thread-self/ns/net")?.into(), device, six })
}

/// The last group there is, as the kernel takes it for a range: one that this user namespace does not know is refused (user_namespaces(7)).
fn last_group(map: &str) -> u32 {
    let last = |line: &str| {
        let mut numbers = line.split_whitespace().map(|word| word.parse::<u32>().ok());
        let (first, _, count) = (numbers.next()??, numbers.next()??, numbers.next()??);
        first.checked_add(count.checked_sub(1)?)
    };
    map.lines().filter_map(last).max().unwrap_or(0).min(i32::MAX.unsigned_abs())
}

#[allow(unsafe_code, reason = "unshare(2) may leave other parts of a process unsound; a network namespace cannot")]
fn enter_new_namespace() -> io::Result<()> {
    // SAFETY: only CLONE_NEWNET is asked for. It changes which network this one thread sees; no memory, no file table, nothing Rust relies on.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.map_err(IoError::from)
}

/// Opens a TUN device. It belongs to the network of the thread that opens it and disappears with that network.
#[allow(unsafe_code, reason = "a TUN device is made by ioctl(2)")]
fn open_device() -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};
    let device = open("/dev/net/tun", OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).map_err(|error| match error {
        Errno::NOENT | Errno::NXIO | Errno::NODEV => IoError::new(io::ErrorKind::NotFound, "/dev/net/tun is missing (modprobe tun)"),
        other => other.into(),
    })?;
    // SAFETY: `ifreq` is plain data for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(DEVICE.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the descriptor is open, the request is a complete `ifreq` with a terminated name; the kernel reads it and writes the name into it.
    let answer = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if answer < 0 {
        return Err(IoError::last_os_error());
    }
    // Closing it would wait until the kernel has taken it apart, some tens of milliseconds. A device that stays goes with its network instead, which the
    // kernel takes apart in its own time once nobody holds it; nobody but us ever does.
    // SAFETY: the descriptor is open and the argument a plain number.
    let answer = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETPERSIST, 1) };
    if answer < 0 { Err(IoError::last_os_error()) } else { Ok(device.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_group_is_one_that_is_known_here() {
        assert_eq!(last_group("         0          0 4294967295\n"), 2_147_483_647);
        assert_eq!(last_group("0 1000 1\n1 100000 65536\n"), 65_536);
        for odd in ["", "0", "0 1000 0", "x 1 1", "4294967295 0 4294967295"] {
            assert_eq!(last_group(odd), 0, "{odd}");
        }
    }
}

//! A run's network: a namespace of its own with nothing in it but loopback, kept alive by a file descriptor.
//!
//! There is no route at all, so every connect to anywhere else fails at once. What records attempts (a TUN device as the only route) belongs into
//! [`Network::new`], next to loopback.

use std::{
    fs,
    io::{self, Error as IoError},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::PathBuf,
    thread,
    time::Duration,
};

use rustix::{
    net::{AddressFamily, SocketFlags, SocketType},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space},
};

use crate::Error;

pub(crate) struct Network {
    namespace: OwnedFd,
}

impl Network {
    /// Makes the namespace. Threads have namespaces of their own, so a fresh thread makes it and takes nobody else along.
    pub(crate) fn new() -> Result<Self, Error> {
        let namespace = on_a_thread(|| {
            enter_new_namespace()?;
            bring_up_loopback()?;
            // Engines run without capabilities and must still be able to listen on port 80, as they can under Docker.
            fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")?;
            fs::File::open("/proc/thread-self/ns/net")
        });
        let namespace = namespace.map_err(|source| Error::System { action: "make a network namespace", source })?;
        Ok(Self { namespace: namespace.into() })
    }

    /// A path by which another process of the same user can open the namespace while this value lives.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.namespace.as_raw_fd()).into()
    }

    /// Listens on loopback inside.
    pub(crate) fn listen(&self, port: u16) -> Result<TcpListener, Error> {
        let made = self.inside(|| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        made.map_err(|source| Error::System { action: "listen inside the sandbox", source })
    }

    /// Connects from inside.
    pub(crate) fn connect(&self, addr: SocketAddr, timeout: Duration) -> Result<TcpStream, Error> {
        self.inside(|| TcpStream::connect_timeout(&addr, timeout)).map_err(|source| Error::Connect { addr, source })
    }

    fn inside<T: Send>(&self, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        on_a_thread(|| {
            move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            act()
        })
    }
}

fn on_a_thread<T: Send>(act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("sandbox-net".to_owned()).stack_size(128 << 10).spawn_scoped(scope, act)?;
        thread.join().unwrap_or_else(|_| Err(IoError::other("the thread inside the network namespace panicked")))
    })
}

#[allow(unsafe_code, reason = "unshare(2) may leave other parts of a process unsound; a network namespace cannot")]
fn enter_new_namespace() -> io::Result<()> {
    // SAFETY: only CLONE_NEWNET is asked for. It changes which network this one thread sees; no memory, no file table, nothing Rust relies on.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.map_err(IoError::from)
}

#[allow(unsafe_code, reason = "interface flags are only reachable by ioctl(2)")]
fn bring_up_loopback() -> io::Result<()> {
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: `ifreq` is plain data for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo\0") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the descriptor is open, the request is a complete `ifreq` with a terminated name, and the kernel only reads it.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &request) };
    if answer == 0 { Ok(()) } else { Err(IoError::last_os_error()) }
}

//! A run's network: a namespace of its own whose only way out is a device that we read.
//!
//! Every packet that leaves comes to the [`Recorder`], which writes down what was tried and answers at once: a refusal, an address that stands for a
//! name, or, for hosts that were declared, the way to a listener of ours inside, from which [`forward`] copies to a connection that the host makes.
//! No packet goes anywhere else, so there is no route to this host or to another run. What we serve ourselves is served by sockets inside, over
//! loopback, and never leaves.

mod build;
mod forward;
mod journal;
mod names;
mod netlink;
mod outside;
mod process;
mod recorder;
mod resolver;

use std::{
    io::{self, Error as IoError},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use model::network::NetworkPolicy;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

pub use outside::Outside;
pub(crate) use recorder::Recorder;

use crate::Error;
use build::{GATE_V4, SELF_V4, SELF_V6};

/// Where an engine's resolver is.
pub(crate) const RESOLVER: Ipv4Addr = GATE_V4;

pub(crate) struct Network {
    namespace: OwnedFd,
    six: bool,
    recorder: Arc<Recorder>,
    thread: Option<JoinHandle<()>>,
}

impl Network {
    /// Makes the network and begins to read what leaves it. Threads have namespaces of their own, so a fresh thread takes nobody else along.
    pub(crate) fn new(outside: Outside) -> Result<Self, Error> {
        let system = |action| move |source| Error::System { action, source };
        let parts = on_a_thread(build::make).map_err(system("make a network for the run"))?;
        let recorder = Arc::new(Recorder::new(parts.device, parts.six, outside).map_err(system("record the network of the run"))?);
        let (reader, namespace) = (recorder.clone(), parts.namespace.try_clone().map_err(system("keep the network of the run"))?);
        let thread = thread::Builder::new().name("sandbox-record".to_owned()).stack_size(256 << 10);
        let thread = thread.spawn(move || {
            // Inside, the sockets of the run can be seen. Without that its processes are not named, and nothing else is missing.
            let _ = enter(&namespace);
            drop(namespace);
            reader.read();
        });
        let thread = Some(thread.map_err(system("start a thread"))?);
        Ok(Self { namespace: parts.namespace, six: parts.six, recorder, thread })
    }

    /// Begins the record of a run. `members` are the files that list its processes.
    pub(crate) fn begin(&self, policy: &NetworkPolicy, members: Vec<PathBuf>) -> Result<Arc<Recorder>, Error> {
        let doors = match policy {
            NetworkPolicy::Isolated => Vec::new(),
            NetworkPolicy::Declared(_) => {
                let doors = self.inside(|| {
                    let addresses: [IpAddr; 2] = [SELF_V4.into(), SELF_V6.into()];
                    addresses.into_iter().filter(|address| self.six || address.is_ipv4()).map(forward::door).collect()
                });
                doors.map_err(|source| Error::System { action: "open the way to declared hosts", source })?
            }
        };
        let begun = self.recorder.begin(policy.clone(), members, doors);
        begun.map_err(|source| Error::System { action: "start a thread", source })?;
        Ok(self.recorder.clone())
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

    /// The addresses of the container itself.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let addresses: [IpAddr; 2] = [SELF_V4.into(), SELF_V6.into()];
        addresses.into_iter().filter(|address| self.six || address.is_ipv4()).collect()
    }

    fn inside<T: Send>(&self, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        on_a_thread(|| {
            enter(&self.namespace)?;
            act()
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.recorder.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn enter(namespace: &OwnedFd) -> io::Result<()> {
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}

fn on_a_thread<T: Send>(act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("sandbox-net".to_owned()).stack_size(128 << 10).spawn_scoped(scope, act)?;
        thread.join().unwrap_or_else(|_| Err(IoError::other("the thread inside the network namespace panicked")))
    })
}

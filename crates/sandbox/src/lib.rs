//! Runs an image that nobody trusts and records what it did. Nothing an engine does is an [`Error`]: its faults are in the record.
//!
//! Two implementations: [`local`] (namespaces, cgroups, seccomp, overlay) and [`fake`] (a closure on real loopback sockets, for tests of others).
//! Everything of a run hangs on its [`Session`] and its helper process: when they are gone, nothing of it is left.

pub mod doctor;
pub mod fake;
pub mod local;
pub mod memory;
pub mod ordinary;

mod cgroup;
mod error;
mod helper;
mod log;
mod network;
mod owner;
mod probe;
mod protocol;
mod runtime;
mod seccomp;
mod spec;
mod supervise;
pub mod wire;

use std::{
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use model::run::{LogLine, RunRecord, RunSpec};

pub use error::{Error, ProbeFailure};
pub use helper::helper_main;
pub use network::Outside;
pub use runtime::Runtime;

/// Receives every log line the moment it is complete, from the threads that read the pipes: it must be quick, must not block and must not panic.
/// Only lines within the caps of [`model::run::Limits`] arrive; the record says whether some were dropped.
pub type LogSink = Arc<dyn Fn(LogLine) + Send + Sync>;

/// An unpacked image: one directory per layer, bottom to top, in overlay form (a whiteout is a character device 0:0, an opaque directory has
/// the attribute `trusted.overlay.opaque`). The directories are only read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rootfs {
    /// Layer directories, bottom to top.
    pub lower: Vec<PathBuf>,
}

/// Where engines are run.
pub trait Sandbox: Send + Sync {
    /// Makes the surroundings of one run. `id` is the run's id, `[a-z0-9-]`, at most 64 characters.
    ///
    /// # Errors
    /// [`Error::HostNotReady`] where a limit cannot be enforced; the run must not take place.
    fn open(&self, id: &str) -> Result<Box<dyn Session>, Error>;
}

/// The surroundings of one run: a network of its own and scratch space. Dropping it ends what still runs and removes everything.
pub trait Session: Send + Sync {
    /// Listens on 127.0.0.1 INSIDE the run's network; port 0 takes a free one. The listener is nonblocking.
    ///
    /// # Errors
    /// The port is taken, or the network is gone.
    fn listen(&self, port: u16) -> Result<TcpListener, Error>;

    /// Connects from inside the run's network. The stream is blocking; `timeout` bounds the connect only.
    ///
    /// # Errors
    /// [`Error::Connect`] with the reason in its source, such as connection refused while the engine is not listening yet.
    fn connect(&self, addr: SocketAddr, timeout: Duration) -> Result<TcpStream, Error>;

    /// The container's own addresses besides its loopback, where it has any.
    fn addresses(&self) -> Vec<IpAddr> {
        Vec::new()
    }

    /// Starts the engine. At most one process tree per session at a time.
    ///
    /// # Errors
    /// Only what is not the engine's fault. A missing program is a run that exits with 127.
    fn start(&self, rootfs: &Rootfs, spec: &RunSpec, log: LogSink) -> Result<Box<dyn Running>, Error>;
}

/// An engine that was started. Dropping it kills the engine and waits the milliseconds until everything of it is gone.
pub trait Running: Send + Sync {
    /// The work is done: SIGTERM, two seconds of grace, then SIGKILL for everything that is left. Returns at once. The record then says
    /// [`model::run::Exit::Stopped`].
    fn stop(&self);

    /// Whether the first process has ended.
    fn has_ended(&self) -> bool;

    /// Blocks until the run is over (its wall clock is enforced whether or not anybody waits) and returns the record; again and again the same.
    ///
    /// # Errors
    /// The sandbox itself failed, not the engine.
    fn wait(&self) -> Result<RunRecord, Error>;
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

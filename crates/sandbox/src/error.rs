//! What can go wrong on our side. An engine's own faults are never here.

use std::{io, net::SocketAddr, path::PathBuf};

/// A line of the examination that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeFailure {
    /// Id of the probe, such as `cgroup.memory`.
    pub id: &'static str,
    /// What was found.
    pub detail: String,
    /// How to mend it.
    pub mend: String,
}

fn list(failures: &[ProbeFailure]) -> String {
    failures.iter().map(|f| format!("\n  {}: {}; {}", f.id, f.detail, f.mend)).collect()
}

/// Why a run could not be made, and never because of the engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A limit cannot be enforced on this host, so nothing is run.
    #[error("this host cannot run untrusted images safely; `plimsoll doctor` says more:{}", list(.0))]
    HostNotReady(Vec<ProbeFailure>),
    /// The configured runtime is not on this host.
    #[error(
        "sandbox.runtime: there is no program {0:?} on this host; install it, give its full path, or leave the setting out to use the built-in runtime"
    )]
    NoRuntime(String),
    /// The id of a run is not `[a-z0-9-]`, 1 to 64 characters.
    #[error("{0:?} is no run id; use lower-case letters, digits and hyphens, at most 64")]
    BadId(String),
    /// A session or run of this id exists already.
    #[error("a run with the id {0} exists already; use another id")]
    Busy(String),
    /// The run description cannot be carried out as it stands.
    #[error("the run description is not usable: {0}")]
    BadSpec(&'static str),
    /// A file or directory of ours.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What was tried, such as `make directory`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A system call on a namespace, pipe or process.
    #[error("{action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Nothing could be connected to inside the run's network.
    #[error("connect to {addr} inside the sandbox: {source}")]
    Connect {
        /// Where to.
        addr: SocketAddr,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The process that prepares the container reported a failure.
    #[error("prepare the container ({step}): {message}")]
    Helper {
        /// What it was doing.
        step: String,
        /// What it said.
        message: String,
    },
    /// The process that holds the container ended without a report.
    #[error("the process that holds the container ended without a report ({0}); see the system's log for an out-of-memory kill")]
    HelperGone(String),
}

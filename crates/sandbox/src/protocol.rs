//! What the server and the process that holds the container say to each other: one line of JSON each way, then single letters.
//!
//! Server to helper: a [`Description`], the bytes of the files in it, later a [`STOP`] or [`KILL`]. Helper to server: [`Report`]s. The end of the
//! connection means the other side is dead.

use std::path::PathBuf;

use model::run::{DeniedCall, FilesWritten, Transferred};
use serde::{Deserialize, Serialize};

use crate::cgroup::View;

/// End it gently: SIGTERM, a grace, SIGKILL.
pub(crate) const STOP: u8 = b's';
/// End it now.
pub(crate) const KILL: u8 = b'k';
/// The longest line either side accepts, bytes.
pub(crate) const MAX_LINE: u64 = 16 << 20;

/// Everything the helper has to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Description {
    /// Process number of the server; the helper dies with it.
    pub(crate) server: u32,
    /// An existing directory; the helper covers it with private file systems that nobody else sees.
    pub(crate) scratch: PathBuf,
    /// Layer directories, bottom to top.
    pub(crate) lower: Vec<PathBuf>,
    /// What to run.
    pub(crate) program: Program,
    /// Users inside are nobody on the host.
    pub(crate) users: bool,
    /// Absolute working directory inside.
    pub(crate) working_dir: String,
    /// User as in an image's config.
    pub(crate) user: String,
    /// Size of the largest file the engine may write, bytes.
    pub(crate) file_bytes: u64,
    /// Size of everything it may write, bytes.
    pub(crate) writable_bytes: u64,
    /// Files and directories it may make.
    pub(crate) max_files: u64,
    /// The engine may write to [`PLACES`] only.
    pub(crate) read_only_root: bool,
    /// Size of `/dev/shm`, bytes.
    pub(crate) shared_memory_bytes: u64,
    /// Files to show inside; their bytes follow this description, in order.
    pub(crate) files: Vec<FileHead>,
    /// The run's network namespace.
    pub(crate) network: PathBuf,
    /// The run's control group.
    pub(crate) cgroup: Vec<View>,
    /// The runtime that runs the container, if it is not our own.
    pub(crate) foreign: Option<Foreign>,
}

/// A foreign runtime and what it has to be told besides.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Foreign {
    /// The program.
    pub(crate) program: PathBuf,
    /// It can give the container clocks of its own.
    pub(crate) clocks: bool,
    /// The run's control group from the root of the tree on.
    pub(crate) group: PathBuf,
    /// Memory and swap, bytes.
    pub(crate) memory_bytes: u64,
    /// Processes.
    pub(crate) pids: u32,
    /// CPU time per second, thousandths of a second.
    pub(crate) milli_cpus: u32,
}

/// Where an engine with a read-only root may write all the same, besides `/dev/shm`; with permissions.
pub(crate) const PLACES: [(&str, u32); 3] = [("/tmp", 0o1777), ("/var/tmp", 0o1777), ("/run", 0o755)];

/// What runs inside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Program {
    /// An engine.
    Engine {
        /// Program and arguments.
        args: Vec<String>,
        /// Environment, in order.
        env: Vec<(String, String)>,
    },
    /// One of our own probes; it needs no program in the root file system.
    Probe(crate::probe::Name),
}

/// An injected file without its bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FileHead {
    /// Absolute path inside.
    pub(crate) path: String,
    /// Permission bits.
    pub(crate) mode: u32,
    /// Number of bytes that follow.
    pub(crate) len: u64,
}

/// What the helper has to say.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The first process runs.
    Started,
    /// The image cannot be started as it is; an [`Report::Ended`] follows.
    Fault {
        /// For the engine's log.
        message: String,
    },
    /// We could not do our part. Nothing follows.
    Failed {
        /// What was being done.
        step: String,
        /// Why it failed.
        message: String,
    },
    /// The first process and everything below it is gone.
    Ended(End),
}

/// How the first process ended and what the helper saw.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct End {
    /// Exit code, if it exited.
    pub(crate) code: Option<i32>,
    /// Signal, if it was killed.
    pub(crate) signal: Option<i32>,
    /// It was still there when it was asked to end.
    pub(crate) stopped: bool,
    /// It ignored the request, or was too slow to follow it.
    pub(crate) deaf: bool,
    /// What it wrote.
    pub(crate) written: Written,
    /// Refused system calls; `None` if nobody could listen.
    pub(crate) denied: Option<Vec<DeniedCall>>,
    /// What its processes read and wrote.
    pub(crate) transferred: Option<Transferred>,
    /// The files it left.
    pub(crate) files: FilesWritten,
}

/// Use of what an engine may write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    /// Most bytes seen in use.
    pub(crate) bytes: u64,
    /// Most files and directories seen.
    pub(crate) files: u64,
    /// There was no room for more bytes.
    pub(crate) is_full: bool,
    /// There was no room for more files.
    pub(crate) has_max_files: bool,
}

impl Written {
    /// The highest values of two looks.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.max(other.bytes),
            files: self.files.max(other.files),
            is_full: self.is_full || other.is_full,
            has_max_files: self.has_max_files || other.has_max_files,
        }
    }
}

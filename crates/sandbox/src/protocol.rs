//! What the server and the process that holds the container say to each other: one line of JSON each way, then single letters.
//!
//! Server to helper: a [`Description`], the bytes of the files in it, later a [`STOP`] or [`KILL`]. Helper to server: [`Report`]s. The end of the
//! connection means the other side is dead.

use std::path::PathBuf;

use model::run::{FilesWritten, Transferred};
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
    /// Absolute working directory inside.
    pub(crate) working_dir: String,
    /// User as in an image's config.
    pub(crate) user: String,
    /// Size of the largest file the engine may write, bytes.
    pub(crate) file_bytes: u64,
    /// Size of everything it may write, bytes.
    pub(crate) writable_bytes: u64,
    /// Size of `/dev/shm`, bytes.
    pub(crate) shared_memory_bytes: u64,
    /// Files to show inside; their bytes follow this description, in order.
    pub(crate) files: Vec<FileHead>,
    /// The run's network namespace.
    pub(crate) network: PathBuf,
    /// The run's control group.
    pub(crate) cgroup: Vec<View>,
}

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
    Ended {
        /// Exit code, if it exited.
        code: Option<i32>,
        /// Signal, if it was killed.
        signal: Option<i32>,
        /// It was still there when it was asked to end.
        stopped: bool,
        /// Most bytes seen in use for written files.
        written: u64,
        /// Nothing more could have been written at the end.
        full: bool,
        /// What its processes read and wrote.
        transferred: Option<Transferred>,
        /// What it left.
        files: FilesWritten,
    },
}

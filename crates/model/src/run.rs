//! What a run may do, and what it did: the vocabulary shared by sandbox, harness and checks.

mod told;

use serde::{Deserialize, Serialize};

pub use told::{Listening, Recording, Remark, Repeat, TaskState};

use crate::{
    manifest::ClusterSize,
    network::{NetworkPolicy, NetworkRecord},
};

/// Hard limits of one run. A host that cannot enforce one of them refuses the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory and swap together, bytes.
    pub memory_bytes: u64,
    /// Processes and threads at one time.
    pub pids: u32,
    /// CPU time per second of wall time, in thousandths of one core.
    pub milli_cpus: u32,
    /// Largest single file the engine may write, bytes.
    pub file_bytes: u64,
    /// Everything the engine may write to its root file system and `/tmp`, bytes.
    pub writable_bytes: u64,
    /// Files and directories the engine may make.
    #[serde(default = "Limits::default_files")]
    pub files: u64,
    /// Wall clock from start to the kill, milliseconds.
    pub wall_ms: u64,
    /// Standard output and error together, bytes kept.
    pub log_bytes: u64,
    /// Longest log line kept, bytes; the rest of a longer line is dropped and marked.
    pub log_line_bytes: usize,
}

impl Limits {
    /// The limits of a certification run: memory by cluster size, ten minutes of wall clock.
    ///
    /// What an engine writes is kept in memory and counts as its memory, exactly and at every instant. It may fill three quarters of it, so that
    /// an engine that writes too much is told "no space left" instead of being killed for want of memory.
    pub fn certification(size: ClusterSize, min_memory_mb: Option<f64>) -> Self {
        let wanted = min_memory_mb.filter(|mb| mb.is_finite() && *mb > 0.0).map_or(0, |mb| (mb * 1024.0 * 1024.0) as u64);
        let memory_bytes = size.memory_bytes().max(wanted.min(64 << 30));
        let writable_bytes = memory_bytes / 4 * 3;
        Self {
            memory_bytes,
            pids: 1024,
            milli_cpus: 2000,
            file_bytes: writable_bytes.min(2 << 30),
            writable_bytes,
            files: Self::default_files(),
            wall_ms: 600_000,
            log_bytes: 1 << 20,
            log_line_bytes: 8 << 10,
        }
    }

    /// The limits of a live engine: those it was certified under, without an end.
    pub fn production(size: ClusterSize, min_memory_mb: Option<f64>) -> Self {
        Self { wall_ms: Self::WITHOUT_END_MS, ..Self::certification(size, min_memory_mb) }
    }

    /// Ten years: longer than any server runs.
    const WITHOUT_END_MS: u64 = 10 * 365 * 24 * 3_600_000;

    /// Each file costs about a kilobyte of kernel memory, which counts as the engine's.
    fn default_files() -> u64 {
        200_000
    }
}

/// A small file put into the container before it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectedFile {
    /// Absolute path inside the container.
    pub path: String,
    /// Content.
    pub bytes: Vec<u8>,
    /// Permission bits, such as `0o644`.
    pub mode: u32,
}

/// The process to run, already decided: nothing in here is read from the image any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSpec {
    /// Program and arguments; never empty.
    pub args: Vec<String>,
    /// Environment, in order.
    pub env: Vec<(String, String)>,
    /// Absolute working directory; made if it is missing.
    pub working_dir: String,
    /// As in an image's config: `""`, `uid`, `uid:gid`, `name` or `name:group`, looked up inside the image.
    pub user: String,
    /// Hard limits.
    pub limits: Limits,
    /// Files visible read-only inside the container.
    pub files: Vec<InjectedFile>,
    /// What it may reach.
    pub network: NetworkPolicy,
    /// It may write to `/tmp`, `/var/tmp`, `/run` and `/dev/shm` only, not to the rest of its image.
    #[serde(default)]
    pub read_only_root: bool,
}

/// Where a log line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// The engine's standard output.
    Stdout,
    /// The engine's standard error.
    Stderr,
    /// The gate itself.
    Gate,
}

/// One line, as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Milliseconds since the run began.
    pub at_ms: u64,
    /// Who wrote it.
    pub stream: Stream,
    /// The text without its line end; invalid UTF-8 is replaced.
    pub text: String,
}

/// How the first process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "camelCase")]
pub enum Exit {
    /// By itself, with this code.
    Exited {
        /// 0 to 255.
        code: i32,
    },
    /// By a signal nobody of ours sent.
    Signaled {
        /// Signal number.
        signal: i32,
    },
    /// We ended it because its work was done (webhook engines run until they are stopped).
    Stopped,
    /// We ended it at the deadline.
    TimedOut,
    /// The kernel ended it because memory ran out.
    OutOfMemory,
}

/// A limit that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitHit {
    /// The name in [`Limits`]: `memory_bytes`, `pids`, `files`, `writable_bytes`, `log_bytes`, `wall_ms`...
    pub limit: String,
    /// The limit.
    pub allowed: u64,
    /// The highest value seen, in the unit of the limit.
    pub peak: u64,
}

/// Bytes that the processes of a run read and wrote by system calls, whatever the file was: files, pipes, sockets. Memory-mapped files are not
/// in it, nor are processes whose parent refuses to hear of their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transferred {
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
}

/// The files a run left in its root file system, new ones and changed ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FilesWritten {
    /// How many.
    pub count: u64,
    /// Their size together, without holes.
    pub bytes: u64,
    /// The first [`FilesWritten::LISTED`] of them in the order of their paths.
    pub first: Vec<WrittenFile>,
    /// Some are not counted: they lie deeper than is looked.
    pub more_below: bool,
}

impl FilesWritten {
    /// Files named in a record.
    pub const LISTED: usize = 100;
}

/// A file a run left.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WrittenFile {
    /// Absolute path inside; at most 200 characters, invalid UTF-8 is replaced.
    pub path: String,
    /// Size without holes.
    pub bytes: u64,
}

/// A system call that an engine has no business with, and that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeniedCall {
    /// The call, where it helps with what was asked for: `mount`, `unshare(NEWUSER)`, `socket(AF_PACKET)`.
    pub call: String,
    /// Name of the process that made it first.
    pub process: String,
    /// When that was, milliseconds since the run began.
    pub at_ms: u64,
    /// How often it was made.
    pub count: u64,
}

/// What the sandbox saw of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// How it ended.
    pub exit: Exit,
    /// Start of the process to its end, milliseconds.
    pub wall_ms: u64,
    /// CPU time of all its processes, milliseconds.
    pub cpu_ms: u64,
    /// The part of it spent in the programs themselves, milliseconds.
    #[serde(default)]
    pub cpu_user_ms: u64,
    /// The part of it spent in the kernel on their behalf, milliseconds.
    #[serde(default)]
    pub cpu_system_ms: u64,
    /// Highest memory use, bytes.
    pub peak_memory_bytes: u64,
    /// Highest number of processes, where the host counts it.
    pub peak_pids: Option<u64>,
    /// Bytes read and written, where the host counts them.
    #[serde(default)]
    pub transferred: Option<Transferred>,
    /// Files it left behind.
    #[serde(default)]
    pub files_written: FilesWritten,
    /// Standard output and error, interleaved, as far as the caps allow.
    pub log: Vec<LogLine>,
    /// Lines or bytes were dropped.
    pub log_truncated: bool,
    /// Limits that were reached.
    pub limits_hit: Vec<LimitHit>,
    /// System calls that were refused, in the order in which they were first made; `None` where the host cannot watch them.
    #[serde(default)]
    pub denied: Option<Vec<DeniedCall>>,
    /// It was asked to end by SIGTERM, which it ignored, or it did not end within the time for it.
    #[serde(default)]
    pub deaf_to_sigterm: bool,
    /// Network attempts; `None` where the host's sandbox does not record them.
    pub network: Option<NetworkRecord>,
    /// What the sandbox of this host could not record or hide, each a sentence; the log begins with them.
    #[serde(default)]
    pub not_recorded: Vec<String>,
}

/// How an engine is talked to (engine contract §0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EngineKind {
    /// Answers `/ready` and `/process`.
    Webhook,
    /// Reads `PAYLOAD_FILE`, calls the API, exits.
    Batch,
    /// Reads a message queue: cannot be tested here.
    Queue,
}

/// The outcome of waiting for `/ready`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
pub enum Ready {
    /// Answered 200.
    Ready {
        /// Milliseconds from process start.
        after_ms: u64,
        /// How often it was asked.
        polls: u32,
    },
    /// Answered 500: it gave up.
    GaveUp {
        /// First line of the answer.
        said: String,
    },
    /// Never answered 200 in time.
    NotInTime {
        /// How long we waited, milliseconds.
        waited_ms: u64,
        /// The last thing that happened: an error or a status line.
        last: String,
    },
    /// The process ended before it was ready.
    ProcessEnded,
}

/// One HTTP call to the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// Id of the sample sent, such as `keyword-1`.
    pub sample: String,
    /// MIME type sent.
    pub mime_type: String,
    /// The sample is of a type the engine does not list: a clean refusal is expected.
    pub expect_refusal: bool,
    /// 1 for the first try.
    pub attempt: u32,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What went wrong, if there was none.
    pub error: Option<String>,
    /// Request sent to answer read, milliseconds.
    pub duration_ms: u64,
    /// Content type of the answer.
    pub content_type: Option<String>,
    /// Size of the answer's body, bytes.
    pub body_bytes: u64,
    /// The beginning of the body, at most 2,000 characters.
    pub body_excerpt: String,
    /// The engine's process ended while the call was open.
    #[serde(default)]
    pub process_ended: bool,
    /// What followed, if the answer promised a result for later.
    #[serde(default)]
    pub later: Option<Later>,
    /// What is worth a word about the answer, whether it was good or not.
    #[serde(default)]
    pub remarks: Vec<Remark>,
    /// Place of the sample in its recording, milliseconds; both 0 for what has no time.
    #[serde(default)]
    pub span_ms: (u64, u64),
}

/// How work ended that an engine reports through its hooks after it answered `/process` (engine contract §1.3, §1.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "camelCase")]
pub enum Later {
    /// A result or the heartbeat `complete` came.
    Done {
        /// Milliseconds after the answer.
        after_ms: u64,
    },
    /// The heartbeat `failed` came; the reason is in [`TaskState`].
    Failed {
        /// Milliseconds after the answer.
        after_ms: u64,
    },
    /// Neither a heartbeat nor a result for too long.
    Silent {
        /// Length of the silence, milliseconds.
        silent_ms: u64,
    },
    /// The time of the whole run was over first.
    OutOfTime {
        /// How long it was waited for, milliseconds.
        waited_ms: u64,
    },
    /// The process ended first.
    ProcessEnded,
}

/// A result the engine delivered, in an answer, by a hook or as an asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineOutput {
    /// Id of the sample it belongs to.
    pub sample: String,
    /// How it came: `response`, `resultWebhook`, `uploadEngineResult`, `createAsset`, `updateTask`.
    pub via: String,
    /// Content type without parameters, lower case.
    pub content_type: String,
    /// The bytes, cut at the cap.
    pub body: Vec<u8>,
    /// The body was longer than the cap.
    pub truncated: bool,
}

/// Everything known of one certification run of an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineRun {
    /// How it was talked to.
    pub kind: EngineKind,
    /// The command that was started.
    pub args: Vec<String>,
    /// Webhook engines only.
    pub ready: Option<Ready>,
    /// Webhook engines only, in order.
    pub exchanges: Vec<Exchange>,
    /// Results, in order of arrival.
    pub outputs: Vec<EngineOutput>,
    /// Its task.
    pub task: TaskState,
    /// What was going on when the time of the whole run was over; `None` if it sufficed.
    #[serde(default)]
    pub ran_out_in: Option<Phase>,
    /// The time this run had, milliseconds: what scanning and unpacking had left of it. 0 in records that do not say.
    #[serde(default)]
    pub wall_ms: u64,
    /// Webhook engines only: where it listens, as far as that was tried.
    #[serde(default)]
    pub listening: Option<Listening>,
    /// Webhook engines only: further calls with the first sample.
    #[serde(default)]
    pub repeats: Vec<Repeat>,
    /// What the sandbox saw.
    pub record: RunRecord,
}

/// A part of a certification run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Waiting for `/ready`.
    Ready,
    /// Calling `/process`.
    Process,
    /// Waiting for hooks after an answer that promised a result for later.
    Later,
    /// A batch engine at work.
    Batch,
}

/// What came of trying to run an engine. Only the gate's own troubles are missing here: those are errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
pub enum Outcome {
    /// It was started. Whether it did well is for the checks to say.
    Ran(EngineRun),
    /// The image does not say what to start or how to talk to it: the image is at fault.
    NotStarted(NotStarted),
    /// It cannot be tested by this gate: nobody is at fault, a person decides.
    NotTestable(NotTestable),
}

/// Why an image gives nothing to start or to talk to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "camelCase")]
pub enum NotStarted {
    /// Neither ENTRYPOINT nor CMD.
    NoCommand,
    /// The toolkit driver is the ENTRYPOINT and nothing follows it (engine contract §1.6).
    DriverWithoutCommand {
        /// Path of the driver.
        driver: String,
    },
    /// The driver is the ENTRYPOINT, but no variable says where the engine listens.
    NoHook,
    /// A hook variable does not hold the URL of a port in the container.
    BadHook {
        /// `VERITONE_WEBHOOK_READY` or `VERITONE_WEBHOOK_PROCESS`.
        variable: String,
        /// Its value, at most 200 characters.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Why an engine cannot be tested here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "camelCase")]
pub enum NotTestable {
    /// It is an adapter that waits to be sent something: how, no contract says (engine contract §3).
    Push,
    /// It reads a message queue (engine contract §4).
    Queue,
    /// There is no sample input of a type it takes.
    NoSample {
        /// MIME types it takes.
        formats: Vec<String>,
    },
}

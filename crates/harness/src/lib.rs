//! How to talk to an engine, whoever asks: a certification run, a task, a laptop.
//!
//! What the engine does wrong is data in the [`Outcome`]; an [`Error`] always means that we could not run it.
//! Every wait in this crate has an end: the deadline of the run, or something shorter.

use std::{sync::Arc, time::Duration};

use model::{
    capability::Capability,
    engine::DeploymentModel,
    id::{EngineId, OrganizationId},
    manifest::Manifest,
    network::NetworkPolicy,
    run::Limits,
};
use sandbox::{LogSink, Rootfs, Sandbox};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod api;
mod batch;
mod certify;
mod client;
mod deadline;
mod desk;
mod difference;
pub mod graphql;
mod hook;
mod ids;
mod instance;
mod journal;
mod kind;
mod listening;
mod md5sum;
mod multipart;
mod repeat;
mod run;
mod said;
pub mod samples;
pub mod task;
mod wake;
mod webhook;

pub use certify::certify;
pub use instance::{Instance, Placed, Turn, place};
pub use kind::{DRIVER_PATH, kind_of};
pub use md5sum::Md5Sum;
pub use model::run::{NotStarted, NotTestable, Outcome};
pub use samples::Sample;

/// One run of one engine.
pub struct Job<'a> {
    /// Where it runs.
    pub sandbox: Arc<dyn Sandbox>,
    /// Name of the run in the sandbox: `[a-z0-9-]+`.
    pub run_id: String,
    /// The unpacked image.
    pub rootfs: Rootfs,
    /// What the image's config says about starting it.
    pub command: Command,
    /// What its manifest says.
    pub manifest: &'a Manifest,
    /// What its registration says.
    pub registration: Registration,
    /// What it may reach.
    pub network: NetworkPolicy,
    /// Whether its root file system is read-only, but for the places of temporary files.
    pub read_only_root: bool,
    /// Hard limits; `wall_ms` is the deadline of the whole run.
    pub limits: Limits,
    /// Inputs, in order. A batch engine gets the first one.
    pub samples: Vec<Sample>,
    /// Receives each log line as it comes, the engine's and the gate's own.
    pub log: LogSink,
    /// Randomness for the token and the ids of this run; never used twice.
    pub seed: [u8; 32],
    /// The time at which the run begins.
    pub started_at: jiff::Timestamp,
    /// Pauses and waits.
    pub pace: Pace,
    /// Sizes and counts.
    pub caps: Caps,
}

/// How an image wants to be started: its config, without any interpretation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// ENTRYPOINT; empty if there is none.
    pub entrypoint: Vec<String>,
    /// CMD; empty if there is none.
    pub cmd: Vec<String>,
    /// ENV, in order.
    pub env: Vec<(String, String)>,
    /// WORKDIR; empty means `/`.
    pub working_dir: String,
    /// USER, as written.
    pub user: String,
    /// The image holds the toolkit driver at its documented path, for a script of its own to call.
    #[serde(default)]
    pub carries_driver: bool,
}

impl Command {
    /// The value of an environment variable; the last one of that name counts.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What the platform knows of the engine, or what a laptop assumes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// Owner.
    pub organization: OrganizationId,
    /// The engine.
    pub engine: EngineId,
    /// Name of the engine, for people.
    pub engine_name: String,
    /// What it can do, from the registered category; `None` if no category says.
    pub capability: Option<Capability>,
    /// What it may reach.
    pub deployment_model: DeploymentModel,
    /// Custom fields of the test payload.
    pub payload: Map<String, Value>,
}

/// How long to wait, and how often to ask. The defaults are those of the engine contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Longest time until `/ready` answers 200 (§1.2).
    pub ready_limit: Duration,
    /// First pause between two polls; doubled each time.
    pub ready_poll_first: Duration,
    /// Longest pause between two polls (§1.2).
    pub ready_poll_max: Duration,
    /// Longest time for one poll to be answered.
    pub ready_call: Duration,
    /// Pauses before the second, third... attempt of a call; their number is that of the retries (§1.3).
    pub retries: Vec<Duration>,
    /// Longest pause before an engine is called again that asks to be polled.
    pub poll: Duration,
    /// Longest silence of an engine that works asynchronously (§1.4).
    pub silence: Duration,
    /// Longest time to open a connection.
    pub connect: Duration,
    /// Longest time between two pieces of an answer's body.
    pub stall: Duration,
    /// An answer whose body takes longer than this from its head to its end gets a remark.
    pub pieces: Duration,
    /// How often the first sample is sent again after all others, to measure and to see whether the result stays the same.
    pub repeats: u32,
    /// Longest time for these repetitions; one is always made if there is time at all.
    pub repeat_limit: Duration,
    /// How long an answer may still arrive after the process has ended, and how long the end of a process may follow a broken connection.
    pub last_words: Duration,
    /// Longest time for the sandbox to clear up once the run is over.
    pub clear_up: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            ready_limit: Duration::from_secs(120),
            ready_poll_first: Duration::from_millis(10),
            ready_poll_max: Duration::from_millis(500),
            ready_call: Duration::from_secs(5),
            retries: vec![Duration::from_secs(1), Duration::from_secs(5)],
            poll: Duration::from_secs(5),
            silence: Duration::from_secs(60),
            connect: Duration::from_secs(2),
            stall: Duration::from_secs(60),
            pieces: Duration::from_secs(60),
            repeats: 20,
            repeat_limit: Duration::from_secs(1),
            last_words: Duration::from_millis(500),
            clear_up: Duration::from_secs(30),
        }
    }
}

/// How much of what an engine sends is taken. What goes beyond is counted, refused or cut, and never kept in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Bytes kept of one answer or one result.
    pub result: u64,
    /// Bytes read of one answer before the connection is closed.
    pub counted: u64,
    /// Bytes of one JSON request to the API (GraphQL §1).
    pub json: u64,
    /// Bytes of one file sent to the API (GraphQL §1).
    pub file: u64,
    /// Bytes of all assets and results together.
    pub stored: u64,
    /// Number of assets, and number of results.
    pub assets: usize,
    /// Connections to the API at one time.
    pub connections: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { result: 32 << 20, counted: 128 << 20, json: 10 << 20, file: 100 << 20, stored: 256 << 20, assets: 256, connections: 64 }
    }
}

/// Why we could not run an engine. None of it is the engine's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The sandbox refused or broke.
    #[error("the sandbox could not {doing} for run {run_id}")]
    Sandbox {
        /// What was to be done.
        doing: &'static str,
        /// The run.
        run_id: String,
        /// The sandbox's own words.
        #[source]
        source: sandbox::Error,
    },
    /// A socket inside the run's network could not be used.
    #[error("the API for run {run_id} could not be opened inside its network")]
    Listen {
        /// The run.
        run_id: String,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// The sandbox did not end a run although its time was over.
    #[error("run {run_id} did not end within {waited_ms} ms after it was stopped; restart the server so that its leftovers are swept away")]
    Stuck {
        /// The run.
        run_id: String,
        /// How long it was waited for, milliseconds.
        waited_ms: u64,
    },
    /// A blocking call into the sandbox panicked or was cancelled.
    #[error("the sandbox's thread for run {run_id} broke down")]
    Thread {
        /// The run.
        run_id: String,
        /// The runtime's words.
        #[source]
        source: tokio::task::JoinError,
    },
}

//! What a desk holds: tasks, how they stand, their assets and files.

use std::time::Instant;

use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::sync::watch;

/// One task: one sample, one token.
pub(crate) struct Task {
    pub(super) number: usize,
    /// Id of the sample it works on.
    pub(crate) sample: String,
    /// What it says about itself is not part of the run's [`TaskState`](model::run::TaskState): a refusal is expected, or it is a repetition.
    pub(super) apart: bool,
    pub(crate) id: String,
    pub(crate) job_id: String,
    /// Id of its recording (TDO).
    pub(crate) tdo_id: String,
    pub(crate) token: String,
    /// Secret part of its hooks' addresses.
    pub(crate) hook_key: String,
    /// Where its input lies, below the base URL.
    pub(crate) input_path: String,
    /// What the engine was given.
    pub(crate) payload: Value,
    /// The custom fields in it; those of the registration if `None`.
    pub(super) custom: Option<Map<String, Value>>,
    pub(super) progress: watch::Sender<Progress>,
}

impl Task {
    /// What it says is not part of the state of the run.
    pub(crate) fn is_apart(&self) -> bool {
        self.apart
    }

    /// The engine has said that it is over.
    pub(crate) fn has_ended(&self) -> bool {
        self.progress.borrow().ended.is_some()
    }

    /// Follows what the engine reports.
    pub(crate) fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }
}

/// What an engine has reported so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// Its last sign of life.
    pub(crate) heard: Instant,
    /// Results handed in.
    pub(crate) results: usize,
    /// `Some(true)` when it said complete, `Some(false)` when it said failed.
    pub(crate) ended: Option<bool>,
}

/// What changes in a task.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    pub(crate) status: String,
    pub(crate) output: Option<Value>,
    pub(crate) failure_reason: Option<String>,
    pub(crate) failure_message: Option<String>,
    pub(crate) modified: jiff::Timestamp,
}

/// A file of a recording.
#[derive(Clone, Debug)]
pub(crate) struct Asset {
    pub(crate) id: String,
    pub(crate) tdo_id: String,
    pub(crate) asset_type: String,
    pub(crate) content_type: String,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) details: Option<Value>,
    /// Below the base URL, or a whole URL the engine gave.
    pub(crate) uri: String,
    pub(crate) source_task: Option<String>,
    /// Bytes; 0 for what only has an address.
    pub(crate) size: u64,
    pub(crate) created: jiff::Timestamp,
}

impl Asset {
    /// Type, content type and size.
    pub(super) fn summary(&self) -> (String, String, u64) {
        (self.asset_type.clone(), self.content_type.clone(), self.size)
    }
}

/// An asset to be.
#[derive(Debug)]
pub(crate) struct NewAsset {
    pub(crate) asset_type: String,
    pub(crate) content_type: String,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) details: Option<Value>,
    pub(crate) content: Content,
}

/// Bytes, or where they are said to be.
#[derive(Debug)]
pub(crate) enum Content {
    Bytes(Bytes),
    Uri(String),
}

/// A file that can be fetched.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) bytes: Bytes,
    pub(crate) content_type: String,
}

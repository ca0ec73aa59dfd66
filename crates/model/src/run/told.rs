//! What an engine told of itself, in words and by its manner.

use serde::{Deserialize, Serialize};

/// Something unusual about an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "camelCase")]
pub enum Remark {
    /// It was written in HTTP/1.0.
    Http10,
    /// It leads to another address, which was not followed.
    Redirect {
        /// The address, at most 200 characters.
        to: String,
    },
    /// Its body came in pieces for longer than is usual.
    Pieces {
        /// From its head to its end, milliseconds.
        ms: u64,
    },
}

/// Where an engine was found to listen besides or instead of its hook's address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Listening {
    /// The port of its ready hook.
    pub port: u16,
    /// Ports on which something answered although nothing did on that of the hook.
    pub elsewhere: Vec<u16>,
    /// It answered on IPv6 alone.
    pub ipv6_only: bool,
    /// It answered on a loopback address and not on the container's own; `None` if that was not tried.
    pub loopback_only: Option<bool>,
}

/// One more call with the first sample, after all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Repeat {
    /// Id of the sample.
    pub sample: String,
    /// Request sent to result there, microseconds.
    pub micros: u64,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Size of its result, bytes.
    pub result_bytes: u64,
    /// What differs from the first result, if anything does: one line per place, at most a few.
    pub differences: Vec<String>,
}

/// A recording that an engine has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recording {
    /// Its id.
    pub id: String,
    /// Type, content type and size of each of its assets.
    pub assets: Vec<(String, String, u64)>,
}

/// What the engine said about its own task through the API or the heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskState {
    /// Every status it set, in order; the same one said again and again stands once.
    pub statuses: Vec<String>,
    /// `failureReason`, if it gave one.
    pub failure_reason: Option<String>,
    /// `failureMessage`, if it gave one.
    pub failure_message: Option<String>,
    /// Number of API calls it made.
    pub api_calls: u32,
    /// Calls that were refused, as `operation: reason`.
    pub refused_calls: Vec<String>,
    /// Operations it tried that take hold of engines, builds or accounts; all were refused.
    #[serde(default)]
    pub forbidden_calls: Vec<String>,
    /// Heartbeats and results with another task's id, as `hook of sample: what`.
    #[serde(default)]
    pub foreign_calls: Vec<String>,
    /// Heartbeats and results that came after the task had ended, as `hook of sample: what`.
    #[serde(default)]
    pub late_calls: Vec<String>,
    /// What was refused because the run had taken as much as it keeps, and how often.
    #[serde(default)]
    pub overflow: Option<(String, u32)>,
    /// Recordings it made.
    #[serde(default)]
    pub recordings: Vec<Recording>,
    /// Documents it handed in by `createStructuredData`.
    #[serde(default)]
    pub structured_data: u32,
}

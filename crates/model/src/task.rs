//! Tasks: one piece of work for one engine (GraphQL contract §4, §7). Where a task stands, where it may go, and how a job stands by its tasks.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// It waits to be taken.
    Pending,
    /// An engine works on it.
    Running,
    /// It ended well.
    Complete,
    /// It waits again: it was given back, or woken up.
    Queued,
    /// An engine elsewhere has taken it.
    Accepted,
    /// It ended badly.
    Failed,
    /// Somebody ended it.
    Cancelled,
    /// Nobody here works on it until it is set to pending.
    StandbyPending,
    /// Its engine waits for something outside.
    Waiting,
    /// Its engine goes on after a wait.
    Resuming,
    /// It cannot be done any more.
    Aborted,
    /// Its engine has stopped until it is woken up.
    Paused,
}

/// A word that is no status of a task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no status of a task")]
pub struct UnknownTaskStatus(pub String);

impl TaskStatus {
    /// Every status.
    pub const ALL: [Self; 12] = [
        Self::Pending,
        Self::Running,
        Self::Complete,
        Self::Queued,
        Self::Accepted,
        Self::Failed,
        Self::Cancelled,
        Self::StandbyPending,
        Self::Waiting,
        Self::Resuming,
        Self::Aborted,
        Self::Paused,
    ];

    /// The word on every wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Queued => "queued",
            Self::Accepted => "accepted",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::StandbyPending => "standby_pending",
            Self::Waiting => "waiting",
            Self::Resuming => "resuming",
            Self::Aborted => "aborted",
            Self::Paused => "paused",
        }
    }

    /// Nothing follows.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Complete | Self::Failed | Self::Cancelled | Self::Aborted)
    }

    /// It waits for an engine of ours.
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::Pending | Self::Queued)
    }

    /// Whether somebody from outside, a client or an engine elsewhere, may set `to`. What is over stays as it is; saying the same once more
    /// is no change.
    pub fn may_become(self, to: Self) -> bool {
        self == to || !self.is_over()
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TaskStatus {
    type Err = UnknownTaskStatus;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.as_str() == word).ok_or_else(|| UnknownTaskStatus(word.chars().take(80).collect()))
    }
}

/// How a job stands, by its tasks: while anything is to be done it is not over, and it is only as good as its worst task.
pub fn status_of_job(tasks: &[TaskStatus]) -> TaskStatus {
    use TaskStatus as S;
    let is = |status: S| tasks.contains(&status);
    let begun = tasks.contains(&S::Complete);
    if tasks.iter().all(|status| status.is_over()) {
        return match () {
            () if is(S::Failed) => S::Failed,
            () if is(S::Aborted) => S::Aborted,
            () if is(S::Cancelled) => S::Cancelled,
            () => S::Complete,
        };
    }
    match () {
        () if [S::Running, S::Accepted, S::Resuming].into_iter().any(is) || (begun && tasks.iter().any(|status| status.is_waiting())) => {
            S::Running
        }
        () if is(S::Queued) => S::Queued,
        () if is(S::Pending) => S::Pending,
        () if is(S::Waiting) => S::Waiting,
        () if is(S::Paused) => S::Paused,
        () => S::StandbyPending,
    }
}

/// Why a task failed, as clients know the words.
pub const FAILURE_REASONS: [&str; 20] = [
    "internal_error",
    "external_error",
    "unknown",
    "url_not_found",
    "url_not_allowed",
    "url_timeout",
    "url_connection_refused",
    "url_error",
    "invalid_data",
    "rate_limited",
    "api_not_allowed",
    "api_authentication_error",
    "api_not_found",
    "api_error",
    "file_write_error",
    "stream_read_error",
    "system_dependency_missing",
    "system_error",
    "heartbeat_timeout",
    "other",
];

/// The word, or `other` for one that nobody knows.
pub fn failure_reason(word: &str) -> &'static str {
    FAILURE_REASONS.into_iter().find(|known| *known == word).unwrap_or("other")
}

/// How often a task is begun before it is given up: a server that ended meanwhile is not its fault, but something that ends every server is.
pub const MAX_TRIES: i64 = 3;

/// What the platform does itself in a job of several tasks: fetching, cutting and writing around the one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helper {
    /// Fetches the input.
    WebStream,
    /// Cuts it.
    Chunks,
    /// Writes the results.
    Output,
}

impl Helper {
    /// By the well-known id of its engine.
    pub fn of(engine: &str) -> Option<Self> {
        match engine.to_ascii_lowercase().as_str() {
            "9e611ad7-2d3b-48f6-a51b-0a1ba40fe255" => Some(Self::WebStream),
            "8bdb0e3b-ff28-4f6e-a3ba-887bd06e6440" => Some(Self::Chunks),
            "8eccf9cc-6b6d-4d7d-8cb3-7ebf4950c5f3" => Some(Self::Output),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{TaskStatus as S, *};

    #[test]
    fn what_is_over_stays_and_words_are_read_back() {
        for from in S::ALL {
            assert_eq!(from.as_str().parse(), Ok(from));
            for to in S::ALL {
                assert_eq!(from.may_become(to), from == to || !from.is_over(), "{from} {to}");
            }
        }
        assert!("done".parse::<S>().unwrap_err().to_string().contains("done"));
        assert_eq!((failure_reason("invalid_data"), failure_reason("bad luck")), ("invalid_data", "other"));
    }

    #[test]
    fn a_job_is_as_its_tasks_are() {
        for (tasks, job) in [
            (&[S::Pending][..], S::Pending),
            (&[S::Complete, S::Pending], S::Running),
            (&[S::Complete, S::Running], S::Running),
            (&[S::Queued, S::Pending], S::Queued),
            (&[S::Complete, S::Complete], S::Complete),
            (&[S::Complete, S::Failed], S::Failed),
            (&[S::Failed, S::Cancelled], S::Failed),
            (&[S::Complete, S::Cancelled], S::Cancelled),
            (&[S::Complete, S::Aborted], S::Aborted),
            (&[S::Paused], S::Paused),
            (&[S::StandbyPending], S::StandbyPending),
            (&[S::Complete, S::Waiting], S::Waiting),
        ] {
            assert_eq!(status_of_job(tasks), job, "{tasks:?}");
        }
    }

    #[test]
    fn helpers_are_known_by_their_ids() {
        assert_eq!(Helper::of("9E611AD7-2d3b-48f6-a51b-0a1ba40fe255"), Some(Helper::WebStream));
        assert_eq!(Helper::of("9e611ad7-2d3b-48f6-a51b-0a1ba40fe256"), None);
    }
}

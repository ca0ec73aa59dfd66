//! The words of the contract (GraphQL §4) that both schemas have: this one, and that of the server.

use async_graphql::{Enum, resolver_utils::EnumType};
use model::task;

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "task::TaskStatus", rename_items = "snake_case")]
#[allow(missing_docs, reason = "the words are the contract's own")]
pub enum TaskStatus {
    Pending,
    Running,
    Complete,
    Queued,
    Accepted,
    Failed,
    Cancelled,
    StandbyPending,
    Waiting,
    Resuming,
    Aborted,
    Paused,
}

/// Why a task failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(rename_items = "snake_case")]
#[allow(missing_docs, reason = "the words are the contract's own")]
pub enum TaskFailureReason {
    InternalError,
    ExternalError,
    Unknown,
    UrlNotFound,
    UrlNotAllowed,
    UrlTimeout,
    UrlConnectionRefused,
    UrlError,
    InvalidData,
    RateLimited,
    ApiNotAllowed,
    ApiAuthenticationError,
    ApiNotFound,
    ApiError,
    FileWriteError,
    StreamReadError,
    SystemDependencyMissing,
    SystemError,
    HeartbeatTimeout,
    Other,
}

impl TaskFailureReason {
    /// The word on every wire.
    pub fn as_str(self) -> &'static str {
        Self::items().iter().find(|item| item.value == self).map_or("other", |item| item.name)
    }

    /// The reason with this word, or else the one that is none of the others.
    pub fn of(word: &str) -> Self {
        Self::items().iter().find(|item| item.name == word).map_or(Self::Other, |item| item.value)
    }
}

/// What assets are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(rename_items = "camelCase")]
#[allow(clippy::enum_variant_names, reason = "the words are the contract's own")]
pub enum AssetOrderBy {
    /// By age.
    CreatedDateTime,
    /// By type.
    Type,
    /// By name.
    Name,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_model() {
        for status in task::TaskStatus::ALL {
            let shown = TaskStatus::from(status);
            let item = TaskStatus::items().iter().find(|item| item.value == shown).unwrap();
            assert_eq!((item.name, task::TaskStatus::from(shown)), (status.as_str(), status));
        }
        let words: Vec<&str> = TaskFailureReason::items().iter().map(|item| item.name).collect();
        assert_eq!(words, task::FAILURE_REASONS);
        for word in words {
            assert_eq!(TaskFailureReason::of(word).as_str(), word);
        }
        assert_eq!(TaskFailureReason::of("bad luck"), TaskFailureReason::Other);
    }
}

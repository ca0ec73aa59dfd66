//! The review as the API shows it: the queue, and what people write.

use std::sync::Arc;

use async_graphql::{Enum, ID, InputObject, Object};
use store::{build_life::NoteKind, engines::Engine};

use super::{build::Build, scalars::DateTime};
use crate::{clock, review_queue::Waiting};

/// What waits for a decision, with its engine.
pub struct ReviewItem(pub Waiting, pub Option<Arc<Engine>>);

/// What somebody writes.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(rename_items = "camelCase")]
pub enum BuildNoteKind {
    /// A remark.
    Comment,
    /// A reviewer asks for changes; it is the developer's turn then.
    Changes,
    /// The developer answers.
    Answer,
    /// The developer asks to look at a refusal again.
    Appeal,
    /// A reviewer lets the refusal stand.
    AppealAnswer,
}

impl From<BuildNoteKind> for NoteKind {
    fn from(kind: BuildNoteKind) -> Self {
        match kind {
            BuildNoteKind::Comment => Self::Comment,
            BuildNoteKind::Changes => Self::Changes,
            BuildNoteKind::Answer => Self::Answer,
            BuildNoteKind::Appeal => Self::Appeal,
            BuildNoteKind::AppealAnswer => Self::AppealAnswer,
        }
    }
}

/// A note on a build.
#[derive(InputObject)]
pub struct CreateBuildNote {
    pub build_id: ID,
    #[graphql(default_with = "Some(BuildNoteKind::Comment)")]
    pub kind: Option<BuildNoteKind>,
    /// Rule of the finding it is about, such as manifest.url.invalid.
    pub finding: Option<String>,
    pub text: String,
}

#[Object]
impl ReviewItem {
    async fn build(&self) -> Build {
        match &self.1 {
            Some(engine) => Build::within(self.0.build.clone(), engine),
            None => Build::from(self.0.build.clone()),
        }
    }

    /// Since when it waits.
    async fn waiting_since(&self) -> DateTime {
        DateTime(self.0.since)
    }

    /// Milliseconds it has waited.
    async fn age_ms(&self) -> i64 {
        clock::now_ms() - self.0.since
    }

    /// Until when it should be decided.
    async fn due_date_time(&self) -> DateTime {
        DateTime(self.0.due)
    }

    async fn is_overdue(&self) -> bool {
        self.0.is_overdue(clock::now_ms())
    }

    /// Whose turn it is: gate, reviewer or developer.
    async fn turn(&self) -> &'static str {
        self.0.turn.as_str()
    }

    /// When it will probably be decided, from the last decisions; null without any.
    async fn estimate(&self) -> Option<DateTime> {
        self.0.estimate.map(DateTime)
    }
}

//! What the drivers of a running engine share.

use std::{sync::Arc, time::Duration};

use sandbox::Running;
use tokio::sync::watch;

use crate::{Pace, Sample, client::Client, deadline::Deadline, desk::Desk, journal::Journal};

/// A run in progress.
pub(crate) struct Run<'a> {
    pub(crate) samples: &'a [Sample],
    pub(crate) desk: Arc<Desk>,
    pub(crate) client: Client,
    pub(crate) deadline: Deadline,
    /// Time from the beginning of the run to the start of the process.
    pub(crate) started: Duration,
    pub(crate) pace: &'a Pace,
    pub(crate) journal: Journal,
    pub(crate) ended: Ended,
    /// One call per stream or task, with results by hook; otherwise one call per chunk.
    pub(crate) streaming: bool,
    /// The engine fetches its input itself.
    pub(crate) without_chunk: bool,
    /// Random text for the boundaries of forms.
    pub(crate) boundary: String,
}

/// Tells when the engine's first process has ended.
#[derive(Clone)]
pub(crate) struct Ended(watch::Receiver<bool>);

impl Ended {
    pub(crate) fn new(receiver: watch::Receiver<bool>) -> Self {
        Self(receiver)
    }

    pub(crate) fn yet(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it has ended, however long that takes.
    pub(crate) async fn always(&mut self) {
        // An error means that nobody watches any more: the run is over.
        let _ = self.0.wait_for(|ended| *ended).await;
    }

    /// Waits until it has ended, at most for `limit`; true if it has.
    pub(crate) async fn within(&mut self, limit: Duration) -> bool {
        // A sender that is gone means that nobody watches any more: the run is over.
        tokio::time::timeout(limit, self.0.wait_for(|ended| *ended)).await.is_ok()
    }
}

/// Ends the engine when dropped, so that a certification that is cancelled leaves nothing running.
pub(crate) struct StopOnDrop(pub(crate) Arc<dyn Running>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

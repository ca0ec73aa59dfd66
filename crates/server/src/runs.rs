//! The tasks in progress here: who ends one, and who looks for the next.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The tasks in progress, by id.
#[derive(Default)]
pub struct Runs {
    ends: Mutex<HashMap<String, CancellationToken>>,
    wake: Notify,
}

impl Runs {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one; what it gives is cancelled when somebody ends the task.
    pub fn begin(&self, task: &str) -> CancellationToken {
        let end = CancellationToken::new();
        self.lock().insert(task.to_owned(), end.clone());
        end
    }

    /// It is over.
    pub fn over(&self, task: &str) {
        self.lock().remove(task);
        self.look_again();
    }

    /// Ends the work on a task that somebody else decided about. Does nothing when nobody works on it.
    pub fn end(&self, task: &str) {
        if let Some(end) = self.lock().get(task) {
            end.cancel();
        }
    }

    /// Makes whoever hands out tasks look for more.
    pub fn look_again(&self) {
        self.wake.notify_one();
    }

    /// Waits until somebody calls [`Runs::look_again`].
    pub async fn news(&self) {
        self.wake.notified().await;
    }
}

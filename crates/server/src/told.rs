//! What became of the latest pushes, in a sentence: the answer to a push waits for it a moment, so that clients which show warnings show it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use registry::Remarks;
use tokio::sync::{Semaphore, watch};

use crate::app::App;

/// Sentences remembered.
const CAPACITY: usize = 64;

/// Answers that wait at one time. Under a storm of pushes the rest does not: a remark is a kindness, not a promise.
const WAITING: usize = 2;

/// The latest pushes.
pub struct Told {
    last: watch::Sender<i64>,
    recent: Mutex<VecDeque<(i64, String)>>,
}

impl Default for Told {
    fn default() -> Self {
        Self { last: watch::Sender::new(0), recent: Mutex::default() }
    }
}

impl Told {
    /// Push `id` of the outbox was handled; `sentence` says what became of it.
    pub fn tell(&self, id: i64, sentence: Option<String>) {
        if let Some(sentence) = sentence {
            let mut recent = self.recent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            recent.truncate(CAPACITY - 1);
            recent.push_front((id, sentence));
        }
        self.last.send_if_modified(|last| {
            let newer = id > *last;
            *last = id.max(*last);
            newer
        });
    }

    /// Waits until push `id` was handled; pushes are handled in their order.
    async fn of(&self, id: i64) -> Option<String> {
        self.last.subscribe().wait_for(|last| *last >= id).await.ok()?;
        let recent = self.recent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        recent.iter().find(|(push, _)| *push == id).map(|(_, sentence)| sentence.clone())
    }
}

/// What the registry tells about pushes, unless it shall never wait.
pub fn remarks(app: &Arc<App>) -> Option<Remarks> {
    let patience = Duration::from_millis(app.config.registry.tell_ms);
    let (app, waiting) = (app.clone(), Arc::new(Semaphore::new(WAITING)));
    (!patience.is_zero()).then(|| -> Remarks {
        Arc::new(move |push| {
            let (app, waiting) = (app.clone(), waiting.clone());
            Box::pin(async move {
                let Ok(_permit) = waiting.try_acquire() else { return Vec::new() };
                tokio::time::timeout(patience, app.told.of(push)).await.ok().flatten().into_iter().collect()
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_push_is_told_of_whether_one_waits_or_comes_late() {
        let told = Told::default();
        let (waited, ()) = tokio::join!(told.of(2), async {
            tokio::task::yield_now().await;
            told.tell(1, Some("one".into()));
            told.tell(2, Some("two".into()));
        });
        assert_eq!(waited.as_deref(), Some("two"));
        assert_eq!(told.of(1).await.as_deref(), Some("one"));
        told.tell(3, None);
        assert_eq!(told.of(3).await, None);
        for id in 4..=3 + CAPACITY as i64 {
            told.tell(id, Some(id.to_string()));
        }
        assert_eq!((told.of(1).await, told.of(4).await.as_deref()), (None, Some("4")));
    }
}

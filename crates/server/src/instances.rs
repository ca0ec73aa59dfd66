//! The engines that run for live builds, and when to look whether they are the right ones.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use harness::Instance;
use model::id::BuildId;
use tokio::sync::Notify;

/// How the engine of a build runs.
#[derive(Clone)]
pub enum Running {
    /// A process that stays. Whoever works with it keeps it until the task is over.
    Process(Arc<Instance>),
    /// Its kind is started anew for every task.
    PerTask,
}

/// What is known of the engine of one build, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing runs for it.
    Absent,
    /// Its process runs.
    Runs {
        /// How long it took until it was ready, milliseconds.
        ready_ms: u64,
    },
    /// It is started for every task.
    PerTask,
    /// Its process has ended; it is started again soon.
    Ended,
}

/// The running engines by build.
#[derive(Default)]
pub struct Instances {
    running: Mutex<HashMap<BuildId, Running>>,
    wake: Notify,
}

impl Instances {
    fn lock(&self) -> MutexGuard<'_, HashMap<BuildId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a running engine; gives back one that was there before.
    pub fn keep(&self, build: BuildId, running: Running) -> Option<Running> {
        self.lock().insert(build, running)
    }

    /// The engine of a build, for one task.
    pub fn get(&self, build: BuildId) -> Option<Running> {
        self.lock().get(&build).filter(|running| !matches!(running, Running::Process(instance) if instance.has_ended())).cloned()
    }

    /// Takes an engine out.
    pub fn take(&self, build: BuildId) -> Option<Running> {
        self.lock().remove(&build)
    }

    /// The builds that something runs for.
    pub fn builds(&self) -> HashSet<BuildId> {
        self.lock().keys().copied().collect()
    }

    /// Takes out the engines whose process has ended by itself.
    pub fn take_ended(&self) -> Vec<(BuildId, Running)> {
        let mut running = self.lock();
        let ended = |running: &Running| if let Running::Process(instance) = running { instance.has_ended() } else { false };
        let ids: Vec<BuildId> = running.iter().filter(|(_, one)| ended(one)).map(|(id, _)| *id).collect();
        ids.into_iter().filter_map(|id| Some((id, running.remove(&id)?))).collect()
    }

    /// How the engine of a build is.
    pub fn health(&self, build: BuildId) -> Health {
        match self.lock().get(&build) {
            None => Health::Absent,
            Some(Running::PerTask) => Health::PerTask,
            Some(Running::Process(instance)) if instance.has_ended() => Health::Ended,
            Some(Running::Process(instance)) => Health::Runs { ready_ms: instance.ready_ms() },
        }
    }

    /// Makes whoever keeps the engines compare them with the builds.
    pub fn look_again(&self) {
        self.wake.notify_one();
    }

    /// Waits until somebody calls [`Instances::look_again`] or a process ends.
    pub async fn news(&self) {
        let ends: Vec<_> = {
            let running = self.lock();
            let watch = |one: &Running| if let Running::Process(instance) = one { Some(Box::pin(instance.watch())) } else { None };
            running.values().filter_map(watch).collect()
        };
        if ends.is_empty() {
            return self.wake.notified().await;
        }
        tokio::select! {
            () = self.wake.notified() => {}
            _ = futures_util::future::select_all(ends) => {}
        }
    }

    /// Ends the process of a build as if it had ended by itself.
    #[cfg(test)]
    pub fn crash(&self, build: BuildId) {
        if let Some(Running::Process(instance)) = self.lock().get(&build) {
            instance.kill();
        }
    }

    /// Ends them all and waits for none.
    pub fn drop_all(&self) {
        let all = std::mem::take(&mut *self.lock());
        drop(all);
    }

    /// Ends them all, because the server ends.
    pub async fn stop_all(&self) {
        let all: Vec<Running> = self.lock().drain().map(|(_, running)| running).collect();
        for running in all {
            if let Running::Process(instance) = running {
                instance.stop().await;
            }
        }
    }
}

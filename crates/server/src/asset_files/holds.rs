//! Content between the moment it is durable and the moment something names it. Whoever sweeps leaves it alone.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::digest::Digest;

/// What is being kept, and what is about to be removed.
#[derive(Default)]
pub struct Holds {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    held: HashMap<Digest, usize>,
    doomed: HashSet<Digest>,
}

/// Keeps content from being swept until it is dropped.
pub struct Hold {
    holds: Arc<Holds>,
    digest: Digest,
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hold({})", self.digest)
    }
}

impl Holds {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From before content is durable until something names it.
    pub fn hold(self: &Arc<Self>, digest: &Digest) -> Hold {
        let mut inner = self.lock();
        inner.doomed.remove(digest);
        *inner.held.entry(digest.clone()).or_default() += 1;
        Hold { holds: Arc::clone(self), digest: digest.clone() }
    }

    /// To be called before asking whether anything names it; false when somebody holds it.
    pub fn doom(&self, digest: &Digest) -> bool {
        let mut inner = self.lock();
        let free = !inner.held.contains_key(digest);
        if free {
            inner.doomed.insert(digest.clone());
        }
        free
    }

    /// Nothing names it: removes it, unless somebody has begun to hold it since it was doomed.
    pub fn remove<T>(&self, digest: &Digest, remove: impl FnOnce() -> T) -> Option<T> {
        let mut inner = self.lock();
        // Under the lock: nobody may begin to keep it while it goes.
        inner.doomed.remove(digest).then(remove)
    }

    /// Something names it after all.
    pub fn spare(&self, digest: &Digest) {
        self.lock().doomed.remove(digest);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut inner = self.holds.lock();
        if let Some(count) = inner.held.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                inner.held.remove(&self.digest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_or_held_again_is_not_removed() {
        let (holds, digest) = (Arc::new(Holds::default()), Digest::of(b"a"));
        let (one, two) = (holds.hold(&digest), holds.hold(&digest));
        drop(one);
        assert!(!holds.doom(&digest));
        drop(two);
        assert!(holds.doom(&digest));
        let late = holds.hold(&digest);
        assert_eq!(holds.remove(&digest, || 1), None, "somebody came meanwhile");
        drop(late);
        assert!(holds.doom(&digest));
        assert_eq!(holds.remove(&digest, || 1), Some(1));
        assert_eq!(holds.remove(&digest, || 1), None);
    }
}

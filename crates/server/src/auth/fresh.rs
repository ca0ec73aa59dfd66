//! Remembers what was read about accounts and rights, so that not every request asks the database: for seconds at most, and never across a
//! change of them. What was taken away is gone for the first request after the change.

use std::{collections::HashMap, hash::Hash, sync::Mutex};

/// Longest time anything is remembered, milliseconds. Changes end it at once; this is for those of other processes.
const LONGEST_MS: i64 = 5_000;

/// Most things remembered.
const CAPACITY: usize = 10_000;

struct Kept<V> {
    value: V,
    version: u64,
    until: i64,
}

/// What was read, by what it was read for.
pub struct Fresh<K, V> {
    kept: Mutex<HashMap<K, Kept<V>>>,
}

impl<K, V> Default for Fresh<K, V> {
    fn default() -> Self {
        Self { kept: Mutex::default() }
    }
}

impl<K: Eq + Hash, V: Clone> Fresh<K, V> {
    /// What is remembered for `key`, if it was read at this version of rights ([`store::Db::rights_version`]).
    pub fn get(&self, key: &K, version: u64, now: i64) -> Option<V> {
        let kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.get(key).filter(|one| one.version == version && now < one.until).map(|one| one.value.clone())
    }

    /// Remembers `value`. `version` is that from before it was read.
    pub fn keep(&self, key: K, value: V, version: u64, now: i64) {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if kept.len() >= CAPACITY {
            kept.retain(|_, one| one.version == version && now < one.until);
            if kept.len() >= CAPACITY {
                kept.clear();
            }
        }
        kept.insert(key, Kept { value, version, until: now + LONGEST_MS });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_remembered_across_a_change_or_for_long() {
        let fresh = Fresh::default();
        fresh.keep("a", 1, 7, 0);
        assert_eq!(fresh.get(&"a", 7, LONGEST_MS - 1), Some(1));
        assert_eq!(fresh.get(&"a", 7, LONGEST_MS), None);
        assert_eq!(fresh.get(&"a", 8, 0), None);
        assert_eq!(fresh.get(&"b", 7, 0), None);
        // Read before a change, kept after it: useless from the start.
        fresh.keep("a", 2, 7, 0);
        assert_eq!(fresh.get(&"a", 8, 0), None);
    }

    #[test]
    fn it_does_not_grow_for_ever() {
        let fresh = Fresh::default();
        for n in 0..=CAPACITY {
            fresh.keep(n, n, 1, 0);
        }
        assert_eq!(fresh.kept.lock().unwrap().len(), 1);
        assert_eq!(fresh.get(&CAPACITY, 1, 0), Some(CAPACITY));
    }
}

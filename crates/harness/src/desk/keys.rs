//! The key-value service of `redisETUrl` (engine contract §1.4): values of a task, and values its job shares.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// The job's.
    Job,
    /// The task's.
    Task,
}

/// A value, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) bytes: Bytes,
    pub(crate) content_type: String,
}

/// All of them. Times count from the beginning of the run.
#[derive(Debug, Default)]
pub(super) struct Keys {
    values: HashMap<(usize, Scope, String), (Kept, Duration)>,
}

impl Keys {
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn get(&self, task: usize, scope: Scope, key: &str, now: Duration) -> Option<Kept> {
        self.values.get(&(task, scope, key.to_owned())).filter(|(_, until)| *until > now).map(|(kept, _)| kept.clone())
    }

    pub(super) fn put(&mut self, task: usize, scope: Scope, key: &str, value: Kept, until: Duration) {
        self.values.insert((task, scope, key.to_owned()), (value, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_an_owner_and_an_end() {
        let mut keys = Keys::default();
        let value = Kept { bytes: Bytes::from_static(b"1"), content_type: "text/plain".into() };
        keys.put(0, Scope::Task, "a", value.clone(), Duration::from_secs(5));
        assert_eq!(keys.get(0, Scope::Task, "a", Duration::from_secs(4)), Some(value));
        for (task, scope, key, now) in
            [(0, Scope::Task, "a", 5), (1, Scope::Task, "a", 0), (0, Scope::Job, "a", 0), (0, Scope::Task, "b", 0)]
        {
            assert_eq!(keys.get(task, scope, key, Duration::from_secs(now)), None);
        }
        assert_eq!(keys.len(), 1);
    }
}

//! Slows down guessing: after a few failed logins for one account or from one address, the next has to wait.

use std::{collections::HashMap, sync::Mutex};

/// Failures that cost nothing.
const FREE: u32 = 5;

/// A streak is forgotten after so long without a failure, milliseconds.
const FORGET_MS: i64 = 15 * 60_000;

/// Longest wait, milliseconds.
const LONGEST_MS: i64 = 60_000;

/// Keys remembered at one time.
const CAPACITY: usize = 10_000;

#[derive(Clone, Copy)]
struct Streak {
    failures: u32,
    last: i64,
}

/// Failed attempts by key (an account or an address).
#[derive(Default)]
pub struct Throttle {
    streaks: Mutex<HashMap<String, Streak>>,
}

/// How long to wait after the last of `failures`: 1, 2, 4... s.
fn wait_ms(failures: u32) -> i64 {
    if failures < FREE { 0 } else { (1000_i64 << (failures - FREE).min(10)).min(LONGEST_MS) }
}

impl Throttle {
    /// Seconds to wait before `key` may try again; `None` when it may now.
    pub fn blocked(&self, key: &str, now: i64) -> Option<u64> {
        let streaks = self.streaks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let streak = streaks.get(key).filter(|streak| now - streak.last < FORGET_MS)?;
        let left = streak.last + wait_ms(streak.failures) - now;
        (left > 0).then(|| left.unsigned_abs().div_ceil(1000))
    }

    /// Records an attempt.
    pub fn record(&self, key: &str, succeeded: bool, now: i64) {
        let mut streaks = self.streaks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if succeeded {
            streaks.remove(key);
            return;
        }
        if streaks.len() >= CAPACITY {
            streaks.retain(|_, streak| now - streak.last < FORGET_MS);
            if streaks.len() >= CAPACITY {
                streaks.clear();
            }
        }
        let streak = streaks.entry(key.to_owned()).or_insert(Streak { failures: 0, last: now });
        if now - streak.last >= FORGET_MS {
            streak.failures = 0;
        }
        streak.failures = streak.failures.saturating_add(1);
        streak.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_guess_waits_and_success_forgives() {
        let throttle = Throttle::default();
        for n in 0..4 {
            throttle.record("a", false, n);
            assert_eq!(throttle.blocked("a", n), None);
        }
        throttle.record("a", false, 10);
        assert_eq!(throttle.blocked("a", 10), Some(1));
        assert_eq!(throttle.blocked("b", 10), None);
        assert_eq!(throttle.blocked("a", 1010), None);
        throttle.record("a", false, 1010);
        assert_eq!(throttle.blocked("a", 1010), Some(2));
        throttle.record("a", true, 5000);
        assert_eq!(throttle.blocked("a", 5000), None);
    }

    #[test]
    fn waits_end_and_are_bounded() {
        let throttle = Throttle::default();
        for _ in 0..100 {
            throttle.record("a", false, 0);
        }
        assert_eq!(throttle.blocked("a", 0), Some(60));
        assert_eq!(throttle.blocked("a", FORGET_MS), None);
    }
}

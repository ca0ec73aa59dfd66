//! The one end that everything in a run shares.

use std::time::{Duration, Instant};

/// When the run began and when its time is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    began: Instant,
    wall: Duration,
}

impl Deadline {
    /// Starts the clock now.
    pub(crate) fn start(wall_ms: u64) -> Self {
        Self { began: Instant::now(), wall: Duration::from_millis(wall_ms) }
    }

    /// What is left; zero when the time is over.
    pub(crate) fn remaining(&self) -> Duration {
        self.wall.saturating_sub(self.began.elapsed())
    }

    /// `wanted`, or what is left if that is less.
    pub(crate) fn at_most(&self, wanted: Duration) -> Duration {
        wanted.min(self.remaining())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Time since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// A duration as whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_no_time() {
        let deadline = Deadline::start(0);
        assert!(deadline.is_over());
        assert_eq!(deadline.at_most(Duration::from_secs(9)), Duration::ZERO);
    }

    #[test]
    fn at_most_never_gives_more_than_asked_for() {
        let deadline = Deadline::start(3_600_000);
        assert_eq!(deadline.at_most(Duration::from_secs(9)), Duration::from_secs(9));
        assert!(deadline.at_most(Duration::from_secs(9_000)) <= Duration::from_secs(3_600));
    }
}

//! The gate's own lines in the log of a run, between those of the engine.

use model::run::{LogLine, Stream};
use sandbox::LogSink;

use crate::deadline::{Deadline, millis};

/// Writes lines of the gate, with the time since the run began.
#[derive(Clone)]
pub(crate) struct Journal {
    sink: LogSink,
    deadline: Deadline,
}

impl Journal {
    pub(crate) fn new(sink: LogSink, deadline: Deadline) -> Self {
        Self { sink, deadline }
    }

    /// Writes one line. Words of the engine in it must be cut by the caller; their control characters do not get through.
    pub(crate) fn say(&self, text: &str) {
        let text = text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
        (self.sink)(LogLine { at_ms: millis(self.deadline.elapsed()), stream: Stream::Gate, text });
    }
}

//! Recordings: the one a task works on, and those an engine makes.

use std::ops::Range;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Desk, Task};
use crate::graphql::ApiError;

/// A recording (temporal data object).
#[derive(Clone, Debug)]
pub(crate) struct Tdo {
    pub(crate) id: String,
    /// Number of the task it belongs to.
    pub(super) task: usize,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) status: String,
    pub(crate) details: Value,
    pub(crate) start: Timestamp,
    pub(crate) stop: Timestamp,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    /// Otherwise it was there before.
    pub(super) made_by_engine: bool,
}

/// A recording to be.
#[derive(Debug)]
pub(crate) struct NewTdo {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) details: Option<Value>,
    pub(crate) start: Timestamp,
    pub(crate) stop: Timestamp,
}

/// What changes in a recording.
#[derive(Debug, Default)]
pub(crate) struct TdoChange {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) details: Option<Value>,
    pub(crate) start: Option<Timestamp>,
    pub(crate) stop: Option<Timestamp>,
}

impl Tdo {
    /// The recording of a sample.
    pub(super) fn input(task: usize, id: &str, name: &str, start: Timestamp, span: Range<u64>) -> Self {
        let length = SignedDuration::from_millis(i64::try_from(span.end.saturating_sub(span.start)).unwrap_or_default());
        let stop = start.checked_add(length).unwrap_or(start);
        let (status, details) = ("recorded".to_owned(), json!({}));
        let (name, description) = (name.to_owned(), None);
        Self {
            id: id.to_owned(),
            task,
            name,
            description,
            status,
            details,
            start,
            stop,
            created: start,
            modified: start,
            made_by_engine: false,
        }
    }
}

fn in_order(start: Timestamp, stop: Timestamp) -> Result<(), ApiError> {
    if stop < start {
        return Err(ApiError::invalid_input("stopDateTime: earlier than startDateTime"));
    }
    Ok(())
}

impl Desk {
    /// A recording of a task.
    pub(crate) fn tdo(&self, task: &Task, id: &str) -> Option<Tdo> {
        self.lock().tdos.iter().find(|tdo| tdo.task == task.number && tdo.id == id).cloned()
    }

    /// Makes a recording.
    pub(crate) fn add_tdo(&self, task: &Task, new: NewTdo) -> Result<Tdo, ApiError> {
        in_order(new.start, new.stop)?;
        let now = self.now();
        let mut inner = self.lock();
        if inner.tdos.len() >= self.caps.assets {
            inner.overflow("createTDO");
            return Err(ApiError::capacity(format!("a test run keeps at most {} recordings; make fewer", self.caps.assets)));
        }
        inner.next += 1;
        let tdo = Tdo {
            id: self.ids.digits("made tdo", inner.next, 12),
            task: task.number,
            name: new.name.unwrap_or_default(),
            description: new.description,
            status: new.status.unwrap_or_else(|| "recorded".to_owned()),
            details: new.details.unwrap_or_else(|| json!({})),
            start: new.start,
            stop: new.stop,
            created: now,
            modified: now,
            made_by_engine: true,
        };
        inner.tdos.push(tdo.clone());
        Ok(tdo)
    }

    /// Changes a recording; `None` if the task has none of that id.
    pub(crate) fn change_tdo(&self, task: &Task, id: &str, change: TdoChange) -> Result<Option<Tdo>, ApiError> {
        let now = self.now();
        let mut inner = self.lock();
        let Some(tdo) = inner.tdos.iter_mut().find(|tdo| tdo.task == task.number && tdo.id == id) else { return Ok(None) };
        let (start, stop) = (change.start.unwrap_or(tdo.start), change.stop.unwrap_or(tdo.stop));
        in_order(start, stop)?;
        tdo.name = change.name.unwrap_or_else(|| std::mem::take(&mut tdo.name));
        tdo.description = change.description.or(tdo.description.take());
        tdo.status = change.status.unwrap_or_else(|| std::mem::take(&mut tdo.status));
        tdo.details = change.details.unwrap_or_else(|| tdo.details.take());
        (tdo.start, tdo.stop, tdo.modified) = (start, stop, now);
        Ok(Some(tdo.clone()))
    }
}

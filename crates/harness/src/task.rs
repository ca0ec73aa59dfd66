//! One task of somebody's: done by an engine that runs already, or by one that is started for it. What the engine hands in is given back whole
//! when it is over; until then nothing of it is anybody's.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use model::run::{EngineKind, Exchange, Exit, Later, NotTestable, Ready};
use serde_json::{Map, Value};

use crate::{
    Error, Job, Sample, batch,
    certify::{NotRun, Plan, Staged, finish, plan, run_of, stage},
    deadline::Deadline,
    journal::Journal,
    run::StopOnDrop,
    webhook,
};

/// A task, as whoever keeps it knows it.
pub struct Work {
    /// Id of its job.
    pub job: String,
    /// Its own id.
    pub task: String,
    /// The token the engine gets.
    pub token: String,
    /// What it works on.
    pub recording: Recording,
    /// The files of the recording.
    pub assets: Vec<Given>,
    /// Custom fields of the payload.
    pub payload: Map<String, Value>,
    /// The file a webhook engine is sent; none for one that takes everything from the payload.
    pub input: Option<Sample>,
}

/// What a task works on.
pub struct Recording {
    /// Id.
    pub id: String,
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Such as `recorded`.
    pub status: String,
    /// Anything.
    pub details: Value,
    /// Its beginning.
    pub start: Timestamp,
    /// Its end.
    pub stop: Timestamp,
}

/// A file that a recording has already.
pub struct Given {
    /// Id.
    pub id: String,
    /// Such as `media`.
    pub asset_type: String,
    /// MIME type.
    pub content_type: String,
    /// For people.
    pub name: Option<String>,
    /// Anything.
    pub details: Option<Value>,
    /// Its content.
    pub content: Kept,
    /// When it was made.
    pub created: Timestamp,
}

/// Bytes, or where they are said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Here.
    Bytes(Bytes),
    /// Somewhere else.
    Uri(String),
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Well.
    Complete,
    /// Badly.
    Failed {
        /// One of the known words.
        reason: String,
        /// In words.
        message: String,
    },
    /// Its engine has stopped, to go on when it is woken up.
    Paused,
}

/// What came of a task.
#[derive(Debug)]
pub struct Done {
    /// How it ended.
    pub ended: Ended,
    /// What the engine handed in.
    pub handed: Handed,
}

/// Everything an engine handed in for a task.
#[derive(Debug, Default)]
pub struct Handed {
    /// The last status the engine gave.
    pub(crate) status: String,
    /// The output it gave with `updateTask` or `uploadEngineResult`.
    pub output: Option<Value>,
    pub(crate) failure_reason: Option<String>,
    pub(crate) failure_message: Option<String>,
    /// Files, in order; results that came as an answer or by a hook last.
    pub assets: Vec<MadeAsset>,
    /// Recordings that are new or changed.
    pub recordings: Vec<MadeTdo>,
    /// Documents under the id of a schema.
    pub documents: Vec<Document>,
    /// A result was larger than is kept.
    pub(crate) is_cut: bool,
    /// The first call that found no more room.
    pub(crate) overflow: Option<String>,
}

/// A file an engine made.
#[derive(Clone, Debug)]
pub struct MadeAsset {
    /// The id the engine was told.
    pub id: String,
    /// Id of its recording.
    pub recording: String,
    /// Such as `vtn-standard`.
    pub asset_type: String,
    /// MIME type.
    pub content_type: String,
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Anything.
    pub details: Option<Value>,
    /// Its content.
    pub content: Kept,
}

/// A recording an engine made or changed.
#[derive(Clone, Debug)]
pub struct MadeTdo {
    /// The id the engine was told.
    pub id: String,
    /// It was not there before.
    pub is_new: bool,
    pub(crate) is_changed: bool,
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Such as `recorded`.
    pub status: String,
    /// Anything.
    pub details: Value,
    /// Its beginning.
    pub start: Timestamp,
    /// Its end.
    pub stop: Timestamp,
}

/// A document an engine made.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Id of the schema.
    pub schema: String,
    /// Its own id.
    pub id: String,
    /// The document.
    pub data: Value,
}

impl Work {
    /// What a webhook engine is sent.
    pub(crate) fn sample(&self) -> Sample {
        self.input.clone().unwrap_or_else(|| Sample {
            id: "none".to_owned(),
            mime_type: "application/octet-stream".to_owned(),
            file_name: "none".to_owned(),
            bytes: Bytes::new(),
            expect_refusal: false,
            repeats: None,
            start_ms: 0,
            end_ms: 0,
            width: None,
            height: None,
        })
    }
}

/// Starts an engine, lets it do one task, and ends it. `job.samples` are not looked at.
///
/// # Errors
/// We could not run it. What the engine does wrong is in [`Done`].
pub async fn perform(mut job: Job<'_>, work: &Work) -> Result<Done, Error> {
    job.samples = vec![work.sample()];
    let plan = match plan(&job) {
        Ok(plan) => plan,
        Err(why) => return Ok(Done { ended: failed("system_dependency_missing", not_run(&why)), handed: Handed::default() }),
    };
    let deadline = Deadline::start(job.limits.wall_ms);
    let journal = Journal::new(Arc::clone(&job.log), deadline);
    let staged = stage(&job, &plan, &journal, Some(work)).await?;
    let _stop = StopOnDrop(Arc::clone(&staged.running));
    let mut run = run_of(&job, &staged, deadline, &journal);
    let Staged { desk, server: _server, running, waiter, batch_task: mut task, .. } = staged;
    let Plan { hooks, kind, .. } = &plan;
    let (mut wrong, mut by_itself) = (None, false);
    match hooks {
        Some(hooks) => match webhook::wait_until_ready(&mut run, &hooks.ready).await.0 {
            Ready::Ready { .. } => {
                let opened = desk.open_for(work, &job.samples[0]);
                wrong = webhook_task(&mut run, hooks, &job.samples[0], &opened).await;
                task = Some(opened);
            }
            other => wrong = Some(failed("internal_error", crate::instance::not_ready(&other))),
        },
        None => by_itself = batch::wait(&mut run).await.is_some(),
    }
    let record = finish(&job, &running, waiter, by_itself).await?;
    let handed = task.map(|task| desk.hand_over(&task)).unwrap_or_default();
    let ended = match (kind, wrong) {
        (_, Some(wrong)) => wrong,
        (EngineKind::Batch, None) => batch_ended(&record.exit, &handed, job.limits.wall_ms),
        (_, None) => webhook_ended(&handed),
    };
    Ok(Done { ended, handed })
}

/// Sends the one call of a task and says what was wrong with the answer.
pub(crate) async fn webhook_task(
    run: &mut crate::run::Run<'_>,
    hooks: &crate::hook::Hooks,
    sample: &Sample,
    task: &crate::desk::Task,
) -> Option<Ended> {
    let mut exchanges = Vec::new();
    let ran_out = webhook::send_as(run, &hooks.process, 0, sample, task, &mut exchanges).await;
    wrong_with(exchanges.last(), ran_out.is_some())
}

fn failed(reason: &str, message: impl Into<String>) -> Ended {
    Ended::Failed { reason: reason.to_owned(), message: message.into() }
}

/// What was wrong with the last answer of a webhook engine.
fn wrong_with(last: Option<&Exchange>, ran_out: bool) -> Option<Ended> {
    if ran_out {
        return Some(failed("system_error", "the engine did not answer within the time of a task"));
    }
    let Some(exchange) = last else { return Some(failed("internal_error", "the engine was not called")) };
    if exchange.process_ended {
        return Some(failed("internal_error", "the engine's process ended while it worked"));
    }
    let first_line = exchange.body_excerpt.lines().next().unwrap_or_default().chars().take(200).collect::<String>();
    match (exchange.status, &exchange.error, &exchange.later) {
        (_, Some(error), _) => Some(failed("internal_error", format!("the call of the engine failed: {error}"))),
        (Some(200 | 204), None, None | Some(Later::Done { .. } | Later::Failed { .. })) => None,
        (Some(200 | 204), None, Some(Later::Silent { silent_ms })) => {
            Some(failed("heartbeat_timeout", format!("the engine promised a result and was silent for {} s", silent_ms / 1000)))
        }
        (Some(200 | 204), None, Some(Later::ProcessEnded)) => Some(failed("internal_error", "the engine's process ended while it worked")),
        (Some(200 | 204), None, Some(Later::OutOfTime { .. })) => {
            Some(failed("system_error", "the engine did not hand in its result within the time of a task"))
        }
        (Some(status), None, _) => Some(failed("internal_error", format!("the engine answered with HTTP {status}: {first_line}"))),
        (None, None, _) => Some(failed("internal_error", "the engine did not answer")),
    }
}

/// What an engine said of itself, if that was bad, or if not all of it could be kept.
fn said_failed(handed: &Handed) -> Option<Ended> {
    if matches!(handed.status.as_str(), "failed" | "aborted" | "cancelled") {
        let message = handed.failure_message.clone().unwrap_or_else(|| "the engine gave no reason".to_owned());
        return Some(failed(handed.failure_reason.as_deref().unwrap_or("unknown"), message));
    }
    if handed.is_cut {
        return Some(failed("invalid_data", "a result is larger than is kept; hand it in as several smaller ones"));
    }
    handed.overflow.as_ref().map(|what| failed("invalid_data", format!("{what}: the engine handed in more than one task may keep")))
}

/// How a webhook engine's task ended, when its last answer was good.
pub(crate) fn webhook_ended(handed: &Handed) -> Ended {
    said_failed(handed).unwrap_or(Ended::Complete)
}

/// How a batch engine's task ended (engine contract §2).
fn batch_ended(exit: &Exit, handed: &Handed, wall_ms: u64) -> Ended {
    if let Some(said) = said_failed(handed) {
        return said;
    }
    match (exit, handed.status.as_str()) {
        (Exit::Exited { code: 0 }, "complete") => Ended::Complete,
        (Exit::Exited { code: 0 }, "paused" | "waiting") => Ended::Paused,
        (Exit::Exited { code: 0 }, _) => failed("internal_error", "the engine ended without saying that its task is complete"),
        (Exit::Exited { code }, _) => failed("internal_error", format!("Error running container: exit code {code}")),
        (Exit::TimedOut, _) => {
            failed("system_error", format!("the engine did not end within {} s", Duration::from_millis(wall_ms).as_secs()))
        }
        (exit, _) => failed("internal_error", format!("the engine did not end by itself: {exit:?}")),
    }
}

fn not_run(why: &NotRun) -> String {
    match why {
        NotRun::Started(why) => crate::instance::not_started(why),
        NotRun::Testable(NotTestable::Push) => "the engine waits to be pushed to, which cannot be done here".to_owned(),
        NotRun::Testable(NotTestable::Queue) => "the engine reads a message queue, which cannot be run here".to_owned(),
        NotRun::Testable(NotTestable::NoSample { formats }) => {
            format!("there is nothing to send of a type it takes ({})", formats.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(status: &str) -> Handed {
        Handed { status: status.to_owned(), ..Handed::default() }
    }

    #[test]
    fn a_batch_engine_must_say_complete_and_end_well() {
        let ended = |code: i32, status: &str| batch_ended(&Exit::Exited { code }, &handed(status), 1000);
        assert_eq!(ended(0, "complete"), Ended::Complete);
        assert_eq!(ended(0, "paused"), Ended::Paused);
        assert_eq!(ended(3, "complete"), failed("internal_error", "Error running container: exit code 3"));
        assert!(matches!(ended(0, "running"), Ended::Failed { .. }));
        let said = Handed { failure_reason: Some("invalid_data".into()), failure_message: Some("no words".into()), ..handed("failed") };
        assert_eq!(batch_ended(&Exit::Exited { code: 1 }, &said, 1000), failed("invalid_data", "no words"));
        assert!(
            matches!(batch_ended(&Exit::TimedOut, &handed("running"), 7_000), Ended::Failed { message, .. } if message.contains("7 s"))
        );
    }

    #[test]
    fn an_answer_that_is_no_result_fails_the_task_with_its_first_line() {
        let exchange = |status: u16| Exchange { status: Some(status), body_excerpt: "no words\nhere".into(), ..Exchange::default() };
        assert_eq!(wrong_with(Some(&exchange(200)), false), None);
        assert_eq!(wrong_with(Some(&exchange(204)), false), None);
        let wrong = wrong_with(Some(&exchange(500)), false);
        assert_eq!(wrong, Some(failed("internal_error", "the engine answered with HTTP 500: no words")));
        let silent = Exchange { later: Some(Later::Silent { silent_ms: 60_000 }), ..exchange(200) };
        assert!(matches!(wrong_with(Some(&silent), false), Some(Ended::Failed { reason, .. }) if reason == "heartbeat_timeout"));
        assert!(wrong_with(Some(&exchange(200)), true).is_some() && wrong_with(None, false).is_some());
    }
}

//! What a run keeps of its tasks in memory: who may do what, what was said, what was handed in.
//!
//! Each sample is a task of its own with its own token, job, recording and hooks, so that everything an engine sends is known to
//! belong to one sample. Nothing in here grows beyond [`Caps`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use model::run::{EngineOutput, Recording, TaskState};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use crate::{Caps, Registration, Sample, ids::Ids, task::Document};

mod keys;
mod payload;
mod results;
mod task;
mod tdo;
mod work;

pub(crate) use keys::{Kept, Scope};
pub(crate) use task::{Asset, Content, File, NewAsset, Progress, Status, Task};
pub(crate) use tdo::{NewTdo, Tdo, TdoChange};

use keys::Keys;
use payload::{Identity, payload};

/// Refused calls remembered, and characters of each.
const REFUSED: (usize, usize) = (100, 300);
/// Statuses remembered.
const STATUSES: usize = 200;

/// What stays the same for all tasks of a run.
pub(crate) struct Facts {
    /// `http://127.0.0.1:PORT`.
    pub(crate) base_url: String,
    pub(crate) registration: Registration,
    /// As GraphQL spells it: `Chunk`, `Stream`, `Batch`.
    pub(crate) mode: &'static str,
    pub(crate) started_at: jiff::Timestamp,
}

/// The tasks of one run and all that belongs to them.
pub(crate) struct Desk {
    pub(crate) facts: Facts,
    pub(crate) caps: Caps,
    ids: Ids,
    began: Instant,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    tasks: Vec<Arc<Task>>,
    statuses: Vec<Status>,
    said: Vec<String>,
    failure: (Option<String>, Option<String>),
    files: HashMap<String, File>,
    assets: Vec<Asset>,
    tdos: Vec<Tdo>,
    keys: Keys,
    /// What was sent first to the address of a paused task, by its number.
    callbacks: HashMap<usize, String>,
    outputs: Vec<EngineOutput>,
    stored: u64,
    api_calls: u32,
    refused: Vec<String>,
    forbidden: Vec<String>,
    foreign: Vec<String>,
    late: Vec<String>,
    overflow: Option<(String, u32)>,
    structured_data: u32,
    documents: Vec<Document>,
    next: usize,
}

impl Desk {
    pub(crate) fn new(facts: Facts, caps: Caps, ids: Ids) -> Self {
        Self { facts, caps, ids, began: Instant::now(), inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time, as far as the engine is told.
    pub(crate) fn now(&self) -> jiff::Timestamp {
        let elapsed = jiff::SignedDuration::try_from(self.began.elapsed()).unwrap_or_default();
        self.facts.started_at.checked_add(elapsed).unwrap_or(self.facts.started_at)
    }

    /// Opens a task for a sample; its recording holds the sample as an asset of every type engines ask for.
    pub(crate) fn open(&self, sample: &Sample) -> Arc<Task> {
        let mut inner = self.lock();
        let number = inner.tasks.len();
        let job_id = format!("{}_{}", self.ids.digits("job", number, 8), self.ids.letters("job", number, 10));
        let id = format!("{job_id}{}", self.ids.letters("task", number, 6));
        let tdo_id = self.ids.digits("tdo", number, 9);
        let token = self.ids.secret("token", number);
        let key = self.ids.secret("file", number);
        let input_path = format!("/files/{key}/{}", sample.file_name);
        let input = format!("{}{input_path}", self.facts.base_url);
        let hook_key = self.ids.secret("hook", number);
        let callback = callback_url(&self.facts, &hook_key);
        let identity = Identity { job: &job_id, task: &id, tdo: &tdo_id, token: &token, input: &input, callback: &callback };
        let payload = payload(&self.facts, &identity, self.facts.registration.payload.clone());
        inner.tdos.push(Tdo::input(number, &tdo_id, &sample.id, self.facts.started_at, sample.start_ms..sample.end_ms));
        inner.files.insert(key, File { bytes: sample.bytes.clone(), content_type: sample.mime_type.clone() });
        for asset_type in asset_types(&sample.mime_type) {
            let asset = Asset {
                id: format!("{tdo_id}_{}", self.ids.letters(asset_type, number, 10)),
                tdo_id: tdo_id.clone(),
                asset_type: (*asset_type).to_owned(),
                content_type: sample.mime_type.clone(),
                name: Some(sample.file_name.clone()),
                description: None,
                details: None,
                uri: input_path.clone(),
                source_task: None,
                size: sample.bytes.len() as u64,
                created: self.facts.started_at,
            };
            inner.assets.push(asset);
        }
        let progress = Progress { heard: Instant::now(), results: 0, ended: None };
        let task = Arc::new(Task {
            number,
            sample: sample.id.clone(),
            apart: sample.expect_refusal || sample.repeats.is_some(),
            id,
            job_id,
            tdo_id,
            token,
            hook_key,
            input_path,
            payload,
            custom: None,
            progress: watch::Sender::new(progress),
        });
        inner.tasks.push(Arc::clone(&task));
        inner.statuses.push(Status { status: "running".to_owned(), modified: self.facts.started_at, ..Status::default() });
        task
    }

    /// The task a token is good for. Every token is compared in full, in constant time.
    pub(crate) fn by_token(&self, token: &str) -> Option<Arc<Task>> {
        let inner = self.lock();
        inner.tasks.iter().fold(None, |found, task| {
            if bool::from(task.token.as_bytes().ct_eq(token.as_bytes())) { Some(Arc::clone(task)) } else { found }
        })
    }

    /// The task whose hooks have this secret in their address.
    pub(crate) fn by_hook(&self, key: &str) -> Option<Arc<Task>> {
        let inner = self.lock();
        inner.tasks.iter().fold(None, |found, task| {
            if bool::from(task.hook_key.as_bytes().ct_eq(key.as_bytes())) { Some(Arc::clone(task)) } else { found }
        })
    }

    /// The payload of a task with more custom fields, which the engine itself has given.
    pub(crate) fn payload_with(&self, task: &Task, more: Map<String, Value>) -> Value {
        let mut custom = task.custom.clone().unwrap_or_else(|| self.facts.registration.payload.clone());
        custom.extend(more);
        let input = self.url(&task.input_path);
        let callback = callback_url(&self.facts, &task.hook_key);
        let identity =
            Identity { job: &task.job_id, task: &task.id, tdo: &task.tdo_id, token: &task.token, input: &input, callback: &callback };
        payload(&self.facts, &identity, custom)
    }

    /// How a task stands.
    pub(crate) fn status_of(&self, task: &Task) -> Status {
        self.lock().statuses.get(task.number).cloned().unwrap_or_default()
    }

    /// Writes down a status the engine set.
    pub(crate) fn set_status(&self, task: &Task, mut status: Status) {
        status.modified = self.now();
        let word = status.status.clone();
        let mut inner = self.lock();
        if !task.apart {
            if inner.said.last() != Some(&word) && inner.said.len() < STATUSES {
                inner.said.push(word.clone());
            }
            if word == "failed" {
                inner.failure = (status.failure_reason.clone(), status.failure_message.clone());
            }
        }
        if let Some(slot) = inner.statuses.get_mut(task.number) {
            status.output = status.output.or(slot.output.take());
            *slot = status;
        }
        drop(inner);
        task.progress.send_modify(|progress| {
            progress.heard = Instant::now();
            match word.as_str() {
                "complete" => progress.ended = Some(true),
                "failed" | "aborted" | "cancelled" => progress.ended = Some(false),
                _ => {}
            }
        });
    }

    /// A path of ours as a whole URL; a whole URL as it is.
    pub(crate) fn url(&self, path: &str) -> String {
        if path.starts_with('/') { format!("{}{path}", self.facts.base_url) } else { path.to_owned() }
    }

    /// Counts a call of the API.
    pub(crate) fn count_call(&self) {
        let mut inner = self.lock();
        inner.api_calls = inner.api_calls.saturating_add(1);
    }

    /// Remembers a call that was refused.
    pub(crate) fn refuse(&self, operation: &str, reason: &str) {
        note(&mut self.lock().refused, format!("{operation}: {reason}"));
    }

    /// Remembers an operation that takes hold of what no engine has any business with.
    pub(crate) fn forbid(&self, operation: &str) {
        note(&mut self.lock().forbidden, operation.to_owned());
    }

    /// Remembers a call of a hook with another task's id.
    pub(crate) fn foreign(&self, hook: &str, task: &Task, what: &str) {
        note(&mut self.lock().foreign, format!("{hook} of {}: {what}", task.sample));
    }

    /// Remembers a call of a hook after the task had ended.
    pub(crate) fn late(&self, hook: &str, task: &Task, what: &str) {
        note(&mut self.lock().late, format!("{hook} of {}: {what}", task.sample));
    }

    /// Keeps what was sent to the address of a task; what comes later is a copy.
    pub(crate) fn call_back(&self, task: &Task, data: String) {
        self.lock().callbacks.entry(task.number).or_insert(data);
    }

    /// What was sent to the address of a task.
    pub(crate) fn callback_of(&self, task: &Task) -> Option<String> {
        self.lock().callbacks.get(&task.number).cloned()
    }

    /// Counts a document of structured data, and keeps it while there is room.
    pub(crate) fn keep_structured_data(&self, document: Document) {
        let mut inner = self.lock();
        inner.structured_data = inner.structured_data.saturating_add(1);
        if inner.documents.len() < self.caps.assets {
            inner.documents.push(document);
        }
    }

    /// How many there are.
    pub(crate) fn structured_data_made(&self) -> u32 {
        self.lock().structured_data
    }

    /// What a key of a task or of its job holds.
    pub(crate) fn kept(&self, task: &Task, scope: Scope, key: &str) -> Option<Kept> {
        self.lock().keys.get(task.number, scope, key, self.began.elapsed())
    }

    /// Keeps a value under a key.
    pub(crate) fn keep(&self, task: &Task, scope: Scope, key: &str, value: Kept, seconds: u64) -> bool {
        let now = self.began.elapsed();
        let mut inner = self.lock();
        let fits = inner.admit(value.bytes.len() as u64, self.caps.stored) && inner.keys.len() < self.caps.assets;
        if fits {
            inner.keys.put(task.number, scope, key, value, now + std::time::Duration::from_secs(seconds));
        } else {
            inner.overflow("key-value");
        }
        fits
    }

    /// Takes out everything that was handed in, in order of arrival.
    pub(crate) fn close(&self) -> (Vec<EngineOutput>, TaskState) {
        let inner = std::mem::take(&mut *self.lock());
        let (failure_reason, failure_message) = inner.failure;
        let assets = |tdo: &Tdo| inner.assets.iter().filter(|asset| asset.tdo_id == tdo.id).map(Asset::summary).collect();
        let made = inner.tdos.iter().filter(|tdo| tdo.made_by_engine);
        let recordings = made.map(|tdo| Recording { id: tdo.id.clone(), assets: assets(tdo) }).collect();
        let state = TaskState {
            statuses: inner.said,
            failure_reason,
            failure_message,
            api_calls: inner.api_calls,
            refused_calls: inner.refused,
            forbidden_calls: inner.forbidden,
            foreign_calls: inner.foreign,
            late_calls: inner.late,
            overflow: inner.overflow,
            recordings,
            structured_data: inner.structured_data,
        };
        (inner.outputs, state)
    }
}

fn callback_url(facts: &Facts, hook_key: &str) -> String {
    format!("{}/hooks/{hook_key}/callback", facts.base_url)
}

/// Remembers a line, within the caps.
fn note(lines: &mut Vec<String>, line: String) {
    if lines.len() < REFUSED.0 {
        lines.push(line.chars().take(REFUSED.1).collect());
    }
}

impl Inner {
    /// Counts what was refused for want of room; the first is named.
    fn overflow(&mut self, what: &str) {
        let (_, count) = self.overflow.get_or_insert_with(|| (what.to_owned(), 0));
        *count = count.saturating_add(1);
    }

    /// Counts bytes to be stored, if there is room for them.
    fn admit(&mut self, size: u64, cap: u64) -> bool {
        let fits = self.stored.saturating_add(size) <= cap;
        if fits {
            self.stored += size;
        }
        fits
    }
}

/// A content type without parameters, lower case.
pub(crate) fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The asset types under which engines look for an input of this MIME type.
fn asset_types(mime_type: &str) -> &'static [&'static str] {
    match essence(mime_type).as_str() {
        "application/json" | "application/vtn-engineout+json" | "application/vnd.veritone.aion+json" => {
            &["media", "transcript", "vtn-standard"]
        }
        essence if essence.starts_with("text/") => &["media", "text"],
        _ => &["media"],
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use model::{
        engine::DeploymentModel,
        id::{EngineId, OrganizationId},
    };
    use serde_json::json;

    use super::*;

    pub(crate) fn registration(payload: Value) -> Registration {
        Registration {
            organization: OrganizationId(7),
            engine: "6a2f4f0e-6d0e-4a57-9c11-2f6c0b0f8f10".parse::<EngineId>().unwrap(),
            engine_name: "word list".into(),
            capability: None,
            deployment_model: DeploymentModel::FullyNetworkIsolated,
            payload: payload.as_object().unwrap().clone(),
        }
    }

    pub(crate) fn desk(caps: Caps) -> Desk {
        let facts = Facts {
            base_url: "http://127.0.0.1:1".into(),
            registration: registration(json!({"size": 3, "jobId": "mine"})),
            mode: "Chunk",
            started_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        };
        Desk::new(facts, caps, Ids::new([7; 32]))
    }

    pub(crate) fn sample(id: &str, expect_refusal: bool) -> Sample {
        let mut sample = crate::samples::for_capability(None, &["text/plain".to_owned()]).remove(0);
        (sample.id, sample.expect_refusal) = (id.to_owned(), expect_refusal);
        sample
    }

    fn says(word: &str) -> Status {
        Status { status: word.into(), failure_reason: (word == "failed").then(|| "internal_error".into()), ..Status::default() }
    }

    #[test]
    fn every_id_in_the_payload_is_text_and_no_custom_field_hides_one() {
        let desk = desk(Caps::default());
        let task = desk.open(&sample("a", false));
        let payload = task.payload.as_object().unwrap();
        for key in ["applicationId", "jobId", "taskId", "recordingId", "organizationId", "token", "veritoneApiBaseUrl"] {
            assert!(payload[key].is_string(), "{key}");
        }
        assert_eq!((&payload["jobId"], &payload["size"], &payload["organizationId"]), (&json!(task.job_id), &json!(3), &json!("7")));
        assert_eq!(payload["taskPayload"], json!({"size": 3, "jobId": "mine", "organizationId": "7"}));
        let more = desk.payload_with(&task, json!({"step": 2, "token": "stolen"}).as_object().unwrap().clone());
        assert_eq!((&more["step"], &more["size"], &more["token"]), (&json!(2), &json!(3), &json!(task.token)));
    }

    #[test]
    fn tokens_and_hooks_find_their_own_task_only() {
        let desk = desk(Caps::default());
        let (a, b) = (desk.open(&sample("a", false)), desk.open(&sample("b", false)));
        assert_eq!(desk.by_token(&a.token).unwrap().sample, "a");
        assert_eq!(desk.by_token(&b.token).unwrap().sample, "b");
        assert_eq!(desk.by_hook(&b.hook_key).unwrap().sample, "b");
        for wrong in ["", &a.token[1..], &a.hook_key] {
            assert!(desk.by_token(wrong).is_none());
        }
        assert!(desk.by_hook(&a.token).is_none());
    }

    #[test]
    fn what_a_refused_sample_says_is_not_the_state_of_the_run() {
        let desk = desk(Caps::default());
        let (a, b) = (desk.open(&sample("a", false)), desk.open(&sample("b", true)));
        for word in ["running", "running", "complete"] {
            desk.set_status(&a, says(word));
        }
        desk.set_status(&b, says("failed"));
        assert_eq!(b.watch().borrow().ended, Some(false));
        let (_, state) = desk.close();
        assert_eq!(state.statuses, ["running", "complete"]);
        assert_eq!(state.failure_reason, None);
    }
}

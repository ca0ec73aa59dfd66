//! A desk for one task of somebody's: its ids, recording and files are given, and what the engine hands in is taken out whole.

use std::{sync::Arc, time::Instant};

use tokio::sync::watch;

use super::{
    Asset, Desk, File, Inner, Progress, Status, Task, Tdo, asset_types, callback_url,
    payload::{Identity, payload},
};
use crate::{
    Sample,
    task::{Handed, Kept, MadeAsset, MadeTdo, Work},
};

impl Desk {
    /// Opens the task; `input` is what a webhook engine is sent.
    pub(crate) fn open_for(&self, work: &Work, input: &Sample) -> Arc<Task> {
        let mut inner = self.lock();
        let number = inner.tasks.len();
        let key = self.ids.secret("file", number);
        let input_path = format!("/files/{key}/{}", input.file_name);
        let url = format!("{}{input_path}", self.facts.base_url);
        let hook_key = self.ids.secret("hook", number);
        let callback = callback_url(&self.facts, &hook_key);
        let identity =
            Identity { job: &work.job, task: &work.task, tdo: &work.recording.id, token: &work.token, input: &url, callback: &callback };
        let payload = payload(&self.facts, &identity, work.payload.clone());
        inner.tdos.push(Tdo {
            id: work.recording.id.clone(),
            task: number,
            name: work.recording.name.clone(),
            description: work.recording.description.clone(),
            status: work.recording.status.clone(),
            details: work.recording.details.clone(),
            start: work.recording.start,
            stop: work.recording.stop,
            created: work.recording.start,
            modified: work.recording.start,
            made_by_engine: false,
        });
        inner.files.insert(key, File { bytes: input.bytes.clone(), content_type: input.mime_type.clone() });
        self.give(&mut inner, work, number);
        if work.assets.is_empty() {
            self.give_input(&mut inner, work, input, &input_path);
        }
        let progress = Progress { heard: Instant::now(), results: 0, ended: None };
        let task = Arc::new(Task {
            number,
            sample: input.id.clone(),
            apart: false,
            id: work.task.clone(),
            job_id: work.job.clone(),
            tdo_id: work.recording.id.clone(),
            token: work.token.clone(),
            hook_key,
            input_path,
            payload,
            custom: Some(work.payload.clone()),
            progress: watch::Sender::new(progress),
        });
        inner.tasks.push(Arc::clone(&task));
        inner.statuses.push(Status { status: "running".to_owned(), modified: self.facts.started_at, ..Status::default() });
        task
    }

    /// The files that the recording has already.
    fn give(&self, inner: &mut Inner, work: &Work, number: usize) {
        for (index, given) in work.assets.iter().enumerate() {
            let uri = match &given.content {
                Kept::Uri(uri) => uri.clone(),
                Kept::Bytes(bytes) => {
                    let key = self.ids.secret("given file", number * 1_000 + index);
                    inner.files.insert(key.clone(), File { bytes: bytes.clone(), content_type: given.content_type.clone() });
                    format!("/files/{key}")
                }
            };
            inner.assets.push(Asset {
                id: given.id.clone(),
                tdo_id: work.recording.id.clone(),
                asset_type: given.asset_type.clone(),
                content_type: given.content_type.clone(),
                name: given.name.clone(),
                description: None,
                details: given.details.clone(),
                uri,
                source_task: None,
                size: 0,
                created: given.created,
            });
        }
    }

    /// A sample stands in for the files of a recording that has none.
    fn give_input(&self, inner: &mut Inner, work: &Work, input: &Sample, uri: &str) {
        for asset_type in asset_types(&input.mime_type).iter().filter(|_| !input.bytes.is_empty()) {
            inner.assets.push(Asset {
                id: format!("{}_{}", work.recording.id, self.ids.letters(asset_type, 0, 10)),
                tdo_id: work.recording.id.clone(),
                asset_type: (*asset_type).to_owned(),
                content_type: input.mime_type.clone(),
                name: Some(input.file_name.clone()),
                description: None,
                details: None,
                uri: uri.to_owned(),
                source_task: None,
                size: input.bytes.len() as u64,
                created: self.facts.started_at,
            });
        }
    }

    /// Takes out everything the engine handed in for the task; it is closed then.
    pub(crate) fn hand_over(&self, task: &Task) -> Handed {
        let inner = std::mem::take(&mut *self.lock());
        let status = inner.statuses.get(task.number).cloned().unwrap_or_default();
        let file = |uri: &str| uri.strip_prefix("/files/").and_then(|rest| rest.split('/').next()).and_then(|key| inner.files.get(key));
        let made = inner.assets.iter().filter(|asset| asset.source_task.is_some()).map(|asset| MadeAsset {
            id: asset.id.clone(),
            recording: asset.tdo_id.clone(),
            asset_type: asset.asset_type.clone(),
            content_type: asset.content_type.clone(),
            name: asset.name.clone(),
            description: asset.description.clone(),
            details: asset.details.clone(),
            content: file(&asset.uri).map_or_else(|| Kept::Uri(asset.uri.clone()), |file| Kept::Bytes(file.bytes.clone())),
        });
        // What came as an answer or by a hook is a result too, though the engine made no asset of it.
        let results = inner.outputs.iter().filter(|output| matches!(output.via.as_str(), "response" | "resultWebhook"));
        let results = results.enumerate().map(|(number, output)| MadeAsset {
            id: format!("{}_{}", task.tdo_id, self.ids.letters("result", number, 10)),
            recording: task.tdo_id.clone(),
            asset_type: "vtn-standard".to_owned(),
            content_type: if output.content_type.is_empty() { "application/octet-stream".to_owned() } else { output.content_type.clone() },
            name: None,
            description: None,
            details: None,
            content: Kept::Bytes(output.body.clone().into()),
        });
        let is_cut = inner.outputs.iter().any(|output| output.truncated);
        let tdos = inner.tdos.iter().map(|tdo| MadeTdo {
            id: tdo.id.clone(),
            is_new: tdo.made_by_engine,
            name: tdo.name.clone(),
            description: tdo.description.clone(),
            status: tdo.status.clone(),
            details: tdo.details.clone(),
            start: tdo.start,
            stop: tdo.stop,
            is_changed: tdo.made_by_engine || tdo.modified != tdo.created,
        });
        Handed {
            status: status.status,
            output: status.output,
            failure_reason: status.failure_reason,
            failure_message: status.failure_message,
            assets: made.chain(results).collect(),
            recordings: tdos.filter(|tdo| tdo.is_changed).collect(),
            documents: inner.documents,
            is_cut,
            overflow: inner.overflow.map(|(what, _)| what),
        }
    }
}

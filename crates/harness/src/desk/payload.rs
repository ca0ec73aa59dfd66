//! The payload of a task (engine contract §1.3, §2, §3).

use serde_json::{Map, Value, json};

use super::Facts;

/// The ids of a task.
pub(super) struct Identity<'a> {
    pub(super) job: &'a str,
    pub(super) task: &'a str,
    pub(super) tdo: &'a str,
    pub(super) token: &'a str,
    /// Address of its input.
    pub(super) input: &'a str,
    /// Address that wakes it up when it has paused its task.
    pub(super) callback: &'a str,
}

/// The task payload: ids as text, custom fields at the top and once more in `taskPayload`. Custom fields never hide an id.
pub(super) fn payload(facts: &Facts, ids: &Identity<'_>, custom: Map<String, Value>) -> Value {
    if facts.registration.capability.is_some_and(model::capability::Capability::is_adapter) {
        return for_adapter(facts, ids, custom);
    }
    let mut payload = custom.clone();
    payload.extend(fixed(facts, ids).into_iter().chain([("recordingId".to_owned(), ids.tdo.into())]));
    payload.insert("taskPayload".to_owned(), Value::Object(with_organization(facts, custom)));
    Value::Object(payload)
}

fn fixed(facts: &Facts, ids: &Identity<'_>) -> Map<String, Value> {
    let organization = facts.registration.organization.to_string();
    let fixed: [(&str, &str); 7] = [
        ("applicationId", "00000000-0000-4000-8000-00000000a991"),
        ("jobId", ids.job),
        ("taskId", ids.task),
        ("organizationId", &organization),
        ("token", ids.token),
        ("veritoneApiBaseUrl", &facts.base_url),
        ("externalCallbackWebhook", ids.callback),
    ];
    fixed.map(|(key, value)| (key.to_owned(), Value::from(value))).into_iter().collect()
}

fn with_organization(facts: &Facts, mut custom: Map<String, Value>) -> Map<String, Value> {
    custom.insert("organizationId".to_owned(), facts.registration.organization.to_string().into());
    custom
}

/// An adapter gets no recording: it makes one of what it fetches from `source`. What registration says of `source` and `mode` counts.
fn for_adapter(facts: &Facts, ids: &Identity<'_>, custom: Map<String, Value>) -> Value {
    let mut payload = Map::new();
    payload.insert("mode".to_owned(), "ingest".into());
    payload.insert("fileId".to_owned(), ids.input.rsplit('/').next().unwrap_or_default().into());
    let name = &facts.registration.engine_name;
    let source = json!({ "ingestionId": ids.job, "ingestionType": "test", "name": name, "config": { "url": ids.input } });
    payload.insert("source".to_owned(), source);
    payload.insert("metadata".to_owned(), json!({}));
    payload.insert("job".to_owned(), json!({ "id": ids.job, "tasks": [{ "id": ids.task, "engineId": facts.registration.engine }] }));
    payload.extend(custom.clone());
    payload.extend(fixed(facts, ids));
    let mut task = with_organization(facts, custom);
    task.entry("url").or_insert_with(|| ids.input.into());
    payload.insert("taskPayload".to_owned(), Value::Object(task));
    Value::Object(payload)
}

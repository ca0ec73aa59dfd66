//! Batch engines: started with a payload file, left alone until they exit (engine contract §2).

use std::sync::Arc;

use model::run::{InjectedFile, Phase};

use crate::{
    desk::{Desk, Task},
    run::Run,
};

/// Where the payload lies inside the container.
const PAYLOAD_PATH: &str = "/run/payload.json";

/// Variables and files of a batch engine's start.
///
/// `woken` is what was sent to the address of an engine that had paused its task.
pub(crate) fn equip(desk: &Desk, task: &Arc<Task>, woken: Option<&str>, env: &mut Vec<(String, String)>) -> InjectedFile {
    let mut payload = task.payload.clone();
    if let Some(data) = woken {
        payload["isCallback"] = true.into();
        payload["data"] = data.into();
    }
    let payload = payload.to_string();
    let engine = desk.facts.registration.engine.to_string();
    let ours = [
        ("PAYLOAD_FILE", PAYLOAD_PATH.to_owned()),
        ("PAYLOAD_JSON", payload.clone()),
        ("VERITONE_API_BASE_URL", desk.facts.base_url.clone()),
        ("ENGINE_ID", engine),
        ("ENGINE_INSTANCE_ID", task.id.clone()),
    ];
    env.retain(|(name, _)| ours.iter().all(|(own, _)| own != name));
    env.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    InjectedFile { path: PAYLOAD_PATH.to_owned(), bytes: payload.into_bytes(), mode: 0o644 }
}

/// Waits for the engine to exit; says whether the time ran out first.
pub(crate) async fn wait(run: &mut Run<'_>) -> Option<Phase> {
    run.journal.say("a batch engine: waiting for it to exit");
    let ended = run.ended.within(run.deadline.remaining()).await;
    (!ended).then_some(Phase::Batch)
}

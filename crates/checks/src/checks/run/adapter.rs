//! A pull adapter that ended well: its task has to be complete, and something has to have been brought in (engine contract §3).

use model::{
    finding::{Finding, Severity},
    run::EngineRun,
};

use super::{NAMED, batch};
use crate::{
    last_words::last_words,
    wording::{clip, count},
};

const WHY: &str = "An adapter is there to bring data in: a recording with its media, or structured data.";

pub(super) fn findings(run: &EngineRun) -> Vec<Finding> {
    if run.task.statuses.last().is_some_and(|status| status == "complete") {
        return brought(run).or_else(|| unnamed(run)).into_iter().collect();
    }
    batch(run).into_iter().collect()
}

/// Nothing came in.
fn brought(run: &EngineRun) -> Option<Finding> {
    let task = &run.task;
    let media = |assets: &[(String, String, u64)]| assets.iter().any(|(kind, _, size)| kind == "media" && *size > 0);
    if task.structured_data > 0 || task.recordings.iter().any(|recording| media(&recording.assets)) {
        return None;
    }
    let (title, fix) = match task.recordings.first() {
        None => (
            "Adapter completed its task without bringing anything in",
            "Fetch the file at source.config.url, and hand it in: createTDO and createAsset (type media), or createTDOWithAsset.",
        ),
        Some(_) => (
            "Adapter made a recording without any media in it",
            "Hand the file in as an asset of type media: createAsset(input: {containerId: ..., type: \"media\", contentType: ...}) with the file.",
        ),
    };
    let mut finding = Finding::new("run.adapter", Severity::Error, title, WHY, fix).message("Adapter result missing: no media came in");
    finding.place = Some(format!("task of the test run, {} of the API", count(task.api_calls as usize, "call")));
    finding.evidence = task.refused_calls.iter().take(NAMED).map(|call| format!("refused | {}", clip(call, 240))).collect();
    finding.evidence.extend(last_words(&run.record.log).lines);
    Some(finding)
}

/// Something came in, but the task does not say what.
fn unnamed(run: &EngineRun) -> Option<Finding> {
    let recording = run.task.recordings.first()?;
    let says = |body: &[u8]| String::from_utf8_lossy(body).contains("recordingId");
    if run.outputs.iter().any(|output| output.via == "updateTask" && says(&output.body)) {
        return None;
    }
    let finding = Finding::new(
        "run.recording_id",
        Severity::Warning,
        "Adapter completed its task without naming the recording it made",
        "The next task of the job takes the recording from the output of the adapter's task.",
        format!(
            "Complete the task with its output: updateTask(input: {{id: ..., status: complete, output: {{recordingId: \"{}\"}}}}).",
            clip(&recording.id, 20)
        ),
    );
    Some(finding.message("Adapter output has no recordingId").at("updateTask of the test run"))
}

//! What an engine asked of the API and was refused: each kind has its own cause.

use model::{
    finding::{Finding, Severity},
    run::TaskState,
};

use super::NAMED;
use crate::wording::{clip, count, list};

const PLACE: &str = "API of the test run";

const WHY: &str =
    "The token of a task is good for that task and its own objects; nothing else is allowed, here and wherever the engine runs.";

pub(super) fn findings(task: &TaskState) -> Vec<Finding> {
    [forbidden(task), foreign(task), uploads(task), refused(task)].into_iter().flatten().collect()
}

/// Names, each once, in one order.
fn names<'a>(calls: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = calls.map(|call| clip(call, 40)).collect();
    names.sort_unstable();
    names.dedup();
    list(names.get(..NAMED.min(names.len())).unwrap_or_default(), "and")
}

/// Deeds on engines, builds, accounts or other people's data.
fn forbidden(task: &TaskState) -> Option<Finding> {
    let calls = &task.forbidden_calls;
    if calls.is_empty() {
        return None;
    }
    let shown = names(calls.iter().map(String::as_str));
    let mut finding = Finding::new(
        "run.forbidden_calls",
        Severity::Error,
        format!("Engine tried {} with its task token", clip(&shown, 55)),
        "These operations take hold of engines, builds, accounts or other people's data: no task needs them, and whoever tries them means harm or is misled.",
        "Remove these calls.",
    );
    finding.evidence.push(format!("refused | {}, {}", shown, count(calls.len(), "call")));
    Some(finding.message(format!("API call not allowed: {shown}")).at(PLACE))
}

/// Hooks called with another task's id.
fn foreign(task: &TaskState) -> Option<Finding> {
    let first = task.foreign_calls.first()?;
    let mut finding = Finding::new(
        "run.foreign_task",
        Severity::Error,
        format!("{} of another task: {}", if first.starts_with("heartbeat") { "Heartbeat" } else { "Result" }, clip(first, 60)),
        "What is reported for another task is lost there and missing here.",
        "Use the hooks, ids and chunkContext of the call that is being worked on, and keep none of them for the next.",
    );
    finding.evidence = task.foreign_calls.iter().take(NAMED).map(|call| format!("refused | {}", clip(call, 240))).collect();
    let hook = first.split(' ').next().unwrap_or_default();
    Some(finding.message(format!("API call not allowed: {hook} of another task")).at("hooks of the test run"))
}

/// More than a run keeps.
fn uploads(task: &TaskState) -> Option<Finding> {
    let (what, times) = task.overflow.as_ref()?;
    let finding = Finding::new(
        "run.uploads",
        Severity::Error,
        format!("Engine handed in more than a test run keeps: {} refused", clip(what, 30)),
        "A run keeps a few hundred results and assets, and a quarter of a gigabyte of them; an engine that goes on after that has no end.",
        "Hand in each result once, and stop when the API answers capacity_exceeded.",
    );
    let message = format!("Limit reached: {what} beyond what a test run keeps");
    Some(finding.message(message).at(PLACE).quote(format!("{what} | refused {}", count(*times as usize, "time"))))
}

/// Everything else its token does not allow.
fn refused(task: &TaskState) -> Option<Finding> {
    // What was refused for want of room is told as that.
    let calls: Vec<&String> = task.refused_calls.iter().filter(|call| task.overflow.is_none() || !call.contains("keeps")).collect();
    if calls.is_empty() {
        return None;
    }
    let shown = names(calls.iter().map(|call| call.split(':').next().unwrap_or_default()));
    let mut finding = Finding::new(
        "run.refused_calls",
        Severity::Warning,
        format!("{} of the API refused: {}", count(calls.len(), "call"), clip(&shown, 45)),
        WHY,
        "Remove these calls, or use the ids that came with the payload.",
    );
    finding.evidence = calls.iter().take(NAMED).map(|call| clip(call, 240)).collect();
    Some(finding.message(format!("API call not allowed: {shown}")).at(PLACE))
}

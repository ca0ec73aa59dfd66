//! Answers that are good and yet deserve a word: how they were given, what came after them, and whether they stay the same.

use model::{
    finding::{Finding, Severity},
    run::{EngineRun, Remark},
};

use super::{Call, NAMED};
use crate::{
    judge::Draft,
    wording::{clip, count, list},
};

const PLACE: &str = "POST of the process hook";

pub(super) fn findings(run: &EngineRun, calls: &[&Call<'_>]) -> Vec<Draft> {
    let all = [http10(calls), pieces(calls), late(run), repeated(run), differs(run)];
    all.into_iter().flatten().map(Draft::from).collect()
}

/// Samples whose answers have a remark.
fn with<'a>(calls: &[&'a Call<'_>], is: impl Fn(&Remark) -> bool) -> Vec<&'a str> {
    let has = |call: &&&Call<'_>| call.attempts.iter().any(|exchange| exchange.remarks.iter().any(&is));
    calls.iter().filter(has).map(|call| call.sample).take(NAMED).collect()
}

fn http10(calls: &[&Call<'_>]) -> Option<Finding> {
    let samples = with(calls, |remark| *remark == Remark::Http10);
    let first = *samples.first()?;
    let finding = Finding::new(
        "process.http10",
        Severity::Warning,
        "Engine answers in HTTP/1.0",
        "In HTTP/1.0 nobody can tell an answer that was cut off from a whole one, unless it says its length.",
        "Use a server that speaks HTTP/1.1; in Python: protocol_version = \"HTTP/1.1\" in the handler of http.server.",
    );
    Some(finding.message("Process call: answered in HTTP/1.0").at(format!("{PLACE} with {}", list(&samples, "and"))).sample(first))
}

fn pieces(calls: &[&Call<'_>]) -> Option<Finding> {
    let samples = with(calls, |remark| matches!(remark, Remark::Pieces { .. }));
    let first = *samples.first()?;
    let mut finding = Finding::new(
        "process.pieces",
        Severity::Warning,
        format!("Answer for {} came in pieces, for more than a minute", clip(first, 30)),
        "An answer that begins early and ends late holds a connection, and whoever waits for it cannot tell work from a hang.",
        "Answer when the result is there; or answer with estimatedProcessingTimeInSeconds, and send the result to resultWebhook.",
    );
    for call in calls {
        finding.evidence.extend(call.attempts.iter().flat_map(|exchange| &exchange.remarks).filter_map(|remark| match remark {
            Remark::Pieces { ms } => Some(format!("{} | from head to end {ms} ms", call.sample)),
            _ => None,
        }));
    }
    finding.evidence.truncate(NAMED);
    Some(finding.message(format!("Process call: the answer for {first} came in pieces")).at(format!("{PLACE} with {first}")).sample(first))
}

/// Hooks called after the task had ended.
fn late(run: &EngineRun) -> Option<Finding> {
    let first = run.task.late_calls.first()?;
    let mut finding = Finding::new(
        "process.late",
        Severity::Warning,
        format!("Called after the task was over: {}", clip(first, 50)),
        "The heartbeat complete or failed ends a task: what comes later is not looked at.",
        "Send every result first and the heartbeat complete last, and nothing after it.",
    );
    finding.evidence = run.task.late_calls.iter().take(NAMED).map(|call| format!("not looked at | {}", clip(call, 240))).collect();
    let hook = first.split(' ').next().unwrap_or_default();
    Some(finding.message(format!("Process call: {hook} after the end of the task")).at("hooks of the test run"))
}

/// Calls that failed only when the same sample was sent again.
fn repeated(run: &EngineRun) -> Option<Finding> {
    let failed: Vec<_> = run.repeats.iter().filter(|repeat| repeat.status != Some(200)).collect();
    let first = failed.first()?;
    let how = first.status.map_or_else(|| "no answer".to_owned(), |status| format!("HTTP {status}"));
    let finding = Finding::new(
        "process.repeat",
        Severity::Warning,
        format!("The same sample failed when it was sent again: {} got {how}", clip(&first.sample, 25)),
        "What works once has to work again: an engine gets the same kind of input all day.",
        "Look for what is used up by the first calls: connections, files, memory, a temporary folder.",
    );
    let times = format!("{} | {} of {} repetitions failed", first.sample, failed.len(), run.repeats.len());
    let message = format!("Process call: {} failed when it was repeated", first.sample);
    Some(finding.message(message).at(PLACE).quote(times).sample(&first.sample))
}

/// The same input, another result: worth knowing, and no fault.
fn differs(run: &EngineRun) -> Option<Finding> {
    let other: Vec<_> = run.repeats.iter().filter(|repeat| !repeat.differences.is_empty()).collect();
    let first = other.first()?;
    let mut finding = Finding::new(
        "process.differs",
        Severity::Info,
        format!("The same sample gave another result: {}", clip(&first.sample, 40)),
        "Results that change by themselves make two builds hard to compare. Many engines are like that; it is no fault.",
        "If it is not meant: fix the seed of the model, and the order in which results are written.",
    );
    finding.evidence = first.differences.iter().map(|line| clip(line, 240)).collect();
    finding.evidence.push(format!("{} differ from the first", count(other.len(), "result")));
    Some(
        finding.message(format!("Process call: {} gave another result when it was repeated", first.sample)).at(PLACE).sample(&first.sample),
    )
}

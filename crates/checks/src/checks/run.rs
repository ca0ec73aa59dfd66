//! `run`: the engine stays within its limits, and a batch engine ends well and hands something in (engine contract §2).

mod adapter;
mod calls;

use model::{
    capability::Capability,
    finding::{Finding, Severity},
    run::{EngineKind, EngineRun, LimitHit, NotTestable, Outcome, Phase, Ready, Stream},
};

use super::{
    ending::{self, Ending, ending},
    ran,
};
use crate::{
    evidence::{Evidence, ImageEvidence, ManifestEvidence, Refusal, RunEvidence, Unfetched},
    judge::{Check, Draft, Judge, Judgement, Needs},
    last_words::last_words,
    wording::{clip, count, list, size},
};

pub(super) const CHECK: Check = Check {
    id: "run",
    title: "The engine keeps its limits and ends well",
    help: include_str!("../../../../docs/checks/run.md"),
    needs: Needs::Run,
    judge: Judge::Evidence(judge),
};

/// Operations named in one finding.
const NAMED: usize = 5;

fn judge(evidence: &Evidence) -> Judgement {
    match &evidence.run {
        RunEvidence::Refused(_) if is_unread(evidence) => {
            return Judgement::CouldNotRun {
                reason: "the image could not be read; see checks image and manifest".to_owned(),
                finding: None,
            };
        }
        RunEvidence::Refused(refusal) => return refused(refusal),
        RunEvidence::Done(outcome) => {
            if let Outcome::NotTestable(why) = outcome.as_ref() {
                return not_testable(why);
            }
        }
        RunEvidence::Late(doing) => return Judgement::Judged(vec![late(doing, evidence.limits().wall_ms / 1000).into()]),
        RunEvidence::Pending | RunEvidence::Prevented(_) => {}
    }
    let run = match ran(evidence) {
        Ok(run) => run,
        Err(judgement) => return judgement,
    };
    let mut drafts: Vec<Draft> = Vec::new();
    let ended = ending(run);
    match ended {
        Ending::Memory => drafts.push(memory(run, evidence.limits().memory_bytes).into()),
        Ending::Time => drafts.push(time(run, evidence.limits().wall_ms).into()),
        Ending::Exit => drafts.extend(exit(run).map(Draft::from)),
        Ending::Done if run.kind == EngineKind::Batch && evidence.capability().is_some_and(Capability::is_adapter) => {
            drafts.extend(adapter::findings(run).into_iter().map(Draft::from))
        }
        Ending::Done if run.kind == EngineKind::Batch => drafts.extend(batch(run).map(Draft::from)),
        Ending::Done | Ending::BeforeReady | Ending::Crash => {}
    }
    let told = |hit: &&LimitHit| hit.limit == "wall_ms" || (hit.limit == "memory_bytes" && ended == Ending::Memory);
    drafts.extend(run.record.limits_hit.iter().filter(|hit| !told(hit)).map(|hit| limit(hit).into()));
    drafts.extend(log_cut(run).map(Draft::from));
    drafts.extend(calls::findings(&run.task).into_iter().map(Draft::from));
    drafts.extend(evidence.terms.unfetched.as_ref().map(unfetched).map(Draft::from));
    Judgement::Judged(drafts)
}

/// The sample of the engine's own could not be fetched; ours were sent.
fn unfetched(missing: &Unfetched) -> Finding {
    let finding = Finding::new(
        "run.sample_url",
        Severity::Warning,
        "The engine's own sample could not be fetched; those of its category were sent",
        "The registration names the address of a sample because ours do not suit the engine; what was tested with them says less.",
        "Mend the address (certification.sampleUrl), or give the sample as a file: PUT /v3/engines/ID/sample.",
    );
    // What stands behind the question mark may be a signature that opens more than this file.
    let address = missing.url.split(['?', '#']).next().unwrap_or_default();
    let finding =
        finding.message("The sample of the registration could not be fetched").at(clip(address, 200)).field("certification.sampleUrl");
    finding.quote(clip(&missing.reason, 240))
}

/// A part of the image could not be read by us, which another check tells.
fn is_unread(evidence: &Evidence) -> bool {
    matches!(evidence.image, ImageEvidence::Unread(_)) || matches!(evidence.manifest, ManifestEvidence::Unread(_))
}

fn refused(refusal: &Refusal) -> Judgement {
    let mut finding = Finding::new(
        "run.host",
        Severity::Error,
        format!("The engine could not be run: {}", clip(&refusal.reason, 55)),
        "Nothing is said about the engine: the fault is the gate's own. Without a safe sandbox nothing is run at all.",
        &refusal.mend,
    );
    finding.evidence = refusal.details.iter().take(10).map(|line| clip(line, 400)).collect();
    let finding = finding.message(format!("The engine could not be run: {}", refusal.reason)).at("this gate");
    Judgement::CouldNotRun { reason: refusal.reason.clone(), finding: Some(Box::new(finding.into())) }
}

/// Nobody is at fault and nothing blocks: a person decides what the gate cannot test.
fn not_testable(why: &NotTestable) -> Judgement {
    let (code, title, fix, place) = match why {
        NotTestable::Queue => (
            "run.queue",
            "This engine reads a message queue and cannot be tested here".to_owned(),
            "Ask a reviewer, or make it a webhook engine: set VERITONE_WEBHOOK_READY and VERITONE_WEBHOOK_PROCESS.",
            "engineMode in the manifest",
        ),
        NotTestable::Push => (
            "run.push",
            "This adapter waits to be sent something, and no contract says how".to_owned(),
            "Ask a reviewer; there is nothing to mend.",
            "category in the manifest",
        ),
        NotTestable::NoSample { formats } => {
            let formats: Vec<String> = formats.iter().take(NAMED).map(|format| clip(format, 60)).collect();
            let shown = if formats.is_empty() { "no format at all".to_owned() } else { list(&formats, "and") };
            (
                "run.no_sample",
                format!("There is no sample input of a type the engine takes: {}", clip(&shown, 35)),
                "Give the engine a sample of its own at its registration, or ask a reviewer.",
                "supportedInputFormats in the manifest",
            )
        }
    };
    let reason = match why {
        NotTestable::Queue => "queue engines cannot be tested here",
        NotTestable::Push => "push adapters cannot be tested here",
        NotTestable::NoSample { .. } => "there is no sample input of a type it takes",
    };
    let finding = Finding::new(
        code,
        Severity::Warning,
        title,
        "Nothing can be said about its run. That is no fault of the engine: a person decides.",
        fix,
    );
    let finding = finding.message(format!("The engine could not be tested: {reason}")).at(place);
    Judgement::CouldNotRun { reason: reason.to_owned(), finding: Some(Box::new(finding.into())) }
}

/// What it was doing when it ended.
fn phase(run: &EngineRun) -> String {
    match (run.kind, &run.ready, run.exchanges.last()) {
        (EngineKind::Batch | EngineKind::Queue, ..) => "while it worked".to_owned(),
        (_, Some(Ready::Ready { .. }), Some(last)) => format!("in the call with {}", last.sample),
        (_, Some(Ready::Ready { .. }), None) => "after it got ready".to_owned(),
        _ => "before it was ready".to_owned(),
    }
}

fn memory(run: &EngineRun, limit: u64) -> Finding {
    let phase = phase(run);
    let larger = match limit {
        limit if limit < 2 << 30 => "clusterSize medium (2 GB)",
        limit if limit < 6 << 30 => "clusterSize large (6 GB)",
        _ => "a smaller model",
    };
    let mut finding = Finding::new(
        "run.memory",
        Severity::Error,
        format!("Engine needed more than its {} of memory {phase}", size(limit)),
        "The cluster size in the manifest is the memory an engine gets, everywhere it runs.",
        format!("Use {larger}, or load less: a smaller model, half precision, one worker process."),
    );
    finding = finding.message(format!("Error running container: out of memory ({})", size(limit))).at(phase).field("clusterSize");
    finding.evidence.push(format!("peak | {}", size(run.record.peak_memory_bytes)));
    // Says how much of it were files, which are kept in memory.
    let ours = run.record.log.iter().filter(|line| line.stream == Stream::Gate && line.text.contains("ran out of memory"));
    finding.evidence.extend(ours.take(1).map(|line| format!("gate | {}", clip(&line.text, 240))));
    finding.evidence.extend(last_words(&run.record.log).lines);
    finding
}

/// The time of the run was over. It is what scanning and unpacking have left of the whole.
fn time(run: &EngineRun, whole_ms: u64) -> Finding {
    let had_ms = if run.wall_ms == 0 { whole_ms } else { run.wall_ms };
    let shown = duration(had_ms);
    let phase = match run.ran_out_in {
        Some(Phase::Later) => "while its hooks were waited for".to_owned(),
        _ => phase(run),
    };
    let mut finding = Finding::new(
        "run.timeout",
        Severity::Error,
        format!("Time of the test run ({shown}) was over {phase}"),
        "A test run has ten minutes in all; maxTTL in every call says how much of it is left.",
        "Load the model before the ready hook answers 200, and answer each call as soon as its result is there.",
    );
    // Scanning, unpacking and running together had the whole time, and all of it is over.
    let all = if had_ms >= whole_ms / 2 { format!("{} s", whole_ms / 1000) } else { shown.clone() };
    finding = finding.message(format!("Test timed out after {all}")).at(phase);
    if had_ms < whole_ms {
        finding
            .evidence
            .push(format!("time | {shown} were left of the {} s for scanning, unpacking and running together", whole_ms / 1000));
    }
    let slow = run.exchanges.iter().rev().take(3);
    finding
        .evidence
        .extend(slow.map(|exchange| format!("{} | attempt {}, {} s", exchange.sample, exchange.attempt, exchange.duration_ms / 1000)));
    finding.evidence.extend(last_words(&run.record.log).lines);
    finding
}

/// Whole seconds, or tenths where there are few.
fn duration(ms: u64) -> String {
    if ms < 10_000 && !ms.is_multiple_of(1000) { format!("{:.1} s", ms as f64 / 1000.0) } else { format!("{} s", ms / 1000) }
}

/// The time was over before the engine was started.
fn late(doing: &str, seconds: u64) -> Finding {
    let finding = Finding::new(
        "run.timeout",
        Severity::Error,
        format!("Time of the test ({seconds} s) was over while {}", clip(doing, 45)),
        "Scanning, unpacking and running have ten minutes together; waiting for a free place does not count.",
        "Make the image smaller: fewer files, no build tools, no data the engine does not need. Then push it again.",
    );
    finding.message(format!("Test timed out after {seconds} s")).at(format!("while {doing}"))
}

/// A batch engine that ended with a failure.
fn exit(run: &EngineRun) -> Option<Finding> {
    let how = ending::words(&run.record.exit)?;
    let words = last_words(&run.record.log);
    let said = words.cause.as_deref().map(|cause| format!(": {}", clip(cause, 50))).unwrap_or_default();
    let fix = match (&words.place, ending::hint(&run.record.exit)) {
        (Some(place), _) => format!("Mend {place}."),
        (None, Some(hint)) => hint.to_owned(),
        (None, None) => "Mend what the quoted lines say; a batch engine ends with exit code 0 when its work is done.".to_owned(),
    };
    let why = "A batch engine says by exit code 0 that its work is done; any other end is a failure.";
    let mut finding = Finding::new("run.exit", Severity::Error, format!("Engine ended with {how}{said}"), why, fix);
    finding = finding.message(format!("Error running container: {how}"));
    finding.place = Some(words.place.unwrap_or_else(|| format!("process {}", clip(&run.args.join(" "), 120))));
    finding.evidence = words.lines;
    finding.evidence.extend(run.task.failure_message.iter().map(|text| format!("task failed | {}", clip(text, 240))));
    Some(finding)
}

/// A batch engine that ended with exit code 0: its task has to be complete, and something handed in.
fn batch(run: &EngineRun) -> Option<Finding> {
    let last = run.task.statuses.last().map(String::as_str);
    let why = "Nobody but the engine knows when its task is done and what came of it: it has to say so through the API.";
    let said = last.map_or_else(|| "it set none".to_owned(), |status| format!("the last it set is {}", clip(status, 20)));
    let mut finding = match last {
        Some("complete") if run.outputs.is_empty() => Finding::new(
            "run.result",
            Severity::Error,
            "Engine completed its task without handing in any result",
            why,
            "Hand the result in before completing the task: uploadEngineResult or createAsset, or output of updateTask.",
        )
        .message("Engine result missing: neither an asset nor an output was handed in"),
        Some("complete") => return None,
        Some("failed") => {
            let reason = run.task.failure_reason.as_deref().or(run.task.failure_message.as_deref()).unwrap_or("no reason given");
            Finding::new(
                "run.task",
                Severity::Error,
                format!("Engine set its task to failed: {}", clip(reason, 55)),
                why,
                "Mend what the engine reports.",
            )
            .message(format!("Engine task failed: {}", clip(reason, 100)))
        }
        Some("paused") => Finding::new(
            "run.paused",
            Severity::Warning,
            "Engine paused its task and was not woken up to go on; what follows was not tested",
            "An engine that waits for somebody else is woken up once, when its wake-up address was called; only what it did is certified.",
            "Call externalCallbackWebhook of the payload before the end, as the other side would; or let a reviewer look at the second part.",
        )
        .message("Engine task paused: the part after the pause was not tested"),
        _ => Finding::new(
            "run.task",
            Severity::Error,
            format!("Engine ended without completing its task: {said}"),
            why,
            "Call updateTask(input: {id: taskId, status: complete}) before the end.",
        )
        .message("Engine task not complete"),
    };
    finding.place = Some(format!("task of the test run, {} of the API", count(run.task.api_calls as usize, "call")));
    finding.evidence = run.task.refused_calls.iter().take(NAMED).map(|call| format!("refused | {}", clip(call, 240))).collect();
    finding.evidence.extend(last_words(&run.record.log).lines);
    Some(finding)
}

/// A limit that was reached without ending the run.
fn limit(hit: &LimitHit) -> Finding {
    let allowed = hit.allowed;
    let (code, fact, fix) = match hit.limit.as_str() {
        "memory_bytes" => (
            "run.memory",
            format!("Engine reached its memory limit of {}", size(allowed)),
            "Use a larger clusterSize, or load less.".to_owned(),
        ),
        "pids" => (
            "run.pids",
            format!("Engine reached its limit of {allowed} processes and threads"),
            "Start fewer workers and threads; set OMP_NUM_THREADS and the like.".to_owned(),
        ),
        "log_bytes" => (
            "run.log",
            format!("Engine wrote more log than the {} that are kept", size(allowed)),
            "Log less: one line per call is enough.".to_owned(),
        ),
        "log_line_bytes" => {
            ("run.log", format!("Engine wrote log lines longer than {}", size(allowed)), "Do not log whole inputs or results.".to_owned())
        }
        "file_bytes" => {
            ("run.files", format!("Engine tried to write a file larger than {}", size(allowed)), "Write less, or in parts.".to_owned())
        }
        "writable_bytes" => (
            "run.files",
            format!("Engine filled the {} it may write", size(allowed)),
            "Write less, and remove what is no longer needed.".to_owned(),
        ),
        "files" => (
            "run.files",
            format!("Engine made as many files as it may: {allowed}"),
            "Make fewer files, and remove those no longer needed.".to_owned(),
        ),
        other => ("run.limit", format!("Engine reached the limit {} of {allowed}", clip(other, 40)), "Use less of it.".to_owned()),
    };
    let why = "What goes beyond a limit is refused or dropped, here and wherever the engine runs.";
    let finding = Finding::new(code, Severity::Warning, fact.clone(), why, fix);
    finding.message(format!("Limit reached: {fact}")).at("test run").quote(format!("highest value | {}", hit.peak))
}

/// Log lines were dropped, and no limit says so.
fn log_cut(run: &EngineRun) -> Option<Finding> {
    let told = run.record.limits_hit.iter().any(|hit| hit.limit.starts_with("log_"));
    (run.record.log_truncated && !told).then(|| {
        let finding = Finding::new(
            "run.log",
            Severity::Warning,
            "Engine wrote more log than is kept",
            "What goes beyond is dropped: the lines that explain a failure may be among them.",
            "Log less: one line per call is enough.",
        );
        finding.message("Limit reached: more log than is kept").at("test run")
    })
}

#[cfg(test)]
pub(super) mod tests;

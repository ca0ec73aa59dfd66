//! `output`: every result is there, is JSON, and keeps the contract of the engine's capability (output standard §6).

mod document;
mod file;
mod group;
mod pasted;
mod sense;

pub use pasted::judge_pasted;

use model::{
    capability::Capability,
    finding::{Finding, Severity},
    run::{EngineKind, EngineOutput, EngineRun, Ready},
};

use super::{
    process::{Call, calls},
    ran,
};
use crate::{
    contract::mime,
    evidence::Evidence,
    judge::{Check, Draft, Judge, Judgement, Needs},
    wording::{clip, list, size},
};

pub(super) const CHECK: Check = Check {
    id: "output",
    title: "Results are there and keep their contract",
    help: include_str!("../../../../docs/checks/output.md"),
    needs: Needs::Run,
    judge: Judge::Evidence(judge),
};

/// Samples named in one finding.
const NAMED: usize = 5;

/// Ways by which a result comes that is an asset of any kind, or a note, and not necessarily a result document.
const SIDE_WAYS: [&str; 2] = ["createAsset", "updateTask"];

fn judge(evidence: &Evidence) -> Judgement {
    let run = match ran(evidence) {
        Ok(run) => run,
        Err(judgement) => return judgement,
    };
    let capability = evidence.capability();
    if capability.is_some_and(Capability::is_adapter) {
        return Judgement::Skipped("an adapter brings data in; it gives no results".to_owned());
    }
    let mut findings = Findings { evidence, capability, drafts: Vec::new(), documents: Vec::new() };
    let judged = if run.kind == EngineKind::Webhook { webhook(run, &mut findings) } else { batch(run, &mut findings) };
    match judged {
        Err(reason) => Judgement::Skipped(reason.to_owned()),
        Ok(()) => {
            let mut drafts = findings.drafts;
            drafts.extend(group::findings(&findings.documents, capability));
            drafts.extend(beyond(run, &findings.documents).map(Draft::from));
            Judgement::Judged(drafts)
        }
    }
}

/// What was found so far.
struct Findings<'a> {
    evidence: &'a Evidence,
    capability: Option<Capability>,
    drafts: Vec<Draft>,
    /// Documents that could be read, for the findings that many of them share.
    documents: Vec<document::Judged>,
}

fn webhook(run: &EngineRun, findings: &mut Findings<'_>) -> Result<(), &'static str> {
    if !matches!(run.ready, Some(Ready::Ready { .. })) {
        return Err("the engine did not get ready; see check ready");
    }
    let calls = calls(run);
    let answered: Vec<&Call<'_>> = calls.iter().filter(|call| !call.expect_refusal && call.is_answered()).collect();
    if answered.is_empty() {
        return Err("no call succeeded; see checks process and run");
    }
    let of = |call: &Call<'_>| run.outputs.iter().filter(|output| output.sample == call.sample).collect::<Vec<_>>();
    let blank = |call: &&&Call<'_>| of(call).iter().all(|output| is_blank(output));
    let missing: Vec<&&Call<'_>> = answered.iter().filter(blank).collect();
    findings.drafts.extend(missing_results(&missing).map(Draft::from));
    for call in answered.iter().filter(|call| !blank(call)) {
        of(call).into_iter().filter(|output| !is_blank(output)).for_each(|output| findings.look(output));
    }
    Ok(())
}

fn batch(run: &EngineRun, findings: &mut Findings<'_>) -> Result<(), &'static str> {
    if run.outputs.is_empty() {
        return Err("no result was handed in; see check run");
    }
    run.outputs.iter().filter(|output| !is_blank(output)).for_each(|output| findings.look(output));
    Ok(())
}

/// Rounding, and the silence that recordings are padded with.
const SLACK_MS: u64 = 1_000;

/// Times beyond the end of the sample, counted from its own beginning or from that of the recording.
fn beyond(run: &EngineRun, documents: &[document::Judged]) -> Option<Finding> {
    let end = |sample: &str| {
        run.exchanges.iter().find(|exchange| exchange.sample == sample).map(|exchange| exchange.span_ms.1).filter(|end| *end > 0)
    };
    let (document, (index, time), end) = documents.iter().find_map(|document| {
        let (latest, end) = (document.sense.latest?, end(&document.sample)?);
        (latest.1 > end + SLACK_MS).then_some((document, latest, end))
    })?;
    let path = format!(".series[{index}]");
    let finding = Finding::new(
        "output.times_beyond",
        Severity::Warning,
        format!("Result: {path} ends at {time} ms, the sample at {end} ms"),
        "What lies beyond the end of a recording is shown by no player.",
        "Count in milliseconds, from the beginning of the chunk or, with startOffsetMS added, from that of the recording.",
    );
    let message = format!("Output check: {path} ends beyond the end of the sample");
    Some(finding.message(message).at(document.place.clone()).sample(&document.sample))
}

fn is_blank(output: &EngineOutput) -> bool {
    output.body.iter().all(u8::is_ascii_whitespace) && !output.truncated
}

/// Samples that were answered without a result, all in one finding.
fn missing_results(calls: &[&&Call<'_>]) -> Option<Finding> {
    let first = calls.first()?;
    let samples: Vec<&str> = calls.iter().take(NAMED).map(|call| call.sample).collect();
    let shown = list(&samples, "and");
    let ignored = calls.iter().all(|call| call.is_ignored());
    let how = if ignored {
        "answered HTTP 204, which means ignored"
    } else if calls.iter().all(|call| call.came_later()) {
        "said complete and sent none"
    } else {
        "answered HTTP 200 with an empty body"
    };
    let finding = Finding::new(
        "output.missing",
        Severity::Error,
        format!("No result for {}: the engine {how}", clip(&shown, 25)),
        "The sample is of a type the engine lists, so a result is expected; an empty answer is often a swallowed exception.",
        "Answer 200 with the result as JSON, and 500 with the reason when something goes wrong.",
    );
    Some(
        finding
            .message(format!("Output check: no result for {shown}"))
            .at(format!("answer of the process hook, sample {}", first.sample))
            .sample(first.sample),
    )
}

impl Findings<'_> {
    /// Looks at one result: its type, whether it is whole, then its content.
    fn look(&mut self, output: &EngineOutput) {
        let kind = mime::essence(&output.content_type);
        let is_json = kind == "application/json" || kind == "text/json" || kind.ends_with("+json");
        if SIDE_WAYS.contains(&output.via.as_str()) && !(output.via == "createAsset" && is_json) {
            return;
        }
        if output.truncated {
            self.drafts.push(too_large(output).into());
            return;
        }
        let looks_json = output.body.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| *byte == b'{');
        let listed = self.evidence.manifest().is_some_and(|manifest| mime::covers(&manifest.output_formats, &kind));
        let may_be_file = self.capability.is_none_or(Capability::allows_file_output);
        let expected = is_json || (listed && may_be_file);
        if !expected {
            self.drafts.push(wrong_type(output, looks_json, listed).into());
        }
        if is_json || looks_json {
            self.read(output);
        } else if expected {
            self.drafts.extend(file::fault(output, &kind).map(Draft::from));
        }
    }

    fn read(&mut self, output: &EngineOutput) {
        match document::judge(output, self.capability) {
            Ok(judged) => self.documents.push(judged),
            Err(finding) => self.drafts.push((*finding).into()),
        }
    }
}

/// Where a result came from, for people.
fn place(output: &EngineOutput) -> String {
    let way = match output.via.as_str() {
        "response" => "answer of the process hook",
        "resultWebhook" => "call of the result webhook",
        other => other,
    };
    format!("{way}, sample {}", output.sample)
}

fn too_large(output: &EngineOutput) -> Finding {
    let kept = size(output.body.len() as u64);
    let finding = Finding::new(
        "output.too_large",
        Severity::Error,
        format!("Result of {} is cut off after {kept}", clip(&output.sample, 40)),
        "A result that is not whole cannot be read; larger ones than this are not taken.",
        "Give smaller results: one per chunk, without copies of the input.",
    );
    finding
        .message(format!("Output check: the result is not whole; {kept} of it came or were taken"))
        .at(place(output))
        .sample(&output.sample)
}

/// A content type nobody expects, or a file where JSON is needed.
fn wrong_type(output: &EngineOutput, looks_json: bool, listed: bool) -> Finding {
    let shown = if output.content_type.is_empty() { "no content type".to_owned() } else { clip(&output.content_type, 40) };
    let (title, fix) = if looks_json {
        (
            format!("Result of {} is JSON but is sent as {shown}", clip(&output.sample, 25)),
            "Send it with the header Content-Type: application/json.".to_owned(),
        )
    } else if listed {
        (
            format!("Result of {} is {shown}, not JSON", clip(&output.sample, 25)),
            "Answer with a JSON document of the output standard; engines of this category give no files.".to_owned(),
        )
    } else {
        (
            format!("Result of {} is {shown}, which outputFormats does not list", clip(&output.sample, 20)),
            format!("Answer with JSON, or list {shown} under outputFormats in the manifest."),
        )
    };
    let finding = Finding::new(
        "output.content_type",
        Severity::Error,
        title,
        "The content type decides how a result is read: as a result document, or as a file of that type.",
        fix,
    );
    let first = String::from_utf8_lossy(output.body.get(..200).unwrap_or(&output.body)).into_owned();
    let mut finding =
        finding.message(format!("Output check: content type {shown} is not expected")).at(place(output)).sample(&output.sample);
    finding.value = Some(output.content_type.clone());
    finding.quote(clip(first.trim(), 200))
}

#[cfg(test)]
pub(super) mod tests;

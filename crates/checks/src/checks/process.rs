//! `process`: a webhook engine answers every call, and refuses cleanly what it does not take (engine contract §1.3).

mod manner;

use model::{
    finding::{Finding, Severity},
    run::{EngineKind, EngineRun, Exchange, Later, Ready, Remark},
};

use super::{
    ending::{self, Ending, ending},
    ran,
};
use crate::{
    evidence::Evidence,
    judge::{Check, Draft, Judge, Judgement, Needs},
    last_words::{LastWords, last_words},
    wording::{clip, count, list},
};

pub(super) const CHECK: Check = Check {
    id: "process",
    title: "The engine answers every call",
    help: include_str!("../../../../docs/checks/process.md"),
    needs: Needs::Run,
    judge: Judge::Evidence(judge),
};

/// Samples named in one finding.
const NAMED: usize = 5;

const WHY: &str = "A call that fails is repeated, and in the end its part of the work is lost.";

/// All calls with one sample.
pub(super) struct Call<'a> {
    /// Id of the sample.
    pub sample: &'a str,
    /// MIME type sent.
    pub mime_type: &'a str,
    /// A clean refusal is expected.
    pub expect_refusal: bool,
    attempts: Vec<&'a Exchange>,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Failure {
    /// Another status than 200 or 204, and the first line of the body.
    Status(u16, String),
    /// It leads elsewhere.
    Redirect(u16, String),
    /// No whole answer, and what was heard instead.
    NoAnswer(String),
    /// It promised a result for later and went silent.
    Silent,
    /// It reported that it failed.
    Reported,
}

/// The calls of a run, in order.
pub(super) fn calls(run: &EngineRun) -> Vec<Call<'_>> {
    let mut calls: Vec<Call<'_>> = Vec::new();
    for exchange in &run.exchanges {
        match calls.iter_mut().find(|call| call.sample == exchange.sample) {
            Some(call) => call.attempts.push(exchange),
            None => calls.push(Call {
                sample: &exchange.sample,
                mime_type: &exchange.mime_type,
                expect_refusal: exchange.expect_refusal,
                attempts: vec![exchange],
            }),
        }
    }
    calls
}

impl<'a> Call<'a> {
    fn last(&self) -> Option<&'a Exchange> {
        self.attempts.last().copied()
    }

    /// Answered with 200 or 204 in the end.
    pub(super) fn is_answered(&self) -> bool {
        self.last().is_some_and(|exchange| failure(exchange).is_none())
    }

    /// The answer promised a result for later.
    pub(super) fn came_later(&self) -> bool {
        self.last().is_some_and(|exchange| exchange.later.is_some())
    }

    /// Answered 204: the engine ignored the sample.
    pub(super) fn is_ignored(&self) -> bool {
        self.is_answered() && self.last().is_some_and(|exchange| exchange.status == Some(204))
    }
}

fn failure(exchange: &Exchange) -> Option<Failure> {
    match (&exchange.later, exchange.status, &exchange.error) {
        (Some(Later::Silent { .. }), ..) => Some(Failure::Silent),
        (Some(Later::Failed { .. }), ..) => Some(Failure::Reported),
        (Some(Later::OutOfTime { .. } | Later::ProcessEnded), ..) => {
            Some(Failure::NoAnswer("what it promised for later never came".to_owned()))
        }
        (_, Some(200 | 204), None) => None,
        (_, Some(status), None) if redirect(exchange).is_some() => {
            Some(Failure::Redirect(status, redirect(exchange).unwrap_or_default().to_owned()))
        }
        (_, Some(status), None) => Some(Failure::Status(status, first_line(&exchange.body_excerpt))),
        (_, _, error) => Some(Failure::NoAnswer(error.clone().unwrap_or_else(|| "nothing was heard".to_owned()))),
    }
}

/// Where an answer leads instead of being one.
fn redirect(exchange: &Exchange) -> Option<&str> {
    exchange.remarks.iter().find_map(|remark| if let Remark::Redirect { to } = remark { Some(to.as_str()) } else { None })
}

fn first_line(body: &str) -> String {
    clip(body.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default(), 200)
}

fn judge(evidence: &Evidence) -> Judgement {
    let run = match ran(evidence) {
        Ok(run) => run,
        Err(judgement) => return judgement,
    };
    if run.kind != EngineKind::Webhook {
        return Judgement::Skipped("a batch engine is not called; see check run".to_owned());
    }
    if !matches!(run.ready, Some(Ready::Ready { .. })) {
        return Judgement::Skipped("the engine did not get ready; see check ready".to_owned());
    }
    let (calls, words) = (calls(run), last_words(&run.record.log));
    let ended = ending(run);
    let mut drafts: Vec<Draft> = Vec::new();
    drafts.extend((ended == Ending::Crash).then(|| crash(run, &calls, &words).into()));
    // What the end of the run cut off is told with the end.
    let cut_off = |call: &&Call<'_>| ended != Ending::Done && call.last().is_some_and(|last| is_cut_off(last, run));
    let wanted: Vec<&Call<'_>> = calls.iter().filter(|call| !call.expect_refusal && !cut_off(call)).collect();
    drafts.extend(failed(run, &wanted, &words).into_iter().map(Draft::from));
    drafts.extend(retried(&wanted).map(Draft::from));
    drafts.extend(manner::findings(run, &wanted));
    drafts.extend(calls.iter().filter(|call| call.expect_refusal && !cut_off(call)).filter_map(|call| refusal(call)));
    if drafts.is_empty() && matches!(ended, Ending::Memory | Ending::Time) {
        return Judgement::Skipped("the run was ended before all calls were made; see check run".to_owned());
    }
    Judgement::Judged(drafts)
}

/// The call during which the run came to its end.
fn is_cut_off(exchange: &Exchange, run: &EngineRun) -> bool {
    let last = run.exchanges.last().is_some_and(|last| std::ptr::eq(last, exchange));
    let unfinished = failure(exchange).is_some_and(|failure| !matches!(failure, Failure::Status(..)));
    exchange.process_ended || matches!(exchange.later, Some(Later::OutOfTime { .. } | Later::ProcessEnded)) || (last && unfinished)
}

fn crash(run: &EngineRun, calls: &[Call<'_>], words: &LastWords) -> Finding {
    let how = ending::words(&run.record.exit).unwrap_or_else(|| "an unknown reason".to_owned());
    let during =
        calls.iter().find(|call| call.last().is_some_and(|last| last.process_ended || matches!(last.later, Some(Later::ProcessEnded))));
    let (call, when) = match (during, calls.last()) {
        (Some(call), _) => (Some(call), "during the call with"),
        (None, last) => (last, "after the call with"),
    };
    let place =
        call.map_or_else(|| "before the first call".to_owned(), |call| format!("{when} {} ({})", call.sample, clip(call.mime_type, 40)));
    let unlisted = call.is_some_and(|call| call.expect_refusal);
    let title = match call {
        Some(call) if unlisted => format!("Engine ended with {how} when it was sent {}", clip(call.mime_type, 30)),
        Some(call) => format!("Engine ended with {how} {when} {}", clip(call.sample, 25)),
        None => format!("Engine ended with {how} before the first call"),
    };
    let fix = match (&words.place, ending::hint(&run.record.exit)) {
        (Some(place), _) => format!("Mend {place}; an error in one call must not end the process."),
        (None, Some(hint)) => hint.to_owned(),
        (None, None) if unlisted => "Look at chunkMimeType first, and answer 400 or 204 for what the engine does not take.".to_owned(),
        (None, None) => "Mend what the quoted lines say; an error in one call must not end the process.".to_owned(),
    };
    let why = "An engine that ends takes all its other work with it.";
    let mut finding = Finding::new("process.crash", Severity::Error, title, why, fix).message(format!("Error running container: {how}"));
    finding.place = Some(words.place.clone().map_or(place.clone(), |line| format!("{line}, {place}")));
    finding.evidence.clone_from(&words.lines);
    finding.sample = call.map(|call| call.sample.to_owned());
    finding
}

/// One finding per way to fail, with all the samples that failed in it.
fn failed(run: &EngineRun, calls: &[&Call<'_>], words: &LastWords) -> Vec<Finding> {
    let mut groups: Vec<(Failure, Vec<&Call<'_>>)> = Vec::new();
    for call in calls {
        let Some(failure) = call.last().and_then(failure) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == failure) {
            Some((_, group)) => group.push(call),
            None => groups.push((failure, vec![call])),
        }
    }
    groups.iter().map(|(failure, group)| of_failure(run, failure, group, words)).collect()
}

fn of_failure(run: &EngineRun, failure: &Failure, group: &[&Call<'_>], words: &LastWords) -> Finding {
    let samples: Vec<&str> = group.iter().take(NAMED).map(|call| call.sample).collect();
    let shown = list(&samples, "and");
    let attempts = group.first().map_or(0, |call| call.attempts.len());
    let (code, title, message) = facts(run, failure, &shown, words);
    let fix = match (failure, &words.place) {
        (_, Some(place)) => format!("Mend {place}."),
        (Failure::Status(404 | 405, _), None) => "Serve POST at exactly the path of VERITONE_WEBHOOK_PROCESS.".to_owned(),
        (Failure::Redirect(..), None) => "Answer the call itself: redirects are not followed, wherever the engine runs.".to_owned(),
        (Failure::Silent, None) => "Send a heartbeat at least once a minute while work goes on, and complete at its end.".to_owned(),
        (Failure::Status(..) | Failure::NoAnswer(_) | Failure::Reported, None) => {
            "Mend what the evidence says; print the traceback to stderr, and it is quoted here.".to_owned()
        }
    };
    let mut finding = Finding::new(code, Severity::Error, title, WHY, fix).message(message);
    let call = format!("POST of the process hook with {shown}, {}", count(attempts, "attempt"));
    finding.place = Some(words.place.as_ref().map_or_else(|| call.clone(), |line| format!("{line}, {call}")));
    if let Some(last) = group.first().and_then(|call| call.last()) {
        finding.evidence.extend(answer(last));
        finding.sample = Some(last.sample.clone());
    }
    let reported = run.task.failure_message.iter().filter(|_| *failure == Failure::Reported);
    finding.evidence.extend(reported.map(|text| format!("failureMsg | {}", clip(text, 240))));
    // Without a traceback the last lines are mostly those of an access log: the answer says more.
    if finding.evidence.is_empty() || words.cause.is_some() {
        finding.evidence.extend(words.lines.iter().cloned());
    }
    finding
}

/// Code, title and sentence of a failure of the samples `shown`.
fn facts(run: &EngineRun, failure: &Failure, shown: &str, words: &LastWords) -> (&'static str, String, String) {
    match failure {
        Failure::Status(status, line) => {
            let said = words.cause.as_deref().unwrap_or(line);
            let title = match said {
                "" => format!("/process answered HTTP {status} for {}", clip(shown, 50)),
                said => format!("/process answered HTTP {status}: {}", clip(said, 58)),
            };
            let message = format!("Process call failed: HTTP {status}: {line}");
            ("process.failed", title, message.trim_end_matches([':', ' ']).to_owned())
        }
        Failure::Redirect(status, to) => (
            "process.redirect",
            format!("/process answered HTTP {status} and leads to {}", clip(to, 40)),
            format!("Process call failed: HTTP {status}: redirect to {}", clip(to, 100)),
        ),
        Failure::NoAnswer(heard) => {
            let title = match words.cause.as_deref() {
                Some(cause) => format!("/process gave no complete answer for {}: {}", clip(shown, 15), clip(cause, 35)),
                None => format!("/process, {}: {}", clip(shown, 20), clip(heard, 58)),
            };
            ("process.failed", title, format!("Process call failed: no complete answer: {}", clip(&without_figures(heard), 150)))
        }
        Failure::Silent => (
            "process.silent",
            format!("The result promised for {} never came", clip(shown, 40)),
            "Process call failed: heartbeat_timeout: neither a result nor a heartbeat".to_owned(),
        ),
        Failure::Reported => {
            let reason = run.task.failure_reason.as_deref().unwrap_or("no reason given");
            (
                "process.reported",
                format!("Engine reported failure of {}: {}", clip(shown, 25), clip(reason, 30)),
                format!("Process call failed: the engine reported: {}", clip(reason, 100)),
            )
        }
    }
}

/// A message must be the same for the same fault: how many bytes came before is in the evidence.
fn without_figures(heard: &str) -> String {
    let plain: String = heard.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
    let mut text = String::new();
    for c in plain.chars().filter(|c| *c != '\u{fffd}') {
        if c != '#' {
            text.push(c);
        } else if !text.ends_with('N') {
            text.push('N');
        }
    }
    text
}

/// The first lines of an answer, or what was heard instead of one.
fn answer(exchange: &Exchange) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(error) = &exchange.error {
        lines.push(format!("call | {}", clip(error, 240)));
    }
    let body = exchange.body_excerpt.lines().filter(|line| !line.trim().is_empty()).take(3);
    lines.extend(body.map(|line| format!("answer | {}", clip(line.trim(), 240))));
    lines
}

/// Samples that needed more than one attempt, all in one finding.
fn retried(calls: &[&Call<'_>]) -> Option<Finding> {
    let again = |call: &&&Call<'_>| call.is_answered() && call.attempts.iter().any(|exchange| failure(exchange).is_some());
    let group: Vec<&&Call<'_>> = calls.iter().filter(again).collect();
    let first = group.first()?;
    let samples: Vec<&str> = group.iter().take(NAMED).map(|call| call.sample).collect();
    let mut finding = Finding::new(
        "process.retried",
        Severity::Warning,
        format!("Call with {} failed at first and succeeded when repeated", clip(&list(&samples, "and"), 35)),
        WHY,
        "Find out what the first attempt was refused for; answer 503 from the ready hook until all is loaded.",
    );
    if let Some(earlier) = first.attempts.iter().find(|exchange| failure(exchange).is_some()) {
        let status = earlier.status.map_or_else(|| "no answer".to_owned(), |status| format!("HTTP {status}"));
        finding.evidence.push(format!("attempt {} | {status}", earlier.attempt));
        finding.evidence.extend(answer(earlier));
    }
    let message = format!("Process call repeated: {}", list(&samples, "and"));
    Some(finding.message(message).at("POST of the process hook").sample(first.sample))
}

/// What the engine did with a type it does not list.
fn refusal(call: &Call<'_>) -> Option<Draft> {
    let last = call.last()?;
    let refused = last.error.is_none() && last.status.is_some_and(|status| status == 204 || status >= 400);
    if refused {
        return None;
    }
    let mime = clip(call.mime_type, 40);
    let why = "Sooner or later an engine gets data it cannot read; it has to say so, and be there for the next call.";
    let fix = format!("Look at chunkMimeType before anything else, and answer 400 (or 204 to ignore it) for {mime}.");
    let answered = last.error.is_none() && last.status.is_some();
    let finding = if answered {
        let status = last.status.unwrap_or_default();
        Finding::new(
            "process.refusal",
            Severity::Warning,
            format!("Engine answered HTTP {status} to {mime}, which it does not list"),
            why,
            fix,
        )
        .message(format!("Process call failed: {mime} is not listed and was not refused"))
    } else {
        Finding::new("process.refusal", Severity::Error, format!("Engine gave no answer to {mime}, which it does not list"), why, fix)
            .message(format!("Process call failed: {mime} is not listed and was not refused cleanly"))
    };
    let mut finding = finding.at(format!("POST of the process hook with {}", call.sample)).sample(call.sample);
    finding.evidence = answer(last);
    Some(Draft::strictly(finding, Severity::Error))
}

#[cfg(test)]
pub(super) mod tests;

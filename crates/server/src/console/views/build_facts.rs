//! Facts, figures and history of a build.

use model::{
    build::{BuildStatus, Event},
    report::{Change, Comparison, Report},
};
use store::builds::{Build, HistoryLine};

use super::{
    badge::{self, Badge},
    log::plain,
    words::{self, When},
};

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is.
    pub label: &'static str,
    /// What it amounts to.
    pub value: String,
    /// Set in fixed width, and breakable anywhere.
    pub is_code: bool,
}

fn fact(label: &'static str, value: impl Into<String>) -> Fact {
    Fact { label, value: value.into(), is_code: false }
}

fn code(label: &'static str, value: impl Into<String>) -> Fact {
    Fact { label, value: value.into(), is_code: true }
}

/// What was pushed. `reference` is the image's full name.
pub fn facts(build: &Build, report: Option<&Report>, reference: &str) -> Vec<Fact> {
    let mut facts = vec![code("Image", reference), code("Digest", build.digest.to_string())];
    if let Some(report) = report {
        facts.extend(report.platform.as_ref().map(|platform| fact("Platform", platform)));
        facts.push(fact("Size of the layers", words::size(report.image_size_bytes)));
        facts.extend(report.deployment_model.as_ref().map(|model| fact("Tested as", model)));
    }
    facts.push(fact("Pushed by", &build.pushed_by));
    facts.push(code("Build id", build.id.to_string()));
    facts
}

/// A call of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRow {
    /// Which sample.
    pub sample: String,
    /// Which try.
    pub attempt: u32,
    /// HTTP status, or that there was no answer.
    pub status: String,
    /// How long it took.
    pub duration: String,
    /// Size of the result.
    pub size: String,
}

/// What was measured in the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// The large numbers.
    pub numbers: Vec<Fact>,
    /// Calls of the engine.
    pub requests: Vec<RequestRow>,
    /// The time of the whole run was over.
    pub timed_out: bool,
    /// What has changed since other builds, one line per build.
    pub compared: Vec<String>,
}

/// The figures of a report; `None` when nothing was run.
pub fn figures(report: &Report) -> Option<Figures> {
    let stats = report.stats.as_ref()?;
    let mut numbers = Vec::new();
    numbers.extend(stats.ready_ms.map(|ms| fact("Ready after", words::duration(ms))));
    if !stats.requests.is_empty() {
        numbers.push(fact("Requests", stats.requests.len().to_string()));
    }
    numbers.push(fact("Results", words::size(stats.result_bytes)));
    numbers.push(fact("Peak memory", words::size(stats.peak_memory_bytes)));
    numbers.push(fact("CPU time", words::duration(stats.cpu_ms)));
    numbers.push(fact("Wall time", words::duration(stats.wall_ms)));
    numbers.extend(stats.peak_pids.map(|number| fact("Peak processes", number.to_string())));
    numbers.extend(stats.read_bytes.map(|bytes| fact("Read", words::size(bytes))));
    numbers.extend(stats.written_bytes.map(|bytes| fact("Written", words::size(bytes))));
    let files = &stats.files_written;
    if files.count > 0 {
        numbers.push(fact("Files left", format!("{} ({})", files.count, words::size(files.bytes))));
    }
    if let Some(benchmark) = &report.benchmark {
        let latency = format!("{} / {} / {} ms", benchmark.p50_ms, benchmark.p95_ms, benchmark.max_ms);
        numbers.push(fact("Latency p50 / p95 / max", latency));
        numbers.push(fact("Calls per second", benchmark.calls_per_second.to_string()));
        numbers.extend(benchmark.accuracy.iter().map(|accuracy| fact(metric(&accuracy.metric), accuracy.value.to_string())));
    }
    let compared = report.benchmark.iter().flat_map(|benchmark| &benchmark.compared).map(compared).collect();
    let requests = stats.requests.iter().map(|request| RequestRow {
        sample: request.sample.clone(),
        attempt: request.attempt,
        status: request.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string()),
        duration: words::duration(request.duration_ms),
        size: words::size(request.result_bytes),
    });
    Some(Figures { numbers, requests: requests.collect(), timed_out: report.timed_out, compared })
}

/// A measure in words.
fn metric(word: &str) -> &'static str {
    match word {
        "p50Ms" | "p95Ms" => "latency",
        "callsPerSecond" => "calls per second",
        "readyMs" => "time to get ready",
        "cpuSeconds" => "CPU time",
        "peakMemoryBytes" => "peak memory",
        "resultBytes" => "size of results",
        "wordErrorRate" => "Word error rate",
        "precision" => "Precision",
        "recall" => "Recall",
        "exactMatch" => "Exact match",
        _ => "another measure",
    }
}

/// What is better and what is worse than in another build.
fn compared(comparison: &Comparison) -> String {
    let of = |change: Change| {
        let mut found: Vec<&str> =
            comparison.metrics.iter().filter(|line| line.change == change).map(|line| metric(&line.metric)).collect();
        found.dedup();
        found.join(", ")
    };
    let parts = [("better", of(Change::Better)), ("worse", of(Change::Worse))];
    let told: Vec<String> = parts.into_iter().filter(|(_, what)| !what.is_empty()).map(|(word, what)| format!("{word}: {what}")).collect();
    let told = if told.is_empty() { "the same within the noise".to_owned() } else { told.join("; ") };
    format!("Beside build {} ({}): {told}.", comparison.version, comparison.with)
}

/// A line of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// When.
    pub when: When,
    /// Who.
    pub actor: String,
    /// What happened, in words.
    pub event: String,
    /// Status after it, if it is one this version knows.
    pub to: Option<Badge>,
    /// Why.
    pub reason: String,
}

/// The history, oldest first.
pub fn history(lines: &[HistoryLine], now: i64) -> Vec<HistoryRow> {
    let row = |line: &HistoryLine| HistoryRow {
        when: When::new(line.at, now),
        actor: line.actor.clone(),
        event: event(&line.event),
        to: line.to_status.parse::<BuildStatus>().ok().map(badge::of_build),
        reason: plain(&line.reason),
    };
    lines.iter().map(row).collect()
}

/// An event in words; one that this version does not know as it is written.
fn event(word: &str) -> String {
    let text = match word.parse() {
        Ok(Event::Submit) => "submitted",
        Ok(Event::Upload) => "test asked for again",
        Ok(Event::Approve) => "approved",
        Ok(Event::Disapprove) => "disapproved",
        Ok(Event::Invalidate) => "declared invalid",
        Ok(Event::Deploy) => "deployment asked for",
        Ok(Event::Pause) => "paused",
        Ok(Event::Unpause) => "unpaused",
        Ok(Event::Delete) => "deleted",
        Ok(Event::Start) => "started",
        Ok(Event::PhaseOk) => "passed",
        Ok(Event::PhaseFail) => "failed",
        Ok(Event::Superseded) => "superseded by another build",
        Ok(Event::EngineDisabled) => "engine disabled",
        Ok(Event::EngineDeleted) => "engine deleted",
        Ok(Event::Lost) => "attempt lost",
        Err(_) if word == "pushedAgain" => "pushed again",
        Err(_) if word == crate::ops::rematch_builds::WORSENED => "more is known",
        Err(_) => word,
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::views::build_page::tests::{build, report};
    use model::{report::Verdict, run::FilesWritten};

    #[test]
    fn an_image_without_a_report_has_its_facts() {
        let labels = |report: Option<&Report>| -> Vec<&str> {
            facts(&build(BuildStatus::Fetching), report, "gate.example.org/1/a:v1").iter().map(|fact| fact.label).collect()
        };
        assert_eq!(labels(None), ["Image", "Digest", "Pushed by", "Build id"]);
        assert_eq!(labels(Some(&report(Verdict::Invalid))).len(), 7);
    }

    #[test]
    fn what_was_not_measured_is_left_out() {
        let mut report = report(Verdict::Invalid);
        let stats = report.stats.as_mut().unwrap();
        (stats.ready_ms, stats.requests, stats.peak_pids) = (None, vec![], None);
        (stats.read_bytes, stats.written_bytes, stats.files_written) = (None, None, FilesWritten::default());
        let figures = figures(&report).unwrap();
        assert_eq!(
            figures.numbers.iter().map(|number| number.label).collect::<Vec<_>>(),
            ["Results", "Peak memory", "CPU time", "Wall time"]
        );
        report.stats = None;
        assert_eq!(super::figures(&report), None);
    }

    #[test]
    fn unknown_words_of_the_history_are_shown_as_they_are() {
        let line = HistoryLine {
            at: 0,
            actor: "system".into(),
            event: "levitated".into(),
            from_status: None,
            to_status: "floating".into(),
            reason: String::new(),
        };
        let rows = history(&[line], 0);
        assert_eq!((rows[0].event.as_str(), rows[0].to), ("levitated", None));
    }
}

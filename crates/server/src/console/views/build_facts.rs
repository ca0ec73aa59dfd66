//! Facts, figures and history of a build.

use model::{build::BuildStatus, report::Report};
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
    let requests = stats.requests.iter().map(|request| RequestRow {
        sample: request.sample.clone(),
        attempt: request.attempt,
        status: request.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string()),
        duration: words::duration(request.duration_ms),
        size: words::size(request.result_bytes),
    });
    Some(Figures { numbers, requests: requests.collect(), timed_out: report.timed_out })
}

/// A line of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// When.
    pub when: When,
    /// Who.
    pub actor: String,
    /// What happened.
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
        event: line.event.clone(),
        to: line.to_status.parse::<BuildStatus>().ok().map(badge::of_build),
        reason: plain(&line.reason),
    };
    lines.iter().map(row).collect()
}

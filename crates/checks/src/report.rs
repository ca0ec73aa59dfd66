//! The build report: one document made of evidence and results, with all its fields, whatever happened.

pub mod entry;

use std::collections::BTreeMap;

use model::{
    finding::{Finding, Severity, canonical_hash},
    id::{BuildId, EngineId},
    report::{Attempt, CheckResult, CheckStatus, Report, RequestSummary, Stats, Verdict},
    run::{EngineRun, Exit, LogLine, Outcome, Ready, Stream},
};
use serde_json::{Value, json};

use crate::{
    benchmark::{self, Baseline},
    evidence::{Evidence, RunEvidence, Scanned, SecurityEvidence},
    policy::Policy,
    standing::{Judge, Standing},
};

/// Lines of the test log in a report.
const LOG_LINES: usize = 5_000;
/// Bytes of the test log in a report.
const LOG_BYTES: usize = 1 << 20;
/// Entries of the list of vulnerabilities.
const VULNERABILITIES: usize = 5_000;

/// What a report says that is not evidence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportMeta {
    /// The engine, as registered; `None` on a laptop: the manifest says.
    pub engine_id: Option<EngineId>,
    /// The build; `None` on a laptop.
    pub build: Option<BuildId>,
    /// Number of the build within its engine; `None` on a laptop.
    pub version: Option<i64>,
    /// Time of the push, epoch milliseconds.
    pub upload_time: i64,
    /// E-mail of the account that pushed; empty on a laptop.
    pub user: String,
    /// Full reference of the image, or how it was named on a laptop.
    pub image: String,
    /// Builds to compare with.
    pub baselines: Vec<Baseline>,
}

/// Makes the report. `results` are those of [`crate::judge`] over the same evidence and policy.
pub fn report(meta: &ReportMeta, evidence: &Evidence, results: Vec<CheckResult>, policy: &Policy) -> Report {
    let run = evidence.engine_run();
    let results = with_attempts(results, run);
    let findings: Vec<Finding> = results.iter().flat_map(|check| check.findings.iter().cloned()).collect();
    let of = |blocking: bool| findings.iter().filter(move |finding| (finding.severity == Severity::Error) == blocking);
    let mut errors: Vec<String> = of(true).flat_map(sentences).collect();
    let verdict = verdict(evidence, &results);
    // What no gate can test is for a person to decide: it is neither passed nor failed, and nothing blocks it.
    let for_a_person = matches!(&evidence.run, RunEvidence::Done(outcome) if matches!(outcome.as_ref(), Outcome::NotTestable(_)));
    let untested = errors.is_empty() && verdict == Verdict::NotTestable && !for_a_person;
    if let (true, Some(reason)) = (untested, not_run(evidence)) {
        // Only a policy that lets a broken image pass comes here; what was not run has not passed all the same.
        errors.push(format!("The engine was not run: {reason}"));
    }
    Report {
        engine_id: meta.engine_id.or_else(|| evidence.manifest()?.engine_id),
        build: meta.build,
        upload_time: meta.upload_time,
        user: meta.user.clone(),
        image: meta.image.clone(),
        inspect: inspect(evidence, &meta.image),
        vulnerabilities: vulnerabilities(evidence, policy),
        vulnerability_counts: counts(&evidence.security),
        scan: scan_facts(evidence, policy),
        test_log: run.map(|run| test_log(&run.record.log, run.record.log_truncated)).unwrap_or_default(),
        success: errors.is_empty(),
        errors,
        schema_version: 1,
        gate: "compliance".to_owned(),
        verdict,
        version: meta.version,
        image_digest: Some(evidence.top.clone()),
        platform: evidence.facts().map(|facts| facts.image.platform.to_string()),
        image_size_bytes: evidence.facts().map(|facts| facts.image.transferred_size()).unwrap_or_default(),
        manifest: evidence.manifest().map(|manifest| manifest.raw.clone()),
        deployment_model: evidence.terms.deployment_model.map(|model| model.as_str().to_owned()),
        policy: policy.describe(evidence.capability().map(|capability| capability.as_str())),
        warnings: of(false).flat_map(sentences).collect(),
        stats: run.map(stats),
        benchmark: run.and_then(|run| benchmark::of(run, evidence, &meta.baselines)),
        timed_out: matches!(evidence.run, RunEvidence::Late(_))
            || run.is_some_and(|run| run.ran_out_in.is_some() || run.record.exit == Exit::TimedOut),
        findings_hash: canonical_hash(&findings),
        checks: results,
        basis: None,
        reused: None,
    }
}

/// A report in which some checks stand as in `fresh` and all others as in `stored`, with everything that follows from the checks.
pub fn merge(stored: &Report, fresh: &Report, is_fresh: impl Fn(&str) -> bool) -> Report {
    let mut report = stored.clone();
    for check in &mut report.checks {
        if let Some(new) = fresh.checks.iter().find(|new| new.id == check.id && is_fresh(&new.id)) {
            *check = new.clone();
        }
    }
    if is_fresh("security") {
        report.vulnerabilities.clone_from(&fresh.vulnerabilities);
        report.vulnerability_counts.clone_from(&fresh.vulnerability_counts);
        report.scan.clone_from(&fresh.scan);
    }
    let findings: Vec<Finding> = report.checks.iter().flat_map(|check| check.findings.iter().cloned()).collect();
    let of = |blocking: bool| findings.iter().filter(move |finding| (finding.severity == Severity::Error) == blocking);
    report.errors = of(true).flat_map(sentences).collect();
    report.warnings = of(false).flat_map(sentences).collect();
    report.findings_hash = canonical_hash(&findings);
    report.policy.clone_from(&fresh.policy);
    report.verdict = if report.checks.iter().any(|check| check.status == CheckStatus::Failed) {
        Verdict::Invalid
    } else if stored.verdict == Verdict::NotTestable && fresh.verdict != Verdict::Available {
        if report.errors.is_empty() {
            report.errors.clone_from(&stored.errors);
        }
        Verdict::NotTestable
    } else {
        Verdict::Available
    };
    report.success = report.errors.is_empty();
    report
}

/// What the engine tried to reach stands at the check that judges it.
fn with_attempts(mut results: Vec<CheckResult>, run: Option<&EngineRun>) -> Vec<CheckResult> {
    let record = run.and_then(|run| run.record.network.as_ref());
    for check in results.iter_mut().filter(|check| check.id == "network") {
        check.attempts = record.map(|record| record.events.iter().map(Attempt::from).collect());
    }
    results
}

fn scanned(security: &SecurityEvidence) -> Option<&Scanned> {
    if let SecurityEvidence::Scanned(scanned) = security { Some(scanned) } else { None }
}

/// The entries of the report.
fn vulnerabilities(evidence: &Evidence, policy: &Policy) -> Vec<Value> {
    let Some(scanned) = scanned(&evidence.security) else { return Vec::new() };
    let judge = judge_of(evidence, policy, scanned.at);
    scanned.vulnerabilities.iter().take(VULNERABILITIES).map(|one| entry::of(one, judge.standing(one))).collect()
}

fn judge_of<'a>(evidence: &'a Evidence, policy: &'a Policy, at: i64) -> Judge<'a> {
    Judge {
        rules: &policy.vulnerabilities,
        waivers: &evidence.terms.waivers,
        engine: evidence.terms.engine,
        image: &evidence.terms.image,
        at,
    }
}

/// All of them are counted, also those behind the end of the list, and those that are waived.
fn counts(security: &SecurityEvidence) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for one in scanned(security).into_iter().flat_map(|scanned| &scanned.vulnerabilities).filter(|one| one.informational.is_none()) {
        *counts.entry(one.severity.as_str().to_owned()).or_default() += 1;
    }
    counts
}

/// What was looked at, and with which knowledge.
fn scan_facts(evidence: &Evidence, policy: &Policy) -> Option<Value> {
    let scanned = scanned(&evidence.security)?;
    let judge = judge_of(evidence, policy, scanned.at);
    let waived = scanned.vulnerabilities.iter().filter(|one| matches!(judge.standing(one), Standing::Waived(_))).count();
    Some(json!({
        "database": { "id": scanned.database, "newest": scanned.newest },
        "system": scanned.system,
        "packages": scanned.packages,
        "waived": waived,
        "warnings": scanned.warnings,
    }))
}

/// The outcome: failed checks make it invalid; a check that could not run, or an engine that was not run, makes it not testable.
fn verdict(evidence: &Evidence, results: &[CheckResult]) -> Verdict {
    if matches!(evidence.run, RunEvidence::Pending) {
        return Verdict::Running;
    }
    let blocks = |check: &CheckResult| check.findings.iter().any(|finding| finding.severity == Severity::Error);
    if results.iter().any(|check| check.status == CheckStatus::Failed) {
        Verdict::Invalid
    } else if results.iter().any(|check| check.status == CheckStatus::Error && blocks(check)) || not_run(evidence).is_some() {
        Verdict::NotTestable
    } else {
        Verdict::Available
    }
}

/// Why the engine was not run; `None` if it was, or still will be.
fn not_run(evidence: &Evidence) -> Option<String> {
    match &evidence.run {
        RunEvidence::Pending => None,
        RunEvidence::Prevented(reason) => Some(reason.clone()),
        RunEvidence::Late(doing) => Some(format!("its time was over while {doing}")),
        RunEvidence::Refused(refusal) => Some(refusal.reason.clone()),
        RunEvidence::Done(_) if evidence.engine_run().is_some() => None,
        RunEvidence::Done(_) => Some("there was nothing to start or to test".to_owned()),
    }
}

/// The sentence of a finding. An unknown key in a result has the sentence of the former checker as well, because scripts look for it
/// (build report §5).
fn sentences(finding: &Finding) -> Vec<String> {
    let mut sentences = vec![finding.message.clone()];
    for key in finding.validation_errors.iter().filter_map(|entry| entry.pointer("/params/additionalProperty").and_then(Value::as_str)) {
        let sentence = format!("json: unknown field {key:?}");
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    sentences
}

fn inspect(evidence: &Evidence, reference: &str) -> Vec<Value> {
    let object = |facts: &crate::evidence::ImageFacts| {
        image::docker_inspect(&facts.config, &facts.image, &[reference.to_owned()], facts.uncompressed_size)
    };
    evidence.facts().map(object).into_iter().collect()
}

/// Lines of standard output, from the first on, within the caps; what is left out is marked.
fn test_log(log: &[LogLine], truncated: bool) -> Vec<String> {
    let stdout: Vec<&LogLine> = log.iter().filter(|line| line.stream == Stream::Stdout).collect();
    let mut left = LOG_BYTES;
    let mut lines = Vec::new();
    for line in stdout.iter().take(LOG_LINES) {
        let Some(rest) = left.checked_sub(line.text.len() + 1) else { break };
        left = rest;
        lines.push(line.text.clone());
    }
    let missing = stdout.len() - lines.len();
    if missing > 0 || truncated {
        let more = if truncated { "more" } else { "" };
        lines.push(match missing {
            0 => "[... further lines were left out ...]".to_owned(),
            missing => format!("[... {missing} {more} lines were left out ...]").replace("  ", " "),
        });
    }
    lines
}

fn stats(run: &EngineRun) -> Stats {
    let requests = run.exchanges.iter().map(|exchange| RequestSummary {
        sample: exchange.sample.clone(),
        attempt: exchange.attempt,
        status: exchange.status,
        duration_ms: exchange.duration_ms,
        result_bytes: exchange.body_bytes,
    });
    Stats {
        wall_ms: run.record.wall_ms,
        exit: Some(run.record.exit.clone()),
        cpu_ms: run.record.cpu_ms,
        cpu_user_ms: run.record.cpu_user_ms,
        cpu_system_ms: run.record.cpu_system_ms,
        peak_memory_bytes: run.record.peak_memory_bytes,
        peak_pids: run.record.peak_pids,
        read_bytes: run.record.transferred.map(|moved| moved.read_bytes),
        written_bytes: run.record.transferred.map(|moved| moved.written_bytes),
        files_written: run.record.files_written.clone(),
        ready_ms: if let Some(Ready::Ready { after_ms, .. }) = run.ready { Some(after_ms) } else { None },
        result_bytes: run.outputs.iter().map(|output| output.body.len() as u64).sum(),
        requests: requests.collect(),
        not_recorded: run.record.not_recorded.clone(),
    }
}

#[cfg(test)]
pub(crate) mod tests;

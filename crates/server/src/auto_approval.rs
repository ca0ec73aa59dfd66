//! The automatic rule (lifecycle §4, step 10): what a build must keep to be approved without a person. Pure.

use std::collections::BTreeSet;

use model::report::{CheckStatus, Report, RequestSummary};
use serde_json::Value;

/// Severities that somebody should look at.
const ABOVE_LOW: [&str; 4] = ["Medium", "High", "Critical", "Defcon1"];

/// How much more of something a build may need than the live one before it counts as worse.
const SLACK: f64 = 1.25;

/// Differences below this are noise: milliseconds.
const NOISE_MS: u64 = 200;

/// Differences below this are noise: bytes.
const NOISE_BYTES: u64 = 16 << 20;

/// What the rule asks, for the history.
pub const KEPT: &str = "the automatic rule: everything could be checked, nothing new above Low, no new network destination, no worse figures \
                        than the live build";

/// Why a build needs a person; nothing when it keeps the rule. `live` is the report of the build that it would replace.
pub fn objections(candidate: &Report, live: Option<&Report>) -> Vec<String> {
    let mut why = Vec::new();
    let unproven = unproven(candidate);
    if !unproven.is_empty() {
        why.push(format!("could not be checked: {}", unproven.join(", ")));
    }
    let known: BTreeSet<(String, String)> = live.map(vulnerabilities).unwrap_or_default();
    let new: Vec<String> = vulnerabilities(candidate).difference(&known).map(|(name, package)| format!("{name} in {package}")).collect();
    if !new.is_empty() {
        why.push(format!("new above Low: {}", some(&new)));
    }
    let known = live.map(destinations).unwrap_or_default();
    let new: Vec<String> = destinations(candidate).difference(&known).cloned().collect();
    if !new.is_empty() {
        why.push(format!("new network destinations: {}", some(&new)));
    }
    why.extend(live.and_then(|live| worse(candidate, live)));
    why
}

/// Titles of the checks that could not be run.
pub fn unproven(report: &Report) -> Vec<String> {
    report.checks.iter().filter(|check| check.status == CheckStatus::Error).map(|check| check.title.clone()).collect()
}

fn some(all: &[String]) -> String {
    let first: Vec<&str> = all.iter().take(3).map(String::as_str).collect();
    let more = all.len() - first.len();
    if more == 0 { first.join(", ") } else { format!("{} and {more} more", first.join(", ")) }
}

fn vulnerabilities(report: &Report) -> BTreeSet<(String, String)> {
    let text = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let counts = |entry: &&Value| {
        let waived = entry.get("Waived").is_some_and(|waived| !waived.is_null() && *waived != Value::Bool(false));
        !waived && entry.get("Severity").and_then(Value::as_str).is_some_and(|severity| ABOVE_LOW.contains(&severity))
    };
    report.vulnerabilities.iter().filter(counts).map(|entry| (text(entry, "Name"), text(entry, "Package"))).collect()
}

/// Everything it tried to reach.
fn destinations(report: &Report) -> BTreeSet<String> {
    let attempts = report.checks.iter().filter_map(|check| check.attempts.as_ref()).flatten();
    attempts.map(|attempt| attempt.host.clone().unwrap_or_else(|| attempt.address.clone())).collect()
}

fn slowest(requests: &[RequestSummary]) -> u64 {
    requests.iter().filter(|request| request.status == Some(200)).map(|request| request.duration_ms).max().unwrap_or(0)
}

fn worse(candidate: &Report, live: &Report) -> Option<String> {
    let (now, then) = (candidate.stats.as_ref()?, live.stats.as_ref()?);
    let pairs = [
        ("time until ready", "ms", now.ready_ms.unwrap_or(0), then.ready_ms.unwrap_or(0), NOISE_MS),
        ("slowest answer", "ms", slowest(&now.requests), slowest(&then.requests), NOISE_MS),
        ("CPU time", "ms", now.cpu_ms, then.cpu_ms, NOISE_MS),
        ("peak memory", "bytes", now.peak_memory_bytes, then.peak_memory_bytes, NOISE_BYTES),
    ];
    let is_worse = |now: u64, then: u64, noise: u64| now > then.saturating_add(noise) && now as f64 > then as f64 * SLACK;
    let found: Vec<String> = pairs
        .into_iter()
        .filter(|(_, _, now, then, noise)| is_worse(*now, *then, *noise))
        .map(|(what, unit, now, then, _)| format!("{what} {now} {unit} instead of {then}"))
        .collect();
    (!found.is_empty()).then(|| format!("worse figures: {}", found.join(", ")))
}

#[cfg(test)]
mod tests {
    use model::report::{Attempt, Verdict};
    use serde_json::json;

    use super::*;
    use crate::console::fixtures::report;

    fn good() -> Report {
        let mut report = report(Verdict::Available);
        for check in &mut report.checks {
            (check.status, check.attempts) = (CheckStatus::Passed, Some(Vec::new()));
        }
        report
    }

    #[test]
    fn a_build_that_is_no_worse_needs_nobody() {
        assert_eq!(objections(&good(), None), Vec::<String>::new());
        assert_eq!(objections(&good(), Some(&good())), Vec::<String>::new());
    }

    #[test]
    fn each_part_of_the_rule_objects() {
        let entry = |name: &str, severity: &str| json!({"Name": name, "Package": "openssl", "Severity": severity});
        let mut vulnerable = good();
        vulnerable.vulnerabilities = vec![entry("CVE-1", "Low"), entry("CVE-2", "High")];
        assert_eq!(objections(&vulnerable, Some(&good())), ["new above Low: CVE-2 in openssl"]);
        assert_eq!(objections(&vulnerable, Some(&vulnerable)), Vec::<String>::new(), "known already");
        vulnerable.vulnerabilities[1]["Waived"] = json!({"by": "x"});
        assert_eq!(objections(&vulnerable, None), Vec::<String>::new(), "waived");

        let mut calling = good();
        let attempt = Attempt {
            time: 1,
            count: 1,
            protocol: "tcp".into(),
            host: Some("api.example.com".into()),
            address: "198.18.0.1".into(),
            port: Some(443),
            bytes: 0,
            sent: 0,
            allowed: true,
            rule: String::new(),
            question: None,
            server_name: None,
            process: None,
        };
        calling.checks[0].attempts = Some(vec![attempt]);
        assert_eq!(objections(&calling, Some(&good())), ["new network destinations: api.example.com"]);

        let mut slow = good();
        slow.stats.as_mut().unwrap().cpu_ms += 10_000;
        assert!(objections(&slow, Some(&good()))[0].contains("CPU time 11900 ms instead of 1900"));
        assert_eq!(objections(&slow, None), Vec::<String>::new(), "nothing to be worse than");

        let mut blind = good();
        blind.checks[3].status = CheckStatus::Error;
        assert!(objections(&blind, None)[0].starts_with("could not be checked"));
    }
}

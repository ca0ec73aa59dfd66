//! For people: each finding with what, where, why and what to do; then a line per check; then the verdict. Without colours.
//!
//! Words from an image are shown without their control characters, so that no image can write to the terminal.

use std::fmt::Write as _;

use model::{
    finding::{Finding, Severity},
    network::destination,
    report::{Attempt, Benchmark, Change, CheckResult, CheckStatus, Report, RequestSummary, Stats, Verdict},
    run::Exit,
};

use super::reproduce;
use crate::wording::{count, list, size};

/// Characters of a line of running text.
const WIDTH: usize = 110;
/// Column where the text of a finding begins.
const COLUMN: usize = 12;
/// Lines of evidence and violations shown of one finding.
const SHOWN: usize = 12;

/// Renders a report.
pub fn render(report: &Report) -> String {
    let mut text = header(report);
    let reproduce = reproduce(report);
    let mut findings: Vec<&Finding> = report.checks.iter().flat_map(|check| &check.findings).collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    for finding in findings {
        text.push('\n');
        text.push_str(&of_finding(finding, &reproduce));
    }
    text.push('\n');
    let widest = report.checks.iter().map(|check| check.id.len()).max().unwrap_or_default();
    for check in &report.checks {
        text.push_str(&of_check(check, widest));
    }
    text.push_str(&network(report));
    text.push('\n');
    if let Some(stats) = &report.stats {
        text.push_str(&of_run(stats));
    }
    if let Some(benchmark) = &report.benchmark {
        text.push_str(&of_benchmark(benchmark));
    }
    text.push_str(&footer(report));
    text
}

/// The figures of repeated calls, and what has changed.
fn of_benchmark(benchmark: &Benchmark) -> String {
    let mut text = format!(
        "Benchmark: {} sent {}: p50 {} ms, p95 {} ms, max {} ms, {} calls/s\n",
        clean(&benchmark.sample),
        count(benchmark.micros.len(), "time"),
        benchmark.p50_ms,
        benchmark.p95_ms,
        benchmark.max_ms,
        benchmark.calls_per_second
    );
    if !benchmark.accuracy.is_empty() {
        let values: Vec<String> = benchmark.accuracy.iter().map(|accuracy| format!("{} {}", accuracy.metric, accuracy.value)).collect();
        let _infallible = writeln!(text, "  {:<9} {}", "accuracy", values.join(", "));
    }
    for comparison in &benchmark.compared {
        let changed = comparison.metrics.iter().filter(|line| line.change != Change::Same);
        let changed: Vec<String> = changed
            .map(|line| {
                format!(
                    "{} {} ({} -> {})",
                    line.metric,
                    if line.change == Change::Better { "better" } else { "worse" },
                    line.before,
                    line.now
                )
            })
            .collect();
        let shown = if changed.is_empty() { "the same within the noise".to_owned() } else { changed.join(", ") };
        let _infallible = writeln!(text, "  {:<9} build {}: {shown}", comparison.with, comparison.version);
    }
    text
}

/// What the engine tried to reach, if it tried.
fn network(report: &Report) -> String {
    let attempts: Vec<&Attempt> = report.checks.iter().filter_map(|check| check.attempts.as_ref()).flatten().collect();
    if attempts.is_empty() {
        return String::new();
    }
    let mut text = "\nNetwork attempts\n".to_owned();
    for attempt in attempts.iter().take(SHOWN) {
        let target = destination(attempt.host.as_ref().unwrap_or(&attempt.address), attempt.port);
        let word = if attempt.allowed { "passed" } else { "refused" };
        let seconds = attempt.time as f64 / 1000.0;
        let bytes = if attempt.bytes > 0 { format!(", {} bytes", attempt.bytes) } else { String::new() };
        let line = format!(
            "  {seconds:>6.1} s  {word:<7}  {:<9}  {target}, {}{bytes}; {}",
            attempt.protocol,
            count(attempt.count as usize, "time"),
            attempt.rule
        );
        let _infallible = writeln!(text, "{}", clean(&line));
    }
    if attempts.len() > SHOWN {
        let _infallible = writeln!(text, "  and {} more; the report has them all", attempts.len() - SHOWN);
    }
    text
}

fn header(report: &Report) -> String {
    let mut facts: Vec<String> = Vec::new();
    facts.extend(report.platform.clone());
    if report.image_size_bytes > 0 {
        facts.push(size(report.image_size_bytes));
    }
    facts.extend(report.image_digest.as_ref().map(ToString::to_string));
    let mut text = format!("{}\n", clean(&report.image));
    if !facts.is_empty() {
        let _infallible = writeln!(text, "{}", facts.join(", "));
    }
    text
}

/// One finding, as people should meet it.
fn of_finding(finding: &Finding, reproduce: &str) -> String {
    let mut text = format!("{:<7}  {}  {}\n", finding.severity.as_str(), clean(&finding.code), clean(&finding.title));
    let mut lines = |label: &str, parts: Vec<String>| {
        for (index, part) in parts.into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            let _infallible = writeln!(text, "  {label:<9} {part}");
        }
    };
    let prose = |text: &str| wrap(&clean(text), WIDTH - COLUMN);
    lines("where", finding.place.iter().flat_map(|place| prose(place)).collect());
    lines("evidence", evidence(finding));
    lines("why", prose(&finding.why));
    lines("fix", prose(&finding.fix));
    lines("meant", finding.suggestion.iter().filter(|meant| !finding.fix.contains(*meant)).map(|meant| clean(meant)).collect());
    lines("reproduce", vec![clean(reproduce)]);
    lines("docs", vec![finding.docs()]);
    text
}

/// Quoted lines stay as they are: broken up they could not be searched for.
fn evidence(finding: &Finding) -> Vec<String> {
    let text = |entry: &serde_json::Value, key: &str| entry.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let violation = |entry: &serde_json::Value| format!("{} {}", text(entry, "dataPath"), text(entry, "message")).trim().to_owned();
    let all: Vec<String> =
        finding.evidence.iter().cloned().chain(finding.validation_errors.iter().map(violation)).map(|line| clean(&line)).collect();
    let more = all.len().checked_sub(SHOWN).filter(|more| *more > 0).map(|more| format!("and {more} more"));
    all.into_iter().take(SHOWN).chain(more).collect()
}

/// `✔ passed   manifest    title`.
fn of_check(check: &CheckResult, widest: usize) -> String {
    let symbol = match check.status {
        CheckStatus::Passed => '✔',
        CheckStatus::Warned => '!',
        CheckStatus::Failed => '✘',
        CheckStatus::Error => '?',
        CheckStatus::Skipped => '-',
    };
    let of = |severity: Severity| check.findings.iter().filter(|finding| finding.severity == severity).count();
    let mut said: Vec<String> = Vec::new();
    for (number, noun) in [(of(Severity::Error), "error"), (of(Severity::Warning), "warning"), (of(Severity::Info), "note")] {
        if number > 0 {
            said.push(count(number, noun));
        }
    }
    let said = check.reason.clone().unwrap_or_else(|| if said.is_empty() { check.title.clone() } else { said.join(", ") });
    format!("{symbol} {:<8} {:<widest$}  {}\n", check.status.as_str(), clean(&check.id), clean(&said))
}

/// What was measured: a line for the run, one for its calls, one for what it left.
fn of_run(stats: &Stats) -> String {
    let mut facts: Vec<String> = stats.exit.iter().map(exit).collect();
    facts.extend(stats.ready_ms.map(|ms| format!("ready after {ms} ms")));
    facts.push(format!("{} ms in all", stats.wall_ms));
    facts.push(format!("{} ms of CPU ({} user, {} system)", stats.cpu_ms, stats.cpu_user_ms, stats.cpu_system_ms));
    facts.push(format!("{} of memory", size(stats.peak_memory_bytes)));
    facts.extend(stats.peak_pids.map(|number| match number {
        1 => "1 process".to_owned(),
        number => format!("{number} processes and threads"),
    }));
    facts.extend(stats.read_bytes.map(|bytes| format!("{} read", size(bytes))));
    facts.extend(stats.written_bytes.map(|bytes| format!("{} written", size(bytes))));
    let mut paragraphs = vec![("run", facts)];
    if !stats.requests.is_empty() {
        paragraphs.push(("calls", stats.requests.iter().map(request).collect()));
    }
    let files = &stats.files_written;
    if files.count > 0 {
        let named = files.first.iter().take(SHOWN).map(|file| clean(&file.path)).collect::<Vec<_>>().join(" ");
        let more = if files.count > SHOWN as u64 { " ..." } else { "" };
        paragraphs.push(("files", vec![format!("{} of {} in all: {named}{more}", count(files.count as usize, "file"), size(files.bytes))]));
    }
    if !stats.not_recorded.is_empty() {
        paragraphs.push(("unseen", vec![stats.not_recorded.iter().map(|told| clean(told)).collect::<Vec<_>>().join("; ")]));
    }
    let mut text = String::new();
    for (label, facts) in paragraphs {
        for (index, line) in wrap(&facts.join(", "), WIDTH - 9).into_iter().enumerate() {
            let _infallible = writeln!(text, "{:<8} {line}", if index == 0 { label } else { "" });
        }
    }
    text.push('\n');
    text
}

fn exit(exit: &Exit) -> String {
    match exit {
        Exit::Exited { code } => format!("exit code {code}"),
        Exit::Signaled { signal } => format!("ended by signal {signal}"),
        Exit::Stopped => "stopped when all was done".to_owned(),
        Exit::TimedOut => "stopped at the deadline".to_owned(),
        Exit::OutOfMemory => "ended because memory ran out".to_owned(),
    }
}

fn request(request: &RequestSummary) -> String {
    let status = request.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    format!("{} {status} in {} ms", clean(&request.sample), request.duration_ms)
}

fn footer(report: &Report) -> String {
    let of = |severity| report.checks.iter().flat_map(|check| &check.findings).filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    let numbers: Vec<String> =
        [(errors, "error"), (warnings, "warning")].iter().filter(|(n, _)| *n > 0).map(|(n, noun)| count(*n, noun)).collect();
    let with = if numbers.is_empty() { String::new() } else { format!(": {}", list(&numbers, "and")) };
    let verdict = match report.verdict {
        Verdict::Running => "running: the test run is still to come",
        Verdict::Available => "available",
        Verdict::Invalid => "invalid",
        Verdict::NotTestable => "not testable",
        Verdict::ApprovedCandidate => "ready to be approved",
        Verdict::Disapproved => "disapproved",
    };
    let unscanned = report.checks.iter().any(|check| check.id == "security" && check.status == CheckStatus::Error);
    let banner = if unscanned { "NOT SCANNED for vulnerabilities; see check security.\n" } else { "" };
    format!("{banner}Verdict: {verdict}{with}\nFindings hash: {}\n", report.findings_hash)
}

/// A text of an image without what a terminal would obey.
fn clean(text: &str) -> String {
    let harmless = |c: char| match c {
        '\t' => ' ',
        // Marks that turn the direction of writing can make a line read as another one.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(harmless).collect()
}

/// Breaks running text at spaces; what has no spaces stays whole, so that it can be copied.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    // Leading spaces of quoted code are part of it.
    let indent = text.len() - text.trim_start().len();
    line.push_str(&text[..indent]);
    for word in text.trim_start().split(' ') {
        let full = line.chars().count() + 1 + word.chars().count() > width;
        if full && !line.trim().is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        if !line.trim().is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{evidence::tests::webhook, output::tests::full, report::tests::of};

    #[test]
    fn a_report_with_findings() {
        insta::assert_snapshot!(render(&full()));
    }

    #[test]
    fn a_report_without() {
        insta::assert_snapshot!(render(&of(&webhook().evidence())));
    }

    #[test]
    fn a_report_of_what_could_not_be_run() {
        insta::assert_snapshot!(render(&of(&webhook().refused().evidence())));
    }

    #[test]
    fn what_was_tried_over_the_network_is_listed() {
        let text = render(&of(&webhook().tried(crate::checks::network_call("api.example.com")).evidence()));
        let lines: Vec<&str> = text.lines().skip_while(|line| *line != "Network attempts").take(3).collect();
        let rule = "isolated: nothing outside may be reached";
        let (dns, tcp) = (format!("api.example.com:53, 3 times; {rule}"), format!("api.example.com:443, 1 time; {rule}"));
        assert_eq!(lines[1..], [format!("    12.4 s  refused  dns        {dns}"), format!("    12.4 s  refused  tcp        {tcp}")]);
        assert!(!render(&of(&webhook().evidence())).contains("Network attempts"));
    }

    #[test]
    fn no_image_writes_to_the_terminal() {
        let text = render(&full());
        assert!(!text.contains('\u{1b}') && !text.contains('\0'));
        assert_eq!(clean("a\u{1b}[2J\u{202e}\tb"), "a\u{fffd}[2J\u{fffd} b");
    }

    #[test]
    fn text_is_broken_at_spaces_only() {
        assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrap("    code(x)", 30), ["    code(x)"]);
        assert_eq!(wrap(&"x".repeat(50), 10).len(), 1);
        assert_eq!(wrap("", 10), [""]);
    }
}

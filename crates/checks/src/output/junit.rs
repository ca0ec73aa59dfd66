//! JUnit XML: one case per check. A failed check is a failure, one that could not run an error, warnings are output.

use std::fmt::Write as _;

use model::{
    finding::{Finding, Severity},
    report::{CheckResult, CheckStatus, Report},
};

/// Renders a report.
pub fn render(report: &Report) -> String {
    let of = |status: CheckStatus| report.checks.iter().filter(|check| check.status == status).count();
    let seconds = report.stats.as_ref().map_or(0, |stats| stats.wall_ms) as f64 / 1000.0;
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let numbers = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{seconds:.3}\"",
        report.checks.len(),
        of(CheckStatus::Failed),
        of(CheckStatus::Error),
        of(CheckStatus::Skipped)
    );
    let _infallible = writeln!(xml, "<testsuites {numbers}>\n  <testsuite name=\"plimsoll {}\" {numbers}>", escaped(&report.image));
    report.checks.iter().for_each(|check| case(&mut xml, check));
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

fn case(xml: &mut String, check: &CheckResult) {
    let _infallible = write!(xml, "    <testcase classname=\"plimsoll\" name=\"{}\"", escaped(&check.id));
    let (blocking, others): (Vec<&Finding>, Vec<&Finding>) = check.findings.iter().partition(|finding| finding.severity == Severity::Error);
    let mut inner = String::new();
    let mut tag = |name: &str, message: &str, findings: &[&Finding]| {
        let text = findings.iter().map(|finding| of_finding(finding)).collect::<Vec<_>>().join("\n");
        let _infallible = writeln!(inner, "      <{name} message=\"{}\">{}</{name}>", escaped(message), escaped(&text));
    };
    match check.status {
        CheckStatus::Failed => tag("failure", blocking.first().map_or("", |finding| &finding.message), &blocking),
        CheckStatus::Error => tag("error", check.reason.as_deref().unwrap_or_default(), &blocking),
        CheckStatus::Skipped => tag("skipped", check.reason.as_deref().unwrap_or_default(), &[]),
        CheckStatus::Passed | CheckStatus::Warned => {}
    }
    if !others.is_empty() {
        let text = others.iter().map(|finding| of_finding(finding)).collect::<Vec<_>>().join("\n");
        let _infallible = writeln!(inner, "      <system-out>{}</system-out>", escaped(&text));
    }
    match inner.as_str() {
        "" => xml.push_str("/>\n"),
        inner => {
            let _infallible = writeln!(xml, ">\n{inner}    </testcase>");
        }
    }
}

fn of_finding(finding: &Finding) -> String {
    let mut lines = vec![format!("{} {}: {}", finding.severity.as_str(), finding.code, finding.title)];
    lines.extend(finding.place.iter().map(|place| format!("where: {place}")));
    lines.extend(finding.evidence.iter().map(|quote| format!("  {quote}")));
    lines.push(format!("why: {}", finding.why));
    lines.push(format!("fix: {}", finding.fix));
    lines.join("\n")
}

/// Text for XML 1.0: what it cannot hold, not even escaped, is replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
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
    fn numbers_are_those_of_the_cases() {
        let xml = render(&of(&webhook().refused().evidence()));
        assert!(xml.contains("tests=\"11\" failures=\"0\" errors=\"7\" skipped=\"0\""), "{xml}");
        assert_eq!(xml.matches("<testcase ").count(), 11);
        assert_eq!(xml.matches("<error ").count(), 7);
    }

    #[test]
    fn what_xml_cannot_hold_is_replaced() {
        assert_eq!(escaped("a<b>&\"\u{1b}\0\u{ffff}\n"), "a&lt;b&gt;&amp;&quot;\u{fffd}\u{fffd}\u{fffd}\n");
    }
}

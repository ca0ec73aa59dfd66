//! A finding as people meet it: what, where, evidence, why, how to mend it, how to see it again, where to read on.

use model::{
    finding::Finding,
    report::{CheckResult, CheckStatus, Report},
};

use super::{
    badge::{self, Badge},
    log::plain,
    words,
};

/// Quoted lines shown of one finding; the report has them all.
const QUOTES: usize = 12;

/// Allowed values shown.
const ALLOWED: usize = 30;

/// Longest quoted line shown, characters.
const QUOTE_CHARS: usize = 1_000;

/// A check in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRow {
    /// Its id, also its page.
    pub id: String,
    /// What it looks at.
    pub title: String,
    /// How it ended.
    pub badge: Badge,
    /// `2 findings`, or why it did not run.
    pub note: String,
    /// Whether the page has findings of it to jump to.
    pub has_findings: bool,
}

impl CheckRow {
    fn new(check: &CheckResult) -> Self {
        let findings = check.findings.len();
        let note = match (&check.reason, findings) {
            (Some(reason), _) => plain(reason),
            (None, 0) => String::new(),
            (None, n) => words::count(n as u64, "finding"),
        };
        Self { id: check.id.clone(), title: check.title.clone(), badge: badge::of_check(check.status), note, has_findings: findings > 0 }
    }
}

/// The findings of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFindings {
    /// The check.
    pub check: CheckRow,
    /// Worst first.
    pub findings: Vec<FindingView>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingView {
    /// Rule.
    pub code: String,
    /// How bad.
    pub badge: Badge,
    /// Subject, fact, offending value.
    pub title: String,
    /// File, line, request, field, sample.
    pub places: Vec<String>,
    /// What was probably meant.
    pub suggestion: Option<String>,
    /// What would be allowed, and how many more there are.
    pub allowed: Vec<String>,
    /// `12 more in the report`.
    pub more_allowed: Option<String>,
    /// Quoted lines.
    pub evidence: Vec<String>,
    /// How many more there are.
    pub more_evidence: Option<String>,
    /// Why the rule exists.
    pub why: String,
    /// What to do.
    pub fix: String,
    /// Page of the check.
    pub docs: String,
}

impl FindingView {
    /// The view of a finding.
    pub fn new(finding: &Finding) -> Self {
        let quotes: Vec<String> = finding.evidence.iter().cloned().chain(finding.validation_errors.iter().filter_map(validation)).collect();
        let shown = quotes.iter().take(QUOTES).map(|quote| shorten(&plain(quote))).collect();
        Self {
            code: finding.code.clone(),
            badge: badge::of_severity(finding.severity),
            title: plain(&finding.title),
            places: places(finding),
            suggestion: finding.suggestion.as_deref().map(plain),
            allowed: finding.allowed.iter().take(ALLOWED).map(|value| shorten(&plain(value))).collect(),
            more_allowed: more(finding.allowed.len(), ALLOWED),
            evidence: shown,
            more_evidence: more(quotes.len(), QUOTES),
            why: finding.why.clone(),
            fix: finding.fix.clone(),
            docs: finding.docs(),
        }
    }
}

fn more(all: usize, shown: usize) -> Option<String> {
    (all > shown).then(|| format!("{} more in the report", all - shown))
}

/// Everything that finds the place again, each once.
fn places(finding: &Finding) -> Vec<String> {
    let mut places: Vec<String> = finding.place.iter().map(|place| plain(place)).collect();
    let said = |places: &[String], value: &str| places.iter().any(|place| place.contains(value));
    if let Some(at) = &finding.position {
        let (file, line) = (plain(&at.file), at.line.to_string());
        if !(said(&places, &file) && said(&places, &line)) {
            places.push(format!("{file}:{line}:{}", at.column));
        }
    }
    for (word, value) in [("field", &finding.field), ("sample", &finding.sample)] {
        if let Some(value) = value.as_deref().map(plain).filter(|value| !said(&places, value)) {
            places.push(format!("{word} {value}"));
        }
    }
    places
}

/// `.object[3] should have required property 'label'`.
fn validation(entry: &serde_json::Value) -> Option<String> {
    let text = |key: &str| entry.get(key).and_then(serde_json::Value::as_str).unwrap_or("");
    let sentence = format!("{} {}", text("dataPath"), text("message"));
    Some(sentence.trim().to_owned()).filter(|sentence| !sentence.is_empty())
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= QUOTE_CHARS {
        return text.to_owned();
    }
    text.chars().take(QUOTE_CHARS).chain(['…']).collect()
}

/// The table of checks, in the order of the report.
pub fn table(report: &Report) -> Vec<CheckRow> {
    report.checks.iter().map(CheckRow::new).collect()
}

/// Checks that have something to say, failed ones first.
pub fn groups(report: &Report) -> Vec<CheckFindings> {
    let mut speaking: Vec<&CheckResult> = report.checks.iter().filter(|check| !check.findings.is_empty()).collect();
    speaking.sort_by_key(|check| match check.status {
        CheckStatus::Failed => 0,
        CheckStatus::Error => 1,
        CheckStatus::Warned => 2,
        CheckStatus::Passed | CheckStatus::Skipped => 3,
    });
    let group = |check: &&CheckResult| CheckFindings {
        check: CheckRow::new(check),
        findings: check.findings.iter().map(FindingView::new).collect(),
    };
    speaking.iter().map(group).collect()
}

#[cfg(test)]
pub mod tests {
    use model::finding::{Position, Severity};

    use super::*;

    /// A finding with everything a finding can have.
    pub fn full() -> Finding {
        let mut finding = Finding::new(
            "output.contract",
            Severity::Error,
            "Result of keyword-1 has no label in 214 of 214 entries",
            "Applications read the label of every keyword.",
            "Write the keyword into object[].label.",
        );
        finding.place = Some("answer of /process, sample keyword-1".into());
        finding.sample = Some("keyword-1".into());
        finding.field = Some("outputFormats".into());
        finding.validation_errors = vec![serde_json::json!({"dataPath": ".object[3]", "message": "should have required property 'label'"})];
        finding.quote("{\"object\":[{\"type\":\"keyword\"}]}")
    }

    #[test]
    fn a_finding_says_everything_once() {
        let view = FindingView::new(&full());
        assert_eq!(view.places, ["answer of /process, sample keyword-1", "field outputFormats"]);
        assert_eq!(view.evidence, ["{\"object\":[{\"type\":\"keyword\"}]}", ".object[3] should have required property 'label'"]);
        assert_eq!((view.docs.as_str(), view.more_evidence), ("/docs/checks/output", None));
        assert_eq!((view.allowed.len(), view.more_allowed), (0, None));
    }

    #[test]
    fn a_position_is_added_unless_the_place_says_it() {
        let mut finding = full();
        (finding.field, finding.sample) = (None, None);
        finding.position = Some(Position { file: "/var/manifest.json".into(), line: 12, column: 3, pointer: "/category".into() });
        assert_eq!(places(&finding)[1], "/var/manifest.json:12:3");
        finding.place = Some("/var/manifest.json, line 12, column 3".into());
        assert_eq!(places(&finding), ["/var/manifest.json, line 12, column 3"]);
    }

    #[test]
    fn much_evidence_is_cut() {
        let mut finding = full();
        finding.evidence = (0..40).map(|n| format!("line {n}")).collect();
        finding.validation_errors.clear();
        finding.evidence[0] = "x".repeat(5_000);
        let view = FindingView::new(&finding);
        assert_eq!((view.evidence.len(), view.evidence[0].chars().count()), (QUOTES, QUOTE_CHARS + 1));
        assert_eq!(view.more_evidence.as_deref(), Some("28 more in the report"));
    }

    #[test]
    fn a_check_that_did_not_run_says_why() {
        let check = CheckResult {
            id: "ready".into(),
            title: "The engine gets ready".into(),
            status: CheckStatus::Error,
            reason: Some("this host allows no sandbox".into()),
            findings: vec![],
            attempts: None,
        };
        let row = CheckRow::new(&check);
        assert_eq!((row.note.as_str(), row.badge.word, row.has_findings), ("this host allows no sandbox", "error", false));
    }
}

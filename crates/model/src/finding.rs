//! Findings: what is wrong, where, why it matters, how to mend it, how to see it again.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// How bad a finding is. Whether it blocks is the policy's word, not the check's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Should be mended.
    Warning,
    /// Must be mended.
    Error,
}

impl Severity {
    /// The word on every wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A place in a JSON file of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// Absolute path in the image.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// JSON pointer (RFC 6901) of the value; empty for the whole document.
    pub pointer: String,
}

/// One cause, told once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Rule, such as `manifest.json` or `output.contract`; begins with the id of its check and names its page.
    pub code: String,
    /// How bad.
    pub severity: Severity,
    /// Subject, fact and offending value in at most 90 characters, no blame.
    pub title: String,
    /// File, line, request, process: whatever finds the place again.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Quoted lines or values, at most a few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// Why the rule exists.
    pub why: String,
    /// What to do next.
    pub fix: String,
    /// The text that goes into the report's `errors` or `warnings`, with the prefix scripts match (build report §5).
    pub message: String,
    /// Line, column and JSON pointer, where the place is in a JSON file of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// The offending value, cut to a few hundred characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What would be allowed instead, where that is a list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// The allowed value or key that was probably meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// The manifest field meant, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The sample meant, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
    /// Output validation entries `{keyword, dataPath, schemaPath, params, message}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validation_errors: Vec<serde_json::Value>,
}

impl Finding {
    /// A finding with the fields every finding must have; the message is the title until one is set.
    pub fn new(code: &str, severity: Severity, title: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        let title = title.into();
        Self {
            code: code.to_owned(),
            severity,
            message: title.clone(),
            title,
            place: None,
            evidence: Vec::new(),
            position: None,
            value: None,
            allowed: Vec::new(),
            suggestion: None,
            why: why.into(),
            fix: fix.into(),
            field: None,
            sample: None,
            validation_errors: Vec::new(),
        }
    }

    /// Sets the place.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// Adds a quoted line.
    #[must_use]
    pub fn quote(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    /// Sets the report's sentence.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Sets the manifest field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Sets the sample.
    #[must_use]
    pub fn sample(mut self, sample: impl Into<String>) -> Self {
        self.sample = Some(sample.into());
        self
    }

    /// Where the page of this finding is served: the page of its check.
    pub fn docs(&self) -> String {
        format!("/docs/checks/{}", check_of(&self.code))
    }
}

/// The check a code belongs to: the text before the first dot.
pub fn check_of(code: &str) -> &str {
    code.split_once('.').map_or(code, |(check, _)| check)
}

/// The canonical hash of a set of findings: the same on a laptop and on the server for the same image and policy.
///
/// Order, times, addresses of pages and measured values inside `evidence` do not enter it; code, severity, field, sample and message do.
pub fn canonical_hash(findings: &[Finding]) -> Digest {
    let mut lines: Vec<String> = findings
        .iter()
        .map(|f| {
            let part = |text: &Option<String>| text.clone().unwrap_or_default();
            serde_json::json!([f.code, f.severity, part(&f.field), part(&f.sample), f.message]).to_string()
        })
        .collect();
    lines.sort_unstable();
    Digest::of(lines.join("\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(code: &str) -> Finding {
        Finding::new(code, Severity::Error, "title", "why", "fix")
    }

    #[test]
    fn hash_ignores_order_and_evidence_but_not_the_message() {
        let (a, b) = (finding("a.b"), finding("c.d"));
        let hash = canonical_hash(&[a.clone(), b.clone()]);
        assert_eq!(canonical_hash(&[b.clone().quote("took 13 ms"), a.clone()]), hash);
        assert_ne!(canonical_hash(&[a, b.message("other")]), hash);
    }

    #[test]
    fn page_is_that_of_the_check() {
        assert_eq!(finding("output.contract").docs(), "/docs/checks/output");
        assert_eq!(finding("output").docs(), "/docs/checks/output");
    }
}

//! What blocks: data, not code. A finding blocks exactly when its severity is `error` once the policy has spoken.

mod vulnerabilities;

use std::collections::BTreeMap;

use model::{
    digest::Digest,
    finding::{Finding, Severity, check_of},
};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Value, json};

pub use vulnerabilities::{Threshold, Unscanned, Vulnerabilities};

use crate::{checks::CHECKS, judge::Draft, spelling};

/// Version of the rules of this crate: grows whenever the same evidence would give other findings under the same policy.
pub const RULES_VERSION: u32 = 2;

/// Version of the form of a policy file.
const FORM: u32 = 1;

/// How severe the rules are that have two columns (manifest contract §2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// What old images get wrong without harm is a warning.
    #[default]
    Lenient,
    /// The contract to the letter.
    Strict,
}

/// Which severities block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blocks {
    /// Errors only.
    #[default]
    Errors,
    /// Warnings become errors.
    Warnings,
}

/// A policy, as written in a file. Every key may be left out; an unknown key is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Policy {
    /// Version of the form: 1.
    #[serde(deserialize_with = "known_version")]
    pub version: u32,
    /// Lenient or strict.
    pub mode: Mode,
    /// What blocks.
    pub blocks: Blocks,
    /// Engines may write to the places of temporary files only (`/tmp`, `/var/tmp`, `/run`, `/dev/shm`), not to the rest of their image.
    pub read_only_root: bool,
    /// Severity by rule: `manifest.url.invalid`, or everything that begins with `manifest.url` or `manifest`. The longest match counts.
    #[serde(deserialize_with = "known_rules")]
    pub severities: BTreeMap<String, Severity>,
    /// Known vulnerabilities.
    pub vulnerabilities: Vulnerabilities,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            version: FORM,
            mode: Mode::Lenient,
            blocks: Blocks::Errors,
            read_only_root: false,
            severities: BTreeMap::new(),
            vulnerabilities: Vulnerabilities::default(),
        }
    }
}

fn known_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    match version {
        FORM => Ok(version),
        other => Err(de::Error::custom(format!("policies of version {other} are not understood, only version {FORM}"))),
    }
}

/// A key that names no check would silently do nothing.
fn known_rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Severity>, D::Error> {
    let severities = BTreeMap::<String, Severity>::deserialize(deserializer)?;
    for rule in severities.keys() {
        let check = check_of(rule);
        if !CHECKS.iter().any(|known| known.id == check) {
            let ids: Vec<&str> = CHECKS.iter().map(|known| known.id).collect();
            let hint = spelling::nearest(check, ids.iter().copied()).map_or_else(|| ids.join(", "), |near| format!("did you mean {near}?"));
            return Err(de::Error::custom(format!("severities names {rule:?}, but there is no check {check:?}: {hint}")));
        }
    }
    Ok(severities)
}

impl Policy {
    /// Gives a draft its final severity.
    pub fn apply(&self, draft: Draft) -> Finding {
        let Draft { mut finding, strict } = draft;
        if self.mode == Mode::Strict {
            finding.severity = strict;
        }
        if let Some(severity) = self.named(&finding.code) {
            finding.severity = severity;
        }
        if self.blocks == Blocks::Warnings && finding.severity == Severity::Warning {
            finding.severity = Severity::Error;
        }
        finding
    }

    /// The longest entry of `severities` that is the code or the beginning of it up to a dot.
    fn named(&self, code: &str) -> Option<Severity> {
        let mut rule = code;
        loop {
            if let Some(severity) = self.severities.get(rule) {
                return Some(*severity);
            }
            rule = rule.rsplit_once('.')?.0;
        }
    }

    /// Identity: equal ids mean that equal evidence gives equal findings.
    pub fn id(&self) -> Digest {
        // Written out key by key in a fixed order, so that the order of fields in a file or in this crate does not matter.
        let Self { version, mode, blocks, severities, read_only_root, vulnerabilities } = self;
        let canonical = json!([RULES_VERSION, version, mode, blocks, severities, vulnerabilities.canonical(), read_only_root]);
        Digest::of(canonical.to_string().as_bytes())
    }

    /// For the report: the identity and everything it is made of.
    pub(crate) fn describe(&self, capability: Option<&str>) -> Value {
        json!({
            "id": self.id(),
            "rules": RULES_VERSION,
            "version": self.version,
            "mode": self.mode,
            "blocks": self.blocks,
            "readOnlyRoot": self.read_only_root,
            "severities": self.severities,
            "vulnerabilities": self.vulnerabilities,
            "capability": capability,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Policy, String> {
        serde_json::from_str(text).map_err(|error: serde_json::Error| error.to_string())
    }

    fn draft(code: &str, lenient: Severity, strict: Severity) -> Draft {
        Draft::strictly(Finding::new(code, lenient, "title", "why", "fix"), strict)
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(read("{}").unwrap(), Policy::default());
        let text = serde_json::to_string(&Policy::default()).unwrap();
        assert_eq!(read(&text).unwrap(), Policy::default());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            (r#"{"mood": "strict"}"#, "mood"),
            (r#"{"version": 2}"#, "version 2"),
            (r#"{"mode": "severe"}"#, "severe"),
            (r#"{"severities": {"manifst.url": "info"}}"#, "did you mean manifest?"),
            (r#"{"severities": {"manifest.url": "fatal"}}"#, "fatal"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn each_setting_changes_what_blocks() {
        let severity = |policy: &str, draft: Draft| read(policy).unwrap().apply(draft).severity;
        let (info, warning, error) = (Severity::Info, Severity::Warning, Severity::Error);
        let url = || draft("manifest.url.invalid", warning, error);
        assert_eq!(severity("{}", url()), warning);
        assert_eq!(severity(r#"{"mode": "strict"}"#, url()), error);
        assert_eq!(severity(r#"{"blocks": "warnings"}"#, url()), error);
        assert_eq!(severity(r#"{"blocks": "warnings"}"#, draft("a.b", info, info)), info);
        let rules = r#"{"mode": "strict", "severities": {"manifest": "info", "manifest.url": "warning"}}"#;
        assert_eq!(severity(rules, url()), warning);
        assert_eq!(severity(rules, draft("manifest.json", error, error)), info);
        assert_eq!(severity(rules, draft("manifest.urls.invalid", error, error)), info);
        assert_eq!(severity(rules, draft("image.platform", error, error)), error);
    }

    #[test]
    fn the_id_changes_with_every_setting_and_not_with_the_order() {
        let id = |text: &str| read(text).unwrap().id();
        let settings = [
            "{}",
            r#"{"mode": "strict"}"#,
            r#"{"blocks": "warnings"}"#,
            r#"{"readOnlyRoot": true}"#,
            r#"{"severities": {"manifest": "info"}}"#,
            r#"{"severities": {"manifest": "warning"}}"#,
            r#"{"vulnerabilities": {"block": "High"}}"#,
            r#"{"vulnerabilities": {"onlyFixable": true}}"#,
            r#"{"vulnerabilities": {"exploited": "error"}}"#,
            r#"{"vulnerabilities": {"unknown": "error"}}"#,
            r#"{"vulnerabilities": {"graceDays": 1}}"#,
            r#"{"vulnerabilities": {"precedence": ["nvd"]}}"#,
            r#"{"vulnerabilities": {"maxAgeDays": 1}}"#,
            r#"{"vulnerabilities": {"unscanned": "error"}}"#,
            r#"{"vulnerabilities": {"vexDays": 1}}"#,
        ];
        let ids: std::collections::BTreeSet<_> = settings.iter().map(|text| id(text)).collect();
        assert_eq!(ids.len(), settings.len());
        let one = id(r#"{"mode": "strict", "severities": {"manifest": "info", "image": "info"}}"#);
        assert_eq!(one, id(r#"{"severities": {"image": "info", "manifest": "info"}, "mode": "strict"}"#));
    }
}

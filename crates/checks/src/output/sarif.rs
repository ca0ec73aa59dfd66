//! SARIF 2.1.0: one run, one rule per code that occurs, one result per finding. Checks that could not run are notifications, not results.

use std::collections::BTreeMap;

use model::{
    finding::{Finding, Severity, canonical_hash, check_of},
    report::{CheckStatus, Report},
};
use serde_json::{Value, json};

use crate::{Error, checks::CHECKS};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// Name of the place that paths inside the image are relative to.
const ROOT: &str = "IMAGE";

/// Renders a report.
///
/// # Errors
/// [`Error::Json`], which no report that [`crate::report`] made gives.
pub fn render(report: &Report) -> Result<String, Error> {
    let findings: Vec<&Finding> = report.checks.iter().flat_map(|check| &check.findings).collect();
    let mut rules: BTreeMap<&str, &Finding> = BTreeMap::new();
    for finding in &findings {
        rules.entry(&finding.code).or_insert(finding);
    }
    let index: BTreeMap<&str, usize> = rules.keys().enumerate().map(|(index, code)| (*code, index)).collect();
    let could_not_run = report.checks.iter().filter(|check| check.status == CheckStatus::Error);
    let notifications: Vec<Value> = could_not_run
        .map(|check| json!({ "level": "error", "descriptor": { "id": check.id }, "message": { "text": check.reason.as_deref().unwrap_or_default() } }))
        .collect();
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "Plimsoll",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.values().map(|finding| rule(finding)).collect::<Vec<_>>(),
            } },
            "invocations": [{ "executionSuccessful": notifications.is_empty(), "toolExecutionNotifications": notifications }],
            "originalUriBaseIds": { ROOT: { "description": { "text": "the root of the file system inside the image" } } },
            "results": findings.iter().map(|finding| result(finding, &index)).collect::<Vec<_>>(),
            "properties": { "image": report.image, "imageDigest": report.image_digest, "verdict": report.verdict, "findingsHash": report.findings_hash },
        }],
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn rule(finding: &Finding) -> Value {
    let check = CHECKS.iter().find(|check| check.id == check_of(&finding.code));
    json!({
        "id": finding.code,
        "shortDescription": { "text": check.map_or(finding.code.as_str(), |check| check.title) },
        "fullDescription": { "text": finding.why },
        "help": { "text": format!("plimsoll explain {}", check_of(&finding.code)), "markdown": check.map_or("", |check| check.help) },
    })
}

fn result(finding: &Finding, index: &BTreeMap<&str, usize>) -> Value {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    };
    let quoted = if finding.evidence.is_empty() { String::new() } else { format!("\n{}", finding.evidence.join("\n")) };
    json!({
        "ruleId": finding.code,
        "ruleIndex": index.get(finding.code.as_str()),
        "level": level,
        "message": { "text": format!("{}. {}{quoted}", finding.title, finding.fix) },
        "locations": [location(finding)],
        "partialFingerprints": { "finding/v1": canonical_hash(std::slice::from_ref(finding)).hex() },
    })
}

fn location(finding: &Finding) -> Value {
    let name = finding.place.clone().unwrap_or_else(|| "image".to_owned());
    match &finding.position {
        Some(position) => json!({
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&position.file), "uriBaseId": ROOT },
                "region": { "startLine": position.line, "startColumn": position.column },
            },
            "logicalLocations": [{ "fullyQualifiedName": name }],
        }),
        None => json!({ "logicalLocations": [{ "fullyQualifiedName": name }] }),
    }
}

/// A path inside the image as a relative URI.
fn uri(path: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    path.trim_start_matches('/').bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::full;

    #[test]
    fn a_report_with_findings() {
        let mut value: Value = serde_json::from_str(&render(&full()).unwrap()).unwrap();
        // The pages have tests of their own.
        for rule in value["runs"][0]["tool"]["driver"]["rules"].as_array_mut().unwrap() {
            assert!(rule["help"]["markdown"].as_str().unwrap().starts_with("# "));
            rule["help"]["markdown"] = json!("the page");
        }
        insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap());
    }

    #[test]
    fn every_result_points_at_its_rule() {
        let value: Value = serde_json::from_str(&render(&full()).unwrap()).unwrap();
        let run = &value["runs"][0];
        let results = run["results"].as_array().unwrap();
        assert!(results.len() > 4);
        for result in results {
            let index = result["ruleIndex"].as_u64().unwrap() as usize;
            assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        }
        assert_eq!(run["invocations"][0]["executionSuccessful"], json!(false));
    }

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("/var/my manifest ä.json"), "var/my%20manifest%20%C3%A4.json");
    }
}

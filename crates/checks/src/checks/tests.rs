//! Every check over its fixtures, and what holds for every finding of all of them.

use model::report::{CheckResult, CheckStatus};

use super::{
    CHECKS,
    fixtures::{Expected, Fixture, of},
};
use crate::{
    contract::manifest::known_keys,
    judge::{Stage, judge},
    policy::Policy,
};

/// Checks that cannot pass or fail yet, and why.
const UNFINISHED: [(&str, &str); 1] = [("security", "there is no advisory database to pass or fail by")];

fn result_of(check: &str, fixture: &Fixture) -> CheckResult {
    let results = judge(&fixture.evidence.clone().evidence(), &Policy::default(), Stage::Complete);
    results.into_iter().find(|result| result.id == check).unwrap()
}

fn all() -> impl Iterator<Item = (&'static str, Fixture, CheckResult)> {
    CHECKS.iter().flat_map(|check| {
        of(check.id).into_iter().map(|fixture| {
            let result = result_of(check.id, &fixture);
            (check.id, fixture, result)
        })
    })
}

#[test]
fn every_check_says_what_its_fixtures_expect() {
    for (check, fixture, result) in all() {
        let code = result.findings.first().map(|finding| finding.code.as_str());
        let reason = result.reason.clone().unwrap_or_default();
        let right = match &fixture.expected {
            Expected::Passed => result.status == CheckStatus::Passed && code.is_none(),
            Expected::Noted(expected) => result.status == CheckStatus::Passed && code == Some(*expected),
            Expected::Warned(expected) => result.status == CheckStatus::Warned && code == Some(*expected),
            Expected::Failed(expected) => result.status == CheckStatus::Failed && code == Some(*expected),
            Expected::Skipped(expected) => result.status == CheckStatus::Skipped && reason.contains(expected),
            Expected::Error(expected) => result.status == CheckStatus::Error && code == *expected && !reason.is_empty(),
        };
        assert!(right, "{check}, {}: expected {:?}, got {result:#?}", fixture.name, fixture.expected);
    }
}

#[test]
fn every_check_has_a_fixture_that_passes_and_one_that_fails() {
    for check in CHECKS {
        let fixtures = of(check.id);
        assert!(!fixtures.is_empty(), "{} has no fixtures; add them to its file and a line to fixtures.rs", check.id);
        if UNFINISHED.iter().any(|(id, _)| *id == check.id) {
            continue;
        }
        assert!(fixtures.iter().any(|fixture| fixture.expected == Expected::Passed), "{} has no fixture that passes", check.id);
        assert!(fixtures.iter().any(|fixture| matches!(fixture.expected, Expected::Failed(_))), "{} has no fixture that fails", check.id);
    }
}

#[test]
fn every_finding_says_what_where_why_and_what_to_do() {
    for (check, fixture, result) in all() {
        for finding in &result.findings {
            let name = format!("{check}, {}: {finding:#?}", fixture.name);
            assert!(finding.code.starts_with(&format!("{check}.")), "{name}");
            assert!((10..=90).contains(&finding.title.chars().count()), "{name}");
            assert!(finding.place.as_deref().is_some_and(|place| place.len() > 3), "{name}");
            assert!(finding.why.ends_with('.') && finding.fix.ends_with('.'), "{name}");
            assert!(!finding.message.is_empty() && !finding.message.contains("sha256:"), "{name}");
            assert!(!finding.title.to_lowercase().contains("see the log"), "{name}");
        }
    }
}

#[test]
fn every_code_stands_on_the_page_of_its_check() {
    let keys: Vec<&str> = known_keys().collect();
    for (check, fixture, result) in all() {
        let page = crate::explain::page(check).unwrap();
        for finding in &result.findings {
            // The page of the manifest lists fields and the endings of their rules apart.
            let parts: Vec<&str> = finding.code.split('.').collect();
            let listed = match parts[..] {
                ["manifest", field, rule] if keys.contains(&field) => {
                    page.contains(&format!("`{field}`")) && page.contains(&format!("`manifest.FIELD.{rule}`"))
                }
                _ => page.contains(&format!("`{}`", finding.code)),
            };
            assert!(listed, "{}: {} is not on the page docs/checks/{check}.md", fixture.name, finding.code);
        }
    }
}

#[test]
fn what_could_not_be_done_is_told_by_one_check() {
    for (check, fixture, _) in all().filter(|(_, fixture, _)| matches!(fixture.expected, Expected::Error(_))) {
        let results = judge(&fixture.evidence.clone().evidence(), &Policy::default(), Stage::Complete);
        let could_not = results.iter().filter(|result| result.status == CheckStatus::Error && result.id != "security");
        let told = could_not.flat_map(|result| &result.findings).count();
        assert!(told == 1 || check == "security", "{check}, {}: {results:#?}", fixture.name);
    }
}

#[test]
fn one_cause_is_told_by_one_check() {
    for (check, fixture, _) in all().filter(|(_, fixture, _)| matches!(fixture.expected, Expected::Failed(_))) {
        let results = judge(&fixture.evidence.clone().evidence(), &Policy::default(), Stage::Complete);
        let failed: Vec<&str> =
            results.iter().filter(|result| result.status == CheckStatus::Failed).map(|result| result.id.as_str()).collect();
        assert_eq!(failed, [check], "{check}, {}", fixture.name);
    }
}

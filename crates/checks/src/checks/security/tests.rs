use model::digest::Digest;
use model::waiver::Waiver;
use scan::{Ecosystem, Package, Severity as Level, Vulnerability, advisories::SeveritySource};

use super::*;
use crate::{checks::fixtures::Fixture, evidence::tests::webhook, policy::Policy};

/// When it was looked at: 2026-01-15.
pub(crate) const NOW: i64 = 1_768_435_200_000;

/// A vulnerability.
pub(crate) fn one(name: &str, severity: Level, fixed_by: Option<&str>) -> Vulnerability {
    Vulnerability {
        name: name.into(),
        aliases: Vec::new(),
        description: "A flaw.".into(),
        link: String::new(),
        published: None,
        severity,
        severity_source: SeveritySource::Advisory,
        score: None,
        fixed_by: fixed_by.map(str::to_owned),
        exploited: false,
        informational: None,
        package: Package {
            ecosystem: Ecosystem::from_osv("Debian:12").unwrap(),
            name: "libssl3".into(),
            version: "3.0.1".into(),
            source: Some(("openssl".into(), "3.0.1".into())),
            path: "var/lib/dpkg/status".into(),
            layer: Digest::of(b"layer"),
        },
    }
}

fn fresh() -> Scanned {
    Scanned { newest: "2026-01-10T00:00:00Z".into(), at: NOW, ..Scanned::default() }
}

fn scanned(vulnerabilities: Vec<Vulnerability>) -> SecurityEvidence {
    SecurityEvidence::Scanned(Box::new(Scanned { packages: 1, vulnerabilities, ..fresh() }))
}

pub(crate) fn fixtures() -> Vec<Fixture> {
    let with = |all| webhook().security(scanned(all));
    let exploited = Vulnerability { exploited: true, ..one("CVE-9", Level::Low, None) };
    let remark = Vulnerability { informational: Some("unmaintained".into()), ..one("X-1", Level::Critical, None) };
    let warning = Warning { path: "a/package.json".into(), message: "/a/package.json is no JSON".into() };
    let odd = SecurityEvidence::Scanned(Box::new(Scanned { warnings: vec![warning], ..fresh() }));
    vec![
        Fixture::could_not("no database", webhook(), Some("security.no_database")),
        Fixture::could_not(
            "database unread",
            webhook().security(SecurityEvidence::Unread("cut off".into())),
            Some("security.database_unread"),
        ),
        Fixture::pass("nothing known", with(Vec::new())),
        Fixture::fail("critical", with(vec![one("CVE-1", Level::Critical, Some("3.0.2"))]), "security.critical"),
        Fixture::warn("exploited", with(vec![exploited]), "security.exploited"),
        Fixture::warn("high", with(vec![one("CVE-2", Level::High, None)]), "security.high"),
        Fixture::note("medium", with(vec![one("CVE-3", Level::Medium, None)]), "security.medium"),
        Fixture::note("low", with(vec![one("CVE-4", Level::Low, None)]), "security.low"),
        Fixture::note("negligible", with(vec![one("CVE-5", Level::Negligible, None)]), "security.negligible"),
        Fixture::warn("unknown", with(vec![one("CVE-6", Level::Unknown, None)]), "security.unknown"),
        Fixture::note("remark", with(vec![remark]), "security.informational"),
        Fixture::note("waived", with(vec![one("CVE-1", Level::Critical, Some("3.0.2"))]).waivers(vec![waiver(NOW + 1)]), "security.waived"),
        Fixture::fail("waiver ended", with(vec![one("CVE-1", Level::Critical, None)]).waivers(vec![waiver(NOW)]), "security.critical"),
        Fixture::warn("old", webhook().security(old()), "security.database_old"),
        Fixture::warn("incomplete", webhook().security(odd), "security.incomplete"),
    ]
}

fn old() -> SecurityEvidence {
    SecurityEvidence::Scanned(Box::new(Scanned { newest: "2025-12-31T23:00:00Z".into(), ..fresh() }))
}

fn waiver(expires_at: i64) -> Waiver {
    Waiver {
        vulnerability: "CVE-1".into(),
        package: None,
        engine: None,
        image: None,
        reason: "the code is never called".into(),
        author: "rev@example.org".into(),
        expires_at,
        until_fixed: false,
    }
}

fn results(security: SecurityEvidence, policy: &str) -> Vec<Finding> {
    let policy: Policy = serde_json::from_str(policy).unwrap();
    let results = crate::judge(&webhook().security(security).evidence(), &policy, crate::Stage::Static);
    results.into_iter().find(|check| check.id == "security").unwrap().findings
}

#[test]
fn a_policy_can_make_it_block() {
    let severity = |security, policy| results(security, policy)[0].severity;
    assert_eq!(severity(SecurityEvidence::NoDatabase, r#"{"severities": {"security.no_database": "error"}}"#), Severity::Error);
    let high = || scanned(vec![one("CVE-2", Level::High, None)]);
    assert_eq!(severity(high(), "{}"), Severity::Warning);
    assert_eq!(severity(high(), r#"{"severities": {"security.high": "error"}}"#), Severity::Error);
}

#[test]
fn one_vulnerability_of_many_packages_is_one_finding() {
    let other = Vulnerability {
        package: Package { name: "openssl".into(), ..one("", Level::Low, None).package },
        ..one("CVE-1", Level::Critical, Some("3.0.2"))
    };
    let found = results(scanned(vec![one("CVE-1", Level::Critical, Some("3.0.2")), other]), "{}");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].message, "Critical vulnerability: CVE-1 in openssl 3.0.1");
    assert!(found[0].fix.contains("update openssl to 3.0.2"), "{}", found[0].fix);
    assert_eq!(found[0].evidence[..2], ["libssl3 3.0.1 in /var/lib/dpkg/status", "openssl 3.0.1 in /var/lib/dpkg/status"]);
}

#[test]
fn long_lists_end_with_a_count() {
    let many = (0..50).map(|n| one(&format!("CVE-{n:03}"), Level::Medium, Some("4"))).collect();
    let found = results(scanned(many), "{}");
    assert_eq!(found[0].title, "50 known vulnerabilities of severity Medium");
    assert_eq!(found[0].evidence.last().unwrap(), "and 39 more, all in the list of vulnerabilities");
}

#[test]
fn an_old_database_never_passes_in_silence() {
    let of = |policy: &str| {
        let policy: Policy = serde_json::from_str(policy).unwrap();
        let results = crate::judge(&webhook().security(old()).evidence(), &policy, crate::Stage::Static);
        let check = results.into_iter().find(|check| check.id == "security").unwrap();
        (check.status, check.findings.first().map(|finding| (finding.code.clone(), finding.severity)))
    };
    use model::report::CheckStatus;
    let told = |severity| Some(("security.database_old".to_owned(), severity));
    assert_eq!(of("{}"), (CheckStatus::Warned, told(Severity::Warning)));
    assert_eq!(of(r#"{"vulnerabilities": {"unscanned": "error"}}"#), (CheckStatus::Error, told(Severity::Error)));
    assert_eq!(of(r#"{"vulnerabilities": {"maxAgeDays": 15}}"#), (CheckStatus::Passed, None));
    assert_eq!(of(r#"{"vulnerabilities": {"maxAgeDays": 0}}"#), (CheckStatus::Passed, None));
    let none = results(SecurityEvidence::NoDatabase, r#"{"vulnerabilities": {"unscanned": "error"}}"#);
    assert_eq!(none[0].severity, Severity::Error);
}

#[test]
fn each_key_of_the_policy_blocks_or_lets_pass() {
    let worst = |vulnerability: Vulnerability, policy: &str| {
        let found = results(scanned(vec![vulnerability]), policy);
        (found[0].code.clone(), found[0].severity)
    };
    let young = Vulnerability { published: Some("2026-01-14T00:00:00Z".into()), ..one("CVE-1", Level::Critical, Some("2")) };
    let exploited = Vulnerability { exploited: true, ..one("CVE-1", Level::Low, None) };
    for (vulnerability, policy, code, severity) in [
        (one("CVE-1", Level::High, None), r#"{"vulnerabilities": {"block": "High"}}"#, "security.high", Severity::Error),
        (one("CVE-1", Level::Critical, None), r#"{"vulnerabilities": {"block": "Never"}}"#, "security.critical", Severity::Warning),
        (one("CVE-1", Level::Critical, None), r#"{"vulnerabilities": {"onlyFixable": true}}"#, "security.unfixable", Severity::Warning),
        (young, r#"{"vulnerabilities": {"graceDays": 30}}"#, "security.grace", Severity::Warning),
        (exploited, r#"{"vulnerabilities": {"exploited": "error"}}"#, "security.exploited", Severity::Error),
        (one("CVE-1", Level::Unknown, None), r#"{"vulnerabilities": {"unknown": "error"}}"#, "security.unknown", Severity::Error),
    ] {
        assert_eq!(worst(vulnerability, policy), (code.to_owned(), severity), "{policy}");
    }
}

#[test]
fn what_is_waived_says_by_whom_why_and_until_when() {
    let builder = webhook().security(scanned(vec![one("CVE-1", Level::Critical, None)]));
    let of = |waiver: Waiver| {
        let results = crate::judge(&builder.clone().waivers(vec![waiver]).evidence(), &Policy::default(), crate::Stage::Static);
        results.into_iter().find(|check| check.id == "security").unwrap().findings
    };
    let held = of(waiver(NOW + 1));
    assert!(held[0].evidence[0].ends_with("; waived by rev@example.org until 2026-01-15: the code is never called"), "{held:?}");
    let ended = of(waiver(NOW));
    assert_eq!(ended.iter().map(|finding| finding.code.as_str()).collect::<Vec<_>>(), ["security.critical", "security.waiver_ended"]);
    assert!(ended[1].evidence[0].ends_with("the waiver of rev@example.org ended on 2026-01-14"), "{ended:?}");
}

#[test]
fn the_hundred_and_first_that_blocks_is_in_a_list() {
    let many = (0..130).map(|n| one(&format!("CVE-{n:03}"), Level::Critical, None)).collect();
    let found = results(scanned(many), "{}");
    assert_eq!(found.len(), 101);
    assert!(found.iter().any(|finding| finding.title == "30 known vulnerabilities of severity Critical"));
    assert!(found.iter().all(|finding| finding.severity == Severity::Error));
}

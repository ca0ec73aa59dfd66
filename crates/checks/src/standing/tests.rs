use super::*;
use crate::checks::security_tests::{NOW, one};

fn waiver(vulnerability: &str, package: Option<&str>) -> Waiver {
    Waiver {
        vulnerability: vulnerability.into(),
        package: package.map(str::to_owned),
        engine: None,
        image: None,
        reason: "not reachable".into(),
        author: "rev@example.org".into(),
        expires_at: NOW + DAY,
        until_fixed: false,
    }
}

fn standing<'a>(rules: &'a Vulnerabilities, waivers: &'a [Waiver], vulnerability: &Vulnerability) -> Standing<'a> {
    static NOBODY: ImageNames = ImageNames { references: Vec::new(), digests: Vec::new(), architecture: String::new() };
    Judge { rules, waivers, engine: None, image: &NOBODY, at: NOW }.standing(vulnerability)
}

fn rules(text: &str) -> Vulnerabilities {
    serde_json::from_str(text).unwrap()
}

#[test]
fn every_key_changes_how_a_vulnerability_stands() {
    let critical = |fixed| one("CVE-1", Level::Critical, fixed);
    let published = |days: i64| Vulnerability {
        published: Some(jiff::Timestamp::from_millisecond(NOW - days * DAY).unwrap().to_string()),
        ..one("CVE-1", Level::Critical, Some("2"))
    };
    let exploited = Vulnerability { exploited: true, ..one("CVE-1", Level::Low, None) };
    let cases = [
        ("{}", critical(None), Standing::Blocks),
        (r#"{"block": "Never"}"#, critical(None), Standing::Told(Severity::Warning)),
        ("{}", one("CVE-1", Level::High, None), Standing::Told(Severity::Warning)),
        (r#"{"block": "High"}"#, one("CVE-1", Level::High, None), Standing::Blocks),
        (r#"{"onlyFixable": true}"#, critical(None), Standing::Unfixable),
        (r#"{"onlyFixable": true}"#, critical(Some("2")), Standing::Blocks),
        ("{}", exploited.clone(), Standing::Told(Severity::Warning)),
        (r#"{"exploited": "info"}"#, exploited.clone(), Standing::Told(Severity::Info)),
        (r#"{"exploited": "error"}"#, exploited, Standing::Blocks),
        ("{}", one("CVE-1", Level::Unknown, None), Standing::Told(Severity::Warning)),
        (r#"{"unknown": "error"}"#, one("CVE-1", Level::Unknown, None), Standing::Blocks),
        (r#"{"unknown": "info"}"#, one("CVE-1", Level::Unknown, None), Standing::Told(Severity::Info)),
        (r#"{"graceDays": 7}"#, published(6), Standing::Grace(NOW + DAY)),
        (r#"{"graceDays": 7}"#, published(7), Standing::Blocks),
        (r#"{"graceDays": 7}"#, critical(Some("2")), Standing::Blocks),
        (r#"{"graceDays": 7}"#, Vulnerability { exploited: true, ..published(6) }, Standing::Blocks),
    ];
    for (policy, vulnerability, expected) in cases {
        assert_eq!(standing(&rules(policy), &[], &vulnerability), expected, "{policy} {vulnerability:?}");
    }
}

#[test]
fn a_waiver_means_what_it_names() {
    let rules = rules("{}");
    let aliased = Vulnerability { aliases: vec!["DSA-1".into()], ..one("CVE-1", Level::Critical, Some("2")) };
    for (waiver, holds) in [
        (waiver("CVE-1", None), true),
        (waiver("cve-1", None), true),
        (waiver("DSA-1", Some("openssl")), true),
        (waiver("CVE-1", Some("libssl3")), true),
        (waiver("CVE-1", Some("pkg:deb/debian/libssl3@3.0.1?arch=amd64")), true),
        (waiver("CVE-1", Some("pkg:deb/debian/openssl")), true),
        (waiver("CVE-1", Some("pkg:deb/debian/libssl")), false),
        (waiver("CVE-1", Some("pkg:deb/debian/libssl3@3.0.2")), false),
        (waiver("CVE-1", Some("curl")), false),
        (waiver("CVE-2", None), false),
        // Nobody knows what this image is called.
        (Waiver { image: Some("pkg:oci/reader".into()), ..waiver("CVE-1", None) }, false),
        (Waiver { expires_at: NOW, ..waiver("CVE-1", None) }, false),
        (Waiver { until_fixed: true, ..waiver("CVE-1", None) }, false),
    ] {
        let waivers = [waiver.clone()];
        let found = standing(&rules, &waivers, &aliased);
        let expected = if holds { Standing::Waived(&waivers[0]) } else { Standing::Blocks };
        assert_eq!(found, expected, "{waiver:?}");
    }
}

#[test]
fn what_ended_is_told_unless_another_holds() {
    let rules = rules("{}");
    let waivers = [Waiver { expires_at: NOW, ..waiver("CVE-1", None) }, waiver("CVE-1", None)];
    let image = ImageNames::default();
    let judge = |waivers| Judge { rules: &rules, waivers, engine: None, image: &image, at: NOW };
    let vulnerability = one("CVE-1", Level::Critical, None);
    assert_eq!(judge(&waivers[..1]).ended(&vulnerability), Some((&waivers[0], Hold::Expired)));
    assert_eq!(judge(&waivers).ended(&vulnerability), None);
}

#[test]
fn a_database_ages() {
    let at = millis("2026-02-01T00:00:00Z").unwrap();
    assert!(!is_too_old(&rules(r#"{"maxAgeDays": 31}"#), "2026-01-01T00:00:00Z", at));
    assert!(is_too_old(&rules(r#"{"maxAgeDays": 30}"#), "2026-01-01T00:00:00Z", at));
    assert!(is_too_old(&rules(r#"{"maxAgeDays": 30}"#), "", at));
    assert!(!is_too_old(&rules(r#"{"maxAgeDays": 0}"#), "", at));
}

#[test]
fn a_waiver_of_one_image_is_none_of_another() {
    let rules = rules("{}");
    let waivers = [Waiver { image: Some("1/reader".into()), ..waiver("CVE-1", None) }];
    let vulnerability = one("CVE-1", Level::Critical, None);
    for (reference, expected) in [("gate.example.org/1/reader:v1", Standing::Waived(&waivers[0])), ("1/other", Standing::Blocks)] {
        let image = ImageNames { references: vec![reference.into()], ..ImageNames::default() };
        let judge = Judge { rules: &rules, waivers: &waivers, engine: None, image: &image, at: NOW };
        assert_eq!(judge.standing(&vulnerability), expected, "{reference}");
    }
}

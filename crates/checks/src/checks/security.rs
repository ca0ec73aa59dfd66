//! `security`: no known vulnerability in the image blocks it.
//!
//! Without a database of advisories nothing is known, and the check says so: it never passes in silence.

use std::collections::BTreeMap;

use model::finding::{Finding, Severity};
use scan::{Severity as Level, Vulnerability, Warning};

use crate::{
    evidence::{Evidence, Scanned, SecurityEvidence},
    judge::{Check, Draft, Judgement, Needs},
};

pub(super) const CHECK: Check = Check {
    id: "security",
    title: "No known vulnerability blocks",
    help: include_str!("../../../../docs/checks/security.md"),
    needs: Needs::Static,
    judge,
};

/// Lines quoted of a list.
const QUOTED: usize = 20;
const WHY: &str = "Whoever reaches the engine can use what is publicly known to be broken in it, and attackers read the same advisories.";

fn judge(evidence: &Evidence) -> Judgement {
    match &evidence.security {
        SecurityEvidence::NoDatabase => {
            Judgement::CouldNotRun { reason: "no advisory database is loaded".to_owned(), finding: Some(Box::new(no_database().into())) }
        }
        SecurityEvidence::NoImage => super::without_image(evidence),
        SecurityEvidence::Unread(reason) => Judgement::CouldNotRun {
            reason: "the advisory database cannot be read".to_owned(),
            finding: Some(Box::new(unread(reason).into())),
        },
        SecurityEvidence::Scanned(scanned) => Judgement::Judged(findings(scanned)),
    }
}

fn no_database() -> Finding {
    let finding = Finding::new(
        "security.no_database",
        Severity::Warning,
        "NOT SCANNED: no advisory database is loaded",
        "Without a database nobody knows whether this image has known vulnerabilities; an empty list means nothing.",
        "Make one with \"plimsoll advisories build SOURCE... -o advisories.db\" and name it with --advisories, or for a server in advisories.path.",
    );
    finding.message("Not scanned for vulnerabilities: no advisory database is loaded").at("the whole image")
}

fn unread(reason: &str) -> Finding {
    let finding = Finding::new(
        "security.database_unread",
        Severity::Error,
        "NOT SCANNED: the advisory database cannot be read",
        "Without it nobody knows whether this image has known vulnerabilities. The image is not to blame.",
        "Make the database again with \"plimsoll advisories build\", or put the former one back.",
    );
    finding.message(format!("Not scanned for vulnerabilities: {reason}")).at("the whole image").quote(reason)
}

fn findings(scanned: &Scanned) -> Vec<Draft> {
    let real = || scanned.vulnerabilities.iter().filter(|one| one.informational.is_none());
    let mut drafts: Vec<Draft> =
        grouped(real().filter(|one| one.severity == Level::Critical)).into_iter().map(|group| critical(&group).into()).collect();
    drafts.extend(listed(
        "security.exploited",
        "known to be exploited",
        real().filter(|one| one.exploited && one.severity != Level::Critical),
    ));
    for (code, level) in [
        ("security.high", Level::High),
        ("security.medium", Level::Medium),
        ("security.low", Level::Low),
        ("security.negligible", Level::Negligible),
        ("security.unknown", Level::Unknown),
    ] {
        let words = format!("of severity {}", level.as_str());
        drafts.extend(listed(code, &words, real().filter(|one| one.severity == level && !one.exploited)));
    }
    drafts.extend(listed(
        "security.informational",
        "with a remark (unmaintained, unsound)",
        scanned.vulnerabilities.iter().filter(|one| one.informational.is_some()),
    ));
    drafts.extend(unread_packages(&scanned.warnings));
    drafts
}

/// One vulnerability of one source package, which often is in several packages built from it.
struct Group<'a> {
    first: &'a Vulnerability,
    packages: Vec<String>,
}

fn grouped<'a>(all: impl Iterator<Item = &'a Vulnerability>) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<(String, String), Group<'a>> = BTreeMap::new();
    for one in all {
        let (name, _) = one.package.matched();
        let group = groups.entry((one.name.clone(), name)).or_insert_with(|| Group { first: one, packages: Vec::new() });
        group.packages.push(format!("{} {} in /{}", one.package.name, one.package.version, one.package.path));
    }
    groups.into_values().collect()
}

fn mend(one: &Vulnerability) -> String {
    let (name, _) = one.package.matched();
    match &one.fixed_by {
        Some(version) => format!("update {name} to {version}"),
        None => format!("no version of {name} mends it yet: remove it, or use another"),
    }
}

fn critical(group: &Group<'_>) -> Finding {
    let one = group.first;
    let (name, version) = one.package.matched();
    let fix = format!("Rebuild the image on an up-to-date base: {}. The layer that brought it is {}.", mend(one), one.package.layer);
    let mut finding = Finding::new("security.critical", Severity::Error, format!("{} in {name} {version} is critical", one.name), WHY, fix)
        .message(format!("Critical vulnerability: {} in {name} {version}", one.name))
        .at(format!("/{}", one.package.path));
    finding = group.packages.iter().take(QUOTED).fold(finding, Finding::quote);
    let rated = one.score.as_ref().map_or_else(String::new, |score| format!("CVSS {} ({})", score.score, score.vector));
    [one.description.clone(), rated, one.link.clone()].into_iter().filter(|line| !line.is_empty()).fold(finding, Finding::quote)
}

/// All of a kind in one finding, with a list.
fn listed<'a>(code: &str, words: &str, all: impl Iterator<Item = &'a Vulnerability>) -> Option<Draft> {
    let groups = grouped(all);
    let first = groups.first()?;
    let severity = match code {
        "security.high" | "security.exploited" | "security.unknown" => Severity::Warning,
        _ => Severity::Info,
    };
    let count = groups.len();
    let noun = if count == 1 { "vulnerability" } else { "vulnerabilities" };
    let mendable = groups.iter().filter(|group| group.first.fixed_by.is_some()).count();
    let title = format!("{count} known {noun} {words}");
    let fix = if mendable == 0 {
        "No version mends them yet. Remove the packages that the engine does not need; look again after the next update.".to_owned()
    } else {
        format!(
            "{mendable} of {count} have a version that mends them: update the packages named here, or rebuild on an up-to-date base image."
        )
    };
    let mut finding = Finding::new(code, severity, title.clone(), WHY, fix).message(title).at(format!("/{}", first.first.package.path));
    for group in groups.iter().take(QUOTED) {
        let (name, version) = group.first.package.matched();
        finding = finding.quote(format!("{} in {name} {version}: {}", group.first.name, mend(group.first)));
    }
    if count > QUOTED {
        finding = finding.quote(format!("and {} more, all in the list of vulnerabilities", count - QUOTED));
    }
    Some(finding.into())
}

fn unread_packages(warnings: &[Warning]) -> Option<Draft> {
    let first = warnings.first()?;
    let finding = Finding::new(
        "security.incomplete",
        Severity::Warning,
        format!("{} {} could not be looked up", warnings.len(), if warnings.len() == 1 { "list of packages" } else { "lists of packages" }),
        "What cannot be read or compared may hide a known vulnerability.",
        "Mend or remove the files named here; take package versions that follow the rules of their ecosystem.",
    );
    let finding = finding.message(format!("Not everything could be looked up: {}", first.message)).at(format!("/{}", first.path));
    Some(warnings.iter().take(QUOTED).fold(finding, |finding, warning| finding.quote(warning.message.as_str())).into())
}

#[cfg(test)]
pub(super) mod tests {
    use model::digest::Digest;
    use scan::{Ecosystem, Package, advisories::SeveritySource};

    use super::*;
    use crate::{checks::fixtures::Fixture, evidence::tests::webhook, policy::Policy};

    fn one(name: &str, severity: Level, fixed_by: Option<&str>) -> Vulnerability {
        Vulnerability {
            name: name.into(),
            aliases: Vec::new(),
            description: "A flaw.".into(),
            link: String::new(),
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

    fn scanned(vulnerabilities: Vec<Vulnerability>) -> SecurityEvidence {
        SecurityEvidence::Scanned(Box::new(Scanned { packages: 1, vulnerabilities, ..Scanned::default() }))
    }

    pub(crate) fn fixtures() -> Vec<Fixture> {
        let with = |all| webhook().security(scanned(all));
        let exploited = Vulnerability { exploited: true, ..one("CVE-9", Level::Low, None) };
        let remark = Vulnerability { informational: Some("unmaintained".into()), ..one("X-1", Level::Critical, None) };
        let warning = Warning { path: "a/package.json".into(), message: "/a/package.json is no JSON".into() };
        let odd = SecurityEvidence::Scanned(Box::new(Scanned { warnings: vec![warning], ..Scanned::default() }));
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
            Fixture::warn("incomplete", webhook().security(odd), "security.incomplete"),
        ]
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
        assert_eq!(found[0].evidence.last().unwrap(), "and 30 more, all in the list of vulnerabilities");
    }
}

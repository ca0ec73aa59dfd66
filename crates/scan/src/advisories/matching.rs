//! Packages against a database: by exact normalised name, versions by the ecosystem's own rule. Nothing is guessed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    database::Database,
    format::{Advisory, AffectedRecord, OneOf},
    range::Within,
};
use crate::{
    Ecosystem, Error,
    inventory::{Package, Warning},
    severity::{Score, Severity},
};

/// Where a severity may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeveritySource {
    /// The word of the distribution or of the advisory's own database.
    Distribution,
    /// The CVSS score of the advisory.
    Advisory,
    /// The CVSS score listed for its CVE elsewhere (NVD and the like).
    Nvd,
    /// Nobody said.
    None,
}

/// The order in which severities are believed, unless a policy says otherwise.
pub const PRECEDENCE: [SeveritySource; 3] = [SeveritySource::Distribution, SeveritySource::Advisory, SeveritySource::Nvd];

/// One vulnerability of one package, its aliases folded into it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vulnerability {
    /// The CVE where there is one, else the advisory's id.
    pub name: String,
    /// All its other ids, in order.
    pub aliases: Vec<String>,
    /// In a sentence or two.
    pub description: String,
    /// Where to read on.
    pub link: String,
    /// When the first of its advisories was published, RFC 3339.
    pub published: Option<String>,
    /// How bad.
    pub severity: Severity,
    /// Who says so.
    pub severity_source: SeveritySource,
    /// The score that was looked at, if there is one.
    pub score: Option<Score>,
    /// The first version without it.
    pub fixed_by: Option<String>,
    /// Known to be exploited.
    pub exploited: bool,
    /// A remark such as `unmaintained`, not a vulnerability.
    pub informational: Option<String>,
    /// The package.
    pub package: Package,
}

/// Matches packages; the result is ordered from the worst, then by name and package. What could not be compared is among the warnings.
///
/// # Errors
/// The database cannot be read.
pub fn matches(
    database: &Database,
    packages: &[Package],
    precedence: &[SeveritySource],
) -> Result<(Vec<Vulnerability>, Vec<Warning>), Error> {
    let (mut found, mut warnings) = (Vec::new(), without_advisories(database, packages));
    for package in packages {
        let (name, version) = package.matched();
        let mut hits = Vec::new();
        let mut unknown = false;
        for affected in database.package(&package.ecosystem, &name)? {
            match hit(&affected, package, version) {
                Within::Yes => hits.extend(apart(database.advisory(affected.advisory)?, affected)),
                Within::Unknown => unknown = true,
                Within::No => {}
            }
        }
        if unknown {
            warnings.push(Warning {
                path: package.path.clone(),
                message: format!(
                    "version {version:?} of {name} is none by the rules of {}, so it could not be compared with every advisory",
                    package.ecosystem.as_str()
                ),
            });
        }
        found.extend(fold(hits).into_iter().map(|group| vulnerability(group, package, version, precedence)));
    }
    found.sort_by(|a, b| {
        let key = |v: &Vulnerability| (v.name.clone(), v.package.name.clone(), v.package.path.clone());
        b.severity.cmp(&a.severity).then_with(|| key(a).cmp(&key(b)))
    });
    Ok((found, warnings))
}

/// Packages of which the database knows nothing at all: that none of them has an advisory means nothing.
fn without_advisories(database: &Database, packages: &[Package]) -> Vec<Warning> {
    let mut missing: BTreeMap<&Ecosystem, (usize, &str)> = BTreeMap::new();
    for package in packages.iter().filter(|package| !package.ecosystem.is_unknown()) {
        missing.entry(&package.ecosystem).or_insert((0, &package.path)).0 += 1;
    }
    missing.retain(|ecosystem, _| !database.meta().ecosystems.iter().any(|(name, _)| name == ecosystem.as_str()));
    let say = |(ecosystem, (count, path)): (&Ecosystem, (usize, &str))| Warning {
        path: path.to_owned(),
        message: format!(
            "the advisory database has none of {}, so {count} {} not looked up; add that export when the database is built",
            ecosystem.as_str(),
            if count == 1 { "package was" } else { "packages were" }
        ),
    };
    missing.into_iter().map(say).collect()
}

fn hit(affected: &AffectedRecord, package: &Package, version: &str) -> Within {
    let scheme = package.ecosystem.scheme();
    let listed = |listed: &String| listed == version || scheme.compare(listed, version).is_some_and(std::cmp::Ordering::is_eq);
    if affected.versions.iter().any(listed) {
        return Within::Yes;
    }
    let answers = affected.intervals.iter().map(|interval| interval.contains(scheme, version));
    answers.fold(Within::No, |sum, answer| match (sum, answer) {
        (Within::Yes, _) | (_, Within::Yes) => Within::Yes,
        (Within::Unknown, _) | (_, Within::Unknown) => Within::Unknown,
        _ => Within::No,
    })
}

/// An advisory about the package, or its part about one of several vulnerabilities.
struct Hit {
    advisory: Advisory,
    affected: AffectedRecord,
    /// It shares its id with other parts, so that only its alias says what it is about.
    part: bool,
}

/// An advisory about several vulnerabilities is one about each: each has its own severity, may be waived, and may be known from elsewhere too.
fn apart(mut advisory: Advisory, affected: AffectedRecord) -> Vec<Hit> {
    let several = std::mem::take(&mut advisory.several);
    if several.is_empty() {
        return vec![Hit { advisory, affected, part: false }];
    }
    let part = |one: OneOf| {
        let (aliases, listed_score, exploited) = (vec![one.cve], one.listed_score, one.exploited);
        let advisory = Advisory { aliases, listed_score, exploited, ..advisory.clone() };
        Hit { advisory, affected: affected.clone(), part: true }
    };
    several.into_iter().map(part).collect()
}

/// Advisories that share an id are one vulnerability, however long the chain of aliases is, and whether or not it closes a circle.
fn fold(hits: Vec<Hit>) -> Vec<Vec<Hit>> {
    let mut groups: Vec<Option<Vec<Hit>>> = Vec::new();
    let mut by_id: BTreeMap<String, usize> = BTreeMap::new();
    for hit in hits {
        let own = Some(&hit.advisory.id).filter(|_| !hit.part);
        let ids: Vec<String> = own.into_iter().chain(&hit.advisory.aliases).cloned().collect();
        let mut group = vec![hit];
        let at = groups.len();
        let known: Vec<usize> = ids.iter().filter_map(|id| by_id.get(id).copied()).collect();
        for other in known {
            if let Some(members) = groups[other].take() {
                by_id.values_mut().filter(|place| **place == other).for_each(|place| *place = at);
                group.extend(members);
            }
        }
        by_id.extend(ids.into_iter().map(|id| (id, at)));
        groups.push(Some(group));
    }
    groups.into_iter().flatten().collect()
}

fn vulnerability(mut group: Vec<Hit>, package: &Package, version: &str, precedence: &[SeveritySource]) -> Vulnerability {
    group.sort_by(|a, b| a.advisory.id.cmp(&b.advisory.id));
    let mut ids: Vec<String> =
        group.iter().flat_map(|hit| std::iter::once(&hit.advisory.id).chain(&hit.advisory.aliases)).cloned().collect();
    ids.sort();
    ids.dedup();
    let name = ids.iter().find(|id| id.starts_with("CVE-")).or(ids.first()).cloned().unwrap_or_default();
    ids.retain(|id| *id != name);
    let (severity, severity_source, score) = rate(&group, precedence);
    let first = |text: fn(&Advisory) -> &str| {
        group.iter().map(|hit| text(&hit.advisory)).find(|text| !text.is_empty()).unwrap_or_default().to_owned()
    };
    let remarks = group.iter().all(|hit| hit.advisory.informational.is_some());
    Vulnerability {
        aliases: ids,
        description: first(|advisory| &advisory.description),
        link: first(|advisory| &advisory.link),
        published: group.iter().map(|hit| &hit.advisory.published).filter(|at| !at.is_empty()).min().cloned(),
        severity,
        severity_source,
        score,
        fixed_by: fixed_by(&group, package, version),
        exploited: group.iter().any(|hit| hit.advisory.exploited),
        informational: group.iter().find_map(|hit| hit.advisory.informational.clone()).filter(|_| remarks),
        package: package.clone(),
        name,
    }
}

/// The nearest version that mends all of it, of those that are known.
fn fixed_by(group: &[Hit], package: &Package, version: &str) -> Option<String> {
    let scheme = package.ecosystem.scheme();
    let mends = group.iter().filter_map(|hit| {
        let around = hit.affected.intervals.iter().filter(|interval| interval.contains(scheme, version) == Within::Yes);
        around.filter_map(|interval| interval.fixed()).next().map(str::to_owned)
    });
    mends.reduce(|a, b| if scheme.compare(&a, &b) == Some(std::cmp::Ordering::Less) { b } else { a })
}

fn rate(group: &[Hit], precedence: &[SeveritySource]) -> (Severity, SeveritySource, Option<Score>) {
    let worst = |score: fn(&Advisory) -> Option<&Score>| {
        group.iter().filter_map(|hit| score(&hit.advisory)).max_by(|a, b| a.score.total_cmp(&b.score)).cloned()
    };
    let (own, listed) = (worst(|advisory| advisory.score.as_ref()), worst(|advisory| advisory.listed_score.as_ref()));
    let word = group.iter().filter_map(|hit| hit.affected.severity.or(hit.advisory.word)).max();
    let any = || own.clone().or_else(|| listed.clone());
    for source in precedence {
        let rated = match source {
            SeveritySource::Distribution => word.map(|word| (word, any())),
            SeveritySource::Advisory => own.clone().map(|score| (Severity::of_score(score.score), Some(score))),
            SeveritySource::Nvd => listed.clone().map(|score| (Severity::of_score(score.score), Some(score))),
            SeveritySource::None => None,
        };
        if let Some((severity, score)) = rated {
            return (severity, *source, score);
        }
    }
    (Severity::Unknown, SeveritySource::None, any())
}

//! Lists of packages that are kept, matched again when more is known. No image and no blob is needed for it.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    Database, Error, Inventory, Package, Severity, Vulnerability,
    advisories::{SeveritySource, matches},
};

/// What is remembered of a vulnerability between two databases.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Known {
    /// The CVE where there is one.
    pub name: String,
    /// The package, as advisories know it.
    pub package: String,
    /// How bad.
    pub severity: Severity,
    /// Known to be exploited.
    pub exploited: bool,
}

/// What became worse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Worse {
    /// The CVE where there is one.
    pub name: String,
    /// The package, as advisories know it.
    pub package: String,
    /// How bad it is now.
    pub severity: Severity,
    /// How bad it was; absent for one that was not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Severity>,
    /// It was not known to be exploited, and is.
    pub exploited: bool,
}

/// What is remembered of these.
pub fn known(vulnerabilities: &[Vulnerability]) -> Vec<Known> {
    let real = vulnerabilities.iter().filter(|one| one.informational.is_none());
    let mut known: Vec<Known> = real.map(of).collect();
    tidy(&mut known);
    known
}

fn of(one: &Vulnerability) -> Known {
    Known { name: one.name.clone(), package: one.package.matched().0, severity: one.severity, exploited: one.exploited }
}

/// In order, and each vulnerability of each package once, with the worst that is said of it.
fn tidy(known: &mut Vec<Known>) {
    known.sort_by(|a, b| (&a.name, &a.package, b.severity, b.exploited).cmp(&(&b.name, &b.package, a.severity, a.exploited)));
    known.dedup_by(|later, first| {
        let same = (&later.name, &later.package) == (&first.name, &first.package);
        first.exploited |= same && later.exploited;
        same
    });
}

/// What is worse in `after`: new, more severe, or newly exploited. Both in the order of [`known`].
pub fn worse(before: &[Known], after: &[Known]) -> Vec<Worse> {
    let former = |one: &Known| {
        let at = before.binary_search_by(|known| (&known.name, &known.package).cmp(&(&one.name, &one.package)));
        at.ok().and_then(|at| before.get(at))
    };
    let mut worse: Vec<Worse> = Vec::new();
    for one in after {
        let former = former(one);
        let newly_exploited = one.exploited && former.is_none_or(|former| !former.exploited);
        if former.is_none_or(|former| one.severity > former.severity) || newly_exploited {
            worse.push(Worse {
                name: one.name.clone(),
                package: one.package.clone(),
                severity: one.severity,
                former: former.map(|former| former.severity),
                exploited: newly_exploited,
            });
        }
    }
    worse.sort_by(|a, b| (b.severity, &a.name, &a.package).cmp(&(a.severity, &b.name, &b.package)));
    worse
}

/// Packages by a hash of what makes them the same, with what is known of each.
type Seen = HashMap<u64, Vec<(Package, Arc<[Known]>)>>;

/// Matches many lists with one database; the same package of two images is looked up once.
#[derive(Debug)]
pub struct Rematcher {
    database: Database,
    precedence: Vec<SeveritySource>,
    seen: Seen,
}

impl Rematcher {
    /// For one database.
    pub fn new(database: Database, precedence: &[SeveritySource]) -> Self {
        Self { database, precedence: precedence.to_vec(), seen: HashMap::new() }
    }

    /// What is known of the packages of a list.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn known(&mut self, inventory: &Inventory) -> Result<Vec<Known>, Error> {
        let mut known = Vec::new();
        for package in &inventory.packages {
            known.extend_from_slice(&self.of_package(package)?);
        }
        tidy(&mut known);
        Ok(known)
    }

    fn of_package(&mut self, package: &Package) -> Result<Arc<[Known]>, Error> {
        let alike = self.seen.entry(key(package)).or_default();
        if let Some((_, known)) = alike.iter().find(|(seen, _)| is_same(seen, package)) {
            return Ok(known.clone());
        }
        let (found, _) = matches(&self.database, std::slice::from_ref(package), &self.precedence)?;
        let known: Arc<[Known]> = known(&found).into();
        alike.push((package.clone(), known.clone()));
        Ok(known)
    }
}

fn key(package: &Package) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&package.ecosystem, &package.name, &package.version, &package.source).hash(&mut hasher);
    hasher.finish()
}

/// Wherever they are, in whichever layer.
fn is_same(a: &Package, b: &Package) -> bool {
    a.version == b.version && a.name == b.name && a.source == b.source && a.ecosystem == b.ecosystem
}

#[cfg(test)]
mod tests {
    use model::digest::Digest;

    use super::*;
    use crate::{Ecosystem, advisories::Builder};

    fn one(name: &str, package: &str, severity: Severity, exploited: bool) -> Known {
        Known { name: name.into(), package: package.into(), severity, exploited }
    }

    #[test]
    fn new_ones_more_severe_ones_and_newly_exploited_ones_are_worse() {
        let before = [
            one("A", "p", Severity::Low, false),
            one("B", "p", Severity::High, false),
            one("C", "p", Severity::High, true),
            one("E", "p", Severity::High, false),
        ];
        let after = [
            one("A", "p", Severity::Critical, false),
            one("B", "p", Severity::Low, true),
            one("C", "p", Severity::High, true),
            one("D", "p", Severity::Medium, true),
        ];
        let told: Vec<(String, Option<Severity>, bool)> =
            worse(&before, &after).into_iter().map(|worse| (worse.name, worse.former, worse.exploited)).collect();
        assert_eq!(
            told,
            [("A".to_owned(), Some(Severity::Low), false), ("D".to_owned(), None, true), ("B".to_owned(), Some(Severity::High), true)]
        );
        assert_eq!(worse(&after, &after), []);
    }

    #[test]
    fn a_list_is_matched_as_the_image_was() {
        let dir = tempfile::tempdir().unwrap();
        let advisory = r#"{"id": "X-1", "affected": [{"package": {"ecosystem": "npm", "name": "a"},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}]}]}"#;
        std::fs::write(dir.path().join("x.json"), advisory).unwrap();
        let mut builder = Builder::default();
        builder.add(&dir.path().join("x.json"), &mut |_| {}).unwrap();
        builder.write(&dir.path().join("a.db")).unwrap();
        let database = Database::open(&dir.path().join("a.db")).unwrap();
        let package = |version: &str, path: &str| Package {
            ecosystem: Ecosystem::from_osv("npm").unwrap(),
            name: "a".into(),
            version: version.into(),
            source: None,
            path: path.into(),
            layer: Digest::of(path.as_bytes()),
        };
        let inventory =
            Inventory { packages: vec![package("1.0.0", "x"), package("1.0.0", "y"), package("2.0.0", "z")], ..Inventory::default() };
        let (found, _) = matches(&database, &inventory.packages, &crate::advisories::PRECEDENCE).unwrap();
        assert_eq!(found.len(), 2);
        let mut rematcher = Rematcher::new(database, &crate::advisories::PRECEDENCE);
        let again = Inventory::from_bytes(&inventory.to_bytes()).unwrap();
        assert_eq!(again, inventory);
        assert_eq!(rematcher.known(&again).unwrap(), known(&found));
        assert_eq!(rematcher.known(&again).unwrap(), [one("X-1", "a", Severity::Unknown, false)]);
    }

    #[test]
    fn kept_lists_that_are_damaged_are_refused() {
        assert_eq!(Inventory::from_bytes(b""), None);
        assert_eq!(Inventory::from_bytes(&[9, 1, 2]), None);
        let mut bytes = Inventory::default().to_bytes();
        bytes.truncate(1);
        assert_eq!(Inventory::from_bytes(&bytes), None);
    }
}

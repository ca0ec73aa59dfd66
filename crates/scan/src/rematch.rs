//! Lists of packages that are kept, matched again when more is known. No image and no blob is needed for it.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Database, Error, Package, Severity, Vulnerability,
    advisories::{SeveritySource, matches},
    kept::{Listed, listed, pack_known},
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

/// What the matches of a list come to. Of one list it is the same as long as nothing else is known of any of its packages.
pub type Print = [u8; 16];

/// What another match of a list gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rematched {
    /// The print is the former one.
    Same,
    /// There was no print, or it is another.
    Other {
        /// What is known now, in the order of [`known`].
        known: Vec<Known>,
        /// What it comes to.
        print: Print,
    },
}

/// A package that was looked up.
#[derive(Debug)]
struct Seen {
    package: Package,
    known: Vec<Known>,
    print: u128,
}

/// Matches many lists with one database; the same package of two images is looked up once.
#[derive(Debug)]
pub struct Rematcher {
    database: Database,
    precedence: Vec<SeveritySource>,
    seen: Vec<Seen>,
    /// Indices in `seen` by a hash of what makes packages the same.
    places: HashMap<u64, Vec<usize>>,
}

impl Rematcher {
    /// For one database.
    pub fn new(database: Database, precedence: &[SeveritySource]) -> Self {
        Self { database, precedence: precedence.to_vec(), seen: Vec::new(), places: HashMap::new() }
    }

    /// Matches the packages of a kept list; `None` when it is of another version or damaged. What is known is put together only when it does not
    /// come to `former`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn rematch(&mut self, list: &[u8], former: Option<&[u8]>) -> Result<Option<Rematched>, Error> {
        let Some(packages) = listed(list) else { return Ok(None) };
        let mut places = Vec::with_capacity(packages.len());
        for package in &packages {
            let Some(place) = self.place(package)? else { return Ok(None) };
            places.push(place);
        }
        let all = || places.iter().filter_map(|place| self.seen.get(*place));
        let print = all().fold(0_u128, |sum, seen| sum.wrapping_add(seen.print)).to_le_bytes();
        if former == Some(&print[..]) {
            return Ok(Some(Rematched::Same));
        }
        let mut known: Vec<Known> = all().flat_map(|seen| &seen.known).cloned().collect();
        tidy(&mut known);
        Ok(Some(Rematched::Other { known, print }))
    }

    fn place(&mut self, package: &Listed<'_>) -> Result<Option<usize>, Error> {
        let alike = self.places.entry(key(package)).or_default();
        let seen = &mut self.seen;
        if let Some(place) = alike.iter().find(|place| seen.get(**place).is_some_and(|seen| is_same(&seen.package, package))) {
            return Ok(Some(*place));
        }
        let Some(package) = package.package() else { return Ok(None) };
        let (found, _) = matches(&self.database, std::slice::from_ref(&package), &self.precedence)?;
        let known = known(&found);
        let print = print(&known);
        alike.push(seen.len());
        seen.push(Seen { package, known, print });
        Ok(Some(seen.len() - 1))
    }
}

/// Nothing for nothing, else the beginning of a cryptographic hash, so that sums of different ones do not meet.
fn print(known: &[Known]) -> u128 {
    if known.is_empty() {
        return 0;
    }
    let hash = Sha256::digest(pack_known(known));
    hash.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

fn key(package: &Listed<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (package.ecosystem, package.name, package.version, package.source).hash(&mut hasher);
    hasher.finish()
}

/// Wherever they are, in whichever layer.
fn is_same(a: &Package, b: &Listed<'_>) -> bool {
    let source = a.source.as_ref().map(|(name, version)| (name.as_str(), version.as_str()));
    a.version == b.version && a.name == b.name && source == b.source && a.ecosystem.as_str() == b.ecosystem
}

#[cfg(test)]
mod tests {
    use model::digest::Digest;

    use super::*;
    use crate::{Ecosystem, Inventory, advisories::Builder};

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
        let list = inventory.to_bytes();
        let Some(Rematched::Other { known: again, print }) = rematcher.rematch(&list, None).unwrap() else { panic!() };
        assert_eq!((&again, &again[..]), (&known(&found), &[one("X-1", "a", Severity::Unknown, false)][..]));
        assert_eq!(rematcher.rematch(&list, Some(&print)).unwrap(), Some(Rematched::Same));
        assert!(matches!(rematcher.rematch(&list, Some(&[0; 16])).unwrap(), Some(Rematched::Other { .. })));
        assert_eq!(rematcher.rematch(b"", None).unwrap(), None);
    }

    #[test]
    fn the_print_is_another_as_soon_as_anything_else_is_known() {
        let known = [one("X-1", "a", Severity::High, false)];
        let others = [
            vec![],
            vec![one("X-2", "a", Severity::High, false)],
            vec![one("X-1", "b", Severity::High, false)],
            vec![one("X-1", "a", Severity::Low, false)],
            vec![one("X-1", "a", Severity::High, true)],
            vec![known[0].clone(), known[0].clone()],
        ];
        assert!(others.iter().all(|other| print(other) != print(&known)));
        assert_eq!((print(&[]), print(&known)), (0, print(&known.clone())));
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

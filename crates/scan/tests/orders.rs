//! Orders of versions beside the ecosystems' own tools: samples of the versions that advisories name, in the order of dpkg, Python's packaging
//! and node's semver. `scripts/oracles versions` writes them, and compares many more where those tools are.

#![allow(clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::cmp::Ordering;

use scan::version::Scheme;

/// Compares all pairs. Versions on one line are equal; what stands behind an exclamation mark is no version.
fn holds(scheme: Scheme, text: &str) {
    let (refused, taken): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('!'));
    for line in refused {
        let version = &line[2..];
        assert!(!scheme.accepts(version), "{scheme:?} takes {version:?}");
    }
    let versions: Vec<(usize, &str)> =
        taken.iter().enumerate().flat_map(|(rank, line)| line.split(' ').map(move |version| (rank, version))).collect();
    let mut pairs = 0;
    for (rank, a) in &versions {
        for (other, b) in &versions {
            let found = scheme.compare(a, b);
            assert_eq!(found, Some(rank.cmp(other)), "{scheme:?}: {a} and {b}");
            pairs += usize::from(found != Some(Ordering::Equal));
        }
    }
    assert!(pairs > 20_000, "only {pairs} pairs");
}

#[test]
fn dpkg() {
    holds(Scheme::Debian, include_str!("../fixtures/orders/debian.txt"));
}

#[test]
fn packaging() {
    holds(Scheme::Pep440, include_str!("../fixtures/orders/pep440.txt"));
}

#[test]
fn semver() {
    holds(Scheme::SemVer, include_str!("../fixtures/orders/semver.txt"));
}

//! Orders of versions, one file per rule. Each ecosystem says which of two versions is newer by rules of its own; a wrong answer here is a
//! missed vulnerability or a false alarm, so each rule is compared with the ecosystem's own tool over thousands of pairs in the tests.

mod apk;
mod debian;
mod gem;
mod maven;
mod number;
mod pep440;
mod rpm;
mod semver;

use std::cmp::Ordering;

/// Longest version that is looked at, bytes. Real ones are below 200.
pub const LONGEST: usize = 512;

/// A rule that orders versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Alpine's apk-tools.
    Apk,
    /// dpkg: Debian and its children.
    Debian,
    /// RubyGems.
    Gem,
    /// Maven's ComparableVersion.
    Maven,
    /// Python, PEP 440.
    Pep440,
    /// rpm: epoch, version, release.
    Rpm,
    /// Semantic Versioning 2.0: npm, Go modules, crates.
    SemVer,
}

impl Scheme {
    /// Which of two versions is newer; `None` when one of them is no version by this rule.
    pub fn compare(self, a: &str, b: &str) -> Option<Ordering> {
        if a.len() > LONGEST || b.len() > LONGEST {
            return None;
        }
        match self {
            Self::Apk => apk::compare(a, b),
            Self::Debian => debian::compare(a, b),
            Self::Gem => gem::compare(a, b),
            Self::Maven => Some(maven::compare(a, b)),
            Self::Pep440 => pep440::compare(a, b),
            Self::Rpm => rpm::compare(a, b),
            Self::SemVer => semver::compare(a, b),
        }
    }

    /// Whether this is a version by the rule.
    pub fn accepts(self, version: &str) -> bool {
        self.compare(version, version).is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Scheme; 7] = [Scheme::Apk, Scheme::Debian, Scheme::Gem, Scheme::Maven, Scheme::Pep440, Scheme::Rpm, Scheme::SemVer];

    fn version() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9]{1,3}(\\.[0-9]{1,3}){0,3}([-_.~+^:]?(a|b|rc|alpha|beta|post|dev|pre|r|p|final|SNAPSHOT|x|git)?[0-9]{0,2}){0,3}",
            "[0-9a-z.+~:^_-]{0,12}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn every_rule_is_an_order(a in version(), b in version(), c in version()) {
            for scheme in ALL {
                let compare = |x: &str, y: &str| scheme.compare(x, y);
                prop_assert_eq!(compare(&a, &b).map(Ordering::reverse), compare(&b, &a), "{:?} {} {}", scheme, a, b);
                if let (Some(ab), Some(bc), Some(ac)) = (compare(&a, &b), compare(&b, &c), compare(&a, &c)) && ab == bc {
                    prop_assert_eq!(ac, ab, "{:?} {} {} {}", scheme, a, b, c);
                }
                prop_assert!(compare(&a, &a).is_none_or(Ordering::is_eq));
            }
        }

        #[test]
        fn nothing_panics(a in ".{0,40}", b in ".{0,40}") {
            for scheme in ALL {
                let _ = scheme.compare(&a, &b);
            }
        }
    }

    #[test]
    fn endless_versions_are_no_versions() {
        let long = "1.".repeat(LONGEST);
        assert!(ALL.iter().all(|scheme| !scheme.accepts(&long)));
    }
}

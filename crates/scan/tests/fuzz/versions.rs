//! Two versions, one per line: never panics, and each rule gives the opposite answer when they change places.

use std::cmp::Ordering;

use scan::version::Scheme;

/// One input.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (a, b) = text.split_once('\n').unwrap_or((&text, "1.0"));
    for scheme in [Scheme::Apk, Scheme::Debian, Scheme::Gem, Scheme::Maven, Scheme::Pep440, Scheme::Rpm, Scheme::SemVer] {
        assert_eq!(scheme.compare(a, b).map(Ordering::reverse), scheme.compare(b, a), "{scheme:?}");
        assert!(scheme.compare(a, a).is_none_or(Ordering::is_eq), "{scheme:?}");
    }
}

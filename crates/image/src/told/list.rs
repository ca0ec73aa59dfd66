//! Lists of the files that belong to a package of an operating system: dpkg's `info/NAME.list`, and `status.d/NAME.md5sums` of images
//! without dpkg. (apk and rpm keep theirs in their database.)

use std::collections::{BTreeMap, HashSet};

use super::merged;

/// Longest list that is read, bytes. The longest of Debian has 3 MB.
pub(super) const LARGEST: usize = 16 << 20;

pub(super) fn is_one(path: &str) -> bool {
    let Some(path) = path.strip_prefix("var/lib/dpkg/") else { return false };
    let named = |folder: &str, ending: &str| path.strip_prefix(folder).is_some_and(|name| name.ends_with(ending) && !name.contains('/'));
    named("info/", ".list") || named("status.d/", ".md5sums")
}

/// Its paths, without the leading slash. In `md5sums` they stand behind the sum.
pub(super) fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let path = |line: &str| {
        let line = line.split_once("  ").filter(|(sum, _)| sum.len() == 32).map_or(line, |(_, path)| path);
        line.trim_start_matches("./").trim_start_matches('/').to_owned()
    };
    text.lines().map(path).filter(|path| !path.is_empty() && path != ".").collect()
}

pub(super) fn keep(lists: &mut BTreeMap<String, Vec<String>>, telling: &HashSet<String>) {
    lists.retain(|_, paths| {
        paths.retain(|path| telling.contains(&*merged(path)));
        paths.shrink_to_fit();
        !paths.is_empty()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_both_kinds() {
        for path in ["var/lib/dpkg/info/libc6:amd64.list", "var/lib/dpkg/status.d/base-files.md5sums"] {
            assert!(is_one(path), "{path}");
        }
        for path in ["var/lib/dpkg/info/libc6.md5sums", "var/lib/dpkg/status.d/base-files", "x/var/lib/dpkg/info/a.list"] {
            assert!(!is_one(path), "{path}");
        }
        assert_eq!(lines(b"/.\n/usr\n/usr/bin/a b\n"), ["usr", "usr/bin/a b"]);
        assert_eq!(lines(b"d41d8cd98f00b204e9800998ecf8427e  ./usr/bin/x\n"), ["usr/bin/x"]);
    }

    #[test]
    fn only_what_tells_of_packages_stays() {
        let mut lists =
            BTreeMap::from([("a".to_owned(), vec!["bin/x".to_owned(), "usr/y".to_owned()]), ("b".to_owned(), vec!["z".to_owned()])]);
        keep(&mut lists, &HashSet::from(["usr/bin/x".to_owned()]));
        assert_eq!(lists, BTreeMap::from([("a".to_owned(), vec!["bin/x".to_owned()])]));
    }
}

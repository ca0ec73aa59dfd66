//! Files that tell of packages and belong to a package of the operating system: they answer to that package's advisories only.

use std::collections::HashSet;

use image::merged;

/// The files that tell of packages of languages, and which of them have an owner.
#[derive(Default)]
pub(super) struct Others {
    paths: HashSet<String>,
    /// Their last parts: a list of files is long, and few of them are looked up whole.
    names: HashSet<String>,
    owned: HashSet<String>,
}

impl Others {
    pub(super) fn new<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let paths: HashSet<String> = paths.map(|path| merged(path).into_owned()).collect();
        let names = paths.iter().map(|path| path.rsplit('/').next().unwrap_or_default().to_owned()).collect();
        Self { paths, names, owned: HashSet::new() }
    }

    /// The path of a file in a folder, if it tells of packages.
    pub(super) fn at(&self, folder: &str, name: &str) -> Option<String> {
        if !self.names.contains(name) {
            return None;
        }
        let folder = folder.trim_matches('/');
        let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        let path = merged(&path).into_owned();
        self.paths.contains(&path).then_some(path)
    }

    pub(super) fn own<'a>(&mut self, paths: impl Iterator<Item = &'a str>) {
        self.owned.extend(paths.map(|path| merged(path).into_owned()));
    }

    pub(super) fn owned(&self, path: &str) -> bool {
        self.owned.contains(&*merged(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_folders_of_the_root_are_one() {
        let mut others = Others::new(["usr/bin/x", "a"].into_iter());
        assert_eq!(others.at("/bin/", "x"), Some("usr/bin/x".to_owned()));
        assert_eq!((others.at("", "a"), others.at("/b", "a"), others.at("usr/bin", "y")), (Some("a".to_owned()), None, None));
        others.own(["bin/x"].into_iter());
        assert!(others.owned("usr/bin/x") && others.owned("bin/x") && !others.owned("a"));
    }
}

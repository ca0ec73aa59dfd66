//! The ecosystems whose advisories we match: what the OSV export calls them, how their versions are ordered and their names written.

use serde::{Deserialize, Serialize};

use crate::version::Scheme;

/// Where a package comes from, in the spelling of advisories: `PyPI`, `Debian:12`, `Alpine:v3.18`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ecosystem(String);

/// Name in the OSV export, rule of versions, type of package URLs, and whether it has releases.
const KNOWN: &[(&str, Scheme, &str, bool)] = &[
    ("AlmaLinux", Scheme::Rpm, "rpm/almalinux", true),
    ("Alpine", Scheme::Apk, "apk/alpine", true),
    ("Debian", Scheme::Debian, "deb/debian", true),
    ("Go", Scheme::SemVer, "golang", false),
    ("Maven", Scheme::Maven, "maven", false),
    ("PyPI", Scheme::Pep440, "pypi", false),
    ("Rocky Linux", Scheme::Rpm, "rpm/rocky-linux", true),
    ("RubyGems", Scheme::Gem, "gem", false),
    ("Ubuntu", Scheme::Debian, "deb/ubuntu", true),
    ("crates.io", Scheme::SemVer, "cargo", false),
    ("npm", Scheme::SemVer, "npm", false),
];

impl Ecosystem {
    /// Reads the name of an advisory's ecosystem; `None` when it is not one we match, or lacks the release it needs.
    pub fn from_osv(text: &str) -> Option<Self> {
        let (name, release) = text.split_once(':').map_or((text, ""), |(name, release)| (name, release));
        let (_, _, _, releases) = KNOWN.iter().find(|known| known.0 == name)?;
        match (*releases, release) {
            (true, "") => None,
            // "Ubuntu:22.04:LTS" and "Ubuntu:Pro:22.04:LTS": the first part that is a number names the release; Pro is another archive.
            (true, release) if name == "Ubuntu" => {
                let number = release.split(':').next().filter(|part| part.starts_with(|c: char| c.is_ascii_digit()))?;
                Some(Self(format!("{name}:{number}")))
            }
            (true, release) => Some(Self(format!("{name}:{release}"))),
            (false, "") => Some(Self(name.to_owned())),
            (false, _) => None,
        }
    }

    /// The names of all that are matched, as the OSV export calls them, without releases.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().map(|known| known.0)
    }

    /// The ecosystem of an operating system, from `ID` and `VERSION_ID` of its os-release.
    pub fn of_system(id: &str, version: &str) -> Option<Self> {
        let major = || version.split('.').next().unwrap_or_default();
        let text = match id {
            "almalinux" => format!("AlmaLinux:{}", major()),
            "alpine" => {
                let mut parts = version.split('.');
                format!("Alpine:v{}.{}", parts.next()?, parts.next()?)
            }
            "debian" => format!("Debian:{}", major()),
            "rocky" => format!("Rocky Linux:{}", major()),
            "ubuntu" => format!("Ubuntu:{version}"),
            _ => return None,
        };
        Self::from_osv(&text)
    }

    /// The packages of an operating system whose advisories are not known: they are listed and never matched. `kind` is their type in
    /// package URLs, such as `rpm`.
    pub fn of_unknown_system(kind: &str, id: &str) -> Self {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let id = if id.is_empty() || id.len() > 64 || !id.bytes().all(good) { "unknown" } else { id };
        Self(format!("{kind}/{id}"))
    }

    /// As it was kept.
    pub(crate) fn kept(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether its packages have this type in package URLs: `deb`, `apk`, `rpm`.
    pub(crate) fn is_of(&self, kind: &str) -> bool {
        self.known().is_some_and(|known| known.2.split('/').next() == Some(kind))
    }

    /// Whether this is an operating system whose advisories are not known.
    pub(crate) fn is_unknown(&self) -> bool {
        self.known().is_none()
    }

    /// Whether advisories name source packages. AlmaLinux's name the built ones.
    pub fn speaks_of_sources(&self) -> bool {
        self.known().is_none_or(|known| known.0 != "AlmaLinux")
    }

    /// As advisories spell it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How the report names it (Clair's `NamespaceName`): `debian:12`, `pypi`.
    pub fn namespace(&self) -> String {
        self.0.to_ascii_lowercase().replace(' ', "")
    }

    fn known(&self) -> Option<&'static (&'static str, Scheme, &'static str, bool)> {
        let name = self.0.split(':').next().unwrap_or_default();
        KNOWN.iter().find(|known| known.0 == name)
    }

    /// How its versions are ordered.
    pub fn scheme(&self) -> Scheme {
        self.known().map_or(Scheme::SemVer, |known| known.1)
    }

    /// The spelling under which a package is looked up.
    pub fn normalise(&self, name: &str) -> String {
        match self.0.as_str() {
            // PEP 503.
            "PyPI" => {
                let mut normal = String::with_capacity(name.len());
                for part in name.split(['-', '_', '.']).filter(|part| !part.is_empty()) {
                    if !normal.is_empty() {
                        normal.push('-');
                    }
                    normal.push_str(&part.to_ascii_lowercase());
                }
                normal
            }
            // Cargo and its index take a dash and an underscore for the same, but names are stored as written.
            _ => name.to_owned(),
        }
    }

    /// A package URL without qualifiers (purl specification).
    pub fn purl(&self, name: &str, version: &str) -> String {
        let kind = self.known().map_or(self.0.as_str(), |known| known.2);
        let separator = |name: &str| if self.0 == "Maven" { name.replacen(':', "/", 1) } else { name.to_owned() };
        // The epoch of an rpm is a qualifier.
        let (epoch, version) = version.split_once(':').filter(|_| kind.starts_with("rpm/")).map_or((None, version), |(a, b)| (Some(a), b));
        let epoch = epoch.map_or_else(String::new, |epoch| format!("?epoch={epoch}"));
        format!("pkg:{kind}/{}@{}{epoch}", escaped(&separator(&self.normalise(name)), b"/"), escaped(version, b""))
    }
}

/// Percent-encoding as package URLs want it.
fn escaped(text: &str, keep: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) || keep.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_advisories() {
        for (text, known) in [
            ("Debian:12", Some("Debian:12")),
            ("Ubuntu:22.04:LTS", Some("Ubuntu:22.04")),
            ("Ubuntu:Pro:18.04:LTS", None),
            ("PyPI", Some("PyPI")),
            ("Debian", None),
            ("Hex", None),
            ("PyPI:1", None),
        ] {
            assert_eq!(Ecosystem::from_osv(text).map(|ecosystem| ecosystem.0), known.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn systems_are_the_releases_of_advisories() {
        let of = |id, version| Ecosystem::of_system(id, version).map(|ecosystem| ecosystem.0);
        assert_eq!(of("debian", "12"), Some("Debian:12".into()));
        assert_eq!(of("alpine", "3.18.4"), Some("Alpine:v3.18".into()));
        assert_eq!(of("rocky", "9.3"), Some("Rocky Linux:9".into()));
        assert_eq!(of("debian", ""), None);
        assert_eq!(of("arch", "1"), None);
    }

    #[test]
    fn names_and_package_urls() {
        let of = |text| Ecosystem::from_osv(text).unwrap();
        assert_eq!(of("PyPI").normalise("Ruamel__yaml.Clib"), "ruamel-yaml-clib");
        assert_eq!(of("npm").purl("@babel/core", "7.0.0"), "pkg:npm/%40babel/core@7.0.0");
        assert_eq!(of("Debian:12").purl("libstdc++6", "12.2.0-14"), "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14");
        assert_eq!(of("Maven").purl("org.x:y", "1"), "pkg:maven/org.x/y@1");
        assert_eq!(of("PyPI").purl("Ruamel_yaml", "1"), "pkg:pypi/ruamel-yaml@1");
        assert_eq!(of("Debian:12").namespace(), "debian:12");
        assert_eq!(of("AlmaLinux:9").purl("vim", "2:8.2-1.el9"), "pkg:rpm/almalinux/vim@8.2-1.el9?epoch=2");
        let fedora = Ecosystem::of_unknown_system("rpm", "fedora");
        assert_eq!((fedora.purl("vim", "9.0-1"), Ecosystem::from_osv(fedora.as_str())), ("pkg:rpm/fedora/vim@9.0-1".to_owned(), None));
        assert_eq!(Ecosystem::of_unknown_system("deb", "a b").as_str(), "deb/unknown");
    }
}

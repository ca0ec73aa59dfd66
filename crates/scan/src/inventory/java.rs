//! Packages of Java archives: `pom.properties` where Maven left them, else what the manifest and the name of the file say.

use std::collections::BTreeMap;

use image::Archive;

use super::{Named, Source, Teller, Telling};

pub(super) const TELLER: Teller = Teller { from: Source::Archive(read), ecosystem: Ok("Maven"), whole: true };

fn read(path: &str, archive: &Archive) -> Telling {
    let mut telling = Telling { trouble: archive.trouble.clone(), ..Telling::default() };
    let mut within: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for (place, text) in &archive.texts {
        let (inside, name) = place.rsplit_once("!/").unwrap_or(("", place));
        within.entry(inside).or_default().push((name, text));
    }
    let mut nameless = Vec::new();
    for (inside, texts) in within {
        let own = if inside.is_empty() { path } else { inside };
        let of_maven: Vec<Named> =
            texts.iter().filter(|(name, _)| name.ends_with("/pom.properties")).filter_map(|(_, text)| maven(text)).collect();
        let found = if of_maven.is_empty() {
            let manifest = texts.iter().find(|(name, _)| *name == "META-INF/MANIFEST.MF").map_or("", |(_, text)| text);
            manifested(file_name(own), manifest).into_iter().collect()
        } else {
            of_maven
        };
        nameless.extend(found.iter().filter(|named| !named.name.contains(':')).map(|named| format!("{} {}", named.name, named.version)));
        let inside = (!inside.is_empty()).then(|| inside.to_owned());
        telling.packages.extend(found.into_iter().map(|named| Named { inside: inside.clone(), ..named }));
    }
    if let Some(first) = nameless.first().filter(|_| telling.trouble.is_none()) {
        let more = if nameless.len() > 1 { format!(" and {} more inside", nameless.len() - 1) } else { String::new() };
        telling.trouble = Some(format!("says no group of {first}{more}, by which advisories would know it; it was not looked up"));
    }
    telling
}

fn file_name(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// `groupId`, `artifactId`, `version`.
fn maven(text: &str) -> Option<Named> {
    let value = |key: &str| {
        let of = |line: &str| {
            let (left, right) = line.split_once(['=', ':'])?;
            (left.trim() == key).then(|| right.trim().to_owned())
        };
        text.lines().filter(|line| !line.starts_with(['#', '!'])).find_map(of).filter(|value| !value.is_empty())
    };
    Some(Named::new(format!("{}:{}", value("groupId")?, value("artifactId")?), value("version")?))
}

/// What an archive is called, of one without Maven's files. The group is a guess of nobody: it is taken where the manifest says it.
fn manifested(file: &str, manifest: &str) -> Option<Named> {
    let attributes = attributes(manifest);
    let value = |key: &str| attributes.get(&key.to_ascii_lowercase()).map(String::as_str).filter(|value| !value.is_empty());
    let (artifact, by_file) = split(file);
    let version = value("Implementation-Version").or(value("Bundle-Version")).or(by_file).or(value("Specification-Version"))?;
    // Bundles are named like group and artifact together.
    let bundle = value("Bundle-SymbolicName").map(|name| name.split(';').next().unwrap_or(name).trim());
    let of_bundle = bundle.and_then(|name| name.strip_suffix(artifact)?.strip_suffix('.'));
    let name = match value("Implementation-Vendor-Id").or(of_bundle) {
        Some(group) => format!("{group}:{artifact}"),
        None => artifact.to_owned(),
    };
    Some(Named::new(name, version.split_whitespace().next()?))
}

/// Name and version of `NAME-VERSION`.
fn split(file: &str) -> (&str, Option<&str>) {
    let begins = |at: usize| file[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    match file.match_indices('-').map(|(at, _)| at).find(|at| begins(*at)) {
        Some(at) => (&file[..at], Some(&file[at + 1..])),
        None => (file, None),
    }
}

/// The main section of a manifest (JAR file specification); names do not mind their case.
fn attributes(manifest: &str) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut last: Option<String> = None;
    for line in manifest.lines().take_while(|line| !line.trim_end().is_empty()) {
        if let (Some(more), Some(key)) = (line.strip_prefix(' '), &last) {
            if let Some(value) = found.get_mut(key) {
                value.push_str(more.trim_end());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            let key = key.to_ascii_lowercase();
            found.insert(key.clone(), value.trim().to_owned());
            last = Some(key);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, texts: &[(&str, &str)]) -> Telling {
        let texts = texts.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        read(path, &Archive { texts, trouble: None })
    }

    #[test]
    fn maven_says_it_best_also_inside() {
        let pom = "#Generated\nversion=2.14.1\ngroupId=org.apache.logging.log4j\nartifactId=log4j-core\n";
        let telling = of(
            "app/x.war",
            &[
                ("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\nImplementation-Version: 9\n"),
                ("WEB-INF/lib/y.jar!/META-INF/maven/a/b/pom.properties", pom),
                ("WEB-INF/lib/y.jar!/META-INF/MANIFEST.MF", "Implementation-Version: 7\n"),
            ],
        );
        let inner = Named { inside: Some("WEB-INF/lib/y.jar".into()), ..Named::new("org.apache.logging.log4j:log4j-core", "2.14.1") };
        assert_eq!(telling.packages, [Named::new("x", "9"), inner]);
        assert_eq!(telling.trouble.unwrap(), "says no group of x 9, by which advisories would know it; it was not looked up");
    }

    #[test]
    fn manifests_and_names_of_files() {
        let one = |path: &str, manifest: &str| of(path, &[("META-INF/MANIFEST.MF", manifest)]).packages.into_iter().next();
        let bundle = "Bundle-SymbolicName: org.apache.commons.commons-io;singleton:=tr\r\n ue\r\nBundle-Version: 2.4.0\r\n\r\nName: x\r\nImplementation-Version: 1\r\n";
        assert_eq!(one("lib/commons-io-2.4.jar", bundle), Some(Named::new("org.apache.commons:commons-io", "2.4.0")));
        let vendor = "implementation-vendor-id: com.x\nImplementation-Version: 1.2 (build 7)\n";
        assert_eq!(one("y.jar", vendor), Some(Named::new("com.x:y", "1.2")));
        assert_eq!(one("guava-31.1-jre.jar", "A: b\n"), Some(Named::new("guava", "31.1-jre")));
        assert_eq!(one("app.jar", "A: b\n"), None);
    }
}

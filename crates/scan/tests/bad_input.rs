//! What is wrong with an image is named in a warning, and what could be read is listed all the same. Damage of single files is tried beside
//! their parsers; here is what needs a whole image.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::io::{Cursor, Read, Write};

use image::{
    Caps, Compression, Platform,
    pack::{File, Pack},
};
use scan::Inventory;

fn look(files: Vec<File>) -> Inventory {
    let packed = Pack::new(Platform::new("linux", "amd64")).compression(Compression::None).layer(files).build().unwrap();
    let top = packed.top().clone();
    let image = image::inspect(&packed, &top, &Platform::new("linux", "amd64"), Caps::default(), &mut |_| None).unwrap();
    scan::inventory::inventory(&image)
}

fn said(found: &Inventory) -> Vec<&str> {
    found.warnings.iter().map(|warning| warning.message.as_str()).collect()
}

fn system(release: &str) -> File {
    File::new("etc/os-release", 0o644, release)
}

fn jar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn a_status_of_200_mb_is_read_as_far_as_its_cap_and_said() {
    let mut status = Vec::with_capacity(201 << 20);
    let description = "x".repeat(4000);
    for number in 0.. {
        if status.len() >= 200 << 20 {
            break;
        }
        write!(status, "Package: p{number}\nStatus: install ok installed\nVersion: 1\nDescription: {description}\n\n").unwrap();
    }
    let found = look(vec![system("ID=debian\nVERSION_ID=12\n"), File::new("var/lib/dpkg/status", 0o644, status)]);
    assert_eq!(said(&found), ["/var/lib/dpkg/status is too long to be read to its end"]);
    assert!(found.packages.len() > 5_000 && found.packages.len() < 10_000, "{}", found.packages.len());
}

#[test]
fn a_cut_off_rpm_database_lists_what_it_has_and_says_the_rest() {
    let mut archive = zip::ZipArchive::new(Cursor::new(include_bytes!("../fixtures/rpm.zip"))).unwrap();
    for (name, format) in [("rpmdb.sqlite", "sqlite"), ("Packages.db", "ndb"), ("Packages", "bdb")] {
        let mut bytes = Vec::new();
        archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes.truncate(bytes.len() - 1000);
        let path = format!("var/lib/rpm/{name}");
        let found = look(vec![system("ID=almalinux\nVERSION_ID=9.3\n"), File::new(&path, 0o644, bytes)]);
        assert!(!found.packages.is_empty(), "{name}");
        let words = [format!("/{path} is a damaged"), format!("({format})")];
        assert!(said(&found).len() == 1 && words.iter().all(|word| said(&found)[0].contains(word)), "{:?}", said(&found));
    }
}

#[test]
fn archives_inside_of_archives_are_read_to_a_depth_that_is_said() {
    let pom = |name: &str| format!("groupId=org.x\nartifactId={name}\nversion=1\n").into_bytes();
    let place = "META-INF/maven/org.x/a/pom.properties";
    let one = jar(&[(place, &pom("one"))]);
    let two = jar(&[(place, &pom("two")), ("lib/one.jar", &one)]);
    let three = jar(&[(place, &pom("three")), ("lib/two.jar", &two)]);
    let found = look(vec![File::new("three.jar", 0o644, three.clone())]);
    let names: Vec<&str> = found.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!((names, said(&found)), (vec!["org.x:one", "org.x:three", "org.x:two"], vec![]));
    let five = jar(&[("four.jar", &jar(&[("three.jar", &three)]))]);
    let found = look(vec![File::new("five.jar", 0o644, five)]);
    assert_eq!(
        said(&found),
        ["/five.jar has archives inside of archives, deeper than is looked (four.jar!/three.jar!/lib/two.jar!/lib/one.jar)"]
    );
    assert_eq!(found.packages.len(), 2);
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let found = look(vec![
        File::new("a/node_modules/bad/package.json", 0o644, "no JSON"),
        File::new("a/node_modules/good/package.json", 0o644, r#"{"name":"good","version":"1.0.0"}"#),
        File::new("bad.jar", 0o644, "no archive"),
        File::new("good.jar", 0o644, jar(&[("META-INF/MANIFEST.MF", b"Implementation-Vendor-Id: org.x\nImplementation-Version: 1\n")])),
        File::new("gems/specifications/bad.gemspec", 0o644, "raise"),
    ]);
    let names: Vec<String> = found.packages.iter().map(|package| package.purl()).collect();
    assert_eq!(names, ["pkg:maven/org.x/good@1", "pkg:npm/good@1.0.0"]);
    let said = said(&found);
    for words in ["bad.gemspec names no gem", "/bad.jar is no archive", "/bad/package.json is no JSON"] {
        assert!(said.iter().any(|said| said.contains(words)), "{words}: {said:?}");
    }
    assert_eq!(said.len(), 3);
}

use std::io::{Cursor, Write};

use proptest::prelude::*;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::*;

fn zip(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn found(bytes: &[u8]) -> Archive {
    read(bytes, bytes.len() as u64)
}

fn paths(archive: &Archive) -> Vec<&str> {
    archive.texts.iter().map(|(path, _)| path.as_str()).collect()
}

const POM: &str = "META-INF/maven/org.x/y/pom.properties";

#[test]
fn texts_of_nested_archives_with_their_path() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let jar = zip(&[("META-INF/MANIFEST.MF", b"A: b\n"), (POM, b"groupId=org.x\n"), ("x.class", b"x")], method);
        let war = zip(&[("WEB-INF/lib/y.jar", &jar), ("META-INF/maven/pom.properties", b"a"), (&format!("x/{POM}"), b"no")], method);
        let ear = zip(&[("META-INF/MANIFEST.MF", b"top"), ("w.war", &war)], method);
        let archive = found(&ear);
        let inner = format!("w.war!/WEB-INF/lib/y.jar!/{POM}");
        assert_eq!(
            paths(&archive),
            ["META-INF/MANIFEST.MF", "w.war!/WEB-INF/lib/y.jar!/META-INF/MANIFEST.MF", &inner, "w.war!/META-INF/maven/pom.properties"]
        );
        assert_eq!((archive.texts[2].1.as_str(), &archive.trouble), ("groupId=org.x\n", &None));
        // A program that is an archive as well.
        assert_eq!(found(&[b"#!/bin/sh\nexec java\n", &ear[..]].concat()), archive);
    }
}

#[test]
fn depth_and_size_have_an_end_that_is_said() {
    let mut jar = zip(&[(POM, b"deepest")], CompressionMethod::Deflated);
    for _ in 0..DEPTH {
        jar = zip(&[("a.jar", &jar), (POM, b"level")], CompressionMethod::Deflated);
    }
    let archive = found(&jar);
    assert_eq!(archive.texts.len(), DEPTH);
    assert_eq!(archive.trouble.unwrap(), "has archives inside of archives, deeper than is looked (a.jar!/a.jar!/a.jar!/a.jar)");

    let bomb = zip(&[("b.jar", &vec![0; NESTED + 1])], CompressionMethod::Deflated);
    assert!(bomb.len() < 1 << 20);
    assert_eq!(found(&bomb).trouble.unwrap(), "has archives inside that are too large to be looked into (b.jar)");

    let manifest = zip(&[("META-INF/MANIFEST.MF", &vec![b'a'; LONGEST + 1])], CompressionMethod::Deflated);
    assert_eq!((found(&manifest).texts[0].1.len(), found(&manifest).trouble), (LONGEST, None));
    assert_eq!(read(&manifest, manifest.len() as u64 + 1).trouble.unwrap(), "is too large an archive to be looked into");
}

#[test]
fn what_is_damaged_is_said() {
    let good = zip(&[(POM, &[b'x'; 300])], CompressionMethod::Deflated);
    assert_eq!(found(b"no zip").trouble.as_deref(), Some("is no archive, or a damaged one"));
    assert_eq!(found(b"").trouble.as_deref(), Some("is no archive, or a damaged one"));
    assert!(found(&good[..good.len() - 30]).trouble.is_some());
    let mut unpacks_wrong = good.clone();
    unpacks_wrong[30 + POM.len()] ^= 0xff;
    assert_eq!(found(&unpacks_wrong).trouble.unwrap(), format!("has a file inside that cannot be unpacked ({POM})"));
    let nested = zip(&[("a.jar", b"no zip"), (POM, b"y")], CompressionMethod::Stored);
    assert_eq!(found(&nested).trouble.as_deref(), Some("is no archive, or a damaged one (a.jar)"));
    assert_eq!(paths(&found(&nested)), [POM]);
}

#[test]
fn names_of_archives() {
    for path in ["a.jar", "x/b.WAR", "c.ear"] {
        assert!(is_one(path), "{path}");
    }
    for path in [".jar", "jar", "a.jar.txt", "ä.j"] {
        assert!(!is_one(path), "{path}");
    }
}

proptest! {
    #[test]
    fn damage_never_panics(at in 0_usize..700, byte: u8, cut in 0_usize..700) {
        let jar = zip(&[("META-INF/MANIFEST.MF", b"A: b\n"), (POM, b"groupId=org.x\n")], CompressionMethod::Deflated);
        let mut war = zip(&[("y.jar", &jar), (POM, b"z")], CompressionMethod::Stored);
        let length = war.len();
        war[at % length] = byte;
        if cut % 2 == 0 {
            war.truncate(cut % length);
        }
        found(&war);
    }
}

use std::io::{Cursor, Read};

use proptest::prelude::*;

use super::{super::Others, *};

const DATABASES: [&str; 3] = ["Packages", "Packages.db", "rpmdb.sqlite"];
const OWNED: &str = "usr/lib/python3.9/site-packages/plum-2.0.egg-info/PKG-INFO";

/// Made by `fixtures/make-rpm`.
fn fixture(name: &str) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(Cursor::new(include_bytes!("../../../fixtures/rpm.zip"))).unwrap();
    let mut bytes = Vec::new();
    archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn read_with(bytes: &[u8], log: &[u8]) -> Telling {
    read(&Kept { bytes, log, others: &Others::new([OWNED, "usr/share/pear/x"].into_iter()) })
}

fn names(telling: &Telling) -> Vec<String> {
    let mut names: Vec<String> = telling
        .packages
        .iter()
        .map(|named| {
            let (source, version) = named.source.as_ref().unwrap();
            format!("{} {} of {source} {version}", named.name, named.version)
        })
        .collect();
    names.sort();
    names
}

const ALL: [&str; 4] = [
    "apple 1.2.3-4.el9 of apple 1.2.3-4.el9",
    "pear 3:2.0~rc1-1.el9 of pear 3:2.0~rc1-1.el9",
    "plum 2.0-7.el9_2.1 of plum 2.0-7.el9_2.1",
    "python3-plum 2.0-7.el9_2.1 of plum 2.0-7.el9_2.1",
];

#[test]
fn each_form_lists_the_same() {
    for name in DATABASES {
        let telling = read_with(&fixture(name), b"");
        assert_eq!((names(&telling).as_slice(), &telling.trouble), (ALL.map(str::to_owned).as_slice(), &None), "{name}");
        assert_eq!(telling.owned, [OWNED], "{name}");
    }
}

#[test]
fn what_stands_in_the_log_counts() {
    let (database, log) = (fixture("log.sqlite"), fixture("log.sqlite-wal"));
    assert_eq!(names(&read_with(&database, b"")), ALL);
    assert_eq!(names(&read_with(&database, &log)), ALL[1..]);
    // A transaction that was not finished never happened.
    assert_eq!(names(&read_with(&database, &log[..log.len() - 1])), ALL);
}

#[test]
fn a_cut_off_database_is_said_wherever_it_ends() {
    for name in DATABASES {
        let whole = fixture(name);
        let some = (0..whole.len()).step_by(whole.len() / 400).chain([whole.len() - 1]);
        for length in some {
            let telling = read_with(&whole[..length], b"");
            assert!(telling.trouble.is_some(), "{name} cut off after {length} bytes: {:?}", names(&telling));
        }
    }
}

#[test]
fn lies_are_said() {
    let trouble = |bytes: &[u8]| read_with(bytes, b"").trouble.unwrap();
    assert_eq!(trouble(b""), "is empty");
    assert_eq!(trouble(b"something else"), "is no database of rpm that can be read (sqlite, ndb or bdb)");
    let mut newer = fixture("Packages.db");
    newer[4] = 1;
    assert_eq!(trouble(&newer), "is a database of rpm (ndb) of a newer format");
    // The first page of packages says it has a page of its own below it: a circle.
    let mut circle = fixture("rpmdb.sqlite");
    let page = 4096;
    let root = (1..circle.len() / page).find(|at| circle[at * page] == 5).unwrap() * page;
    let own = (root / page + 1) as u32;
    circle[root + 8..root + 12].copy_from_slice(&own.to_be_bytes());
    assert!(trouble(&circle).starts_with("is a damaged or cut off database of rpm (sqlite)"));
    // A header that promises more data than there is.
    let lie = [&u32::MAX.to_be_bytes()[..], &u32::MAX.to_be_bytes(), &[0; 64]].concat();
    assert!(header::read(&lie, &Others::default(), &mut Vec::new()).is_none());
    let mut emptied = fixture("Packages.db");
    let blob = 4096 + 16;
    emptied[blob..blob + 4].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(trouble(&emptied), "has 1 packages whose header cannot be read");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damage_never_panics(which in 0_usize..3, hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40)) {
        let mut bytes = fixture(DATABASES[which]);
        let length = if which == 2 { 16 << 10 } else { bytes.len() };
        for (at, byte) in hits {
            let at = at.index(length);
            bytes[at] = byte;
        }
        read_with(&bytes, &bytes);
    }
}

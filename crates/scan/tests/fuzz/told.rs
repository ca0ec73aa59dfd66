//! A file of an image that tells of packages: never panics; what it tells keeps its form; and a list of an operating system's packages that
//! tells of none says so.
#![allow(dead_code, reason = "each fuzz target takes one of them")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use image::{
    Caps, Compression, Platform,
    pack::{File, Pack},
};
use scan::{Inventory, inventory::MOST};

pub fn apk(input: &[u8]) {
    run(&["lib/apk/db/installed"], "alpine", input);
}

pub fn dpkg(input: &[u8]) {
    run(&["var/lib/dpkg/status", "var/lib/dpkg/status.d/a", "var/lib/dpkg/info/a.list", "etc/os-release"], "debian", input);
}

pub fn gem(input: &[u8]) {
    run(&["a/specifications/b.gemspec"], "debian", input);
}

pub fn java(input: &[u8]) {
    run(&["a.jar"], "debian", input);
}

pub fn npm(input: &[u8]) {
    run(&["node_modules/a/package.json"], "debian", input);
}

pub fn program(input: &[u8]) {
    run(&["a"], "debian", input);
}

pub fn python(input: &[u8]) {
    run(&["a.dist-info/METADATA", "b.egg-info"], "debian", input);
}

pub fn rpm(input: &[u8]) {
    let found = run(&["var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/Packages", "var/lib/rpm/rpmdb.sqlite-wal"], "almalinux", input);
    let told = |path: &str| found.packages.iter().any(|one| one.path == path) || found.warnings.iter().any(|one| one.path == path);
    // A database without packages has nothing to tell; what is none says so.
    let magic = [&[0x61, 0x15, 0x06, 0][..], &[0, 0x06, 0x15, 0x61]];
    let database =
        input.starts_with(b"SQLite format 3\0") || input.starts_with(b"RpmP") || input.get(12..16).is_some_and(|at| magic.contains(&at));
    assert!(database || told("var/lib/rpm/rpmdb.sqlite"), "{found:?}");
}

/// Each layer has the file, so that all of them are compared.
fn run(paths: &[&str], system: &str, input: &[u8]) -> Inventory {
    let release = File::new("usr/lib/os-release", 0o644, format!("ID={system}\nVERSION_ID=12.1\n"));
    let files: Vec<File> = paths.iter().map(|path| File::new(path, 0o755, input)).chain([release]).collect();
    let upper = files.iter().take(1).cloned().collect();
    let packed = Pack::new(Platform::new("linux", "amd64")).compression(Compression::None).layer(files).layer(upper).build().unwrap();
    let top = packed.top().clone();
    let image = image::inspect(&packed, &top, &Platform::new("linux", "amd64"), Caps::default(), &mut |_| None).unwrap();
    let found = scan::inventory::inventory(&image);
    assert!(found.packages.len() <= MOST);
    assert!(found.packages.iter().all(|package| package.purl().starts_with("pkg:")));
    let text = serde_json::to_string(&found).unwrap();
    assert!(serde_json::from_str::<Inventory>(&text).unwrap() == found);
    found
}

use image::{
    Caps, Platform,
    pack::{File, Pack},
};

use super::*;

const OS: &str = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_ID=\"12\"\n";

fn status(packages: &[(&str, &str)]) -> String {
    let paragraph = |(name, version): &(&str, &str)| format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n");
    packages.iter().map(paragraph).collect()
}

fn look(layers: Vec<Vec<File>>) -> (Inventory, Vec<Digest>) {
    let pack = layers.into_iter().fold(Pack::new(Platform::new("linux", "amd64")), Pack::layer);
    let packed = pack.build().unwrap();
    let top = packed.top().clone();
    let image = image::inspect(&packed, &top, &Platform::new("linux", "amd64"), Caps::default(), &mut |_| None).unwrap();
    (inventory(&image), image.layers.iter().map(|layer| layer.digest.clone()).collect())
}

fn names(inventory: &Inventory) -> Vec<String> {
    inventory.packages.iter().map(|package| format!("{} {} {}", package.ecosystem.as_str(), package.name, package.version)).collect()
}

#[test]
fn each_package_with_the_layer_that_brought_it() {
    let (made, layers) = look(vec![
        vec![
            File::new("etc/os-release", 0o644, OS),
            File::new("var/lib/dpkg/status", 0o644, status(&[("a", "1"), ("b", "1"), ("c", "1")])),
        ],
        vec![File::new("var/lib/dpkg/status", 0o644, status(&[("a", "1"), ("b", "2")]))],
        vec![File::new("var/lib/dpkg/status", 0o644, status(&[("a", "1"), ("b", "2"), ("c", "1")]))],
    ]);
    assert_eq!(names(&made), ["Debian:12 a 1", "Debian:12 b 2", "Debian:12 c 1"]);
    let from: Vec<&Digest> = made.packages.iter().map(|package| &package.layer).collect();
    // What was removed in between came with the layer that brought it back.
    assert_eq!(from, [&layers[0], &layers[1], &layers[2]]);
    assert_eq!(made.system.as_deref(), Some("Debian GNU/Linux 12"));
}

#[test]
fn removed_and_replaced_packages_are_gone() {
    let at = |version: &str| format!("usr/local/lib/python3.11/site-packages/six-{version}.dist-info/METADATA");
    let text = |version: &str| format!("Name: six\nVersion: {version}\n\n{}", "x".repeat(100_000));
    let (made, layers) = look(vec![
        vec![
            File::new(&at("1.15.0"), 0o644, text("1.15.0")),
            File::new("app/node_modules/left/package.json", 0o644, r#"{"name":"left","version":"1.0.0"}"#),
        ],
        vec![
            File::whiteout("usr/local/lib/python3.11/site-packages/six-1.15.0.dist-info"),
            File::new(&at("1.16.0"), 0o644, text("1.16.0")),
            File::whiteout("app/node_modules"),
        ],
    ]);
    assert_eq!(names(&made), ["PyPI six 1.16.0"]);
    assert_eq!(made.packages[0].layer, layers[1]);
    assert!(made.warnings.is_empty(), "{:?}", made.warnings);
}

#[test]
fn what_a_system_package_owns_answers_to_its_advisories_only() {
    let owned = "usr/lib/python3.11/site-packages/six-1.16.0.egg-info";
    let installed = format!("P:py3-six\nV:1.16.0-r6\no:py3-six\nF:{owned}\nR:PKG-INFO\n\n");
    let (made, _) = look(vec![vec![
        File::new("etc/os-release", 0o644, "ID=alpine\nVERSION_ID=3.18.4\n"),
        File::new("lib/apk/db/installed", 0o644, installed),
        File::new(&format!("{owned}/PKG-INFO"), 0o644, "Name: six\nVersion: 1.16.0\n"),
        File::new("usr/lib/python3.11/site-packages/own-1.dist-info/METADATA", 0o644, "Name: own\nVersion: 1\n"),
        File::new("usr/lib/python3/dist-packages/deb-1.egg-info", 0o644, "Name: deb\nVersion: 1\n"),
    ]]);
    assert_eq!(names(&made), ["Alpine:v3.18 py3-six 1.16.0-r6", "PyPI own 1"]);
}

#[test]
fn what_cannot_be_read_is_said() {
    let (made, _) = look(vec![vec![
        File::new("var/lib/dpkg/status", 0o644, status(&[("a", "1")])),
        File::new("x/node_modules/a/package.json", 0o644, "{"),
        File::new("x/y.dist-info/METADATA", 0o644, [0xff, 0xfe]),
    ]]);
    assert!(made.packages.is_empty());
    let said: Vec<&str> = made.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].contains("lists 1 packages, but /etc/os-release names no release"), "{said:?}");
    assert!(said[1].contains("is no JSON") && said[2].contains("names no Python package"), "{said:?}");
}

//! Writes lists of packages with something odd of every kind in them, for the validators of `scripts/sboms`.

use std::path::Path;

use model::digest::Digest;
use scan::{
    Ecosystem, Inventory, Package, Warning,
    sbom::{Format, Subject, render},
};

fn packages() -> Vec<Package> {
    let layer = Digest::of(b"layer");
    let names =
        [("a", "1.0"), ("libstdc++6", "1:12.2.0-14+b1~deb12u1"), ("@scope/name", "0.0.0-rc.1+build"), ("org.example:lib", "ünïcode \"x\"")];
    let mut packages = Vec::new();
    for ecosystem in Ecosystem::names() {
        let ecosystem = Ecosystem::from_osv(ecosystem).or_else(|| Ecosystem::from_osv(&format!("{ecosystem}:1"))).into_iter();
        for (ecosystem, (name, version)) in ecosystem.flat_map(|ecosystem| names.map(|name| (ecosystem.clone(), name))) {
            packages.push(Package {
                ecosystem,
                name: name.to_owned(),
                version: version.to_owned(),
                source: Some(("source".to_owned(), "1.0".to_owned())),
                path: "var/lib/some list".to_owned(),
                layer: layer.clone(),
            });
        }
    }
    packages
}

fn main() -> Result<(), std::io::Error> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let warning = Warning { path: "a".to_owned(), message: "cut off".to_owned() };
    let full = Inventory { system: Some("Debian GNU/Linux 12 (bookworm)".to_owned()), packages: packages(), warnings: vec![warning] };
    let digest = Digest::of(b"image");
    for (name, inventory) in [("empty", &Inventory::default()), ("full", &full)] {
        for format in Format::ALL {
            let subject = Subject { name: "1/word-list", digest: &digest, created: Some("2026-01-02T03:04:05.678Z") };
            std::fs::write(Path::new(&folder).join(format!("{name}.{}.json", format.as_str())), render(format, &subject, inventory))?;
        }
    }
    Ok(())
}

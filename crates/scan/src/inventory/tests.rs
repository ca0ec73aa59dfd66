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
    ]]);
    assert_eq!(names(&made), ["Alpine:v3.18 py3-six 1.16.0-r6", "PyPI own 1"]);
}

#[test]
fn dpkg_lists_what_it_owns_and_forgets_what_it_removes() {
    let metadata = |name: &str| format!("usr/lib/python3/dist-packages/{name}-1.egg-info");
    let list = |name: &str| format!("var/lib/dpkg/info/{name}.list");
    let python = |name: &str| File::new(&metadata(name), 0o644, format!("Name: {name}\nVersion: 1\n"));
    let system = vec![
        File::new("etc/os-release", 0o644, OS),
        File::new("var/lib/dpkg/status", 0o644, status(&[("python3-a", "1"), ("python3-b", "1"), ("tool", "1")])),
        File::new(&list("python3-a"), 0o644, format!("/.\n/usr\n/{}\n", metadata("a"))),
        File::new(&list("python3-b"), 0o644, format!("/{}\n", metadata("b"))),
        // The old folder in the list, the new one in the archive.
        File::new(&list("tool"), 0o644, "/bin/tool\n"),
        File::new("usr/bin/tool", 0o755, go("go1.19.8", "")),
        File::new("usr/local/bin/tool", 0o755, go("go1.20.1", "")),
        python("a"),
        python("b"),
        python("c"),
    ];
    let removed =
        vec![File::whiteout(&list("python3-b")), File::new("var/lib/dpkg/status", 0o644, status(&[("python3-a", "1"), ("tool", "1")]))];
    let (made, _) = look(vec![system, removed]);
    assert_eq!(names(&made), ["Debian:12 python3-a 1", "Debian:12 tool 1", "Go stdlib 1.20.1", "PyPI b 1", "PyPI c 1"]);
    assert!(made.warnings.is_empty(), "{:?}", made.warnings);
}

/// A program with Go's build info.
fn go(version: &str, modules: &str) -> Vec<u8> {
    let marks = [
        &b"\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6"[..],
        b"\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2",
    ];
    let modules = [marks[0], modules.as_bytes(), marks[1]].concat();
    let short = |length: usize| [(length & 0x7f | 0x80) as u8, (length >> 7) as u8];
    let head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0Go\0\0";
    [
        &head[..],
        &[0; 4096],
        b"\xff Go buildinf:\x08\x02",
        &[0; 16],
        &short(version.len()),
        version.as_bytes(),
        &short(modules.len()),
        &modules,
    ]
    .concat()
}

fn jar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut writer, content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn programs_archives_and_gems_with_their_layer() {
    let pom = b"groupId=org.x\nartifactId=y\nversion=1.0\n";
    let inner = jar(&[("META-INF/maven/org.x/y/pom.properties", pom)]);
    let program = || go("go1.21.3", "path\tx\ndep\texample.org/a\tv1.2.3\th1:x=\n");
    let (made, layers) = look(vec![
        vec![
            File::new("app/run", 0o755, program()),
            File::new("app/x.war", 0o644, jar(&[("WEB-INF/lib/y.jar", &inner)])),
            File::new("gems/specifications/rake-13.0.6.gemspec", 0o644, "s.name = \"rake\"\ns.version = \"13.0.6\"\n"),
            File::new("app/gone", 0o755, program()),
        ],
        // The same again, as a change of owner makes it.
        vec![File::new("app/run", 0o700, program()), File::whiteout("app/gone"), File::hardlink("app/again", "app/run")],
    ]);
    let told: Vec<(String, &str)> = made.packages.iter().map(|package| (package.purl(), package.path.as_str())).collect();
    let expected = [
        ("pkg:golang/example.org/a@v1.2.3", "app/run"),
        ("pkg:golang/stdlib@1.21.3", "app/run"),
        ("pkg:maven/org.x/y@1.0", "app/x.war!/WEB-INF/lib/y.jar"),
        ("pkg:gem/rake@13.0.6", "gems/specifications/rake-13.0.6.gemspec"),
    ];
    assert_eq!(told, expected.map(|(purl, path)| (purl.to_owned(), path)));
    let since: Vec<&Digest> = made.packages.iter().map(|package| &package.layer).collect();
    assert!(since.iter().all(|layer| **layer == layers[0]), "{since:?}");
    assert!(made.warnings.is_empty(), "{:?}", made.warnings);
}

#[test]
fn a_second_name_stays_when_the_first_goes() {
    let (made, layers) = look(vec![vec![File::new("a", 0o755, go("go1.21.3", "")), File::hardlink("b", "a")], vec![File::whiteout("a")]]);
    assert_eq!((names(&made), made.packages[0].path.as_str()), (vec!["Go stdlib 1.21.3".to_owned()], "b"));
    assert_eq!(made.packages[0].layer, layers[0]);
}

#[test]
fn a_package_that_came_back_is_as_old_as_its_return() {
    let at = "app/node_modules/left/package.json";
    let file = || File::new(at, 0o644, r#"{"name":"left","version":"1.0.0"}"#);
    let (made, layers) = look(vec![vec![file()], vec![File::whiteout("app/node_modules")], vec![file()], vec![file()]]);
    assert_eq!((names(&made), &made.packages[0].layer), (vec!["npm left 1.0.0".to_owned()], &layers[2]));
}

#[test]
fn the_database_of_another_system_is_not_taken_for_ours() {
    let installed = "P:musl\nV:1.2.4-r2\no:musl\n\n";
    let (made, _) = look(vec![vec![File::new("etc/os-release", 0o644, OS), File::new("lib/apk/db/installed", 0o644, installed)]]);
    assert_eq!(names(&made), ["apk/debian musl 1.2.4-r2"]);
    assert!(made.warnings[0].message.contains("names no release whose advisories are known"), "{:?}", made.warnings);
}

#[test]
fn packages_of_an_unknown_system_are_listed_and_said_not_to_be_looked_up() {
    let (made, _) =
        look(vec![vec![File::new("etc/os-release", 0o644, "ID=arch\n"), File::new("var/lib/dpkg/status", 0o644, status(&[("a", "1")]))]]);
    assert_eq!(names(&made), ["deb/arch a 1"]);
    assert!(made.warnings[0].message.contains("lists 1 packages, but /etc/os-release names no release"), "{:?}", made.warnings);
}

#[test]
fn what_cannot_be_read_is_said() {
    let (made, _) = look(vec![vec![
        File::new("var/lib/dpkg/status", 0o644, status(&[("a", "1")])),
        File::new("x/node_modules/a/package.json", 0o644, "{"),
        File::new("x/y.dist-info/METADATA", 0o644, [0xff, 0xfe]),
    ]]);
    assert_eq!(names(&made), ["deb/unknown a 1"]);
    let said: Vec<&str> = made.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].contains("lists 1 packages, but /etc/os-release names no release"), "{said:?}");
    assert!(said[1].contains("is no JSON") && said[2].contains("names no Python package"), "{said:?}");
}

//! The rules of the house that a machine can hold.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Lines a source file may have. Tests at its bottom do not count: they grow with the care taken.
const MAX_LINES: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn files(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && name != ".git" {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for dir in ["crates", "tests", "examples", "fuzz"] {
        files(&root().join(dir), "rs", &mut found);
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

#[test]
fn files_stay_small() {
    let long: Vec<String> = sources()
        .iter()
        .filter_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
            (lines > MAX_LINES).then(|| format!("{} has {lines} lines", shown(path)))
        })
        .collect();
    assert!(long.is_empty(), "split these files; at most {MAX_LINES} lines:\n{}", long.join("\n"));
}

#[test]
fn every_module_says_its_rule_first() {
    let silent: Vec<String> = sources()
        .iter()
        // The tests of a module stand under its rule.
        .filter(|path| path.file_name().is_some_and(|name| name != "tests.rs"))
        .filter(|path| !fs::read_to_string(path).unwrap().lines().any(|line| line.starts_with("//!")))
        .map(|path| shown(path))
        .collect();
    assert!(silent.is_empty(), "these files do not say what they are for:\n{}", silent.join("\n"));
}

#[test]
fn unsafe_lives_in_the_sandbox_and_says_why() {
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let name = shown(&path);
        let words = ["allow(unsafe_code", "expect(unsafe_code", "unsafe {", "unsafe fn", "unsafe impl"];
        let uses = text.lines().any(|line| !line.trim_start().starts_with("//") && words.iter().any(|word| line.contains(word)));
        if name == "tests/tests/tidy.rs" || !uses {
            continue;
        }
        assert!(name.starts_with("crates/sandbox/"), "{name} uses unsafe; only the sandbox may");
        let blocks = text.matches("unsafe {").count();
        let reasons = text.matches("SAFETY:").count();
        assert!(reasons >= blocks.min(1), "{name} has {blocks} unsafe blocks and {reasons} SAFETY comments");
    }
}

/// The directions of design: whoever is not listed may not be depended on.
#[test]
fn dependencies_point_one_way() {
    let allowed: &[(&str, &[&str])] = &[
        ("model", &[]),
        ("image", &["model"]),
        ("sandbox", &["model"]),
        ("harness", &["model", "sandbox"]),
        ("scan", &["model", "image"]),
        ("checks", &["model", "image", "sandbox", "scan", "harness"]),
        ("store", &["model"]),
        ("registry", &["model", "store"]),
        ("server", &["model", "image", "sandbox", "scan", "harness", "checks", "store", "registry"]),
        ("plimsoll", &["model", "image", "sandbox", "scan", "harness", "checks", "store", "registry", "server"]),
    ];
    let ours: BTreeSet<&str> = allowed.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<String> =
        fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, ours.iter().map(ToString::to_string).collect());
    for (name, may) in allowed {
        let manifest = fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap();
        let normal = manifest.split("[dependencies]").nth(1).unwrap_or("").split("\n[").next().unwrap_or("");
        let used = normal.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|word| ours.contains(word));
        for word in used {
            assert!(may.contains(&word), "crate {name} must not depend on {word}");
        }
    }
}

#[test]
fn paths_named_in_the_architecture_exist() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut seen = 0;
    for word in text.split('`').skip(1).step_by(2) {
        let is_path = ["crates/", "tests/", "docs/", "examples/", "fuzz/", "scripts/"].iter().any(|start| word.starts_with(start));
        if !is_path || word.contains('<') || word.contains('*') {
            continue;
        }
        assert!(root().join(word).exists(), "ARCHITECTURE.md names {word}, which is not there");
        seen += 1;
    }
    assert!(seen > 10, "ARCHITECTURE.md names too few paths");
}

#[test]
fn the_one_list_of_each_kind_is_alphabetical() {
    for (file, start) in [("crates/plimsoll/src/commands/mod.rs", "mod "), ("crates/server/src/ops/mod.rs", "pub mod ")] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(start)).collect();
        assert!(names.len() > 3 && names.is_sorted(), "{file}: {names:?}");
    }
}

#[test]
fn the_project_speaks_of_itself_alone() {
    let mut texts = sources();
    for extension in ["md", "toml", "html", "css", "js"] {
        files(&root(), extension, &mut texts);
    }
    for path in texts.iter().filter(|path| !shown(path).starts_with("tests/tests/tidy.rs")) {
        let text = fs::read_to_string(path).unwrap();
        for word in ["/work/main", "/work/shared", "../shared", "TODO", "FIXME", "XXX:"] {
            assert!(!text.contains(word), "{} contains {word:?}", shown(path));
        }
    }
}

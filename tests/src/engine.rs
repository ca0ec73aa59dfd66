//! The keyword example engine, as it is or with a line changed, as an image of one static program.

use std::{fs, path::PathBuf};

use image::{
    Platform,
    pack::{File, Pack},
};
use model::digest::Digest;
use serde_json::Value;

use crate::{
    cache::kept,
    program::{program, run},
    sources,
};

/// The engine and its manifest.
#[derive(Clone, Debug)]
pub struct Keyword {
    source: String,
    manifest: Value,
}

impl Keyword {
    /// The example as it is, with the id of an engine.
    pub fn new(engine: &str) -> Self {
        let example = sources().join("examples/keyword");
        let mut manifest: Value = serde_json::from_slice(&fs::read(example.join("manifest.json")).unwrap()).unwrap();
        manifest["engineId"] = engine.into();
        Self { source: fs::read_to_string(example.join("src/main.rs")).unwrap(), manifest }
    }

    /// Changes its source in one place.
    #[track_caller]
    pub fn with_line(mut self, line: &str, other: &str) -> Self {
        self.source = replaced(&self.source, line, other);
        self
    }

    /// Makes it say `loading the model` when it starts, and take four seconds until it listens.
    #[track_caller]
    pub fn slow_to_start(self) -> Self {
        self.with_line("    let port = ", "    log(\"loading the model\"); std::thread::sleep(Duration::from_secs(4));\n    let port = ")
    }

    /// Changes a field of its manifest.
    pub fn with_field(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.manifest[field] = value.into();
        self
    }

    /// Its manifest as text.
    pub fn manifest(&self) -> String {
        format!("{:#}", self.manifest)
    }

    /// Its program, compiled.
    ///
    /// # Panics
    /// When it does not compile.
    #[track_caller]
    pub fn program(&self) -> PathBuf {
        let name = format!("keyword-{}", Digest::of(self.source.as_bytes()).short());
        kept(&name, |unfinished| {
            let folder = tempfile::tempdir().unwrap();
            let source = folder.path().join("main.rs");
            fs::write(&source, &self.source).unwrap();
            let arguments = ["--edition", "2024", "-C", "opt-level=s", "-C", "target-feature=+crt-static", "-C", "strip=symbols"];
            run(program("rustc").args(arguments).arg(&source).arg("-o").arg(unfinished)).succeeded();
        })
    }

    /// The image around it, with `manifest` in place of its own.
    pub fn pack_with(&self, manifest: File) -> Pack {
        Pack::new(Platform::new("linux", "amd64"))
            .layer(vec![File::new("keyword", 0o755, fs::read(self.program()).unwrap())])
            .layer(vec![manifest])
            .entrypoint(["/keyword"])
            .env("VERITONE_WEBHOOK_READY", "http://0.0.0.0:8080/ready")
            .env("VERITONE_WEBHOOK_PROCESS", "http://0.0.0.0:8080/process")
            .user("65534:65534")
            .tag("v1")
    }

    /// The image around it.
    pub fn pack(&self) -> Pack {
        self.pack_with(File::new("var/manifest.json", 0o644, self.manifest()))
    }

    /// A folder with everything the example's Dockerfile copies.
    pub fn context(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, from: PathBuf| fs::copy(from, folder.path().join(name)).unwrap();
        put("keyword", self.program());
        put("Dockerfile", sources().join("examples/keyword/Dockerfile"));
        fs::write(folder.path().join("manifest.built.json"), self.manifest()).unwrap();
        folder
    }
}

/// A text with one place of it changed.
///
/// # Panics
/// When the place is not there, or there twice.
#[track_caller]
pub fn replaced(text: &str, place: &str, other: &str) -> String {
    assert_eq!(text.matches(place).count(), 1, "{place:?} must occur once");
    text.replace(place, other)
}

/// The program that is an engine of every kind, compiled.
///
/// # Panics
/// When it does not compile.
#[track_caller]
pub fn kinds() -> PathBuf {
    let source = sources().join("tests/engines/kinds.rs");
    let name = format!("kinds-{}", Digest::of(&fs::read(&source).unwrap()).short());
    kept(&name, |unfinished| {
        let arguments = ["--edition", "2024", "-C", "opt-level=s", "-C", "target-feature=+crt-static", "-C", "strip=symbols"];
        run(program("rustc").args(arguments).arg(&source).arg("-o").arg(unfinished)).succeeded();
    })
}

//! The Python example engines in a real Debian image of some hundred megabytes.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;

use crate::{
    cache::kept,
    engine::replaced,
    program::{program, run},
    sources,
};

/// What the image of the example's base is called in these tests.
pub const BASE: &str = "localhost/python-base:1";

/// The least size of the base, bytes: an engine with a model in it is never small.
const LEAST: u64 = 200 << 20;

/// A tar of Debian with Python and numerics, made from Debian's packages.
///
/// # Panics
/// When it cannot be made.
pub fn base() -> PathBuf {
    let path = kept("python-base-2.tar", |unfinished| {
        // What Debian's own slim images leave out too: it is thousands of files.
        let without = ["doc", "locale", "man"].map(|name| format!("--dpkgopt=path-exclude=/usr/share/{name}/*"));
        let with = [
            "--variant=minbase",
            "--include=python3,python3-graphql-core,python3-numpy,python3-requests,libopenblas0-pthread",
            "--format=tar",
            "bookworm",
        ];
        run(program("mmdebstrap").args(without).args(with).arg(unfinished)).succeeded();
    });
    let size = fs::metadata(&path).unwrap().len();
    assert!(size > LEAST, "{} has only {size} bytes", path.display());
    path
}

/// The example in a folder, to be built with its own Dockerfile on [`BASE`].
pub struct Example {
    folder: TempDir,
}

impl Example {
    /// The example `name`, with the id of an engine.
    ///
    /// # Panics
    /// When the example is not what these tests know.
    #[track_caller]
    pub fn new(name: &str, engine: &str) -> Self {
        let (example, folder) = (sources().join("examples").join(name), tempfile::tempdir().unwrap());
        let read = |file: &str| fs::read_to_string(example.join(file)).unwrap();
        let write = |file: &str, text: String| fs::write(folder.path().join(file), text).unwrap();
        write("engine.py", read("engine.py"));
        write("manifest.built.json", replaced(&read("manifest.json"), "YOUR-ENGINE-ID", engine));
        write("Dockerfile", on_base(&read("Dockerfile")));
        Self { folder }
    }

    /// Changes its program in one place.
    #[track_caller]
    pub fn with_line(self, line: &str, other: &str) -> Self {
        let path = self.folder.path().join("engine.py");
        fs::write(&path, replaced(&fs::read_to_string(&path).unwrap(), line, other)).unwrap();
        self
    }

    /// Puts another program in its place: `tests/engines/client.py`, which speaks through the library gql. The library comes from PyPI, what it stands
    /// on from Debian.
    ///
    /// # Panics
    /// When the library cannot be fetched.
    #[track_caller]
    pub fn with_client(self) -> Self {
        let library = kept("gql-2.0.0.tar", |unfinished| {
            let folder = tempfile::tempdir().unwrap();
            let (venv, target) = (folder.path().join("venv"), folder.path().join("lib"));
            run(program("python3").args(["-m", "venv"]).arg(&venv)).succeeded();
            let arguments = ["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--target"];
            run(Command::new(venv.join("bin/python")).args(arguments).arg(&target).arg("gql==2.0.0")).succeeded();
            run(program("tar").arg("-cf").arg(unfinished).arg("-C").arg(&target).arg("gql")).succeeded();
        });
        let folder = self.folder.path();
        fs::copy(library, folder.join("gql.tar")).unwrap();
        fs::copy(sources().join("tests/engines/client.py"), folder.join("engine.py")).unwrap();
        let dockerfile = fs::read_to_string(folder.join("Dockerfile")).unwrap();
        let with_library = replaced(&dockerfile, "COPY engine.py", "ADD gql.tar /usr/lib/python3/dist-packages/\nCOPY engine.py");
        fs::write(folder.join("Dockerfile"), with_library).unwrap();
        self
    }

    /// The folder to build in.
    pub fn context(&self) -> &std::path::Path {
        self.folder.path()
    }
}

/// The Dockerfile without its installation of packages, which [`BASE`] already has: no container of a test reaches the outside.
#[track_caller]
fn on_base(dockerfile: &str) -> String {
    let start = dockerfile.find("\nFROM debian:").unwrap();
    let (installation, rest) = dockerfile[start..].split_once("\nCOPY ").unwrap();
    assert!(installation.contains("python3") && !installation.contains("\nENV"), "{installation}");
    format!("FROM {BASE}\nCOPY {rest}")
}

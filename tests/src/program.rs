//! Running other programs: all their output is kept, and shown when they did not do what was expected.

use std::{
    io::Write,
    process::{Command, ExitStatus, Output, Stdio},
};

/// Programs the tests use, with the Debian package each is in.
const PACKAGES: [(&str, &str); 22] = [
    ("bash", "bash"),
    ("buildah", "buildah"),
    ("chromedriver", "chromium-driver"),
    ("chromium", "chromium"),
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("curl", "curl"),
    ("docker", "docker.io"),
    ("dockerd", "docker.io"),
    ("gcc", "gcc"),
    ("mmdebstrap", "mmdebstrap"),
    ("objcopy", "binutils"),
    ("podman", "podman"),
    ("python3", "python3"),
    ("runsc", "runsc"),
    ("rustc", "rustc"),
    ("setpriv", "util-linux"),
    ("skopeo", "skopeo"),
    ("strace", "strace"),
    ("tar", "tar"),
    ("umount", "mount"),
    ("unshare", "util-linux"),
];

/// A program of [`PACKAGES`], ready to get its arguments.
///
/// # Panics
/// When it is not in the list.
#[track_caller]
pub fn program(name: &str) -> Command {
    assert!(PACKAGES.iter().any(|(known, _)| *known == name), "{name}: which package is it in?");
    Command::new(name)
}

/// Fails the test because a program could not be started.
///
/// # Panics
/// Always.
#[track_caller]
pub fn absent(command: &Command, error: &std::io::Error) -> ! {
    let name = command.get_program().to_string_lossy();
    match PACKAGES.iter().find(|(known, _)| *known == name) {
        Some((_, package)) => panic!("{name} cannot be started ({error}); this test needs it: apt-get install {package}"),
        None => panic!("{name} cannot be started: {error}"),
    }
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ran {
    line: String,
    status: ExitStatus,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// Runs a program to its end.
///
/// # Panics
/// When it cannot be started.
#[track_caller]
pub fn run(command: &mut Command) -> Ran {
    run_with(command, "")
}

/// Runs a program to its end, with `input` on its standard input.
///
/// # Panics
/// When it cannot be started.
#[track_caller]
pub fn run_with(command: &mut Command, input: &str) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| absent(command, &error));
    // A program that ended without reading it does not want it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Ran::new(command, child.wait_with_output().unwrap())
}

impl Ran {
    fn new(command: &Command, output: Output) -> Self {
        let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
        let line = [command.get_program().to_string_lossy().into_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { line, status: output.status, out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// It must have ended with this code.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn exited(self, code: i32) -> Self {
        assert!(self.status.code() == Some(code), "expected exit code {code}\n{}", self.shown());
        self
    }

    /// It must have succeeded.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        self.exited(0)
    }

    /// It must have failed.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn failed(self) -> Self {
        assert!(!self.status.success(), "expected to fail\n{}", self.shown());
        self
    }

    /// Its output must contain all these words, wherever.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        let said = format!("{}\n{}", self.out, self.err);
        for word in words {
            assert!(said.contains(word), "expected {word:?}\n{}", self.shown());
        }
        self
    }

    /// Everything it wrote, for a failing test.
    pub fn shown(&self) -> String {
        format!("$ {}\n{}{}[{}]", self.line, self.out, self.err, self.status)
    }
}

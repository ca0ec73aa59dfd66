//! Another OCI runtime than our own: which program, and what it can do.

use std::{
    env,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::Error;

/// A program with the command line of `runc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    program: PathBuf,
    /// It says that it can give a container clocks of its own.
    clocks: bool,
    /// It is a kernel of its own, gVisor, under whatever name.
    gvisor: bool,
}

impl Runtime {
    /// Looks for a runtime: a path as it is, a name on the `PATH`.
    ///
    /// # Errors
    /// [`Error::NoRuntime`] if it is not there or no program.
    pub fn find(wanted: &str) -> Result<Self, Error> {
        let places = env::var_os("PATH").unwrap_or_default();
        let candidates: Vec<PathBuf> = if wanted.contains('/') {
            vec![PathBuf::from(wanted)]
        } else {
            // Administrators' programs are not on everybody's path.
            env::split_paths(&places).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]).map(|dir| dir.join(wanted)).collect()
        };
        let program = candidates.into_iter().find(|path| is_program(path)).ok_or_else(|| Error::NoRuntime(wanted.to_owned()))?;
        let program = std::path::absolute(&program).unwrap_or(program);
        let clocks = has_clocks(&program);
        let gvisor = answer(&program, "--version").starts_with(b"runsc ");
        Ok(Self { program, clocks, gvisor })
    }

    /// The program.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Whether a container gets clocks of its own.
    pub(crate) fn has_clocks(&self) -> bool {
        self.clocks
    }

    /// How people call it.
    pub fn name(&self) -> String {
        self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Why it cannot hold an engine as is promised, though it starts one.
    pub(crate) fn obstacle(&self) -> Option<String> {
        let told = "is gVisor, a kernel of its own without a limit of processes: an engine in it makes as many as it likes, and a limit on this host ends \
                    gVisor itself";
        self.gvisor.then(|| format!("{} {told}", self.name()))
    }

    /// What goes unrecorded with it, each a sentence.
    pub(crate) fn not_recorded(&self) -> Vec<String> {
        let name = self.name();
        let calls = format!("system calls that are refused are not recorded: {name} runs the engine and does not tell them");
        let clocks = format!("the engine sees how long this host has been up: {name} gives it no clocks of its own");
        [Some(calls), (!self.clocks).then_some(clocks)].into_iter().flatten().collect()
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Runtimes of today list what they can do; one that does not is believed to have no clocks.
fn has_clocks(program: &Path) -> bool {
    let features: serde_json::Value = serde_json::from_slice(&answer(program, "features")).unwrap_or_default();
    features["linux"]["namespaces"].as_array().is_some_and(|names| names.iter().any(|name| name == "time"))
}

/// What it says to one word; nothing if it cannot be called.
fn answer(program: &Path, word: &str) -> Vec<u8> {
    let answer = Command::new(program).arg(word).stdin(Stdio::null()).stderr(Stdio::null()).output();
    answer.map(|answer| answer.stdout).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn program(dir: &Path, says: &str) -> PathBuf {
        let path = dir.join("runx");
        fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn what_a_runtime_can_do_is_asked_and_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let with = |says: &str| Runtime::find(program(dir.path(), says).to_str().unwrap()).unwrap();
        let clocks = with(r#"{"linux":{"namespaces":["pid","time"]}}"#);
        assert_eq!((clocks.name().as_str(), clocks.has_clocks(), clocks.not_recorded().len()), ("runx", true, 1));
        for without in [r#"{"linux":{"namespaces":["pid"]}}"#, "{}", "unknown command features"] {
            let runtime = with(without);
            assert!(!runtime.has_clocks() && runtime.not_recorded()[1].contains("runx"), "{without}");
            assert_eq!(runtime.obstacle(), None);
        }
        assert!(with("runsc version 0.0~20221219.0").obstacle().unwrap().starts_with("runx is gVisor"));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        for wanted in ["no-such-runtime", "/no/such/runtime", file.to_str().unwrap(), "/", ""] {
            let error = Runtime::find(wanted).unwrap_err();
            assert!(matches!(&error, Error::NoRuntime(name) if name == wanted), "{error}");
            assert!(error.to_string().contains("sandbox.runtime"), "{error}");
        }
    }
}

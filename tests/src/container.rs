//! podman, buildah and skopeo with a storage and a login file of their own, so that a test neither sees nor leaves anything.

use std::{fs, process::Command};

use tempfile::TempDir;

use crate::program::{Ran, program, run, run_with};

/// A storage of images.
pub struct Containers {
    folder: TempDir,
}

impl Containers {
    /// An empty storage.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("auth.json"), "{}").unwrap();
        Self { folder }
    }

    fn command(&self, name: &str) -> Command {
        let mut command = program(name);
        command.env("REGISTRY_AUTH_FILE", self.folder.path().join("auth.json")).current_dir(self.folder.path());
        command
    }

    /// A command of podman or buildah.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn run(&self, client: &str, arguments: &[&str]) -> Ran {
        let mut command = self.command(client);
        command.arg("--root").arg(self.folder.path().join("root")).arg("--runroot").arg(self.folder.path().join("run"));
        run(command.args(["--storage-driver", "overlay"]).args(arguments))
    }

    /// A command of skopeo.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn skopeo(&self, arguments: &[&str]) -> Ran {
        run(self.command("skopeo").args(arguments))
    }

    /// Logs in with any of the three.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn login(&self, client: &str, host: &str, user: &str, password: &str) -> Ran {
        let mut command = self.command(client);
        run_with(command.args(["login", "--tls-verify=false", "--username", user, "--password-stdin", host]), password)
    }
}

impl Default for Containers {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        // podman leaves its storage mounted on itself. If it is not, there is nothing to do.
        let _ = program("umount").arg(self.folder.path().join("root/overlay")).output();
    }
}

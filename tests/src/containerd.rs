//! A containerd of the test's own: private socket, storage and state, no network plugin, ended with the test.

use std::{
    fs::{self, File},
    process::{Child, Command},
};

use tempfile::TempDir;

use crate::{
    program::{Ran, absent, program, run},
    server::terminate,
    wait_for,
};

/// A running daemon.
pub struct Containerd {
    folder: TempDir,
    daemon: Option<Child>,
}

impl Containerd {
    /// Starts a daemon.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {:?}\n",
            path("root"),
            path("state"),
            path("socket")
        );
        fs::write(path("config.toml"), config).unwrap();
        let log = File::create(path("log")).unwrap();
        let mut command = program("containerd");
        command.args(["--config", &path("config.toml")]).stdout(log.try_clone().unwrap()).stderr(log);
        let daemon = command.spawn().unwrap_or_else(|error| absent(&command, &error));
        let containerd = Self { folder, daemon: Some(daemon) };
        wait_for("answer of containerd", || containerd.command().arg("version").output().ok().filter(|output| output.status.success()));
        containerd
    }

    fn command(&self) -> Command {
        let mut command = program("ctr");
        command.arg("--address").arg(self.folder.path().join("socket"));
        command
    }

    /// A command of the client.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Ran {
        run(self.command().args(arguments))
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            terminate(daemon);
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("\n--- containerd ---\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
        }
    }
}

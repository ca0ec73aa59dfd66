//! A Docker daemon of the test's own: private socket, storage and network settings, ended with the test.

use std::{
    fs::File,
    process::{Child, Command},
};

use tempfile::TempDir;

use crate::{
    program::{Ran, absent, program, run, run_with},
    server::terminate,
    wait_for,
};

/// A running daemon.
pub struct Docker {
    folder: TempDir,
    daemon: Option<Child>,
}

impl Docker {
    /// Starts a daemon that takes the registry at `registry` without TLS.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(registry: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let log = File::create(path("log")).unwrap();
        let mut command = program("dockerd");
        command.args(["-H", &format!("unix://{}", path("socket")), "--data-root", &path("data"), "--exec-root", &path("exec")]);
        command.args(["-p", &path("pid"), "--insecure-registry", registry]);
        // It shall not touch the network of this machine.
        command.args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--ip-forward=false", "--ip-masq=false"]);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let daemon = command.spawn().unwrap_or_else(|error| absent(&command, &error));
        let docker = Self { folder, daemon: Some(daemon) };
        wait_for("answer of dockerd (its log is in the temporary folder of the test)", || {
            docker.command().arg("version").output().ok().filter(|output| output.status.success())
        });
        docker
    }

    fn command(&self) -> Command {
        let mut command = program("docker");
        command.arg("-H").arg(format!("unix://{}", self.folder.path().join("socket").display()));
        // The example's Dockerfiles need nothing of the newer builder, which is a package of its own.
        command.env("DOCKER_CONFIG", self.folder.path().join("config")).env("DOCKER_BUILDKIT", "0");
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

    /// What the client keeps of its logins.
    ///
    /// # Panics
    /// When it keeps nothing.
    #[track_caller]
    pub fn kept(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("config/config.json")).unwrap()
    }

    /// Logs in.
    ///
    /// # Panics
    /// When the client cannot be started.
    #[track_caller]
    pub fn login(&self, host: &str, user: &str, password: &str) -> Ran {
        run_with(self.command().args(["login", "--username", user, "--password-stdin", host]), password)
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            terminate(daemon);
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("\n--- dockerd ---\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
        }
    }
}

//! The registries that are measured, each a process of its own on the same disk.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::client::Client;

pub const EMAIL: &str = "bench@localhost";
pub const PASSWORD: &str = "benchmark password";

/// Which registry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The real program: accounts, gate, analysis of every layer.
    Ours,
    /// Debian's docker-registry, which asks nobody who they are.
    Reference,
    /// The crate `registry` alone: what analysis costs is the difference.
    Plain,
    /// A server that keeps nothing.
    Nothing,
}

/// A running registry and its folder.
pub struct Contender {
    pub kind: Kind,
    pub address: SocketAddr,
    pub data: PathBuf,
    process: Child,
}

impl Contender {
    pub fn start(kind: Kind, dir: &Path) -> Result<Self> {
        let data = dir.join(match kind {
            Kind::Ours => "plimsoll",
            Kind::Reference => "docker-registry",
            Kind::Plain => "plain",
            Kind::Nothing => "nothing",
        });
        fs::create_dir_all(&data)?;
        let (process, address) = match kind {
            Kind::Ours => ours(&data)?,
            Kind::Reference => reference(&data)?,
            Kind::Plain => {
                let mut command = Command::new(std::env::current_exe()?);
                told(command.arg("--plain").arg(&data))?
            }
            Kind::Nothing => told(Command::new(std::env::current_exe()?).arg("--nothing"))?,
        };
        let contender = Self { kind, address, data, process };
        // A registry that begins may still be busy with itself.
        std::thread::sleep(Duration::from_secs(1));
        Ok(contender)
    }

    /// A connection with what this registry wants to see of its clients.
    pub fn client(&self) -> Result<Client> {
        let mut client = Client::new(self.address)?;
        if self.kind == Kind::Ours {
            client.log_in(EMAIL, PASSWORD)?;
        }
        Ok(client)
    }

    /// Waits until what was begun is done: dirty pages, and work that goes on behind an answer. One measure must not burden the next.
    pub fn settle(&self) -> Result<()> {
        rustix::fs::sync();
        for _ in 0..40 {
            let before = self.cpu()?;
            std::thread::sleep(Duration::from_millis(250));
            if self.cpu()? - before < 0.03 {
                break;
            }
        }
        Ok(())
    }

    /// User and system time so far, seconds.
    pub fn cpu(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let fields: Vec<&str> = stat.rsplit_once(") ").context("no stat")?.1.split(' ').collect();
        let ticks = |at: usize| -> Result<f64> { Ok(fields.get(at).context("no time")?.parse()?) };
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }

    /// Resident memory now and at its highest, MB.
    pub fn memory(&self) -> Result<(f64, f64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let field = |name: &str| -> Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no memory")?;
            let kib: f64 = line.split_whitespace().next().context("no number")?.parse()?;
            Ok(kib * 1024.0 / 1e6)
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.data);
    }
}

fn ours(data: &Path) -> Result<(Child, SocketAddr)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    command.envs([("PLIMSOLL_ADMIN_EMAIL", EMAIL), ("PLIMSOLL_ADMIN_PASSWORD", PASSWORD), ("PLIMSOLL_LOG", "error")]);
    told(&mut command)
}

/// A process that says its address in its first line.
fn told(command: &mut Command) -> Result<(Child, SocketAddr)> {
    let mut process = command.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(process.stdout.take().context("no output")?).lines();
    let line = lines.next().context("the server said nothing")??;
    let address = line.rsplit_once("http://").map_or(line.as_str(), |(_, address)| address).trim().parse()?;
    std::thread::spawn(move || lines.for_each(drop));
    Ok((process, address))
}

fn reference(data: &Path) -> Result<(Child, SocketAddr)> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let config = data.join("config.yml");
    let root = data.join("data");
    fs::write(
        &config,
        format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  cache:\n    blobdescriptor: inmemory\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: {address}\n",
            root.display()
        ),
    )?;
    let started = Command::new("docker-registry").arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut process = started.context("docker-registry cannot be started: apt-get install docker-registry")?;
    for _ in 0..200 {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok((process, address));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let ended = process.try_wait()?;
    let _ = process.kill();
    ensure!(false, "docker-registry does not answer at {address}: {ended:?}");
    Ok((process, address))
}

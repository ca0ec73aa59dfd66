//! The real server, on a free port and a folder of its own. It is ended with the test, however the test ends; a test that fails shows its log.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{api::Api, plimsoll, program::Ran, wait, wait_for};

/// The account of the first start.
pub const EMAIL: &str = "ann@example.org";
/// Its password.
pub const PASSWORD: &str = "a horse and a staple";
/// Its organization.
pub const ORGANIZATION: i64 = 1;

/// How long a server may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(30);
/// Lines of the server's log shown when a test fails.
const SHOWN: usize = 120;

/// A server, running or not.
pub struct Server {
    // Unmounted before the folder is removed.
    disk: Option<Disk>,
    folder: TempDir,
    process: Option<Child>,
    address: String,
    starts: usize,
    said: Arc<Mutex<String>>,
    is_named: bool,
    settings: Vec<(String, String)>,
}

/// The program with the environment of a test, and nothing of ours around it.
pub fn command(home: &Path) -> Command {
    let mut command = Command::new(plimsoll());
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("TMPDIR", home)
        .env("PLIMSOLL_ORG_ID", ORGANIZATION.to_string())
        .env("PLIMSOLL_ADMIN_EMAIL", EMAIL)
        .env("PLIMSOLL_ADMIN_PASSWORD", PASSWORD)
        .current_dir(home);
    command
}

impl Server {
    /// Starts a server on a new folder.
    pub fn start() -> Self {
        Self::new(true, &[])
    }

    /// Starts a server on a new folder with these variables in its environment.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::new(true, settings)
    }

    /// Starts a server on a new folder that has to choose the first account itself.
    pub fn start_unnamed() -> Self {
        Self::new(false, &[])
    }

    /// Starts a server whose data folder is a disk of its own with room for so many bytes.
    ///
    /// # Panics
    /// When the disk cannot be mounted.
    pub fn start_on_disk_of(bytes: u64) -> Self {
        let mut server = Self::stopped(true, &[]);
        server.disk = Some(Disk::mount(server.data(), bytes));
        server.again();
        server
    }

    fn new(is_named: bool, settings: &[(&str, &str)]) -> Self {
        let mut server = Self::stopped(is_named, settings);
        server.again();
        server
    }

    fn stopped(is_named: bool, settings: &[(&str, &str)]) -> Self {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (folder, address) = (tempfile::tempdir().unwrap(), "127.0.0.1:0".to_owned());
        Self { disk: None, folder, process: None, address, starts: 0, said: Arc::default(), is_named, settings }
    }

    /// Starts it again, on the same folder and address.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn again(&mut self) {
        self.spawn();
        let started = wait(|| {
            let ended = self.process.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_some()));
            self.said("Plimsoll is at http://").map(Ok).or(ended.then_some(Err(())))
        });
        self.address = started.and_then(Result::ok).unwrap_or_else(|| panic!("the server did not start\n{}", self.log()));
    }

    /// Starts it again and goes on as soon as it takes connections, before it has looked at this host.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn again_at_once(&mut self) {
        self.spawn();
        let until = Instant::now() + crate::PATIENCE;
        while std::net::TcpStream::connect(&self.address).is_err() {
            let ended = self.process.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_some()));
            assert!(!ended && Instant::now() < until, "the server did not start\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[track_caller]
    fn spawn(&mut self) {
        assert!(self.process.is_none(), "the server is running");
        self.starts += 1;
        let log = File::create(self.folder().join(format!("server-{}.log", self.starts))).unwrap();
        let mut command = command(self.folder());
        if !self.is_named {
            for name in ["PLIMSOLL_ORG_ID", "PLIMSOLL_ADMIN_EMAIL", "PLIMSOLL_ADMIN_PASSWORD"] {
                command.env_remove(name);
            }
        }
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.arg("serve").arg("--data").arg(self.data()).args(["--listen", &self.address]);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        self.process = Some(child);
        let said = Arc::new(Mutex::new(String::new()));
        self.said = said.clone();
        // The pipe is read to its end: a server that cannot write would stop.
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                said.lock().unwrap().push_str(&(line + "\n"));
            }
        });
    }

    /// The rest of the line it wrote to its standard output, since its latest start, that begins like this.
    ///
    /// # Panics
    /// Never.
    pub fn said(&self, begin: &str) -> Option<String> {
        self.said.lock().unwrap().lines().find_map(|line| line.strip_prefix(begin)).map(str::to_owned)
    }

    /// A folder for whatever the test keeps; the server's data is in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The server's data folder.
    pub fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// `127.0.0.1:PORT`, as clients of a registry write it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Address of a page.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The API, logged in with the account of the first start.
    #[track_caller]
    pub fn api(&self) -> Api {
        Api::login(&self.address, EMAIL, PASSWORD)
    }

    /// Its resident memory, bytes.
    ///
    /// # Panics
    /// When it is not running.
    #[track_caller]
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.as_ref().unwrap().id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Everything it logged since its latest start.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder().join(format!("server-{}.log", self.starts))).unwrap_or_default()
    }

    /// Ends it at once, as a power cut does.
    ///
    /// # Panics
    /// When it is not running.
    #[track_caller]
    pub fn kill(&mut self) {
        let mut child = self.process.take().unwrap();
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "the server had ended before it was killed: {}", self.log());
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Panics
    /// When it does not end, or not well.
    #[track_caller]
    pub fn stop(&mut self) {
        let child = self.process.take().unwrap();
        let status = terminate(child);
        assert!(status.is_some_and(|status| status.success()), "the server ended with {status:?}: {}", self.log());
    }

    /// Tries to start a second server on this folder, and returns what came of it.
    #[track_caller]
    pub fn rival(&self, folder: &Path, address: &str) -> Ran {
        let mut command = command(self.folder());
        crate::program::run(command.arg("serve").arg("--data").arg(folder).args(["--listen", address]))
    }

    /// The server must answer, and must not have met a fault of its own.
    ///
    /// # Panics
    /// When it does not, or has.
    #[track_caller]
    pub fn is_well(&self) {
        let answer = crate::web::client().get(self.url("/readyz")).send().unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().unwrap_or_default());
        let log = self.log();
        let faults: Vec<&str> = log.lines().filter(|line| line.contains("ERROR") || line.contains("panic")).collect();
        assert!(faults.is_empty(), "the server logged faults of its own:\n{}", faults.join("\n"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = self.process.take() {
            terminate(child);
        }
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("\n--- the server's log ---\n{}", lines[lines.len().saturating_sub(SHOWN)..].join("\n"));
        }
    }
}

/// A small disk in memory.
struct Disk(PathBuf);

impl Disk {
    #[track_caller]
    fn mount(at: PathBuf, bytes: u64) -> Self {
        fs::create_dir_all(&at).unwrap();
        let size = std::ffi::CString::new(format!("size={bytes}")).unwrap();
        rustix::mount::mount("tmpfs", &at, "tmpfs", rustix::mount::MountFlags::empty(), Some(size.as_c_str())).unwrap();
        Self(at)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

/// Ends a process we started: asks, and after [`GRACE`] insists. `None` when it had to be insisted on.
pub fn terminate(mut child: Child) -> Option<ExitStatus> {
    let _ = kill_process(Pid::from_child(&child), Signal::TERM);
    let until = Instant::now() + GRACE;
    while Instant::now() < until {
        match child.try_wait() {
            Ok(None) => thread::sleep(crate::PAUSE),
            Ok(Some(status)) => return Some(status),
            Err(_) => return None,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Waits until a file of the server holds `text`; returns all of it.
#[track_caller]
pub fn wait_for_text(path: &Path, text: &str) -> String {
    wait_for(&format!("{text:?} in {}", path.display()), || fs::read_to_string(path).ok().filter(|content| content.contains(text)))
}

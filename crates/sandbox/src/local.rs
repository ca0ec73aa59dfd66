//! Runs on this machine, in namespaces and control groups of their own.

use std::{
    collections::HashSet,
    fs,
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use model::run::RunSpec;

use crate::{
    Error, LogSink, ProbeFailure, Rootfs, Running, Runtime, Sandbox, Session,
    cgroup::{self, Group, Layout},
    doctor,
    log::LogBook,
    network::{Network, Outside},
    owner::{Owner, group_name},
    probe,
    protocol::{Description, FileHead, Foreign, Program},
    spec,
    supervise::{self, Handle, Order, Run},
};

/// How to start the process that holds a container: a program whose main function hands over to [`crate::helper_main`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    /// The program.
    pub program: PathBuf,
    /// What to call it with.
    pub args: Vec<String>,
}

impl Helper {
    /// A program that is nothing but the helper.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), args: Vec::new() }
    }
}

/// This very program with the hidden subcommand `sandbox-helper`, even if its file was replaced meanwhile.
impl Default for Helper {
    fn default() -> Self {
        Self { program: "/proc/self/exe".into(), args: vec!["sandbox-helper".to_owned()] }
    }
}

/// The sandbox of this machine.
pub struct Local {
    ground: Arc<Ground>,
    examined: Mutex<bool>,
}

/// What all runs stand on.
pub(crate) struct Ground {
    dir: PathBuf,
    helper: Helper,
    outside: Outside,
    /// Runs the containers instead of our own.
    runtime: Option<Runtime>,
    names: Mutex<HashSet<String>>,
    /// Engines may learn how long this host has been up, where its kernel cannot hide it.
    host_clocks: bool,
    /// Users can be mapped here, as the examination has found.
    users: AtomicBool,
}

impl Local {
    /// `dir` is an otherwise unused directory; it is made when it is needed and stays empty.
    pub fn new(dir: PathBuf, helper: Helper) -> Self {
        Self::with_outside(dir, helper, Outside::internet())
    }

    /// As [`Local::new`], with another way to the hosts that engines may reach: for tests.
    pub fn with_outside(dir: PathBuf, helper: Helper, outside: Outside) -> Self {
        Self { ground: Ground::new(dir, helper, outside, None, false), examined: Mutex::new(false) }
    }

    /// The same with containers run by another runtime than our own.
    #[must_use]
    pub fn run_by(self, runtime: Option<Runtime>) -> Self {
        let Ground { dir, helper, outside, host_clocks, .. } = &*self.ground;
        let ground = Ground::new(dir.clone(), helper.clone(), outside.clone(), runtime, *host_clocks);
        Self { ground, examined: Mutex::new(false) }
    }

    /// The same on a kernel without time namespaces, where every engine sees how long the host has been up. Each record says so.
    #[must_use]
    pub fn with_host_clocks(self, allowed: bool) -> Self {
        let Ground { dir, helper, outside, runtime, .. } = &*self.ground;
        let ground = Ground::new(dir.clone(), helper.clone(), outside.clone(), runtime.clone(), allowed);
        Self { ground, examined: Mutex::new(false) }
    }

    /// Removes what dead servers left behind; call it once at the start. Runs of living servers are not touched.
    pub fn sweep(&self) {
        if let Ok(layout) = Layout::of_host() {
            cgroup::sweep(&layout);
        }
    }

    /// Tries everything the sandbox promises; takes about a second. Only the first success is remembered, so a host that was mended needs no restart.
    fn examine(&self) -> Result<(), Error> {
        let mut examined = self.examined.lock().unwrap_or_else(PoisonError::into_inner);
        if !*examined {
            let failures: Vec<_> = doctor::examine_ground(&self.ground)
                .into_iter()
                .filter(|probe| probe.required && !probe.ok)
                .map(|probe| ProbeFailure { id: probe.id, detail: probe.detail, mend: probe.mend.unwrap_or_default() })
                .collect();
            if !failures.is_empty() {
                return Err(Error::HostNotReady(failures));
            }
            *examined = true;
        }
        Ok(())
    }
}

impl Sandbox for Local {
    fn open(&self, id: &str) -> Result<Box<dyn Session>, Error> {
        spec::check_id(id)?;
        self.examine()?;
        Ok(Box::new(LocalSession::open(&self.ground, id)?))
    }
}

impl Ground {
    pub(crate) fn new(dir: PathBuf, helper: Helper, outside: Outside, runtime: Option<Runtime>, host_clocks: bool) -> Arc<Self> {
        // The helper has another working directory.
        let dir = std::path::absolute(&dir).unwrap_or(dir);
        Arc::new(Self { dir, helper, outside, runtime, host_clocks, names: Mutex::default(), users: AtomicBool::new(true) })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the examination keeps what it found; until then it is tried.
    pub(crate) fn map_users(&self, possible: bool) {
        self.users.store(possible, Ordering::Relaxed);
    }

    /// The runtime, if it is not our own.
    pub(crate) fn runtime(&self) -> Option<&Runtime> {
        self.runtime.as_ref()
    }

    /// Whether engines may learn how long this host has been up.
    pub(crate) fn host_clocks(&self) -> bool {
        self.host_clocks
    }

    fn names(&self) -> MutexGuard<'_, HashSet<String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One run's surroundings.
pub(crate) struct LocalSession {
    ground: Arc<Ground>,
    id: String,
    network: Network,
    run: Mutex<Option<Arc<Run>>>,
}

impl LocalSession {
    /// Opens without an examination.
    pub(crate) fn open(ground: &Arc<Ground>, id: &str) -> Result<Self, Error> {
        let network = Network::new(ground.outside.clone())?;
        if !ground.names().insert(id.to_owned()) {
            return Err(Error::Busy(id.to_owned()));
        }
        Ok(Self { ground: ground.clone(), id: id.to_owned(), network, run: Mutex::new(None) })
    }

    /// Starts an engine or a probe.
    pub(crate) fn launch(&self, rootfs: &Rootfs, spec: &RunSpec, program: Program, log: LogSink) -> Result<Handle, Error> {
        spec::check(rootfs, spec)?;
        let mut current = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|run| !run.is_over()) {
            return Err(Error::Busy(self.id.clone()));
        }
        let layout = Layout::of_host().map_err(|error| {
            let mend = error.mend().to_owned();
            Error::HostNotReady(vec![ProbeFailure { id: "host.cgroups", detail: error.to_string(), mend }])
        })?;
        let mut make = fs::DirBuilder::new();
        let scratch = &self.ground.dir;
        let made = make.recursive(true).mode(0o700).create(scratch);
        made.map_err(|source| Error::File { action: "make the directory", path: scratch.clone(), source })?;
        let group = Group::create(&layout, &group_name(&self.id, &Owner::current()?), &spec.limits)?;
        let members = group.members();
        let recorder = self.network.begin(&spec.network, members)?;
        let description = Description {
            server: std::process::id(),
            scratch: scratch.clone(),
            lower: rootfs.lower.clone(),
            program,
            users: self.ground.users.load(Ordering::Relaxed),
            working_dir: spec.working_dir.clone(),
            user: spec.user.clone(),
            file_bytes: spec.limits.file_bytes,
            writable_bytes: spec.limits.writable_bytes,
            max_files: spec.limits.files,
            read_only_root: spec.read_only_root,
            shared_memory_bytes: spec.limits.memory_bytes / 2,
            files: spec.files.iter().map(|f| FileHead { path: f.path.clone(), mode: f.mode, len: f.bytes.len() as u64 }).collect(),
            network: self.network.path(),
            cgroup: group.views(),
            foreign: self.ground.runtime().map(|runtime| Foreign {
                program: runtime.program().to_owned(),
                clocks: runtime.has_clocks(),
                group: group.in_tree(),
                memory_bytes: spec.limits.memory_bytes,
                pids: spec.limits.pids,
                milli_cpus: spec.limits.milli_cpus,
            }),
        };
        let run = supervise::begin(Order {
            helper: self.ground.helper.clone(),
            description,
            files: spec.files.clone(),
            limits: spec.limits,
            group,
            book: LogBook::new(&spec.limits, log),
            network: recorder,
            not_recorded: self.ground.runtime().map(Runtime::not_recorded).unwrap_or_default(),
            besides: self.ground.runtime().map_or_else(|| doctor::clocks_told(probe::has_time_namespaces()), |_| Vec::new()),
        })?;
        *current = Some(run.clone());
        Ok(Handle(run))
    }
}

impl Session for LocalSession {
    fn listen(&self, port: u16) -> Result<TcpListener, Error> {
        self.network.listen(port)
    }

    fn connect(&self, addr: SocketAddr, timeout: Duration) -> Result<TcpStream, Error> {
        self.network.connect(addr, timeout)
    }

    fn addresses(&self) -> Vec<IpAddr> {
        self.network.addresses()
    }

    fn start(&self, rootfs: &Rootfs, spec: &RunSpec, log: LogSink) -> Result<Box<dyn Running>, Error> {
        let program = Program::Engine { args: spec.args.clone(), env: spec.env.clone() };
        Ok(Box::new(self.launch(rootfs, spec, program, log)?))
    }
}

impl Drop for LocalSession {
    fn drop(&mut self) {
        if let Some(run) = self.run.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            run.end();
        }
        self.ground.names().remove(&self.id);
    }
}

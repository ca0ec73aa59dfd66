//! What this host holds back and what not: every promise of the sandbox is tried for real, by our own code inside a container.
//!
//! Nothing here is assumed from a version number, save that gVisor is what it says it is. A line that fails says how to mend it.

mod inspected;

use std::{collections::BTreeMap, os::unix::fs::DirBuilderExt, path::PathBuf, sync::Arc, thread};

use model::{
    manifest::ClusterSize,
    network::NetworkPolicy,
    run::{Exit, Limits, RunRecord, RunSpec, Stream},
};

use inspected::{CLOCKS, INSPECTED, REPLACED};

use crate::{
    Error, Rootfs, Running, Runtime,
    cgroup::Layout,
    local::{Ground, Helper, LocalSession},
    network::Outside,
    probe::{NAMESPACES, Name},
    protocol::Program,
};

/// One line of the examination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Stable name, such as `limit.memory`.
    pub id: &'static str,
    /// What is promised.
    pub title: &'static str,
    /// Whether the promise holds.
    pub ok: bool,
    /// What was seen.
    pub detail: String,
    /// What to do if it does not hold.
    pub mend: Option<String>,
    /// Nothing is run while it does not hold.
    pub required: bool,
}

const MEMORY: u64 = 32 << 20;
const PIDS: u32 = 16;
const MILLI_CPUS: u32 = 200;
const COMPUTE_MS: u64 = 400;
const WALL_MS: u64 = 250;
const WRITABLE: u64 = 2 << 20;
const FILE: u64 = 1 << 20;
const FILES: u64 = 400;

/// Tries everything; takes about a second and never panics. `dir` and `helper` as for [`crate::local::Local::new`]; a directory that was not there
/// is removed again.
pub fn examine(dir: PathBuf, helper: Helper, runtime: Option<Runtime>, host_clocks: bool) -> Vec<Probe> {
    let was_there = dir.exists();
    let probes = examine_ground(&Ground::new(dir.clone(), helper, Outside::internet(), runtime, host_clocks));
    if !was_there {
        // Nothing of it can be in use by others, and only an empty directory is removed.
        let _ = std::fs::remove_dir(&dir);
    }
    probes
}

pub(crate) fn examine_ground(ground: &Arc<Ground>) -> Vec<Probe> {
    let mut lines = vec![privilege(ground.runtime()), control_groups()];
    lines.extend(ground.runtime().map(runtime));
    let tun = tun();
    if lines.iter().any(|line| !line.ok) {
        lines.push(tun);
        return lines;
    }
    ground.map_users(true);
    let _layer = Layer::make(ground);
    let mut seen = run(ground, "inspect", Name::Inspect);
    let mut users = map_users(&seen);
    if !users.ok {
        ground.map_users(false);
        seen = run(ground, "inspect", Name::Inspect);
        // An ordinary user's namespace, in which all of this takes place, renames them already.
        users = Some(map_users(&seen)).filter(|again| again.ok).unwrap_or(users);
    }
    let [memory, fork, compute, sleep] = run_all(ground);
    lines.push(container(&seen, ground.runtime()));
    lines.push(users);
    lines.push(namespaces(&seen));
    lines.push(watch(&seen, ground.runtime()));
    let seen = seen.and_then(|run| if run.answers.is_empty() { Err("the probe said nothing".to_owned()) } else { Ok(run) });
    lines.extend(INSPECTED.iter().map(|line| line.judge(&seen)));
    lines.push(Probe { required: false, ..REPLACED.judge(&seen) });
    let clocks = CLOCKS.judge(&seen);
    // A foreign runtime may not know of clocks, and the operator has chosen it; or has allowed it.
    lines.push(Probe { required: ground.runtime().is_none() && !ground.host_clocks(), ..clocks });
    lines.push(limit_memory(&memory));
    lines.push(limit_pids(&fork));
    lines.push(limit_cpu(&compute));
    lines.push(limit_wall(&sleep));
    lines.push(tun);
    lines
}

/// A layer on the file system that layers are on, with one directory in it. Without it every probe says what is missing.
struct Layer(PathBuf);

impl Layer {
    fn place(ground: &Ground) -> PathBuf {
        ground.dir().join(format!("doctor-{}", std::process::id()))
    }

    fn make(ground: &Ground) -> std::io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(ground.dir())?;
        let layer = Self(Self::place(ground));
        std::fs::create_dir_all(layer.0.join("replaced"))?;
        Ok(layer)
    }
}

impl Drop for Layer {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What came of one probe.
struct Seen {
    record: RunRecord,
    answers: BTreeMap<String, String>,
}

type Result = std::result::Result<Seen, String>;

fn run_all(ground: &Arc<Ground>) -> [Result; 4] {
    let probes = [
        ("memory", Name::Memory(2 * MEMORY)),
        ("fork", Name::Fork(4 * PIDS)),
        ("compute", Name::Compute(COMPUTE_MS)),
        ("sleep", Name::Sleep),
    ];
    let broken = || Err("the thread of the probe panicked".to_owned());
    thread::scope(|scope| {
        let threads = probes.map(|(name, probe)| scope.spawn(move || run(ground, name, probe)));
        threads.map(|thread| thread.join().unwrap_or_else(|_| broken()))
    })
}

fn run(ground: &Arc<Ground>, name: &str, probe: Name) -> Result {
    let limits = Limits {
        memory_bytes: if matches!(probe, Name::Inspect) { 2 * MEMORY } else { MEMORY },
        pids: PIDS,
        milli_cpus: if matches!(probe, Name::Compute(_)) { MILLI_CPUS } else { 2000 },
        file_bytes: FILE,
        writable_bytes: WRITABLE,
        files: FILES,
        wall_ms: if matches!(probe, Name::Sleep) { WALL_MS } else { 30_000 },
        ..Limits::certification(ClusterSize::Small, None)
    };
    let spec = RunSpec {
        args: vec!["probe".to_owned()],
        env: Vec::new(),
        working_dir: "/".to_owned(),
        user: String::new(),
        limits,
        files: Vec::new(),
        network: NetworkPolicy::Isolated,
        read_only_root: false,
    };
    let record = || -> std::result::Result<RunRecord, Error> {
        let session = LocalSession::open(ground, &format!("doctor-{name}"))?;
        session.launch(&Rootfs { lower: vec![Layer::place(ground)] }, &spec, Program::Probe(probe), Arc::new(|_| ()))?.wait()
    };
    let record = record().map_err(|error| error.to_string())?;
    let words = record.log.iter().filter(|line| line.stream == Stream::Stdout).filter_map(|line| line.text.split_once('='));
    let answers = words.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Ok(Seen { record, answers })
}

impl Seen {
    fn answer(&self, key: &str) -> &str {
        self.answers.get(key).map_or("?", String::as_str)
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.answer(key).parse().ok()
    }
}

fn line(id: &'static str, title: &'static str, verdict: std::result::Result<String, String>, mend: &str) -> Probe {
    let ok = verdict.is_ok();
    let (Ok(detail) | Err(detail)) = verdict;
    Probe { id, title, ok, detail, mend: (!ok).then(|| mend.to_owned()), required: true }
}

/// The kind of host, in a few words: who runs here, with which control groups, on which kernel.
pub fn kind() -> String {
    let who = crate::ordinary::describe().unwrap_or_else(|_| format!("user {}", rustix::process::geteuid().as_raw()));
    let groups = Layout::of_host().map_or_else(|_| "no usable control groups".to_owned(), |layout| layout.describe());
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{who}; {groups}; Linux {}", release.trim())
}

fn privilege(runtime: Option<&Runtime>) -> Probe {
    let (verdict, mend) = match crate::ordinary::describe() {
        Ok(who) if runtime.is_some() && crate::ordinary::in_user_namespace() => (
            Err(format!("{who}, for whom only the built-in runtime runs engines")),
            "leave out sandbox.runtime, or start plimsoll as root".to_owned(),
        ),
        Ok(who) => (Ok(who), String::new()),
        Err(obstacle) => (Err(obstacle.found), format!("{}; or start plimsoll as root (sudo plimsoll serve)", obstacle.mend)),
    };
    line("host.privilege", "may make namespaces and mounts", verdict, &mend)
}

fn control_groups() -> Probe {
    let (verdict, mend) = match Layout::of_host() {
        Ok(layout) => (Ok(layout.describe()), ""),
        Err(error) => (Err(error.to_string()), error.mend()),
    };
    line("host.cgroups", "control groups can limit", verdict, mend)
}

fn tun() -> Probe {
    let opened = std::fs::File::options().read(true).write(true).open("/dev/net/tun");
    let verdict = opened.map(|_| "present".to_owned()).map_err(|error| format!("/dev/net/tun: {error}"));
    line(
        "host.tun",
        "network attempts can be recorded",
        verdict,
        "load the kernel module tun (modprobe tun), and let this user open /dev/net/tun",
    )
}

/// What is known of a runtime before it is tried.
fn runtime(runtime: &Runtime) -> Probe {
    let verdict = runtime.obstacle().map_or_else(|| Ok(runtime.program().display().to_string()), Err);
    line(
        "host.runtime",
        "the runtime can hold an engine",
        verdict,
        "set sandbox.runtime to runc or crun, or leave it out to use the built-in runtime",
    )
}

fn container(seen: &Result, runtime: Option<&Runtime>) -> Probe {
    let verdict = match seen {
        Ok(run) => match &run.record.exit {
            Exit::Exited { code: 0 } => {
                Ok(format!("mount, pid, network, ipc, uts and cgroup namespaces, overlay; {} ms", run.record.wall_ms))
            }
            other => Err(format!("the probe ended by {other:?}")),
        },
        Err(why) => Err(why.clone()),
    };
    let mend = "run on a kernel of 5.10 or later with namespaces and overlayfs, outside a container or in a privileged one";
    let mend = runtime.map_or_else(
        || mend.to_owned(),
        |runtime| {
            format!(
                "leave out sandbox.runtime; if engines start then, it is {} that cannot start them here, otherwise {mend}",
                runtime.name()
            )
        },
    );
    line("container.start", "containers start", verdict, &mend)
}

/// Not required: an engine without capabilities, behind a filter, is held as well when its root is this host's; one wall less.
fn map_users(seen: &Result) -> Probe {
    let verdict = match seen {
        Ok(run) => match run.number("root_on_host") {
            Some(0) | None => Err("root in an image is root on this host, without capabilities".to_owned()),
            Some(number) if Some(number) == crate::ordinary::owner() => {
                Err(format!("root in an image is user {number}, who runs plimsoll, without capabilities"))
            }
            Some(number) => Ok(format!("root in an image is user {number} here")),
        },
        Err(why) => Err(format!("users cannot be mapped: {why}")),
    };
    let mend = "use a kernel of 5.19 or later, allow user namespaces (user.max_user_namespaces), keep the data folder on ext4, xfs, btrfs or tmpfs; \
                until then engines run under this host's user numbers, without any capability";
    let mut line = line("container.users", "root in an image is nobody on this host", verdict, mend);
    line.required = false;
    line
}

/// Everything an engine can see of a kind is its own. Users and clocks have lines of their own.
fn namespaces(seen: &Result) -> Probe {
    let verdict = judged(seen, |run| {
        let of_host = |name: &str| std::fs::read_link(format!("/proc/self/ns/{name}")).map(|link| link.display().to_string()).ok();
        let is_shared = |name: &&&str| of_host(name).is_none_or(|host| host == run.answer(&format!("ns_{name}")));
        let own = NAMESPACES.iter().filter(|name| !matches!(**name, "time" | "user"));
        let shared: Vec<_> = own.filter(is_shared).copied().collect();
        if shared.is_empty() {
            Ok("cgroup, ipc, mnt, net, pid and uts".to_owned())
        } else {
            Err(format!("shared with the host: {}", shared.join(", ")))
        }
    });
    line(
        "container.namespaces",
        "an engine has namespaces of its own",
        verdict,
        "use a kernel with all namespaces (CONFIG_NAMESPACES and what is below it)",
    )
}

/// Not required: what is refused stays refused.
fn watch(seen: &Result, runtime: Option<&Runtime>) -> Probe {
    let verdict =
        judged(seen, |run| match &run.record.denied {
            Some(denied) if denied.iter().any(|call| call.call == "mount") => Ok(format!("{} different calls were told", denied.len())),
            Some(_) => Err("a refused call was not told".to_owned()),
            None => Err(runtime
                .map_or_else(|| "somebody above listens already".to_owned(), |runtime| format!("{} does not tell them", runtime.name()))),
        });
    let mend = if runtime.is_some() {
        "leave out sandbox.runtime, so that the built-in runtime runs engines; refused calls are then written into reports"
    } else {
        "run plimsoll outside a container whose own runtime listens to system calls; refused calls are then written into reports"
    };
    let mut line = line("container.watch", "refused system calls are told", verdict, mend);
    line.required = false;
    line
}

/// What goes with every record of a kernel that cannot give an engine clocks of its own.
pub(crate) fn clocks_told(has_time_namespaces: bool) -> Vec<String> {
    let told = "the engine sees how long this host has been up: its kernel has no time namespaces, and sandbox.host_clocks allows it";
    if has_time_namespaces { Vec::new() } else { vec![told.to_owned()] }
}

fn judged(run: &Result, judge: impl FnOnce(&Seen) -> std::result::Result<String, String>) -> std::result::Result<String, String> {
    run.as_ref().map_err(Clone::clone).and_then(judge)
}

fn limit_memory(run: &Result) -> Probe {
    let verdict = judged(run, |run| match run.record.exit {
        Exit::OutOfMemory => {
            Ok(format!("a program that wanted {} MiB was ended at {} MiB", (2 * MEMORY) >> 20, run.record.peak_memory_bytes >> 20))
        }
        ref other => Err(format!("a program that used {} MiB of {} ended by {other:?}", (2 * MEMORY) >> 20, MEMORY >> 20)),
    });
    line(
        "limit.memory",
        "memory is limited",
        verdict,
        "enable the memory control group (kernel parameter cgroup_enable=memory, and swapaccount=1 if there is swap)",
    )
}

fn limit_pids(run: &Result) -> Probe {
    let verdict = judged(run, |run| match run.number("forks") {
        Some(forks) if forks < u64::from(PIDS) => Ok(format!("a program that forked without end got {forks} children")),
        _ => Err(format!("a program got {} children where {PIDS} processes are allowed", run.answer("forks"))),
    });
    line("limit.pids", "the number of processes is limited", verdict, "enable the pids control group")
}

fn limit_cpu(run: &Result) -> Probe {
    let verdict = judged(run, |run| match (run.number("used_ms"), run.number("computed_ms")) {
        _ if run.record.cpu_ms == 0 => Err("CPU time is not counted".to_owned()),
        (Some(used), Some(wall)) => {
            // A whole period may be used before the quota bites, at either end.
            let allowed = wall * u64::from(MILLI_CPUS) / 1000 + 100;
            let seen = format!("a busy program got {used} ms of CPU in {wall} ms");
            if used <= allowed { Ok(seen) } else { Err(format!("{seen}, allowed were {allowed}")) }
        }
        _ => Err("the probe said nothing".to_owned()),
    });
    line("limit.cpu", "CPU time is limited", verdict, "enable the cpu control group with quotas (CONFIG_CFS_BANDWIDTH)")
}

fn limit_wall(run: &Result) -> Probe {
    let verdict = judged(run, |run| match run.record.exit {
        Exit::TimedOut => Ok(format!("a program deaf to signals was ended after {} ms", run.record.wall_ms)),
        ref other => Err(format!("a program that sleeps for ever ended by {other:?}")),
    });
    line("limit.wall", "the wall clock is enforced", verdict, "this should not happen on any kernel; please report it")
}

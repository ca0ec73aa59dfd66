//! What this host holds back and what not: every promise of the sandbox is tried for real, by our own code inside a container.
//!
//! Nothing here is assumed from a version number. A line that fails says how to mend it.

use std::{collections::BTreeMap, os::unix::fs::DirBuilderExt, path::PathBuf, sync::Arc, thread};

use model::{
    manifest::ClusterSize,
    network::NetworkPolicy,
    run::{Exit, Limits, RunRecord, RunSpec, Stream},
};

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
    lines.push(container(&seen));
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

fn container(seen: &Result) -> Probe {
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
    line("container.start", "containers start", verdict, mend)
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

/// A line that the inspecting probe answers.
struct Inspected {
    id: &'static str,
    title: &'static str,
    mend: &'static str,
    /// What must be answered to which questions; several answers are separated by `|`.
    expected: &'static [(&'static str, &'static str)],
}

const REFUSED: &str = "1|38";
const INSPECTED: &[Inspected] = &[
    Inspected {
        id: "container.seccomp",
        title: "the system call filter is on",
        mend: "use a kernel with CONFIG_SECCOMP_FILTER",
        expected: &[
            ("Seccomp", "2"),
            ("NoNewPrivs", "1"),
            ("mount", "1"),
            ("fsopen", "1"),
            ("unshare", "1"),
            ("clone_user", "1"),
            ("clone3", "38"),
            ("setns", "1"),
            ("ptrace", "1"),
            ("keyctl", "1"),
            ("bpf", "1"),
            ("userfaultfd", "1"),
            ("perf_event_open", "1"),
            ("io_uring_setup", "38"),
            ("open_by_handle_at", "1"),
            ("personality", "1"),
            ("unknown", "38"),
            ("socket_vsock", "97"),
            ("socket_packet", "97"),
            ("socket_alg", "97"),
            ("netlink_other", "97"),
        ],
    },
    Inspected {
        id: "container.capabilities",
        title: "an engine has no capabilities",
        mend: "this should not happen on any kernel; please report it",
        expected: &[
            ("CapInh", "0000000000000000"),
            ("CapPrm", "0000000000000000"),
            ("CapEff", "0000000000000000"),
            ("CapBnd", "0000000000000000"),
            ("CapAmb", "0000000000000000"),
            ("socket_raw", REFUSED),
        ],
    },
    Inspected {
        id: "container.processes",
        title: "an engine sees only its own processes",
        mend: "use a kernel with CONFIG_PID_NS",
        expected: &[("pid", "1"), ("processes", "1")],
    },
    Inspected {
        id: "container.files",
        title: "system files are read-only and devices few",
        mend: "this should not happen on any kernel; please report it",
        expected: &[
            ("write_sysctl", "13|30"),
            ("write_sysrq", "2|13|30"),
            ("mknod", "1"),
            ("root_nosuid", "true"),
            ("root_nodev", "true"),
            ("write_cgroup", "2|13|30"),
            ("write_cgroup2", "2|13|30"),
            ("devices", "full,null,random,tty,urandom,zero"),
        ],
    },
    Inspected {
        id: "container.surroundings",
        title: "an engine learns nothing of this host",
        mend: "this should not happen on any kernel; please report it",
        expected: &[
            ("hostname", "engine"),
            ("domain", "(none)"),
            ("environment", "0"),
            ("kcore", "0"),
            ("keys", "0"),
            ("cmdline", "0"),
            ("interrupts", "0"),
            ("firmware", "0"),
        ],
    },
    Inspected {
        id: "container.network",
        title: "an engine cannot reach any network",
        mend: "use a kernel with CONFIG_NET_NS",
        // Refused, unless this host knows no IPv6.
        expected: &[("interfaces", "eth0,lo"), ("connect_v4", "111"), ("connect_v6", "111|97|99|101")],
    },
    Inspected {
        id: "limit.files",
        title: "file size, files and written bytes are limited",
        mend: "use a kernel with tmpfs",
        expected: &[("write_much", "27"), ("many_files", "28"), ("write_more", "28")],
    },
];

const REPLACED: Inspected = Inspected {
    id: "container.overlay",
    title: "an engine can replace a directory of its image",
    mend: "run plimsoll as root, or use Linux 6.6 or later; until then an engine that removes a directory of its image and makes it anew gets an input/output \
           error",
    expected: &[("replace", "ok")],
};

const CLOCKS: Inspected = Inspected {
    id: "container.clocks",
    title: "clocks count from the start of the run",
    mend: "use a kernel of 5.6 or later with CONFIG_TIME_NS, and a runtime that knows time namespaces, such as the built-in one; or allow it to a \
           server: sandbox.host_clocks = true",
    expected: &[("uptime", "of this run")],
};

/// What goes with every record of a kernel that cannot give an engine clocks of its own.
pub(crate) fn clocks_told(has_time_namespaces: bool) -> Vec<String> {
    let told = "the engine sees how long this host has been up: its kernel has no time namespaces, and sandbox.host_clocks allows it";
    if has_time_namespaces { Vec::new() } else { vec![told.to_owned()] }
}

impl Inspected {
    fn judge(&self, seen: &Result) -> Probe {
        let verdict = match seen {
            Err(_) => Err("not tried, because no container started".to_owned()),
            Ok(run) => {
                let wrong = self.expected.iter().filter(|(key, good)| !good.split('|').any(|good| run.answer(key) == good));
                let wrong: Vec<_> = wrong.map(|(key, good)| format!("{key} gave {} instead of {good}", run.answer(key))).collect();
                if wrong.is_empty() {
                    Ok(format!("{} of {} tries held", self.expected.len(), self.expected.len()))
                } else {
                    Err(wrong.join("; "))
                }
            }
        };
        line(self.id, self.title, verdict, self.mend)
    }
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

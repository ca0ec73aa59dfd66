//! Our own code run inside a container instead of an engine, to see what the container really holds back. The answers are lines of `key=value` on
//! standard output; [`crate::doctor`] judges them.

use std::{
    fs,
    io::{self, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::FileTypeExt,
    path::Path,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// Which probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Name {
    /// Looks round and tries what must not work.
    Inspect,
    /// Uses this many bytes of memory.
    Memory(u64),
    /// Forks until it is refused, at most this often.
    Fork(u32),
    /// Computes for this many milliseconds of wall clock.
    Compute(u64),
    /// Waits for ever, deaf to SIGTERM.
    Sleep,
}

/// Runs a probe; the result is the exit code.
pub(crate) fn run(name: &Name) -> i32 {
    match *name {
        Name::Inspect => inspect(),
        Name::Memory(bytes) => use_memory(bytes),
        Name::Fork(times) => fork_often(times),
        Name::Compute(millis) => compute(Duration::from_millis(millis)),
        Name::Sleep => sleep(),
    }
    0
}

/// Whether this kernel can give a container clocks of its own.
pub(crate) fn has_time_namespaces() -> bool {
    Path::new("/proc/self/ns/time").exists()
}

/// A reader that is gone needs no answer.
fn say(key: &str, value: impl std::fmt::Display) {
    let _ = writeln!(io::stdout(), "{key}={value}");
}

fn inspect() {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for field in ["Seccomp", "NoNewPrivs", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        say(field, value.unwrap_or("?").trim());
    }
    say("pid", std::process::id());
    let others = fs::read_dir("/proc").map_or(0, |entries| {
        entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok())).count()
    });
    say("processes", others);
    look_at_surroundings();
    say("interfaces", names("/sys/class/net", |_| true));
    say("devices", names("/dev", |kind| kind.is_char_device() || kind.is_block_device()));
    for (key, path) in [
        ("write_sysctl", "/proc/sys/kernel/hostname"),
        ("write_sysrq", "/proc/sysrq-trigger"),
        ("write_cgroup", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        ("write_cgroup2", "/sys/fs/cgroup/memory.max"),
    ] {
        say(key, outcome(fs::OpenOptions::new().write(true).open(path)));
    }
    say("replace", outcome(fs::remove_dir("/replaced").and_then(|()| fs::create_dir("/replaced"))));
    for (key, call, args) in forbidden() {
        say(key, attempt(call, args));
    }
    let (free, nowhere) = (SocketAddr::from(([192, 0, 2, 1], 80)), SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 80)));
    for (key, address) in [("connect_v4", free), ("connect_v6", nowhere)] {
        let began = Instant::now();
        say(key, outcome(TcpStream::connect_timeout(&address, Duration::from_secs(5))));
        say(&format!("{key}_ms"), began.elapsed().as_millis());
    }
    // Last, because it leaves no room for anything else.
    say("many_files", outcome((0..MANY).try_for_each(|i| fs::write(format!("/tmp/file{i}"), b""))));
    for i in 0..MANY {
        let _ = fs::remove_file(format!("/tmp/file{i}"));
    }
    say("write_much", outcome(fs::write("/tmp/much", vec![1; 4 << 20])));
    let _ = fs::remove_file("/tmp/much");
    say("write_more", outcome((0..8).try_for_each(|i| fs::write(format!("/tmp/more{i}"), vec![1; 512 << 10]))));
}

/// More files than the doctor allows.
const MANY: u32 = 600;
/// The namespaces an engine has for itself.
pub(crate) const NAMESPACES: &[&str] = &["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

/// Who and where it is, as far as it can find out.
fn look_at_surroundings() {
    for name in NAMESPACES {
        let link = fs::read_link(format!("/proc/self/ns/{name}")).map(|link| link.display().to_string());
        say(&format!("ns_{name}"), link.unwrap_or_else(|_| "?".to_owned()));
    }
    let first = |path: &str, field: usize| {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().nth(field).unwrap_or("?").to_owned()
    };
    say("root_on_host", first("/proc/self/uid_map", 1));
    say("hostname", first("/proc/sys/kernel/hostname", 0));
    say("domain", first("/proc/sys/kernel/domainname", 0));
    let uptime: f64 = first("/proc/uptime", 0).parse().unwrap_or(f64::MAX);
    // A host that has only just started looks like a run.
    say("uptime", if uptime < 60.0 && has_time_namespaces() { "of this run" } else { "of the host" });
    // Every runtime makes up a home.
    say("environment", std::env::vars_os().filter(|(name, _)| name != "HOME").count());
    let readable = |path: &str| fs::read(path).map_or(0, |bytes| bytes.len());
    for (key, path) in [("kcore", "/proc/kcore"), ("keys", "/proc/keys"), ("cmdline", "/proc/cmdline"), ("interrupts", "/proc/interrupts")]
    {
        say(key, readable(path));
    }
    say("firmware", fs::read_dir("/sys/firmware").map_or(0, Iterator::count));
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let options =
        mounts.lines().find_map(|line| line.split(' ').nth(3).filter(|_| line.split(' ').nth(1) == Some("/"))).unwrap_or_default();
    for option in ["nosuid", "nodev"] {
        say(&format!("root_{option}"), options.split(',').any(|there| there == option));
    }
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let (kind, device) = (rustix::fs::FileType::CharacterDevice, rustix::fs::makedev(1, 3));
    say("mknod", outcome(rustix::fs::mknodat(rustix::fs::CWD, "/tmp/node", kind, mode, device).map_err(io::Error::from)));
}

/// Calls that must be refused, with arguments that would otherwise be taken or fail in another way.
fn forbidden() -> Vec<(&'static str, i64, [usize; 4])> {
    let path = c"/tmp".as_ptr() as usize;
    vec![
        ("mount", libc::SYS_mount, [path, path, path, libc::MS_BIND as usize]),
        ("fsopen", libc::SYS_fsopen, [c"tmpfs".as_ptr() as usize, 0, 0, 0]),
        ("unshare", libc::SYS_unshare, [libc::CLONE_NEWUSER as usize, 0, 0, 0]),
        ("clone_user", libc::SYS_clone, [(libc::CLONE_NEWUSER | libc::SIGCHLD) as usize, 0, 0, 0]),
        ("clone3", libc::SYS_clone3, [0, 0, 0, 0]),
        ("setns", libc::SYS_setns, [0, 0, 0, 0]),
        ("ptrace", libc::SYS_ptrace, [libc::PTRACE_TRACEME as usize, 0, 0, 0]),
        ("keyctl", libc::SYS_keyctl, [0, 0, 0, 0]),
        ("bpf", libc::SYS_bpf, [0, 0, 0, 0]),
        ("userfaultfd", libc::SYS_userfaultfd, [0, 0, 0, 0]),
        ("perf_event_open", libc::SYS_perf_event_open, [0, 0, 0, 0]),
        ("io_uring_setup", libc::SYS_io_uring_setup, [0, 0, 0, 0]),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, [0, 0, 0, 0]),
        ("socket_vsock", libc::SYS_socket, [libc::AF_VSOCK as usize, libc::SOCK_STREAM as usize, 0, 0]),
        ("socket_packet", libc::SYS_socket, [libc::AF_PACKET as usize, libc::SOCK_RAW as usize, 0, 0]),
        ("socket_alg", libc::SYS_socket, [libc::AF_ALG as usize, libc::SOCK_SEQPACKET as usize, 0, 0]),
        ("socket_raw", libc::SYS_socket, [libc::AF_INET as usize, libc::SOCK_RAW as usize, libc::IPPROTO_ICMP as usize, 0]),
        ("netlink_other", libc::SYS_socket, [libc::AF_NETLINK as usize, libc::SOCK_RAW as usize, libc::NETLINK_AUDIT as usize, 0]),
        ("personality", libc::SYS_personality, [libc::READ_IMPLIES_EXEC as usize, 0, 0, 0]),
        ("unknown", 4095, [0, 0, 0, 0]),
    ]
}

/// `ok`, or the number of the error.
fn outcome<T>(result: io::Result<T>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.raw_os_error().map_or_else(|| error.to_string(), |number| number.to_string()),
    }
}

#[allow(unsafe_code, reason = "the point is to make calls that no safe interface offers")]
fn attempt(call: i64, args: [usize; 4]) -> String {
    // SAFETY: pointers among the arguments are to static zero-terminated strings. What succeeds against expectation at worst makes a file descriptor,
    // a namespace or a child of this probe, which ends right after; a fork in here returns in the child to the same straight-line code.
    let answer = unsafe { libc::syscall(call, args[0], args[1], args[2], args[3], 0) };
    if answer < 0 { outcome::<()>(Err(io::Error::last_os_error())) } else { "ok".to_owned() }
}

fn names(dir: &str, wanted: impl Fn(fs::FileType) -> bool) -> String {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    // Not the entry's own type: a device may be mounted over a file.
    let wanted = entries.filter(|entry| fs::symlink_metadata(entry.path()).is_ok_and(|found| wanted(found.file_type())));
    let mut names: Vec<_> = wanted.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names.join(",")
}

fn use_memory(bytes: u64) {
    let mut held = Vec::new();
    let block = 1 << 20;
    for _ in 0..bytes / block {
        held.push(vec![1_u8; block as usize]);
    }
    say("survived", std::hint::black_box(&held).len());
}

#[allow(unsafe_code, reason = "there is no safe fork")]
fn fork_often(times: u32) {
    for made in 0..times {
        // SAFETY: a single-threaded process; the child only sleeps until it is killed.
        match unsafe { libc::fork() } {
            -1 => {
                say("forks", made);
                say("refused", outcome::<()>(Err(io::Error::last_os_error())));
                return;
            }
            0 => sleep(),
            _ => {}
        }
    }
    say("forks", times);
}

fn compute(time: Duration) {
    // Not the group's: that has also paid for making the container, which on a slow machine is more than the ration.
    let used = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        u64::try_from(time.tv_sec * 1000 + time.tv_nsec / 1_000_000).unwrap_or(0)
    };
    let (began, used_before) = (Instant::now(), used());
    let mut number = 0_u64;
    while began.elapsed() < time {
        (0..10_000_u64).for_each(|i| number = std::hint::black_box(number.wrapping_mul(31).wrapping_add(i)));
    }
    say("computed_ms", began.elapsed().as_millis());
    say("used_ms", used().saturating_sub(used_before));
}

#[allow(unsafe_code, reason = "ignoring a signal has no safe form")]
fn sleep() -> ! {
    // SAFETY: SIG_IGN is no handler, nothing of ours will ever run for this signal.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

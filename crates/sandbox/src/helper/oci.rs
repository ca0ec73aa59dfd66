//! The run as an OCI runtime description (`config.json`), the form every runtime understands.
//!
//! For our own runtime the process in it is a placeholder: program, environment and system call filter are installed by [`super::exec`] in the last moment.
//! A foreign one is told everything.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};
use serde_json::{Value, json};

use super::{
    Trouble, exec,
    image::{HOST_NAME, PROBE, Prepared},
    mounts::Private,
    system, write_file,
};
use crate::protocol::{Description, Foreign, PLACES, Program};

/// Engines that open more files than this have a leak; programs that close every possible number would take forever with more.
const OPEN_FILES: u64 = 65_536;
/// Engines go before anything else when the whole host runs out of memory.
const OOM_SCORE: i32 = 500;
/// No core dumps: less than any file needs, and of all values the only one that also keeps the host's dump program from being started.
const CORE: u64 = 1;

const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/cmdline",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
];
const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Writes `bundle/config.json`. `sources` are the stored injected files, in the description's order.
pub(crate) fn write_bundle(private: &Private, description: &Description, prepared: &Prepared, sources: &[PathBuf]) -> Result<(), Trouble> {
    // The network is the one this process is in.
    let mut namespaces: Vec<Value> = ["pid", "ipc", "uts", "mount", "cgroup"].iter().map(|kind| json!({ "type": kind })).collect();
    let foreign = description.foreign.as_ref();
    let users = private.users().namespace().map(|path| if foreign.is_some() { private.path("users") } else { path });
    namespaces.extend(users.map(|path| json!({ "type": "user", "path": path })));
    let offsets = if foreign.is_none_or(|foreign| foreign.clocks) { time_offsets() } else { Value::Null };
    namespaces.extend((!offsets.is_null()).then(|| json!({ "type": "time" })));
    let mut config = json!({
        "ociVersion": "1.0.2",
        "root": { "path": private.root(), "readonly": false },
        "hostname": HOST_NAME,
        "domainname": "(none)",
        "mounts": mounts(private, description, prepared, sources),
        "process": process(description, prepared),
        "linux": {
            "namespaces": namespaces,
            "timeOffsets": offsets,
            "maskedPaths": MASKED.iter().chain(foreign.iter().flat_map(|_| &system::MASKED)).collect::<Vec<_>>(),
            "readonlyPaths": READ_ONLY.iter().chain(foreign.iter().map(|_| &system::GROUPS)).collect::<Vec<_>>(),
        },
    });
    if let Some(foreign) = foreign {
        complete(&mut config, foreign, private);
    }
    write_file(&private.path("bundle").join("config.json"), config.to_string().as_bytes())
}

/// What we do ourselves and a foreign runtime has to be told: ids, limits and the filter.
fn complete(config: &mut Value, foreign: &Foreign, private: &Private) {
    let mappings: Vec<Value> = private
        .users()
        .ranges()
        .iter()
        .map(|[inside, here, count]| json!({ "containerID": inside, "hostID": here, "size": count }))
        .collect();
    let period = 100_000;
    let linux = &mut config["linux"];
    if !mappings.is_empty() {
        linux["uidMappings"] = json!(mappings);
        linux["gidMappings"] = json!(mappings);
    }
    linux["cgroupsPath"] = json!(foreign.group);
    linux["resources"] = json!({
        "memory": { "limit": foreign.memory_bytes, "swap": foreign.memory_bytes },
        "pids": { "limit": foreign.pids },
        "cpu": { "quota": (u64::from(foreign.milli_cpus) * period / 1000).max(1000), "period": period },
        "devices": [{ "allow": false, "access": "rwm" }],
    });
    linux["seccomp"] = crate::seccomp::profile();
}

/// Program and variables for a runtime that runs them itself.
fn program(description: &Description, prepared: &Prepared) -> (Vec<String>, Vec<String>) {
    if description.foreign.is_none() {
        return (vec!["engine".to_owned()], Vec::new());
    }
    match &description.program {
        Program::Engine { args, env } => {
            let env = exec::complete(env, &prepared.user.home);
            (args.clone(), env.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
        }
        Program::Probe(name) => {
            let word = serde_json::to_string(name).unwrap_or_default();
            ([PROBE.to_owned()].into_iter().chain(std::env::args().skip(1)).chain([word]).collect(), Vec::new())
        }
    }
}

/// Clocks that count from the start of the run: how long the host has been up is nobody's business. Nothing where the kernel cannot do it.
fn time_offsets() -> Value {
    if !Path::new("/proc/self/ns/time").exists() {
        return Value::Null;
    }
    let back = |clock| json!({ "secs": -seconds_of(clock), "nanosecs": 0 });
    json!({ "monotonic": back(libc::CLOCK_MONOTONIC), "boottime": back(libc::CLOCK_BOOTTIME) })
}

#[allow(unsafe_code, reason = "clock_gettime(2) has no safe form among what we use")]
fn seconds_of(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills a complete structure; a clock it does not know leaves zero, which changes nothing.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec
}

fn process(description: &Description, prepared: &Prepared) -> Value {
    let user = &prepared.user;
    let open_files = getrlimit(Resource::Nofile).maximum.map_or(OPEN_FILES, |hard| hard.min(OPEN_FILES));
    let (args, env) = program(description, prepared);
    let limit = |kind: &str, value: u64| json!({ "type": kind, "soft": value, "hard": value });
    json!({
        "terminal": false,
        "user": { "uid": user.uid, "gid": user.gid, "additionalGids": user.groups },
        "args": args,
        "env": env,
        "cwd": prepared.working_dir,
        "capabilities": { "bounding": [], "effective": [], "inheritable": [], "permitted": [], "ambient": [] },
        "noNewPrivileges": true,
        "oomScoreAdj": OOM_SCORE,
        "rlimits": [limit("RLIMIT_NOFILE", open_files), limit("RLIMIT_FSIZE", description.file_bytes), limit("RLIMIT_CORE", CORE)],
    })
}

fn mounts(private: &Private, description: &Description, prepared: &Prepared, sources: &[PathBuf]) -> Vec<Value> {
    let mount =
        |kind: &str, target: &str, options: &[&str]| json!({ "destination": target, "type": kind, "source": kind, "options": options });
    let bind = |source: &Path, target: &Path, options: &[&str]| json!({ "destination": target, "type": "bind", "source": source, "options": options });
    let shared = format!("size={}", description.shared_memory_bytes);
    let mut mounts = vec![
        mount("proc", "/proc", &["nosuid", "noexec", "nodev"]),
        mount("tmpfs", "/dev", &["nosuid", "noexec", "strictatime", "mode=755", "size=256k"]),
        mount("devpts", "/dev/pts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        mount("tmpfs", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", &shared]),
        mount("mqueue", "/dev/mqueue", &["nosuid", "noexec", "nodev"]),
    ];
    let locked = |kind| [kind, "ro", "nosuid", "nodev", "noexec"];
    match &description.foreign {
        None => mounts.push(bind(&private.path("sys"), Path::new("/sys"), &locked("rbind"))),
        Some(_) => {
            mounts.push(bind(&private.path("sys"), Path::new("/sys"), &locked("bind")));
            if description.cgroup.iter().any(|view| !view.unified) {
                mounts.push(mount("tmpfs", system::GROUPS, &["nosuid", "noexec", "nodev", "mode=755", "size=4k"]));
            }
            let groups = description.cgroup.iter().enumerate();
            mounts.extend(groups.map(|(i, view)| bind(&private.cgroup(i), &view.target, &locked("bind"))));
        }
    }
    if description.read_only_root {
        mounts.extend(PLACES.map(|(place, _)| bind(&private.place(place), Path::new(place), &["bind", "nosuid", "nodev"])));
    }
    for (head, source) in description.files.iter().zip(sources) {
        mounts.push(bind(source, Path::new(&head.path), &["bind", "ro", "nosuid", "nodev"]));
    }
    for (source, target) in &prepared.probe {
        mounts.push(bind(source, Path::new(target), &["bind", "ro", "nosuid", "nodev"]));
    }
    mounts
}

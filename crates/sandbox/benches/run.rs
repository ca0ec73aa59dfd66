//! How long create, start and exit of `/bin/true` take: ours, and `runc run` and `podman run` on the same root file system where they are installed;
//! what fifty runs leave; what eight at once cost. Tables for the README: `scripts/bench sandbox`.
//!
//! Ours makes control groups and an overlay as well and removes everything, in the second row with a network namespace, its device and the thread that
//! records it; runc and podman are given a ready directory, and a network namespace without anything in it.

use std::{
    collections::HashSet,
    env, fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use model::{
    manifest::ClusterSize,
    network::NetworkPolicy,
    run::{Exit, Limits, RunRecord, RunSpec},
};
use sandbox::{
    Rootfs, Sandbox,
    local::{Helper, Local},
};

const RUNS: usize = 50;
const CROWD: usize = 8;

#[allow(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some("sandbox-helper") {
        sandbox::helper_main();
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("bin")).expect("a root file system");
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("apt-get install busybox-static");
    for name in ["true", "sh"] {
        symlink("busybox", root.join("bin").join(name)).expect("a link");
    }
    let local = Local::new(dir.path().join("scratch"), Helper::default());
    let rootfs = Rootfs { lower: vec![root.clone()] };

    let alone = in_one_session(&local, &rootfs);
    let whole = with_a_network_each(&local, &rootfs);
    let (runc, podman) = (with_runc(dir.path(), &root), with_podman(&root));
    println!("| create, start and exit of `true` | median | least | most | of runc | of podman |\n|---|---|---|---|---|---|");
    for (name, times) in [
        ("plimsoll: container, control groups, overlay", Some(&alone)),
        ("plimsoll: the same, and a network namespace with its recorder each time", Some(&whole)),
        ("runc run, in a ready directory", runc.as_ref()),
        ("podman run", podman.as_ref()),
    ] {
        match times {
            Some(times) => {
                println!("| {name} | {} | {} | {} |", summary(times), ratio(times, runc.as_ref()), ratio(times, podman.as_ref()))
            }
            None => println!("| {name} | not installed (apt-get install runc podman) | | | | |"),
        }
    }
    leaks(&local, &rootfs);
    crowd(&local, &rootfs);
    ExitCode::SUCCESS
}

fn spec(args: &[&str]) -> RunSpec {
    RunSpec {
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: Vec::new(),
        working_dir: "/".to_owned(),
        user: String::new(),
        limits: Limits::certification(ClusterSize::Small, None),
        files: Vec::new(),
        network: NetworkPolicy::Isolated,
    }
}

fn run(local: &Local, rootfs: &Rootfs, id: &str, args: &[&str]) -> RunRecord {
    let session = local.open(id).expect("a session");
    session.start(rootfs, &spec(args), Arc::new(|_| ())).and_then(|running| running.wait()).expect("a run")
}

/// The containers alone: all in the network of one session.
fn in_one_session(local: &Local, rootfs: &Rootfs) -> Vec<Duration> {
    let session = local.open("bench").expect("a session");
    timed(RUNS, |_| {
        let record = session.start(rootfs, &spec(&["/bin/true"]), Arc::new(|_| ())).and_then(|running| running.wait()).expect("a run");
        assert_eq!(record.exit, Exit::Exited { code: 0 });
    })
}

fn with_a_network_each(local: &Local, rootfs: &Rootfs) -> Vec<Duration> {
    timed(RUNS, |_| {
        let record = run(local, rootfs, "bench", &["/bin/true"]);
        assert_eq!(record.exit, Exit::Exited { code: 0 });
    })
}

fn ratio(times: &[Duration], theirs: Option<&Vec<Duration>>) -> String {
    theirs.map_or(String::new(), |theirs| format!("{:.2}x", times[times.len() / 2].as_secs_f64() / theirs[theirs.len() / 2].as_secs_f64()))
}

/// Durations in order; the first run is not among them.
fn timed(runs: usize, once: impl Fn(usize)) -> Vec<Duration> {
    once(0);
    let time = |n: usize| {
        let began = Instant::now();
        once(n);
        began.elapsed()
    };
    let mut times: Vec<Duration> = (1..=runs).map(time).collect();
    times.sort();
    times
}

/// What is counted before and after many runs.
fn possessions() -> [(&'static str, usize); 6] {
    let entries = |dir: &str| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    let processes: Vec<_> = entries("/proc").into_iter().filter(|path| path.join("ns").is_dir()).collect();
    let ours = |path: &&std::path::PathBuf| {
        fs::read_to_string(path.join("status")).is_ok_and(|status| status.contains(&format!("PPid:\t{}\n", std::process::id())))
    };
    let groups = entries("/sys/fs/cgroup").into_iter().chain(["/sys/fs/cgroup".into()]).map(|root| root.join("plimsoll"));
    let mine = format!("-{}-", std::process::id());
    let groups = groups.flat_map(|dir| entries(&dir.to_string_lossy())).filter(|path| path.to_string_lossy().contains(&mine)).count();
    let namespaces: HashSet<_> = processes
        .iter()
        .filter(ours)
        .chain([&"/proc/self".into()])
        .flat_map(|path| entries(&path.join("ns").to_string_lossy()))
        .filter_map(|link| fs::read_link(link).ok())
        .collect();
    [
        ("mounts", fs::read_to_string("/proc/self/mountinfo").unwrap_or_default().lines().count()),
        ("namespaces", namespaces.len()),
        ("control groups", groups),
        ("processes", processes.iter().filter(ours).count()),
        ("open files", entries("/proc/self/fd").len()),
        ("threads", entries("/proc/self/task").len()),
    ]
}

#[allow(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
fn leaks(local: &Local, rootfs: &Rootfs) {
    let before = possessions();
    for _ in 0..RUNS {
        run(local, rootfs, "bench", &["/bin/sh", "-c", "sleep 1000 & echo x >/x"]);
    }
    // The last run's thread may still be on its way out.
    let deadline = Instant::now() + Duration::from_secs(5);
    while possessions() != before && Instant::now() < deadline {
        thread::yield_now();
    }
    println!("\n| {RUNS} runs in a row | before | after |\n|---|---|---|");
    for ((name, before), (_, after)) in before.into_iter().zip(possessions()) {
        println!("| {name} | {before} | {after} |");
    }
}

/// Resident memory of this process, KiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

#[allow(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
fn crowd(local: &Local, rootfs: &Rootfs) {
    let before = memory();
    let began = Instant::now();
    let script = "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; echo $i";
    let (records, peak) = thread::scope(|scope| {
        let engines: Vec<_> =
            (0..CROWD).map(|n| scope.spawn(move || run(local, rootfs, &format!("bench-{n}"), &["/bin/sh", "-c", script]))).collect();
        let mut peak = before;
        while engines.iter().any(|engine| !engine.is_finished()) {
            peak = peak.max(memory());
            thread::sleep(Duration::from_millis(2));
        }
        (engines.into_iter().map(|engine| engine.join().expect("a run")).collect::<Vec<_>>(), peak)
    });
    let right =
        records.iter().filter(|record| record.exit == Exit::Exited { code: 0 } && record.log.iter().any(|line| line.text == "50000"));
    println!("\n| {CROWD} engines at once | |\n|---|---|");
    println!("| right | {} of {CROWD} in {:.2} s |", right.count(), began.elapsed().as_secs_f64());
    println!("| memory of the server per run | {} KiB |", peak.saturating_sub(before) / CROWD as u64);
}

fn with_podman(root: &Path) -> Option<Vec<Duration>> {
    let podman = |args: &[&str]| {
        let status = Command::new("podman").args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if !podman(&["--version"]) {
        return None;
    }
    let root = root.to_str().expect("a plain path");
    let flags = ["run", "--rm", "--runtime", "runc", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000", "--network", "none"];
    let args: Vec<&str> = flags.into_iter().chain(["--rootfs", root, "/bin/true"]).collect();
    Some(timed(RUNS / 5, |_| assert!(podman(&args), "podman {}", args.join(" "))))
}

fn with_runc(dir: &Path, root: &Path) -> Option<Vec<Duration>> {
    let runc = |args: &[&str]| {
        let status =
            Command::new("runc").args(args).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if !runc(&["--version"]) {
        return None;
    }
    assert!(runc(&["spec"]), "runc spec");
    let config = dir.join("config.json");
    let text = fs::read_to_string(&config).expect("runc's config");
    let mut spec: serde_json::Value = serde_json::from_str(&text).expect("runc's config");
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = vec!["/bin/true"].into();
    spec["process"]["rlimits"] = serde_json::Value::Array(Vec::new());
    spec["root"]["path"] = root.to_str().into();
    fs::write(&config, spec.to_string()).expect("runc's config");
    Some(timed(RUNS, |i| assert!(runc(&["run", &format!("bench-{}-{i}", std::process::id())]), "runc run")))
}

fn summary(times: &[Duration]) -> String {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    format!("{:.1} ms | {:.1} ms | {:.1} ms", millis(times[times.len() / 2]), millis(times[0]), millis(times[times.len() - 1]))
}

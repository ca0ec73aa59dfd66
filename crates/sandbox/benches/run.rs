//! How long create, start and exit of `/bin/true` take: ours, and `runc run` and `podman run` on the same root file system where they are installed;
//! what fifty runs leave; what eight at once cost. Tables for the README: `scripts/bench sandbox`.
//!
//! Ours makes control groups and an overlay as well and removes everything, in the second row with a network namespace, its device and the thread that
//! records it; runc and podman are given a ready directory, and a network namespace without anything in it. With the argument `ours` only ours are run,
//! which is what a profiler wants.

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

    let session = local.open("alone").expect("a session");
    let start = || session.start(&rootfs, &spec(&["/bin/true"]), Arc::new(|_| ())).and_then(|running| running.wait()).expect("a run");
    let mut rows = vec![
        Row::new("plimsoll: container, control groups, overlay", 1, Box::new(|_| assert_eq!(start().exit, Exit::Exited { code: 0 }))),
        Row::new(
            "plimsoll: the same, and a network namespace with its recorder each time",
            1,
            Box::new(|_| assert_eq!(run(&local, &rootfs, "bench", &["/bin/true"]).exit, Exit::Exited { code: 0 })),
        ),
    ];
    if !env::args().any(|word| word == "ours") {
        rows.extend(with_runc(dir.path(), &root).map(|once| Row::new("runc run, in a ready directory", 1, once)));
        rows.extend(with_podman(&root).map(|once| Row::new("podman run", 5, once)));
    }
    turn_by_turn(&mut rows);
    print(&rows);
    drop(rows);
    drop(session);
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
        read_only_root: false,
    }
}

fn run(local: &Local, rootfs: &Rootfs, id: &str, args: &[&str]) -> RunRecord {
    let session = local.open(id).expect("a session");
    session.start(rootfs, &spec(args), Arc::new(|_| ())).and_then(|running| running.wait()).expect("a run")
}

/// Somebody who runs `true`.
struct Row<'a> {
    name: &'static str,
    /// Its line in the table.
    place: usize,
    /// In every such round.
    every: usize,
    once: Box<dyn Fn(usize) + 'a>,
    times: Vec<Duration>,
}

impl<'a> Row<'a> {
    fn new(name: &'static str, every: usize, once: Box<dyn Fn(usize) + 'a>) -> Self {
        Self { name, place: 0, every, once, times: Vec::new() }
    }

    fn middle(&self) -> f64 {
        self.times[self.times.len() / 2].as_secs_f64()
    }
}

/// So that a slow minute of the machine is everybody's, and another one begins each round, so that what somebody leaves to the kernel to tidy up is
/// not always paid for by the same next one. The first round does not count.
fn turn_by_turn(rows: &mut [Row<'_>]) {
    rows.iter_mut().enumerate().for_each(|(place, row)| row.place = place);
    for round in 0..=RUNS {
        rows.rotate_left(1);
        for row in rows.iter_mut().filter(|row| round.is_multiple_of(row.every)) {
            let began = Instant::now();
            (row.once)(round);
            if round > 0 {
                row.times.push(began.elapsed());
            }
        }
    }
    rows.iter_mut().for_each(|row| row.times.sort());
    rows.sort_by_key(|row| row.place);
}

#[allow(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
fn print(rows: &[Row<'_>]) {
    let of = |row: &Row<'_>, peer: &str| {
        let peer = rows.iter().find(|row| row.name.starts_with(peer));
        peer.map_or("not installed".to_owned(), |peer| format!("{:.2}x", row.middle() / peer.middle()))
    };
    println!("| create, start and exit of `true` | median | least | most | of runc | of podman |\n|---|---|---|---|---|---|");
    for row in rows {
        println!("| {} | {} | {} | {} |", row.name, summary(&row.times), of(row, "runc"), of(row, "podman"));
    }
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

fn quietly(program: &str, args: &[&str], dir: &Path) -> bool {
    let mut command = Command::new(program);
    command.args(args).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn with_podman<'a>(root: &Path) -> Option<Box<dyn Fn(usize) + 'a>> {
    let root = root.to_owned();
    let flags = ["run", "--rm", "--runtime", "runc", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000", "--network", "none"];
    quietly("podman", &["--version"], &root).then(|| -> Box<dyn Fn(usize)> {
        Box::new(move |_| {
            let args: Vec<&str> = flags.into_iter().chain(["--rootfs", root.to_str().expect("a plain path"), "/bin/true"]).collect();
            assert!(quietly("podman", &args, &root), "podman {}", args.join(" "));
        })
    })
}

fn with_runc<'a>(dir: &Path, root: &Path) -> Option<Box<dyn Fn(usize) + 'a>> {
    if !quietly("runc", &["--version"], dir) {
        return None;
    }
    assert!(quietly("runc", &["spec"], dir), "runc spec");
    let config = dir.join("config.json");
    let text = fs::read_to_string(&config).expect("runc's config");
    let mut spec: serde_json::Value = serde_json::from_str(&text).expect("runc's config");
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = vec!["/bin/true"].into();
    spec["process"]["rlimits"] = serde_json::Value::Array(Vec::new());
    spec["root"]["path"] = root.to_str().into();
    fs::write(&config, spec.to_string()).expect("runc's config");
    let dir = dir.to_owned();
    Some(Box::new(move |i| assert!(quietly("runc", &["run", &format!("bench-{}-{i}", std::process::id())], &dir), "runc run")))
}

fn summary(times: &[Duration]) -> String {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    format!("{:.1} ms | {:.1} ms | {:.1} ms", millis(times[times.len() / 2]), millis(times[0]), millis(times[times.len() - 1]))
}

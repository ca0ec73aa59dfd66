//! How long create, start and exit of `/bin/true` take: ours, and `runc run` on the same root file system where runc is installed.
//!
//! Ours makes a network namespace, control groups and an overlay as well, and removes everything; runc is given a ready directory.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use model::{
    manifest::ClusterSize,
    run::{Exit, Limits, RunSpec},
};
use sandbox::{
    Rootfs, Sandbox,
    local::{Helper, Local},
};

const RUNS: usize = 50;

#[allow(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some("sandbox-helper") {
        sandbox::helper_main();
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("bin")).expect("a root file system");
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("apt-get install busybox-static");
    symlink("busybox", root.join("bin/true")).expect("a link");

    let ours = sandboxed(dir.path(), &root);
    println!("sandbox   {}", summary(ours));
    match with_runc(dir.path(), &root) {
        Some(theirs) => println!("runc run  {}", summary(theirs)),
        None => println!("runc run  not installed (apt-get install runc)"),
    }
    ExitCode::SUCCESS
}

fn sandboxed(dir: &Path, root: &Path) -> Vec<Duration> {
    let local = Local::new(dir.join("scratch"), Helper::default());
    let spec = RunSpec {
        args: vec!["/bin/true".to_owned()],
        env: Vec::new(),
        working_dir: "/".to_owned(),
        user: String::new(),
        limits: Limits::certification(ClusterSize::Small, None),
        files: Vec::new(),
    };
    let rootfs = Rootfs { lower: vec![root.to_owned()] };
    let once = |_: usize| {
        let began = Instant::now();
        let session = local.open("bench").expect("a session");
        let record = session.start(&rootfs, &spec, Arc::new(|_| ())).and_then(|running| running.wait()).expect("a run");
        drop(session);
        assert_eq!(record.exit, Exit::Exited { code: 0 });
        began.elapsed()
    };
    once(0);
    (0..RUNS).map(once).collect()
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
    let once = |i: usize| {
        let began = Instant::now();
        assert!(runc(&["run", &format!("bench-{}-{i}", std::process::id())]), "runc run");
        began.elapsed()
    };
    once(0);
    Some((1..=RUNS).map(once).collect())
}

fn summary(mut times: Vec<Duration>) -> String {
    times.sort();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let (least, middle, most) = (millis(times[0]), millis(times[times.len() / 2]), millis(times[times.len() - 1]));
    format!("median {middle:.1} ms, min {least:.1} ms, max {most:.1} ms over {} runs", times.len())
}

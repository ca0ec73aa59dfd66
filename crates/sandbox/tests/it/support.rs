//! A root file system out of busybox, and runs in it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{
    manifest::ClusterSize,
    network::NetworkPolicy,
    run::{Exit, Limits, LogLine, RunRecord, RunSpec, Stream},
};
use sandbox::{
    Error, LogSink, Rootfs, Runtime, Sandbox, Session,
    local::{Helper, Local},
};

const BUSYBOX: &str = "/bin/busybox";

/// The helper built with these tests.
pub fn helper() -> Helper {
    Helper::new(env!("CARGO_BIN_EXE_sandbox-helper"))
}

/// On a host whose kernel has no time namespaces, whoever runs these tests must allow what follows from it.
pub fn host_clocks() -> bool {
    std::env::var_os("SANDBOX_HOST_CLOCKS").is_some()
}

/// A place to run in, with an image of one layer.
pub struct Bench {
    pub dir: tempfile::TempDir,
    pub local: Local,
}

impl Bench {
    pub fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "these tests make real containers: run them as root");
        let dir = tempfile::tempdir().unwrap();
        let bench = Self { local: Local::new(dir.path().join("scratch"), helper()).with_host_clocks(host_clocks()), dir };
        let busybox = fs::read(BUSYBOX).expect("these tests run busybox: apt-get install busybox-static");
        bench.file("base/bin/busybox", &busybox, 0o755);
        for name in [
            "sh", "true", "cat", "echo", "env", "id", "sleep", "dd", "touch", "ls", "nc", "kill", "hostname", "pwd", "mkdir", "ulimit",
            "head", "wc", "grep", "chmod",
        ] {
            symlink("busybox", bench.path("base/bin").join(name)).unwrap();
        }
        bench.file("base/etc/passwd", b"root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n", 0o644);
        bench.file("base/etc/group", b"root:x:0:\napps:x:1001:\naudio:x:29:app\n", 0o644);
        bench.file("base/root/.keep", b"", 0o644);
        bench
    }

    /// With containers run by a runtime of this host instead of our own.
    pub fn run_by(self, runtime: Option<&str>) -> Self {
        let runtime = runtime.map(|name| Runtime::find(name).unwrap_or_else(|error| panic!("these tests run {name}: {error}")));
        Self { local: self.local.run_by(runtime), dir: self.dir }
    }

    /// With a program in it that tries to get out.
    pub fn with_attack(self) -> Self {
        self.file("base/bin/attack", &fs::read(attack()).unwrap(), 0o755);
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of a layer.
    pub fn file(&self, path: &str, bytes: &[u8], mode: u32) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn rootfs(&self) -> Rootfs {
        Rootfs { lower: vec![self.path("base")] }
    }

    pub fn open(&self, id: &str) -> Box<dyn Session> {
        self.local.open(id).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Why it cannot be opened.
    pub fn local_error(&self, id: &str) -> Error {
        self.local.open(id).map(drop).unwrap_err()
    }

    /// Runs to the end.
    pub fn run(&self, spec: &RunSpec) -> RunRecord {
        let session = self.open("test");
        session.start(&self.rootfs(), spec, quiet()).unwrap().wait().unwrap()
    }

    /// Runs a shell script to the end.
    pub fn sh(&self, script: &str) -> RunRecord {
        self.run(&script_spec(script))
    }
}

/// Root of an ordinary user's namespace only.
pub fn is_ordinary() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    map.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"]
}

/// Control groups of version 1, alone or beside an empty version 2.
pub fn is_version_1() -> bool {
    !Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// The attacking program, compiled once for all tests; or before, where there is no compiler.
fn attack() -> PathBuf {
    if let Some(compiled) = std::env::var_os("SANDBOX_ATTACK") {
        return compiled.into();
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/attack.rs");
    let changed = fs::metadata(&source).unwrap().modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("attack-{}", changed.as_nanos()));
    if !kept.exists() {
        // A folder of its own: the compiler's parts beside its output would be those of another test as well.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let unfinished = folder.path().join("attack");
        let arguments = ["--edition", "2024", "-C", "opt-level=1", "-C", "target-feature=+crt-static", "-C", "strip=symbols"];
        let rustc = std::process::Command::new("rustc").args(arguments).arg(&source).arg("-o").arg(&unfinished).status();
        assert!(rustc.expect("these tests call rustc").success());
        fs::rename(&unfinished, &kept).unwrap();
    }
    kept
}

pub fn quiet() -> LogSink {
    Arc::new(|_| ())
}

pub fn spec(args: &[&str]) -> RunSpec {
    RunSpec {
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: Vec::new(),
        working_dir: "/".to_owned(),
        user: String::new(),
        limits: Limits {
            memory_bytes: 64 << 20,
            pids: 64,
            wall_ms: 300_000,
            writable_bytes: 32 << 20,
            ..Limits::certification(ClusterSize::Small, None)
        },
        files: Vec::new(),
        network: NetworkPolicy::Isolated,
        read_only_root: false,
    }
}

pub fn script_spec(script: &str) -> RunSpec {
    spec(&["/bin/sh", "-c", script])
}

/// What was written to standard output, line by line.
pub fn stdout(record: &RunRecord) -> Vec<&str> {
    of(record, Stream::Stdout)
}

pub fn of(record: &RunRecord, stream: Stream) -> Vec<&str> {
    record.log.iter().filter(|line| line.stream == stream).map(|line: &LogLine| line.text.as_str()).collect()
}

#[track_caller]
pub fn assert_ok(record: &RunRecord) {
    assert_eq!(record.exit, Exit::Exited { code: 0 }, "{record:#?}");
}

/// Names in a directory, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).into_iter().flatten().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

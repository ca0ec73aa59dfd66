//! What an engine is and is not, seen from inside.

use std::{fs, os::unix::fs::symlink};

use model::run::{DeniedCall, Stream};

use crate::support::{Bench, assert_ok, is_ordinary, of, stdout};

#[test]
fn the_filter_is_on_and_nothing_is_permitted() {
    for user in ["", "app"] {
        let mut spec = crate::support::script_spec("cat /proc/self/status");
        spec.user = user.into();
        let record = Bench::new().run(&spec);
        let lines = stdout(&record);
        let none = "0000000000000000";
        for (field, value) in [
            ("Seccomp", "2"),
            ("NoNewPrivs", "1"),
            ("CapInh", none),
            ("CapPrm", none),
            ("CapEff", none),
            ("CapBnd", none),
            ("CapAmb", none),
        ] {
            assert!(lines.contains(&format!("{field}:\t{value}").as_str()), "user {user:?}: {field} in {lines:?}");
        }
    }
}

#[test]
fn the_engine_is_alone_and_knows_nothing_of_the_host() {
    let record = Bench::new().sh("hostname; cat /proc/sys/kernel/domainname; ls -d /proc/[0-9]*; ls /sys/class/net; cat /proc/cmdline /proc/self/cgroup; ls /proc/self/fd");
    let lines = stdout(&record);
    assert_eq!(lines[..2], ["engine", "(none)"]);
    assert!(lines.contains(&"/proc/1") && lines.iter().filter(|line| line.starts_with("/proc/")).count() <= 2, "{lines:?}");
    // The only way out is the recorder's.
    assert!(lines.windows(2).any(|pair| pair == ["eth0", "lo"]), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("plimsoll")), "{lines:?}");
    let groups: Vec<_> =
        lines.iter().filter(|line| line.contains(":memory:") || line.contains(":pids:") || line.starts_with("0::")).collect();
    assert!(groups.iter().all(|line| line.ends_with(":/")), "{groups:?}");
    let descriptors: Vec<_> = lines.iter().rev().take_while(|line| line.parse::<u32>().is_ok()).collect();
    assert_eq!(descriptors.len(), 4, "standard streams and the one that lists them: {descriptors:?}");
}

#[test]
fn nothing_of_the_system_can_be_changed() {
    let record = Bench::new().sh(
        "for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/sys/vm/drop_caches /sys/fs/cgroup/memory/memory.limit_in_bytes \
         /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory.max /sys/kernel/mm/transparent_hugepage/enabled; do \
         [ -e $f ] && (echo 1 > $f) 2>/dev/null && echo wrote $f; done; \
         mkdir /sys/fs/cgroup/x 2>/dev/null && echo made; mkdir /sys/fs/cgroup/memory/x 2>/dev/null && echo made; cat /proc/kcore | wc -c; ls /sys/firmware | wc -l; true",
    );
    assert_ok(&record);
    assert_eq!(stdout(&record), ["0", "0"], "{record:#?}");
}

#[test]
fn language_runtimes_find_their_memory_limit() {
    let record = Bench::new().sh("cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null");
    assert_eq!(stdout(&record), ["67108864"], "{record:#?}");
}

#[test]
fn the_mounts_that_hold_the_root_refuse_setuid_and_devices() {
    let record = Bench::new().sh("cat /proc/self/mounts; cat /dev/null; echo x > /dev/full");
    let lines = stdout(&record);
    let root = lines.iter().find(|line| line.contains(" / overlay ")).unwrap();
    assert!(root.contains("nosuid") && root.contains("nodev"), "{root}");
    assert!(of(&record, Stream::Stderr)[0].contains("No space left"), "{record:?}");
}

fn bench_with(tools: &[&str]) -> Bench {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("base/bin")).unwrap();
    tools.iter().for_each(|tool| symlink("busybox", bench.path("base/bin").join(tool)).unwrap());
    bench
}

#[test]
fn refused_calls_are_told_with_their_number_and_the_process() {
    let bench = bench_with(&["mount", "unshare", "mknod"]);
    let record = bench.sh("mknod /tmp/pipe p; for i in 1 2 3; do mount -t tmpfs none /tmp; done; unshare -U true; unshare -n true; mknod /tmp/n b 1 1; echo on");
    let denied = record.denied.as_deref().unwrap();
    let seen: Vec<_> = denied.iter().map(|DeniedCall { call, process, count, .. }| (call.as_str(), process.as_str(), *count)).collect();
    assert_eq!(
        seen,
        [("mount", "mount", 3), ("unshare(NEWUSER)", "unshare", 1), ("unshare(NEWNET)", "unshare", 1), ("mknod(device)", "mknod", 1)],
        "{record:#?}"
    );
    assert!(of(&record, Stream::Stderr).iter().all(|line| line.contains("ermi")), "the error is the ordinary one: {record:#?}");
    assert_eq!(stdout(&record), ["on"]);
}

#[test]
fn an_engine_that_keeps_trying_is_not_listened_to_for_ever() {
    let bench = bench_with(&[]);
    let text = "int main() { long i, bad = 0; for (i = 0; i < 50000; i++) bad += syscall(165, 0, 0, 0, 0, 0) == 0; \
                printf(\"%ld of %ld\\n\", bad, i); return 0; }";
    fs::write(bench.path("try.c"), format!("#include <stdio.h>\n#include <unistd.h>\n{text}\n")).unwrap();
    let compiled = std::process::Command::new("gcc")
        .args(["-static", "-O1", "-w", "-o"])
        .args([bench.path("base/bin/try"), bench.path("try.c")])
        .status()
        .expect("this test needs a C compiler: apt-get install gcc libc6-dev");
    assert!(compiled.success());
    let record = bench.run(&crate::support::spec(&["try"]));
    assert_eq!(stdout(&record), ["0 of 50000"], "refused to the last: {record:#?}");
    let denied = record.denied.unwrap();
    assert_eq!((denied.len(), denied[0].count), (1, 20_000), "{denied:?}");
}

#[test]
fn root_in_an_image_is_nobody_on_the_host() {
    let bench = Bench::new();
    let mark = format!("mark-{}-users", std::process::id());
    let session = bench.open("test");
    let (send, lines) = std::sync::mpsc::channel();
    let spec = crate::support::script_spec(&format!("id -u; : {mark}; sleep 1000; true"));
    let sink = std::sync::Arc::new(move |line: model::run::LogLine| drop(send.send(line.text)));
    let running = session.start(&bench.rootfs(), &spec, sink).unwrap();
    assert_eq!(lines.recv_timeout(std::time::Duration::from_secs(20)).unwrap(), "0");
    let numbers = crate::support::names(std::path::Path::new("/proc")).into_iter().filter(|name| name.parse::<u32>().is_ok());
    let marked = |pid: &String| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().contains(&mark);
    let status = numbers.filter(marked).map(|pid| fs::read_to_string(format!("/proc/{pid}/status")).unwrap()).next().unwrap();
    let ids = |field: &str| {
        status.lines().find_map(|line| line.strip_prefix(field)).unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    for field in ["Uid:", "Gid:"] {
        // An ordinary user has no ids to spare: there it is that user, which is root of its own namespace only.
        let nobody = |id: u32| if is_ordinary() { id == 0 } else { id >= 0x7000_0000 };
        assert!(ids(field).iter().all(|id| nobody(id.parse().unwrap())), "{status}");
    }
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    assert_eq!(map.split_whitespace().nth(1) == Some("0"), !is_ordinary(), "{map}");
    drop(running);
}

#[test]
fn files_belong_to_whom_the_image_says() {
    let bench = Bench::new();
    // An ordinary user has no ids above these.
    let other = if is_ordinary() { 60_000 } else { 70_000 };
    for (name, owner) in [("mine", 1000), ("yours", other), ("root", 0)] {
        bench.file(&format!("base/data/{name}"), b"x", 0o600);
        std::os::unix::fs::chown(bench.path("base/data").join(name), Some(owner), Some(owner)).unwrap();
    }
    let mut spec = crate::support::script_spec(
        "for f in mine yours root; do ls -ln /data/$f | { read m l u g rest; echo $f $u $g; }; done; \
         echo more >> /data/mine && cat /data/mine; cat /data/yours /data/root; touch /tmp/new; ls -ln /tmp/new | { read m l u g rest; echo new $u $g; }; \
         ls -lnd /etc/hosts /tmp | { read m l u g rest; echo hosts $u $g; }",
    );
    spec.user = "app".into();
    let record = bench.run(&spec);
    let yours = format!("yours {other} {other}");
    assert_eq!(stdout(&record), ["mine 1000 1000", &yours, "root 0 0", "xmore", "new 1000 1001", "hosts 0 0"], "{record:#?}");
    assert_eq!(of(&record, Stream::Stderr).len(), 2, "the files of others stay closed: {record:#?}");
    assert_eq!(fs::read(bench.path("base/data/mine")).unwrap(), b"x", "layers are only read");
}

#[test]
fn clocks_count_from_the_start_of_the_run() {
    // To allow what this host need not allow changes nothing.
    let bench = Bench::new();
    for bench in [Bench { local: bench.local.with_host_clocks(true), dir: bench.dir }, Bench::new()] {
        let record = bench.sh("cat /proc/uptime");
        let uptime: f64 = stdout(&record)[0].split(' ').next().unwrap().parse().unwrap();
        let own = std::path::Path::new("/proc/self/ns/time").exists();
        assert!(uptime < 60.0 || !own, "the host's boot time is nobody's business: {uptime}");
        assert_eq!(record.not_recorded.is_empty(), own, "what cannot be held back is said: {record:#?}");
    }
}

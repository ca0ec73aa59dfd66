//! What an engine is and is not, seen from inside.

use std::{fs, os::unix::fs::symlink};

use model::run::{DeniedCall, Stream};

use crate::support::{Bench, assert_ok, of, stdout};

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
    assert!(lines.contains(&"lo") && !lines.contains(&"eth0"), "{lines:?}");
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
    let bench = bench_with(&["mount", "unshare"]);
    let record = bench.sh("for i in 1 2 3; do mount -t tmpfs none /tmp; done; unshare -U true; unshare -n true; echo on");
    let denied = record.denied.as_deref().unwrap();
    let seen: Vec<_> = denied.iter().map(|DeniedCall { call, process, count, .. }| (call.as_str(), process.as_str(), *count)).collect();
    assert_eq!(seen, [("mount", "mount", 3), ("unshare(NEWUSER)", "unshare", 1), ("unshare(NEWNET)", "unshare", 1)], "{record:#?}");
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

//! What an engine is and is not, seen from inside.

use model::run::Stream;

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

//! Limits hold, and the record says which was reached.

use model::run::{Exit, LimitHit, RunRecord, Stream};

use crate::support::{Bench, assert_ok, of, script_spec, stdout};

fn hit<'a>(record: &'a RunRecord, name: &str) -> &'a LimitHit {
    record.limits_hit.iter().find(|hit| hit.limit == name).unwrap_or_else(|| panic!("{name} is missing: {record:#?}"))
}

#[test]
fn memory_runs_out() {
    let bench = Bench::new();
    let mut spec = script_spec("exec dd if=/dev/zero of=/dev/null bs=100M count=2");
    spec.limits.memory_bytes = 32 << 20;
    let record = bench.run(&spec);
    assert_eq!(record.exit, Exit::OutOfMemory, "{record:?}");
    let hit = hit(&record, "memory_bytes");
    assert_eq!(hit.allowed, 32 << 20);
    assert!(hit.peak > 30 << 20 && hit.peak <= 33 << 20, "{hit:?}");
    assert!(of(&record, Stream::Gate)[0].contains("out of memory"), "{record:?}");
}

#[test]
fn a_child_out_of_memory_is_recorded_and_its_parent_s_exit_kept() {
    let mut spec = script_spec("dd if=/dev/zero of=/dev/null bs=100M count=2; exit 5");
    spec.limits.memory_bytes = 32 << 20;
    let record = Bench::new().run(&spec);
    assert_eq!(record.exit, Exit::Exited { code: 5 }, "{record:?}");
    hit(&record, "memory_bytes");
}

#[test]
fn a_fork_bomb_is_held_and_leaves_nothing() {
    let mut spec = script_spec("bomb() { bomb | bomb & }; bomb; sleep 1; exit 4");
    spec.limits.pids = 32;
    spec.limits.wall_ms = 10_000;
    let record = Bench::new().run(&spec);
    assert!(matches!(record.exit, Exit::Exited { .. } | Exit::TimedOut), "{record:?}");
    assert_eq!(hit(&record, "pids").allowed, 32);
    assert!(record.peak_pids.is_none_or(|peak| peak <= 32), "{record:?}");
}

#[test]
fn files_and_everything_together_have_a_size() {
    let mut spec = script_spec(
        "dd if=/dev/zero of=/one bs=1M count=3 2>/dev/null; ls -l /one | { read a b c d size rest; echo $size; }; \
         i=0; while [ $i -lt 8 ]; do dd if=/dev/zero of=/tmp/$i bs=1M count=1 2>/dev/null || echo full at $i; i=$((i+1)); done",
    );
    spec.limits.file_bytes = 2 << 20;
    spec.limits.writable_bytes = 6 << 20;
    let record = Bench::new().run(&spec);
    assert_ok(&record);
    let lines = stdout(&record);
    assert_eq!(lines[0], "2097152");
    assert!(lines[1].starts_with("full at "), "/tmp counts as well: {lines:?}");
    let hit = hit(&record, "writable_bytes");
    assert!(hit.peak > 5 << 20 && hit.peak <= 6 << 20, "{hit:?}");
}

#[test]
fn a_file_too_large_that_ends_the_engine_is_recorded() {
    let mut spec = script_spec("head -c 5000000 /dev/zero > /tmp/big; exit $?");
    spec.limits.file_bytes = 1 << 20;
    let record = Bench::new().run(&spec);
    assert_eq!(record.exit, Exit::Exited { code: 153 }, "{record:?}");
    assert_eq!(hit(&record, "file_bytes").allowed, 1 << 20);
}

#[test]
fn the_deadline_ends_a_tree_that_ignores_signals() {
    let mut spec = script_spec(
        "trap '' TERM HUP INT; (trap '' TERM; (trap '' TERM; sleep 1000) & sleep 1000) & echo up; while true; do sleep 1000; done",
    );
    spec.limits.wall_ms = 300;
    let bench = Bench::new();
    let record = bench.run(&spec);
    assert_eq!(record.exit, Exit::TimedOut);
    assert_eq!(stdout(&record), ["up"]);
    let hit = hit(&record, "wall_ms");
    assert!(hit.allowed == 300 && hit.peak >= 300, "{hit:?}");
}

#[test]
fn computing_time_is_rationed_and_counted() {
    let mut spec = script_spec("while true; do true; done");
    spec.limits.milli_cpus = 100;
    spec.limits.wall_ms = 1000;
    let record = Bench::new().run(&spec);
    assert_eq!(record.exit, Exit::TimedOut);
    let rationed = 2 * record.wall_ms * 100 / 1000 + 100;
    assert!(record.cpu_ms > 0 && record.cpu_ms <= rationed, "{} ms of CPU in {} ms", record.cpu_ms, record.wall_ms);
}

#[test]
fn the_number_of_files_has_a_limit() {
    let mut spec = script_spec("mkdir /many; i=0; while touch /many/$i 2>/dev/null; do i=$((i+1)); done; echo refused after $i");
    spec.limits.files = 300;
    let record = Bench::new().run(&spec);
    let hit = hit(&record, "files");
    assert_eq!((hit.allowed, hit.peak), (300, 300), "{record:?}");
    assert!(stdout(&record)[0].starts_with("refused after 2"), "{record:?}");
}

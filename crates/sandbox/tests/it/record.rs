//! What the record says of a run.

use model::run::{Exit, InjectedFile, Stream, WrittenFile};

use crate::support::{Bench, assert_ok, of, script_spec, spec, stdout};

const MEGABYTE: u64 = 1 << 20;

#[test]
fn what_was_moved_is_counted_whoever_moved_it() {
    let bench = Bench::new();
    let idle = bench.run(&spec(&["/bin/true"]));
    assert_ok(&idle);
    let own = idle.transferred.unwrap();
    assert!(own.read_bytes < MEGABYTE && own.written_bytes < MEGABYTE, "starting alone moved {own:?}");
    assert_eq!((idle.files_written.count, idle.files_written.more_below), (0, false), "{:?}", idle.files_written);

    // Children, a grandchild that nobody waits for, and the first process itself.
    let record = bench.sh("dd if=/dev/zero of=/tmp/a bs=1000000 count=3 2>/dev/null; \
         (dd if=/dev/zero of=/data bs=1000000 count=2 2>/dev/null &) ; while [ $(wc -c </data || echo 0) != 2000000 ]; do :; done 2>/dev/null; \
         cat /tmp/a >/dev/null");
    assert_ok(&record);
    let moved = record.transferred.unwrap();
    assert!(moved.written_bytes >= 8_000_000 && moved.written_bytes < 40_000_000, "{moved:?}");
    assert!(moved.read_bytes >= 8_000_000, "{moved:?}");
    assert_eq!((record.files_written.count, record.files_written.bytes), (2, 5_000_000));
    let file = |path: &str, bytes| WrittenFile { path: path.to_owned(), bytes };
    assert_eq!(record.files_written.first, [file("/data", 2_000_000), file("/tmp/a", 3_000_000)]);
}

#[test]
fn files_of_the_image_that_were_changed_count_and_ours_do_not() {
    let bench = Bench::new();
    bench.file("base/opt/model/words", b"seven words", 0o644);
    let mut spec = script_spec("echo more >>/opt/model/words; cat /payload.json; rm /root/.keep; mkdir /var /var/empty");
    spec.files.push(InjectedFile { path: "/payload.json".to_owned(), bytes: b"{}".to_vec(), mode: 0o644 });
    let record = bench.run(&spec);
    assert_ok(&record);
    assert_eq!(stdout(&record), ["{}"]);
    assert_eq!(record.files_written.first, [WrittenFile { path: "/opt/model/words".to_owned(), bytes: 16 }]);
}

#[test]
fn an_engine_that_is_killed_has_its_record_too() {
    let bench = Bench::new();
    let record = bench.sh("dd if=/dev/zero of=/tmp/a bs=1000000 count=1 2>/dev/null; kill -9 $$");
    assert_eq!(record.exit, Exit::Exited { code: 0 }, "the first process of a container cannot kill itself: {record:?}");
    let mut slow = script_spec("dd if=/dev/zero of=/tmp/a bs=1000000 count=1 2>/dev/null; while true; do :; done");
    slow.limits.wall_ms = 1500;
    let record = bench.run(&slow);
    assert_eq!(record.exit, Exit::TimedOut);
    assert!(record.transferred.unwrap().written_bytes >= 1_000_000, "{record:?}");
    assert_eq!(record.files_written.bytes, 1_000_000);
    assert!(record.cpu_user_ms > 0, "{record:?}");
    assert!(record.cpu_user_ms + record.cpu_system_ms <= record.cpu_ms, "{record:?}");
}

#[test]
fn both_streams_are_one_log_in_the_order_of_their_times() {
    let bench = Bench::new();
    let record = bench.sh("for i in 1 2 3 4 5; do echo out $i; sleep 0.02; echo err $i >&2; sleep 0.02; done");
    assert_ok(&record);
    assert_eq!((of(&record, Stream::Stdout).len(), of(&record, Stream::Stderr).len()), (5, 5));
    let texts: Vec<&str> = record.log.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["out 1", "err 1", "out 2", "err 2", "out 3", "err 3", "out 4", "err 4", "out 5", "err 5"]);
    assert!(record.log.is_sorted_by_key(|line| line.at_ms), "{:?}", record.log);
    assert!(record.log[9].at_ms > record.log[0].at_ms);
}

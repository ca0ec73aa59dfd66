//! What every runtime owes, ours and foreign ones: the same programs, the same answers. What a foreign one cannot record it must say.

use std::{fs, os::unix::fs::MetadataExt, process::Command, sync::mpsc, time::Duration};

use model::run::{Exit, Stream};
use rustix::process::{Pid, Signal, kill_process};
use sandbox::{Error, doctor::examine};

use crate::{
    network_attempts::words,
    support::{Bench, assert_ok, helper, host_clocks, is_ordinary, of, script_spec, spec, stdout},
};

/// `None` is our own.
type Name = Option<&'static str>;
const OWN: Name = None;
const RUNC: Name = Some("runc");
const CRUN: Name = Some("crun");

/// The runtime's name is in the output of a test that fails.
#[expect(clippy::print_stdout, reason = "shown when the test fails")]
fn with_each(contract: fn(Name)) {
    for runtime in [OWN, RUNC, CRUN] {
        println!("run by {}", runtime.unwrap_or("ours"));
        if runtime.is_some() && is_ordinary() { is_refused(runtime) } else { contract(runtime) }
    }
}

/// An ordinary user has only ours.
fn is_refused(runtime: Name) {
    let Error::HostNotReady(failures) = bench(runtime).local_error("test") else { panic!("it ran") };
    assert!(failures.iter().any(|failure| failure.id == "host.privilege" && failure.mend.contains("sandbox.runtime")), "{failures:#?}");
}

fn bench(runtime: Name) -> Bench {
    Bench::new().run_by(runtime)
}

#[test]
fn an_engine_is_held() {
    with_each(an_engine_is_held_by);
}

fn an_engine_is_held_by(runtime: Name) {
    let mut spec = script_spec(
        "cat /proc/self/status; hostname; cat /proc/self/cgroup; ls -d /proc/[0-9]*; id -u; cat /payload.json; pwd; echo V=$VAR; \
         echo x > /proc/sys/kernel/hostname; echo x > /data && cat /data; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; true",
    );
    spec.user = "app".into();
    spec.env.push(("VAR".to_owned(), "seven words, two lines\nand \"quotes\"".to_owned()));
    spec.working_dir = "/opt/new".to_owned();
    spec.files.push(model::run::InjectedFile { path: "/payload.json".to_owned(), bytes: b"{}\n".to_vec(), mode: 0o644 });
    let bench = bench(runtime);
    let owner = || fs::metadata("/dev/null").map(|null| (null.uid(), null.gid())).unwrap();
    let before = owner();
    let record = bench.run(&spec);
    assert_ok(&record);
    assert_eq!(owner(), before, "the host's device has another owner");
    let lines = stdout(&record);
    for line in
        ["Seccomp:\t2", "NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "engine", "1000", "{}", "/opt/new"]
    {
        assert!(lines.contains(&line), "{line:?} is missing in {lines:#?}");
    }
    assert!(lines.contains(&"V=seven words, two lines and \"quotes\"") && lines.contains(&"67108864"), "{lines:#?}");
    assert!(lines.iter().filter(|line| line.starts_with("/proc/")).count() <= 2, "other processes are seen: {lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("plimsoll")), "{lines:#?}");
    assert!(!lines.contains(&"x"), "an ordinary user may not write into the root: {lines:#?}");
}

#[test]
fn limits_hold() {
    with_each(limits_hold_by);
}

fn limits_hold_by(runtime: Name) {
    let bench = bench(runtime);
    let hit = |script: &str, limit: &str, change: fn(&mut model::run::Limits)| {
        let mut spec = script_spec(script);
        change(&mut spec.limits);
        let record = bench.run(&spec);
        assert!(record.limits_hit.iter().any(|hit| hit.limit == limit), "{limit}: {record:#?}");
        record.exit
    };
    let exit = hit("exec dd if=/dev/zero of=/dev/null bs=100M count=2", "memory_bytes", |limits| limits.memory_bytes = 48 << 20);
    assert_eq!(exit, Exit::OutOfMemory);
    hit("bomb() { bomb | bomb & }; bomb; sleep 1", "pids", |limits| (limits.pids, limits.wall_ms) = (32, 10_000));
    hit("dd if=/dev/zero of=/big bs=1M count=9", "writable_bytes", |limits| limits.writable_bytes = 6 << 20);
    let exit = hit("trap '' TERM; while true; do sleep 1000; done", "wall_ms", |limits| limits.wall_ms = 700);
    assert_eq!(exit, Exit::TimedOut);
}

#[test]
fn ends_are_told() {
    with_each(ends_are_told_by);
}

fn ends_are_told_by(runtime: Name) {
    let bench = bench(runtime);
    assert_eq!(bench.sh("exit 7").exit, Exit::Exited { code: 7 });
    let session = bench.open("test");
    let (send, lines) = mpsc::channel();
    let spec = script_spec("trap 'echo bye; exit 0' TERM; echo err >&2; echo up; while true; do sleep 0.1; done");
    let running = session.start(&bench.rootfs(), &spec, std::sync::Arc::new(move |line| drop(send.send(line)))).unwrap();
    while lines.recv_timeout(Duration::from_secs(20)).unwrap().text != "up" {}
    running.stop();
    let record = running.wait().unwrap();
    assert_eq!((record.exit.clone(), stdout(&record), of(&record, Stream::Stderr)), (Exit::Stopped, vec!["up", "bye"], vec!["err"]));
    assert!(record.peak_memory_bytes > 0 && record.transferred.is_some(), "{record:#?}");
}

#[test]
fn faults_of_the_image_are_the_image_s() {
    with_each(faults_of_the_image_are_the_image_s_by);
}

fn faults_of_the_image_are_the_image_s_by(runtime: Name) {
    let bench = bench(runtime);
    bench.file("base/bin/script", b"#!/opt/python3\n", 0o755);
    bench.file("base/bin/locked", b"#!/bin/sh\n", 0o644);
    for (program, code, part) in
        [("ghost", 127, "\"ghost\" is not in the image"), ("/bin/script", 127, "/opt/python3"), ("/bin/locked", 126, "chmod +x")]
    {
        let record = bench.run(&spec(&[program]));
        assert_eq!(record.exit, Exit::Exited { code }, "{record:#?}");
        assert!(of(&record, Stream::Gate).iter().any(|line| line.contains(part)), "{record:#?}");
    }
}

#[test]
fn a_read_only_root_is_written_to_nowhere() {
    with_each(a_read_only_root_is_written_to_nowhere_by);
}

fn a_read_only_root_is_written_to_nowhere_by(runtime: Name) {
    let bench = bench(runtime);
    let script = "for f in /a /etc/passwd /bin/x; do (echo x > $f) 2>/dev/null && echo wrote $f; done; \
                  for f in /tmp/a /dev/shm/d; do echo x > $f || echo no $f; done; \
                  dd if=/dev/zero of=/tmp/big bs=1M count=9 2>/dev/null || echo full";
    for read_only_root in [true, false] {
        let mut spec = script_spec(script);
        (spec.read_only_root, spec.limits.writable_bytes) = (read_only_root, 6 << 20);
        let record = bench.run(&spec);
        assert_ok(&record);
        let wrote = ["wrote /a", "wrote /etc/passwd", "wrote /bin/x"].into_iter().filter(|_| !read_only_root);
        assert_eq!(stdout(&record), wrote.chain(["full"]).collect::<Vec<_>>(), "{record:#?}");
        let left: Vec<&str> = record.files_written.first.iter().map(|file| file.path.as_str()).collect();
        assert!(left.contains(&"/tmp/a"), "{left:?}");
        assert_eq!(left.contains(&"/etc/passwd"), !read_only_root, "{left:?}");
        assert!(record.limits_hit.iter().any(|hit| hit.limit == "writable_bytes"), "one limit for all of it: {record:#?}");
    }
}

#[test]
fn the_network_is_recorded() {
    with_each(the_network_is_recorded_by);
}

fn the_network_is_recorded_by(runtime: Name) {
    let bench = bench(runtime);
    let record =
        bench.sh("nc -w 30 192.0.2.1 80 </dev/null; nc -w 30 2001:db8::1 443 </dev/null; nc -w 9 api.example.com 443 </dev/null; true");
    let seen: Vec<String> = record.network.as_ref().unwrap().events.iter().map(words).collect();
    for event in ["tcp 192.0.2.1 80", "tcp 2001:db8::1 443", "dns api.example.com 53", "tcp api.example.com 443"] {
        assert!(seen.contains(&event.to_owned()), "{event}: {seen:#?}");
    }
    assert!(record.wall_ms < 20_000, "refused at once: {} ms", record.wall_ms);
    let events = &record.network.as_ref().unwrap().events;
    assert!(events.iter().all(|event| event.process.is_some()), "the program is named: {events:#?}");
}

/// Control groups of this process's runs, in whatever hierarchy.
fn groups() -> Vec<String> {
    crate::life::groups_of(std::process::id())
}

#[test]
fn nothing_is_left() {
    with_each(nothing_is_left_by);
}

fn nothing_is_left_by(runtime: Name) {
    let bench = bench(runtime);
    let mark = format!("mark-{}-{}", std::process::id(), runtime.unwrap_or("own"));
    let session = bench.open("test");
    let end = |kill_helper: bool| {
        let script = format!("(sleep 1000; : {mark}) & echo up; : {mark}; sleep 1000; true");
        let (send, lines) = mpsc::channel();
        let running =
            session.start(&bench.rootfs(), &script_spec(&script), std::sync::Arc::new(move |line| drop(send.send(line)))).unwrap();
        while lines.recv_timeout(Duration::from_secs(20)).unwrap().text != "up" {}
        assert!(!crate::life::processes(&mark).is_empty());
        if kill_helper {
            let helpers = crate::life::helpers();
            assert_eq!(helpers.len(), 1);
            kill_process(Pid::from_raw(helpers[0] as i32).unwrap(), Signal::KILL).unwrap();
            assert!(running.wait().is_err());
        }
        drop(running);
        assert_eq!(crate::life::processes(&mark), Vec::<u32>::new());
        assert_eq!(groups(), Vec::<String>::new());
    };
    end(false);
    end(true);
    drop(session);
    assert_eq!(crate::support::names(&bench.path("scratch")), Vec::<String>::new());
    assert!(fs::read_to_string("/proc/self/mountinfo").unwrap().lines().all(|line| !line.contains("plimsoll")));
    assert_eq!(bench.sh("exit 3").exit, Exit::Exited { code: 3 });
}

#[test]
fn what_is_not_recorded_is_said() {
    with_each(what_is_not_recorded_is_said_by);
}

fn what_is_not_recorded_is_said_by(runtime: Name) {
    let bench = bench(runtime);
    std::os::unix::fs::symlink("busybox", bench.path("base/bin/mount")).unwrap();
    let record = bench.sh("mount -t tmpfs none /tmp; cat /proc/uptime");
    let gate = of(&record, Stream::Gate);
    assert!(of(&record, Stream::Stderr)[0].contains("ermi"), "refused whoever runs it: {record:#?}");
    match runtime {
        None => {
            assert!(record.denied.as_ref().unwrap().iter().any(|call| call.call == "mount") && gate.is_empty());
            assert_eq!(record.not_recorded.is_empty(), std::path::Path::new("/proc/self/ns/time").exists(), "{record:#?}");
        }
        Some(name) => {
            assert_eq!(record.denied, None);
            assert!(record.not_recorded[0].contains(name) && gate[0] == record.not_recorded[0], "{record:#?}");
            let uptime: f64 = stdout(&record)[0].split(' ').next().unwrap().parse().unwrap();
            let said = record.not_recorded.iter().any(|sentence| sentence.contains("how long this host has been up"));
            assert_eq!(uptime > 60.0, said, "{record:#?}");
        }
    }
}

#[test]
fn the_doctor_breaks_nothing() {
    with_each(the_doctor_breaks_nothing_by);
}

fn the_doctor_breaks_nothing_by(runtime: Name) {
    let bench = Bench::new();
    let runtime_found = runtime.map(|name| sandbox::Runtime::find(name).unwrap());
    let lines = examine(bench.path("scratch"), helper(), runtime_found, host_clocks());
    let failed: Vec<_> = lines.iter().filter(|line| line.required && !line.ok).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let watch = lines.iter().find(|line| line.id == "container.watch").unwrap();
    assert_eq!((watch.ok, watch.detail.contains(runtime.unwrap_or("told"))), (runtime.is_none(), true), "{watch:#?}");
}

/// systemd leaves the tree in which version 1 is mounted read-only, and joins controllers under two names with a link for each. Version 2 has nothing
/// like it; there the runtime merely has another mount namespace.
#[test]
fn a_read_only_tree_of_control_groups_is_enough() {
    let inner = std::env::var("SANDBOX_INNER_RUNTIME").ok();
    if let Some(runtime) = [RUNC, CRUN].into_iter().find(|runtime| inner.is_some() && *runtime == inner.as_deref()) {
        return an_engine_is_held_by(runtime);
    }
    const TREE: &str =
        "mount --make-rprivate /; [ -e /sys/fs/cgroup/cgroup.controllers ] || mount -o remount,bind,ro /sys/fs/cgroup; exec \"$@\"";
    with_each(|runtime| {
        let Some(name) = runtime else { return };
        let mut again = Command::new("unshare");
        again.args(["--mount", "sh", "-c", TREE, "sh"]).arg(std::env::current_exe().unwrap());
        again.args(["--exact", "contract::a_read_only_tree_of_control_groups_is_enough"]).env("SANDBOX_INNER_RUNTIME", name);
        let said = again.output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        assert!(said.contains("1 passed"), "{name}: {said}");
    });
}

//! Beginning and end: stopping, dying, and that nothing is left.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use model::run::{Exit, RunSpec};
use rustix::{
    fs::CWD,
    mount::{OpenTreeFlags, open_tree},
    process::{Pid, Signal, kill_process},
};
use sandbox::{Error, Running, Session};

use crate::support::{Bench, helper, is_version_1, names, quiet, script_spec, stdout};

/// Control groups that the process `pid` made, wherever on this host they are; on version 1 also what was made in the tree below them, where it is
/// seen by nobody.
pub fn groups_of(pid: u32) -> Vec<String> {
    let mut found = Vec::new();
    let tree = PathBuf::from("/sys/fs/cgroup");
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let bare = is_version_1().then(|| open_tree(CWD, &tree, flags).unwrap());
    let mut places: Vec<_> = bare.iter().map(|bare| PathBuf::from(format!("/proc/self/fd/{}", bare.as_raw_fd()))).chain([tree]).collect();
    while let Some(place) = places.pop() {
        let entries = fs::read_dir(&place).into_iter().flatten().flatten();
        let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path());
        if place.ends_with("plimsoll") {
            found.extend(
                dirs.filter_map(|dir| Some(dir.file_name()?.to_str()?.to_owned())).filter(|name| name.contains(&format!("-{pid}-"))),
            );
        } else {
            places.extend(dirs);
        }
    }
    found
}

/// Processes with this word in their command line.
pub fn processes(word: &str) -> Vec<u32> {
    let numbers = names(Path::new("/proc")).into_iter().filter_map(|name| name.parse().ok());
    numbers.filter(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().contains(word)).collect()
}

/// The helpers of this process.
pub fn helpers() -> Vec<u32> {
    let mine = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default().contains(&format!("PPid:\t{}\n", std::process::id()))
    };
    processes(helper().program.to_str().unwrap()).into_iter().filter(mine).collect()
}

/// What is asynchronous in the kernel gets a while.
#[track_caller]
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

/// Starts an engine and waits for its first line.
fn start_and_listen(bench: &Bench, session: &dyn Session, spec: &RunSpec) -> Box<dyn Running> {
    let (send, lines) = mpsc::channel();
    let running = session.start(&bench.rootfs(), spec, Arc::new(move |line| drop(send.send(line.text)))).unwrap();
    lines.recv_timeout(Duration::from_secs(20)).unwrap();
    running
}

#[test]
fn stopping_lets_an_engine_finish_its_work() {
    let bench = Bench::new();
    let session = bench.open("test");
    let spec = script_spec("trap 'echo bye; exit 0' TERM; echo up; while true; do sleep 0.1; done");
    let running = start_and_listen(&bench, &*session, &spec);
    assert!(!running.has_ended());
    running.stop();
    let record = running.wait().unwrap();
    assert_eq!(record.exit, Exit::Stopped);
    assert_eq!(stdout(&record), ["up", "bye"]);
    assert!(!record.deaf_to_sigterm);
    assert!(running.has_ended());
    assert_eq!(running.wait().unwrap(), record, "asked again, it says the same");
}

#[test]
fn stopping_ends_what_does_not_listen() {
    let bench = Bench::new();
    let session = bench.open("test");
    for trap in ["", "trap '' TERM;", "trap 'echo no' TERM;"] {
        let running =
            start_and_listen(&bench, &*session, &script_spec(&format!("{trap} sleep 1000 & echo up; while true; do sleep 0.2; done")));
        running.stop();
        running.stop();
        let record = running.wait().unwrap();
        assert_eq!(record.exit, Exit::Stopped, "{trap}");
        assert_eq!(record.deaf_to_sigterm, !trap.is_empty(), "{trap}");
    }
}

#[test]
fn one_engine_at_a_time() {
    let bench = Bench::new();
    let session = bench.open("test");
    let running = start_and_listen(&bench, &*session, &script_spec("echo up; sleep 1000"));
    assert!(matches!(session.start(&bench.rootfs(), &script_spec("true"), quiet()), Err(Error::Busy(_))));
    drop(running);
    let again = session.start(&bench.rootfs(), &script_spec("exit 2"), quiet()).unwrap();
    assert_eq!(again.wait().unwrap().exit, Exit::Exited { code: 2 });
}

#[test]
fn what_is_dropped_is_gone() {
    let bench = Bench::new();
    for session_first in [false, true] {
        let session = bench.open("test");
        let mark = format!("mark-{}-{session_first}", std::process::id());
        let running = start_and_listen(&bench, &*session, &script_spec(&format!("echo up; : {mark}; sleep 1000; true")));
        assert!(!processes(&mark).is_empty());
        if session_first {
            drop(session);
            assert_eq!(running.wait().unwrap().exit, Exit::Stopped);
        } else {
            drop(running);
        }
        assert!(processes(&mark).is_empty());
        assert!(groups_of(std::process::id()).is_empty());
    }
}

#[test]
fn a_helper_that_is_killed_takes_everything_along() {
    let bench = Bench::new();
    let session = bench.open("test");
    let mark = format!("mark-{}-helper", std::process::id());
    let running =
        start_and_listen(&bench, &*session, &script_spec(&format!("(sleep 1000; : {mark}) & echo up; : {mark}; sleep 1000; true")));
    assert!(!processes(&mark).is_empty() && !groups_of(std::process::id()).is_empty());
    let helpers = helpers();
    assert_eq!(helpers.len(), 1);
    kill_process(Pid::from_raw(helpers[0] as i32).unwrap(), Signal::KILL).unwrap();
    let error = running.wait().unwrap_err();
    assert!(matches!(error, Error::HelperGone(_)), "{error}");
    assert!(processes(&mark).is_empty());
    assert!(groups_of(std::process::id()).is_empty());
    drop(running);
    let again = session.start(&bench.rootfs(), &script_spec("exit 3"), quiet()).unwrap();
    assert_eq!(again.wait().unwrap().exit, Exit::Exited { code: 3 }, "the session is none the worse");
}

#[test]
fn a_killed_server_s_leftovers_are_swept_and_a_living_one_s_are_not() {
    let bench = Bench::new();
    let session = bench.open("living");
    let living = start_and_listen(&bench, &*session, &script_spec("trap 'exit 0' TERM; echo up; while true; do sleep 0.1; done"));
    let mark = format!("mark-{}-server", std::process::id());
    let example = helper().program.with_file_name("examples").join("run");
    let script = format!("echo up; : {mark}; sleep 1000; true");
    let mut server = Command::new(&example);
    // Its own place would be left behind, and on the next host belong to somebody else.
    server.env("TMPDIR", bench.dir.path());
    let mut server = server.args([bench.path("base").to_str().unwrap(), "/bin/sh", "-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.ends_with("up\n"), "{line}");
    server.kill().unwrap();
    server.wait().unwrap();
    eventually("the engine dies with its server", || processes(&mark).is_empty());
    assert!(!groups_of(server.id()).is_empty(), "nobody was left to remove these");
    bench.local.sweep();
    assert_eq!(groups_of(server.id()), Vec::<String>::new());
    assert!(!living.has_ended() && !groups_of(std::process::id()).is_empty());
    living.stop();
    assert_eq!(living.wait().unwrap().exit, Exit::Stopped);
}

/// Mounts, control groups, open files, threads and network interfaces of this process. A namespace lives by a process, an open file or a mount, so
/// none can be left where none of these is.
fn possessions() -> [usize; 5] {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
    let count = |dir: &str| names(Path::new(dir)).len();
    [mounts, groups_of(std::process::id()).len(), count("/proc/self/fd"), count("/proc/self/task"), count("/sys/class/net")]
}

#[test]
fn fifty_runs_leave_nothing() {
    let bench = Bench::new();
    bench.sh("true");
    // The thread of that run may still be ending: what counts is that fifty more add nothing.
    let before = possessions();
    for _ in 0..50 {
        assert_eq!(bench.sh("sleep 1000 & echo x > /tmp/x").exit, Exit::Exited { code: 0 });
    }
    eventually("more is left than before", || possessions().iter().zip(before).all(|(now, before)| *now <= before));
    let threads = names(Path::new("/proc/self/task")).into_iter();
    let children: String = threads.map(|t| fs::read_to_string(format!("/proc/self/task/{t}/children")).unwrap_or_default()).collect();
    assert_eq!(children, "");
    assert_eq!(names(&bench.path("scratch")), Vec::<String>::new());
}

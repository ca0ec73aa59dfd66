//! Creates and starts the container.
//!
//! A launcher is forked that enters the run's control group and drives libcontainer there; the container's first process becomes a child of the
//! helper, which stays outside the group and so survives whatever happens in it.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    rc::Rc,
};

use libcontainer::{container::builder::ContainerBuilder, syscall::syscall::SyscallType};
use rustix::process::{Pid, Signal, WaitOptions, set_parent_process_death_signal, waitpid};
use serde::{Deserialize, Serialize};

use super::{
    Output, Trouble, during,
    exec::Start,
    foreign,
    fork::{Side, fork_into},
    guard::Guard,
    image::Prepared,
    listener::Listener,
    mounts::Private,
    wait::counters,
    with_causes,
};
use crate::{protocol::Description, seccomp::Filters};

/// What launcher and first process say to the helper, one line each.
#[derive(Serialize, Deserialize)]
pub(crate) enum Word {
    /// The first process exists.
    Pid(i32),
    /// The engine's program could not be run.
    Fault { code: i32, message: String },
    /// We could not do our part.
    Failed { step: String, message: String },
}

/// Says one word. The reader may be gone; then there is nobody left to tell.
pub(crate) fn say(mut to: &PipeWriter, word: &Word) {
    if let Ok(mut line) = serde_json::to_vec(word) {
        line.push(b'\n');
        let _ = to.write_all(&line);
    }
}

/// A container whose first process exists.
pub(crate) struct Started {
    /// Its first process; not reaped yet.
    pub(crate) pid: Pid,
    /// It ended at once because its program could not be run.
    pub(crate) fault: Option<(i32, String)>,
    /// Where the system calls are told that it is refused.
    pub(crate) listener: Option<Listener>,
    /// Who ends it when this process dies, unless the kernel does.
    pub(crate) guard: Option<Guard>,
    /// Where the kernel counts what it reads and writes.
    pub(crate) counters: Option<File>,
}

/// Creates the container and waits until its program runs or cannot be run.
pub(crate) fn launch(private: &Private, description: &Description, prepared: Prepared, output: Output) -> Result<Started, Trouble> {
    give_output(private, &prepared, &output)?;
    match &description.foreign {
        Some(foreign) => foreign::launch(private, foreign, output),
        None => launch_own(private, description, prepared, output),
    }
}

fn give_output(private: &Private, prepared: &Prepared, output: &Output) -> Result<(), Trouble> {
    // An engine that opens /dev/stdout opens its pipe anew, and as an ordinary user may do that only with a pipe of its own.
    for pipe in [&output.stdout, &output.stderr] {
        let user = rustix::fs::Uid::from_raw(private.users().on_host(prepared.user.uid).unwrap_or(0));
        rustix::fs::fchown(pipe, Some(user), None).map_err(during("give the engine its output"))?;
    }
    Ok(())
}

fn launch_own(private: &Private, description: &Description, prepared: Prepared, output: Output) -> Result<Started, Trouble> {
    let (ear, mouth) = io::pipe().map_err(during("make a pipe"))?;
    let filters = Filters::compile().map_err(during("compile the system call filter"))?;
    let mouth = Rc::new(mouth);
    let (letterbox, post) = UnixStream::pair().map_err(during("make a socket"))?;
    // Closed when the first process is being watched; its program must not have ended before.
    let (watched, watching) = io::pipe().map_err(during("make a pipe"))?;
    let start = Start::new(&description.program, prepared.user.home, filters, mouth.clone(), Rc::new(post));
    let unified = description.cgroup.iter().position(|view| view.unified);
    let group = unified.map(|i| File::open(private.cgroup(i))).transpose().map_err(during("open the control group"))?;
    match fork_into(group.as_ref().map(AsFd::as_fd)).map_err(during("fork the launcher"))? {
        Side::Child => {
            drop((ear, letterbox, watching));
            let code = match create(private, description, start, output, &mouth, watched) {
                Ok(()) => 0,
                Err(word) => {
                    say(&mouth, &word);
                    1
                }
            };
            leave(code)
        }
        Side::Parent(launcher) => {
            drop((start, mouth, output, watched));
            let started = listen(ear, launcher, watching)?;
            Ok(Started { listener: Listener::receive(&letterbox), ..started })
        }
    }
}

fn create(
    private: &Private,
    description: &Description,
    start: Start,
    output: Output,
    mouth: &PipeWriter,
    mut watched: PipeReader,
) -> Result<(), Word> {
    let failed = |step: &str, error: &dyn std::error::Error| Word::Failed { step: step.to_owned(), message: with_causes(error) };
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| failed("tie the launcher to the helper", &error))?;
    for (i, _) in description.cgroup.iter().enumerate().filter(|(_, view)| !view.unified) {
        // A thread that moves itself through this file does not stop every fork on the host, as a move through cgroup.procs would.
        fs::write(private.cgroup(i).join("tasks"), "0").map_err(|error| failed("enter the control group", &error))?;
    }
    let mut container = ContainerBuilder::new("run".to_owned(), SyscallType::default())
        .with_root_path(private.path("state"))
        .map(|builder| builder.with_executor(start).with_stdout(output.stdout).with_stderr(output.stderr))
        .map(|builder| builder.as_init(private.path("bundle")).with_systemd(false).with_detach(false).as_sibling(true))
        .and_then(|builder| builder.build())
        .map_err(|error| failed("create the container", &error))?;
    let pid = container.pid().map_or(0, |pid| pid.as_raw());
    say(mouth, &Word::Pid(pid));
    // Nothing ever comes; the end does.
    let _ = watched.read(&mut [0]);
    container.start().map_err(|error| failed("start the container", &error))
}

/// Ends this process without running anything of the one it was copied from.
#[allow(unsafe_code, reason = "_exit(2) has no safe form")]
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: ends the process at once; nothing is unwound or flushed, which is the point.
    unsafe { libc::_exit(code) }
}

/// Both launcher and first process have closed their end when there is nothing more to hear.
fn listen(ear: PipeReader, launcher: Pid, watching: PipeWriter) -> Result<Started, Trouble> {
    let (mut pid, mut fault, mut counted, mut watching) = (None, None, None, Some(watching));
    for line in BufReader::new(ear).lines() {
        match serde_json::from_str(&line.map_err(during("listen to the launcher"))?).map_err(during("listen to the launcher"))? {
            Word::Pid(number) => {
                pid = Pid::from_raw(number);
                counted = pid.and_then(counters);
                watching = None;
            }
            Word::Fault { code, message } => fault = Some((code, message)),
            Word::Failed { step, message } => {
                return Err(Trouble::Failed { step: "create the container", message: format!("{step}: {message}") });
            }
        }
    }
    drop(watching);
    let ended = waitpid(Some(launcher), WaitOptions::empty()).map_err(during("wait for the launcher"))?;
    match pid {
        Some(pid) => Ok(Started { pid, fault, listener: None, guard: None, counters: counted }),
        None => {
            let how = ended.map_or_else(|| "it is still there".to_owned(), |(_, status)| format!("{status:?}"));
            let message = format!("the launcher ended without a word ({how}); is the memory limit too small?");
            Err(Trouble::Failed { step: "create the container", message })
        }
    }
}

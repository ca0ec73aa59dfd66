//! The last steps inside the container: system call filter, then the engine's program. Nothing runs between the two.

use std::{
    ffi::{CString, NulError},
    fs::File,
    io::{self, PipeWriter, Read},
    os::unix::net::UnixStream,
    path::Path,
    rc::Rc,
};

use libcontainer::{
    oci_spec::runtime::Spec,
    workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError},
};
use rustix::process::{Signal, set_parent_process_death_signal};

use super::{
    image::HOST_NAME,
    launch::{Word, leave, say},
    listener,
};
use crate::{protocol::Program, seccomp::Filters};

/// What a shell says of a program that is not there.
pub(super) const NOT_FOUND: i32 = 127;
/// And of one that is there and cannot be run.
pub(super) const NOT_RUNNABLE: i32 = 126;
/// What Docker gives an engine that brings no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs the engine instead of libcontainer's own executor.
#[derive(Clone)]
pub(crate) struct Start {
    program: Program,
    filters: Filters,
    mouth: Rc<PipeWriter>,
    post: Rc<UnixStream>,
}

impl Start {
    /// `home` is the user's, for engines that bring no `HOME`.
    /// Words go to `mouth`, the listener of refused system calls to `post`.
    pub(crate) fn new(program: &Program, home: String, filters: Filters, mouth: Rc<PipeWriter>, post: Rc<UnixStream>) -> Self {
        let mut program = program.clone();
        if let Program::Engine { env, .. } = &mut program {
            *env = complete(env, &home);
        }
        Self { program, filters, mouth, post }
    }

    fn fail(&self, step: &str, message: String) -> ! {
        say(&self.mouth, &Word::Failed { step: step.to_owned(), message });
        leave(NOT_RUNNABLE)
    }
}

/// The engine's variables, and those every program expects.
pub(super) fn complete(env: &[(String, String)], home: &str) -> Vec<(String, String)> {
    let expected = [("PATH", DEFAULT_PATH), ("HOSTNAME", HOST_NAME), ("HOME", home)];
    let missing = expected.into_iter().filter(|(name, _)| !env.iter().any(|(there, _)| there == name));
    env.iter().cloned().chain(missing.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
}

impl Executor for Start {
    fn validate(&self, _: &Spec) -> Result<(), ExecutorValidationError> {
        // Here, because changing the user has undone what any earlier process set.
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| ExecutorValidationError::ArgValidationError(error.to_string()))
    }

    fn setup_envs(&self, _: std::collections::HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        // The environment goes straight into execve, in its order.
        Ok(())
    }

    fn exec(&self, _: &Spec) -> Result<(), ExecutorError> {
        restore_signals();
        match self.filters.install() {
            Ok(None) => {}
            Ok(Some(listener)) => {
                if let Err(error) = listener::hand_over(&self.post, &listener) {
                    self.fail("hand over the listener of refused system calls", error.to_string());
                }
            }
            Err(error) => self.fail("install the system call filter", error.to_string()),
        }
        match &self.program {
            Program::Engine { args, env } => {
                let refusal = become_program(args, env);
                say(&self.mouth, &Word::Fault { code: refusal.code, message: refusal.message });
                leave(refusal.code)
            }
            Program::Probe(name) => {
                close_all_but_stdio();
                leave(crate::probe::run(name))
            }
        }
    }
}

/// Programs written in Rust ignore SIGPIPE, servers often more, and ignored signals are inherited; an engine starts with everything at its default.
#[allow(unsafe_code, reason = "signal dispositions have no safe form")]
fn restore_signals() {
    // The kernel's own structure: handler, flags, restorer and a mask of 64 signals. All zeroes is the default disposition.
    let default = [0_u64; 4];
    let mask_size = size_of::<u64>();
    for signal in 1..=64 {
        // SAFETY: the kernel reads one structure of the size it expects and installs no handler. The C library's wrapper would refuse the two signals
        // it keeps for itself. SIGKILL and SIGSTOP are refused, which is as good.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null_mut::<u64>(), mask_size) };
    }
    // SAFETY: the kernel reads one mask of the given size; nothing is blocked afterwards.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, default.as_ptr(), std::ptr::null_mut::<u64>(), mask_size) };
}

/// What execve would close for an engine; among it is the pipe by whose end the helper knows that the program runs.
#[allow(unsafe_code, reason = "closing descriptors that somebody may own has no safe form")]
fn close_all_but_stdio() {
    // SAFETY: whatever owned these descriptors is never used again: the caller runs a probe that opens its own, and leaves without unwinding.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

/// Why a program could not be run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: i32,
    pub(super) message: String,
}

/// Replaces this process; returns only if that fails.
fn become_program(args: &[String], env: &[(String, String)]) -> Refusal {
    let strings = |texts: Vec<String>| texts.into_iter().map(CString::new).collect::<Result<Vec<_>, NulError>>();
    let environment = strings(env.iter().map(|(name, value)| format!("{name}={value}")).collect());
    let (Ok(argv), Ok(envp)) = (strings(args.to_vec()), environment) else {
        let message = "cannot start the engine: an argument or variable contains a zero byte".to_owned();
        return Refusal { code: NOT_RUNNABLE, message };
    };
    let name = args.first().map_or("", String::as_str);
    let path = env.iter().rev().find(|(name, _)| name == "PATH").map_or("", |(_, value)| value.as_str());
    let mut refused = None;
    for candidate in candidates(name, path) {
        let error = execve(&candidate, &argv, &envp);
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) if !Path::new(&candidate).exists() => {}
            // Like a shell: a file of that name that may not be run does not end the search.
            Some(libc::EACCES) => refused = Some((candidate, error)),
            _ => return explain(&candidate, &error),
        }
    }
    match refused {
        Some((candidate, error)) => explain(&candidate, &error),
        None if name.contains('/') => not_found(format!("{name} is not in the image")),
        None => not_found(format!("{name:?} is not in the image; searched PATH={path}")),
    }
}

pub(super) fn not_found(message: String) -> Refusal {
    Refusal { code: NOT_FOUND, message: format!("cannot start the engine: {message}") }
}

/// Where a shell would look, in its order.
pub(super) fn candidates(name: &str, path: &str) -> Vec<String> {
    if name.contains('/') {
        return vec![name.to_owned()];
    }
    let in_dir = |dir: &str| if dir.is_empty() { format!("./{name}") } else { format!("{dir}/{name}") };
    if name.is_empty() { Vec::new() } else { path.split(':').map(in_dir).collect() }
}

#[allow(unsafe_code, reason = "execve(2) has no safe form that takes an environment")]
fn execve(program: &str, argv: &[CString], envp: &[CString]) -> io::Error {
    let Ok(program) = CString::new(program) else { return io::ErrorKind::InvalidInput.into() };
    let pointers = |strings: &[CString]| strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
    let (argv, envp) = (pointers(argv), pointers(envp));
    // SAFETY: all pointers are to zero-terminated strings that live until the call returns, and both arrays end with a null pointer.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    io::Error::last_os_error()
}

/// A sentence for a file that is there and could not be run.
fn explain(file: &str, error: &io::Error) -> Refusal {
    let refuse = |code, message: String| Refusal { code, message: format!("cannot start the engine: {message}") };
    let mut beginning = [0; 128];
    let read = File::open(file).and_then(|mut file| file.read(&mut beginning)).unwrap_or(0);
    let beginning = &beginning[..read];
    match error.raw_os_error() {
        Some(libc::ENOENT) => match interpreter(beginning) {
            Some(interpreter) => refuse(NOT_FOUND, format!("{file} needs {interpreter}, which is not in the image")),
            None => refuse(NOT_FOUND, format!("{file} needs a loader (for example ld-linux or ld-musl) that is not in the image")),
        },
        Some(libc::EACCES) if Path::new(file).is_dir() => refuse(NOT_RUNNABLE, format!("{file} is a directory")),
        Some(libc::EACCES) => refuse(NOT_RUNNABLE, format!("{file} may not be run by this user; is it executable (chmod +x)?")),
        Some(libc::ENOEXEC) if beginning.starts_with(b"\x7fELF") => {
            refuse(NOT_RUNNABLE, format!("{file} is a program for another kind of machine; this one is {}", std::env::consts::ARCH))
        }
        Some(libc::ENOEXEC) => refuse(NOT_RUNNABLE, format!("{file} is neither a program nor a script that begins with #!")),
        Some(libc::E2BIG) => refuse(NOT_RUNNABLE, format!("the arguments and variables for {file} are too long")),
        _ => refuse(NOT_RUNNABLE, format!("{file}: {error}")),
    }
}

/// The program named in a script's first line.
pub(super) fn interpreter(beginning: &[u8]) -> Option<String> {
    let line = beginning.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let name = line.split_whitespace().next()?.to_owned();
    // A carriage return is invisible in a log and a frequent cause.
    Some(if line.ends_with('\r') { format!("{name} (its first line ends with a carriage return)") } else { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    #[test]
    fn the_search_is_a_shell_s() {
        assert_eq!(candidates("/bin/x", "/a:/b"), ["/bin/x"]);
        assert_eq!(candidates("./x", "/a:/b"), ["./x"]);
        assert_eq!(candidates("x", "/a::/b"), ["/a/x", "./x", "/b/x"]);
        assert!(candidates("", "/a").is_empty());
    }

    #[test]
    fn every_refusal_says_what_to_look_at() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let script = file("script", b"#!/opt/python3 -u\nprint()\n");
        let windows = file("windows", b"#!/bin/sh\r\necho\r\n");
        let program = file("program", b"\x7fELF...");
        for (path, number, code, part) in [
            (script.as_str(), libc::ENOENT, 127, "needs /opt/python3, which"),
            (&windows, libc::ENOENT, 127, "carriage return"),
            (&program, libc::ENOENT, 127, "needs a loader"),
            (&program, libc::ENOEXEC, 126, "another kind of machine"),
            (&script, libc::EACCES, 126, "chmod +x"),
            (dir.path().to_str().unwrap(), libc::EACCES, 126, "is a directory"),
            (&script, libc::E2BIG, 126, "too long"),
        ] {
            let refusal = explain(path, &error(number));
            assert_eq!(refusal.code, code, "{refusal:?}");
            assert!(refusal.message.contains(part), "{refusal:?}");
        }
    }
}

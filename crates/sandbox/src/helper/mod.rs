//! The process that holds a container. It is our own program executed again, because what it does to itself must not happen to a server, and
//! single-threaded, because libcontainer forks.
//!
//! Everything it makes is tied to its life: mounts to its private mount namespace, the container to its death. It says what happens over the socket
//! on standard input; the engine's output goes straight into the pipes it was given.

mod exec;
mod foreign;
mod fork;
mod guard;
mod image;
mod inside;
mod launch;
mod listener;
mod mounts;
mod oci;
mod program;
mod system;
mod user;
mod users;
mod wait;
mod written;

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
};

use rustix::{
    io::fcntl_dupfd_cloexec,
    process::{Signal, getppid, set_parent_process_death_signal},
    stdio,
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

pub(crate) use fork::{Side, fork_into};
pub(crate) use launch::leave;

use crate::protocol::{Description, End, MAX_LINE, Report};

/// Why no container came to be.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The image's fault. `code` is what a shell would say.
    Fault { code: i32, message: String },
    /// Ours or the host's.
    Failed { step: &'static str, message: String },
}

/// Says what was being done when something of ours failed.
pub(crate) fn during<E: std::error::Error>(step: &'static str) -> impl FnOnce(E) -> Trouble {
    move |error| Trouble::Failed { step, message: with_causes(&error) }
}

pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

/// Where the container's output goes.
pub(crate) struct Output {
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// The main function of the helper; call it before any thread exists.
///
/// Standard input must be the socket and the others the pipes that [`crate::local::Local`] gives it; started by hand it only says so.
pub fn helper_main() -> ! {
    // In a container of a foreign runtime this program is there only to look round in it.
    let probe = std::env::args().next_back().filter(|_| std::process::id() == 1).and_then(|word| serde_json::from_str(&word).ok());
    std::process::exit(probe.map_or_else(serve, |name| crate::probe::run(&name)))
}

fn serve() -> i32 {
    let Ok((control, output)) = take_over_stdio() else { return 2 };
    report_panics(&control);
    match hold(&control, output) {
        Ok(()) => 0,
        Err(Trouble::Fault { code, message }) => {
            send(&control, &Report::Fault { message });
            send(&control, &Report::Ended(End { code: Some(code), denied: Some(Vec::new()), ..End::default() }));
            0
        }
        Err(Trouble::Failed { step, message }) => {
            send(&control, &Report::Failed { step: step.to_owned(), message });
            1
        }
    }
}

/// Moves what was given as standard streams out of the way, so that nothing of ours is ever written into the engine's log.
fn take_over_stdio() -> io::Result<(UnixStream, Output)> {
    let move_away = |fd| fcntl_dupfd_cloexec(fd, 3);
    let control = UnixStream::from(move_away(stdio::stdin())?);
    if control.peer_addr().is_err() {
        let _ = writeln!(io::stderr(), "This is a part of plimsoll that it starts by itself; there is nothing to see here.");
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let output = Output { stdout: move_away(stdio::stdout())?, stderr: move_away(stdio::stderr())? };
    let null = File::options().read(true).write(true).open("/dev/null")?;
    stdio::dup2_stdin(&null)?;
    stdio::dup2_stdout(&null)?;
    stdio::dup2_stderr(&null)?;
    Ok((control, output))
}

fn report_panics(control: &UnixStream) {
    let Ok(control) = control.try_clone() else { return };
    std::panic::set_hook(Box::new(move |info| {
        send(&control, &Report::Failed { step: "run the helper".to_owned(), message: info.to_string() });
    }));
}

/// A server that is gone needs no report.
pub(crate) fn send(mut control: &UnixStream, report: &Report) {
    if let Ok(mut line) = serde_json::to_vec(report) {
        line.push(b'\n');
        let _ = control.write_all(&line);
    }
}

fn hold(control: &UnixStream, output: Output) -> Result<(), Trouble> {
    let mut reader = BufReader::new(control);
    let description = read_description(&mut reader)?;
    die_with(description.server)?;
    shed_privileges_of_the_group()?;
    let users = if description.users { users::Users::map(std::process::id())? } else { users::Users::of_host() };
    enter_network(&description)?;
    let private = mounts::Private::make(&description, users)?;
    let mut sources = Vec::with_capacity(description.files.len());
    for (i, head) in description.files.iter().enumerate() {
        sources.push(private.store(i, head, &mut (&mut reader).take(head.len))?);
    }
    let prepared = image::prepare(&private, &description)?;
    oci::write_bundle(&private, &description, &prepared, &sources)?;
    private.seal()?;
    let before = written::Before::new(&private.left());
    let started = launch::launch(&private, &description, prepared, output)?;
    wait::wait(control, &private, &before, started)
}

fn read_description(reader: &mut impl BufRead) -> Result<Description, Trouble> {
    let mut line = Vec::new();
    reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(during("read the run description"))?;
    serde_json::from_slice(&line).map_err(during("read the run description"))
}

/// The death of the server ends this process, and the death of this process ends the container.
fn die_with(server: u32) -> Result<(), Trouble> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(during("tie the helper to the server"))?;
    if getppid().is_none_or(|parent| parent.as_raw_pid() as u32 != server) {
        return Err(Trouble::Failed { step: "tie the helper to the server", message: "the server is gone".to_owned() });
    }
    Ok(())
}

/// The container inherits the run's network from here: once its users are mapped it may not enter one that is not theirs.
fn enter_network(description: &Description) -> Result<(), Trouble> {
    let step = "enter the run's network";
    let network = File::open(&description.network).map_err(during(step))?;
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).map_err(during(step))
}

/// The container inherits the supplementary groups and the file mode mask, and must not have the server's.
fn shed_privileges_of_the_group() -> Result<(), Trouble> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    #[allow(unsafe_code, reason = "setgroups(2) is per thread in the kernel; this process has one")]
    // SAFETY: an empty list is read from nowhere, and no other thread exists that could keep the old groups.
    let answer = unsafe { libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()).map_err(during("drop the server's groups")) }
}

/// Writes a file of ours in a directory of ours.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Trouble> {
    fs::write(path, bytes).map_err(during("write the container's description"))
}

//! Waits for the container's end, passing on what the server asks for.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

use model::run::Transferred;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open, waitid},
};

use super::{
    Trouble, during,
    launch::Started,
    listener::Listener,
    mounts::Private,
    send,
    written::{self, Before},
};
use crate::protocol::{End, KILL, Report, STOP};

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How often the written bytes are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Reports the start, waits for the end, reports the end.
pub(crate) fn wait(control: &UnixStream, private: &Private, before: &Before, mut started: Started) -> Result<(), Trouble> {
    let pid = started.pid;
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(during("watch the container"))?;
    if let Some((_, message)) = &started.fault {
        send(control, &Report::Fault { message: message.clone() });
    }
    send(control, &Report::Started);
    let mut request: Option<Request> = None;
    let mut end = End::default();
    loop {
        let pause = request.map_or(LOOK, |request| LOOK.min(request.kill_at.saturating_duration_since(Instant::now())));
        let seen = look(&process, control, started.listener.as_ref(), pause)?;
        end.written = end.written.or(private.written());
        if seen.ended {
            break;
        }
        if seen.spoken {
            let new = obey(control, pid);
            request = Some(request.map_or(new, |earlier| earlier.sooner(new)));
        }
        match (&mut started.listener, seen.told) {
            (Some(listener), Told::Call) => listener.answer(),
            (Some(listener), Told::Over) => listener.close(),
            _ => {}
        }
        if let Some(request) = request.filter(|request| request.kill_at <= Instant::now()) {
            end.deaf |= request.is_polite;
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    // The kernel has added to the first process what it counted of all the others, and forgets it when the process is reaped.
    let transferred = started.counters.take().and_then(transferred);
    let status = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED).map_err(during("wait for the container"))?;
    end.written = end.written.or(private.written());
    end.code = started.fault.map(|(code, _)| code).or_else(|| status.as_ref().and_then(|status| status.exit_status()));
    end.signal = status.as_ref().and_then(|status| status.terminating_signal());
    end.stopped = request.is_some();
    end.denied = started.listener.map(Listener::into_denied);
    end.transferred = transferred;
    end.files = written::files(&private.left(), before);
    send(control, &Report::Ended(end));
    drop(started.guard);
    reap_the_rest();
    Ok(())
}

/// What there was to see.
struct Seen {
    ended: bool,
    spoken: bool,
    told: Told,
}

/// What the listener of refused calls has to say.
enum Told {
    Nothing,
    /// A call waits for its answer.
    Call,
    /// Nobody is left who could make one. That stays so, and would be seen again and again.
    Over,
}

/// Waits until there is something, or the pause is over.
fn look(process: &OwnedFd, control: &UnixStream, listener: Option<&Listener>, pause: Duration) -> Result<Seen, Trouble> {
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(pause.subsec_nanos()) };
    let mut watched = vec![PollFd::new(process, PollFlags::IN), PollFd::from_borrowed_fd(control.as_fd(), PollFlags::IN)];
    watched.extend(listener.and_then(Listener::fd).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
    match poll(&mut watched, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error).map_err(during("wait for the container")),
    }
    let events = |i: usize| watched.get(i).map_or(PollFlags::empty(), PollFd::revents);
    let told = match events(2) {
        events if events.is_empty() => Told::Nothing,
        events if events.contains(PollFlags::IN) => Told::Call,
        _ => Told::Over,
    };
    Ok(Seen { ended: !events(0).is_empty(), spoken: !events(1).is_empty(), told })
}

/// That the container has to end.
#[derive(Clone, Copy)]
struct Request {
    kill_at: Instant,
    /// It was asked, and could have listened.
    is_polite: bool,
}

impl Request {
    fn sooner(self, other: Self) -> Self {
        if other.kill_at < self.kill_at { other } else { self }
    }
}

/// Does what the server says and returns when to kill. A server that is gone wants it killed.
fn obey(mut control: &UnixStream, pid: Pid) -> Request {
    let mut word = [0];
    let asked = match control.read(&mut word) {
        Ok(1) => word[0],
        Err(error) if error.kind() == ErrorKind::Interrupted => STOP,
        _ => KILL,
    };
    let now = Instant::now();
    if asked != STOP {
        return Request { kill_at: now, is_polite: false };
    }
    // The kernel drops signals that the first process of a pid namespace has no handler for: waiting for those would be a waste of time.
    match on_sigterm(pid) {
        Disposition::Caught => {
            let _ = kill_process(pid, Signal::TERM);
            Request { kill_at: now + GRACE, is_polite: true }
        }
        Disposition::Ignored => Request { kill_at: now, is_polite: true },
        Disposition::Default => Request { kill_at: now, is_polite: false },
    }
}

/// What a process does with SIGTERM.
enum Disposition {
    Caught,
    Ignored,
    Default,
}

fn on_sigterm(pid: Pid) -> Disposition {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid())).unwrap_or_default();
    let has = |field: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(field));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        mask & (1 << (Signal::TERM.as_raw() - 1)) != 0
    };
    match (has("SigCgt:"), has("SigIgn:")) {
        (true, _) => Disposition::Caught,
        (_, true) => Disposition::Ignored,
        _ => Disposition::Default,
    }
}

/// Where the kernel counts what the container reads and writes. To be opened before its program runs: once the process has ended, the file belongs to
/// the host's root.
pub(super) fn counters(pid: Pid) -> Option<File> {
    File::open(format!("/proc/{}/io", pid.as_raw_pid())).ok()
}

/// What the processes read and wrote by system calls.
fn transferred(mut counters: File) -> Option<Transferred> {
    let mut text = String::new();
    counters.read_to_string(&mut text).ok()?;
    parse_io(&text)
}

fn parse_io(text: &str) -> Option<Transferred> {
    let number = |key: &str| text.lines().find_map(|line| line.strip_prefix(key))?.trim().parse().ok();
    Some(Transferred { read_bytes: number("rchar:")?, written_bytes: number("wchar:")? })
}

/// libcontainer's own processes became our children; a server that is process 1 of its own container must not collect their remains.
fn reap_the_rest() {
    while let Ok(Some(_)) = waitid(WaitId::All, WaitIdOptions::EXITED) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_calls_count_and_not_the_disk() {
        let text = "rchar: 7000\nwchar: 12\nsyscr: 5\nsyscw: 3\nread_bytes: 4096\nwrite_bytes: 0\ncancelled_write_bytes: 0\n";
        assert_eq!(parse_io(text), Some(Transferred { read_bytes: 7000, written_bytes: 12 }));
        assert_eq!(parse_io("rchar: 7000\n"), None);
        assert_eq!(parse_io("rchar: -1\nwchar: 1\n"), None);
    }
}

//! Waits for the container's end, passing on what the server asks for.

use std::{
    io::{ErrorKind, Read},
    os::{fd::AsFd, unix::net::UnixStream},
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
    mounts::Private,
    send,
    written::{self, Before},
};
use crate::protocol::{KILL, Report, STOP};

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How often the written bytes are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Reports the start, waits for the end, reports the end.
pub(crate) fn wait(control: &UnixStream, private: &Private, before: &Before, started: Started) -> Result<(), Trouble> {
    let pid = started.pid;
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(during("watch the container"))?;
    if let Some((_, message)) = &started.fault {
        send(control, &Report::Fault { message: message.clone() });
    }
    send(control, &Report::Started);
    let mut kill_at: Option<Instant> = None;
    let mut written = 0;
    loop {
        let pause = kill_at.map_or(LOOK, |at| LOOK.min(at.saturating_duration_since(Instant::now())));
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(pause.subsec_nanos()) };
        let (ended, spoken) = {
            let mut watched = [PollFd::new(&process, PollFlags::IN), PollFd::from_borrowed_fd(control.as_fd(), PollFlags::IN)];
            match poll(&mut watched, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).map_err(during("wait for the container")),
            }
            (!watched[0].revents().is_empty(), !watched[1].revents().is_empty())
        };
        written = private.written().0.max(written);
        if ended {
            break;
        }
        if spoken {
            let at = obey(control, pid);
            kill_at = Some(kill_at.map_or(at, |earlier| earlier.min(at)));
        }
        if kill_at.is_some_and(|at| at <= Instant::now()) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    // The kernel has added to the first process what it counted of all the others, and forgets it when the process is reaped.
    let transferred = transferred(pid);
    let status = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED).map_err(during("wait for the container"))?;
    let (written_now, full) = private.written();
    written = written.max(written_now);
    let code = started.fault.map(|(code, _)| code).or_else(|| status.as_ref().and_then(|status| status.exit_status()));
    let signal = status.as_ref().and_then(|status| status.terminating_signal());
    let files = written::files(&private.upper(), before);
    send(control, &Report::Ended { code, signal, stopped: kill_at.is_some(), written, full, transferred, files });
    reap_the_rest();
    Ok(())
}

/// Does what the server says and returns when to kill. A server that is gone wants it killed.
fn obey(mut control: &UnixStream, pid: Pid) -> Instant {
    let mut word = [0];
    let asked = match control.read(&mut word) {
        Ok(1) => word[0],
        Err(error) if error.kind() == ErrorKind::Interrupted => STOP,
        _ => KILL,
    };
    // The kernel drops signals that the first process of a pid namespace has no handler for: waiting for those would be a waste of time.
    if asked == STOP && catches_sigterm(pid) {
        let _ = kill_process(pid, Signal::TERM);
        return Instant::now() + GRACE;
    }
    Instant::now()
}

fn catches_sigterm(pid: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (Signal::TERM.as_raw() - 1)) != 0
}

/// What the processes read and wrote by system calls.
fn transferred(pid: Pid) -> Option<Transferred> {
    parse_io(&std::fs::read_to_string(format!("/proc/{}/io", pid.as_raw_pid())).ok()?)
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

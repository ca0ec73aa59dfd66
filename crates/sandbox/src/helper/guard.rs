//! What makes containers of a foreign runtime die with the helper. Our own ask the kernel for that themselves; a foreign one hands its container over and
//! goes, so a process of ours stays awake for the helper's end, however it comes, and then ends everything in the run's control groups.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::PathBuf,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, pidfd_open, waitpid},
};

use super::{
    fork::{Side, fork_into},
    launch::leave,
};
use crate::cgroup;

/// A guard on duty; dropping it relieves it.
pub(crate) struct Guard(Pid);

impl Guard {
    /// `groups` are the run's control groups as they are seen from here.
    pub(crate) fn post(groups: Vec<PathBuf>) -> io::Result<Self> {
        let helper = pidfd_open(getpid(), PidfdFlags::empty())?;
        match fork_into(None)? {
            Side::Parent(child) => Ok(Self(child)),
            Side::Child => {
                watch(&helper, &groups);
                leave(0)
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
        let _ = waitpid(Some(self.0), WaitOptions::empty());
    }
}

fn watch(helper: &OwnedFd, groups: &[PathBuf]) {
    close_all_but(helper);
    // A signal for whatever group of processes this is in must not end the watch, but nothing else can either.
    while poll(&mut [PollFd::from_borrowed_fd(helper.as_fd(), PollFlags::IN)], None).is_err() {}
    cgroup::kill_in(groups);
}

/// Pipes and sockets of the helper that stay open here would look to the server as if the helper were still alive.
#[allow(unsafe_code, reason = "closing descriptors that somebody may own has no safe form")]
fn close_all_but(kept: &OwnedFd) {
    let number = kept.as_raw_fd() as libc::c_uint;
    for (first, last) in [(0, number.wrapping_sub(1)), (number + 1, libc::c_uint::MAX)] {
        if first <= last {
            // SAFETY: whatever owned these descriptors is never used again: this process waits, kills by path, and leaves without unwinding.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    }
}

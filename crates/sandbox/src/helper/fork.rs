//! Forking, if possible straight into a control group.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Which side of the fork this is.
pub(crate) enum Side {
    Child,
    /// The child's process number.
    Parent(rustix::process::Pid),
}

/// `CLONE_INTO_CGROUP`, which libc has as a signed number too small for it.
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// Forks a child that has a user namespace of its own, still without any users in it.
pub(crate) fn fork_into_new_users() -> io::Result<Side> {
    fork(CloneArgs { flags: libc::CLONE_NEWUSER as u64, exit_signal: libc::SIGCHLD as u64, ..CloneArgs::default() })
}

/// The argument of clone3(2).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Forks. With a directory of a version 2 control group the child begins its life in there, which spares the host the pause that moving a process
/// costs.
pub(crate) fn fork_into(group: Option<BorrowedFd<'_>>) -> io::Result<Side> {
    let mut args = CloneArgs { exit_signal: libc::SIGCHLD as u64, ..CloneArgs::default() };
    if let Some(group) = group {
        args.flags = INTO_CGROUP;
        args.cgroup = group.as_raw_fd() as u64;
    }
    fork(args)
}

fn fork(mut args: CloneArgs) -> io::Result<Side> {
    #[allow(unsafe_code, reason = "there is no safe fork")]
    // SAFETY: this process has one thread, so no lock can be held by a thread that does not exist in the child; no stack is given, so the child goes
    // on on a copy of this one; the structure is the kernel's and its size is given.
    let answer = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) };
    match i32::try_from(answer) {
        Ok(0) => Ok(Side::Child),
        Ok(pid) if pid > 0 => rustix::process::Pid::from_raw(pid).map(Side::Parent).ok_or_else(|| io::ErrorKind::InvalidData.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::fd::AsFd};

    use rustix::process::{WaitOptions, waitpid};

    use super::*;
    use crate::helper::launch::leave;

    #[test]
    fn a_child_begins_its_life_in_the_group() {
        let dir = crate::cgroup::unified_place().join(format!("plimsoll-fork-test-{}", std::process::id()));
        fs::create_dir(&dir).expect("this test needs root");
        let group = fs::File::open(&dir).unwrap();
        let Side::Parent(child) = fork_into(Some(group.as_fd())).unwrap() else {
            std::thread::sleep(std::time::Duration::from_secs(1000));
            leave(1)
        };
        let members = fs::read_to_string(dir.join("cgroup.procs")).unwrap();
        fs::write(dir.join("cgroup.kill"), "1").unwrap();
        let (_, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().unwrap();
        fs::remove_dir(&dir).unwrap();
        assert_eq!(members.trim(), child.as_raw_pid().to_string());
        assert_eq!(status.terminating_signal(), Some(libc::SIGKILL));
    }
}

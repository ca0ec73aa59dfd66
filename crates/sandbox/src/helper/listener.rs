//! Hears of the system calls that an engine is refused, answers them with the error they get anyway, and keeps a short list of what was tried.
//!
//! A caller waits for its answer, so nothing here may take long or fail: whatever goes wrong closes the listener, and then the kernel itself answers
//! "not implemented". No answer ever lets a call through.

use std::{
    fs, io, mem,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::Instant,
};

use model::run::DeniedCall;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::seccomp;

/// Answered before the listener is closed: an engine that does nothing else must not keep us busy.
const MAX_ANSWERS: u64 = 20_000;
/// Different calls kept.
const MAX_KINDS: usize = 64;

/// The listening end.
pub(crate) struct Listener {
    from: Option<OwnedFd>,
    began: Instant,
    answers: u64,
    denied: Vec<DeniedCall>,
}

/// Sends the listener to the helper. Called by the first process, which must not keep it: its own filter would wait for itself.
pub(super) fn hand_over(to: &UnixStream, listener: &OwnedFd) -> io::Result<()> {
    let descriptors = [listener.as_fd()];
    let mut space = [mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    message.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(to, &[io::IoSlice::new(b"l")], &mut message, SendFlags::NOSIGNAL)?;
    Ok(())
}

impl Listener {
    /// Takes what the first process has sent; `None` if it sent nothing.
    pub(super) fn receive(from: &UnixStream) -> Option<Self> {
        let mut space = [mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut message = RecvAncillaryBuffer::new(&mut space);
        let mut letter = [0];
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        recvmsg(from, &mut [io::IoSliceMut::new(&mut letter)], &mut message, flags).ok()?;
        let mut received = message.drain().filter_map(|part| match part {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        Some(Self { from: Some(received.next()?), began: Instant::now(), answers: 0, denied: Vec::new() })
    }

    /// To wait for.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.from.as_ref().map(AsFd::as_fd)
    }

    /// Listens no more.
    pub(super) fn close(&mut self) {
        self.from = None;
    }

    /// Answers one call. Its caller waits for that, and may be gone right after it: so it is looked at before.
    pub(super) fn answer(&mut self) {
        let Some(listener) = self.from.take() else { return };
        let goes_on = match fetch(&listener) {
            Ok(Some(asked)) => {
                self.answers += 1;
                self.note(seccomp::describe(i64::from(asked.data.nr), &asked.data.args), asked.pid);
                refuse(&listener, &asked).is_ok() && self.answers < MAX_ANSWERS
            }
            // The caller was killed while it waited.
            Ok(None) => true,
            // Nobody is left who could ask, or something we do not understand.
            Err(_) => false,
        };
        self.from = goes_on.then_some(listener);
    }

    fn note(&mut self, call: String, pid: u32) {
        if let Some(known) = self.denied.iter_mut().find(|denied| denied.call == call) {
            known.count += 1;
        } else if self.denied.len() < MAX_KINDS {
            let at_ms = crate::millis(self.began.elapsed());
            self.denied.push(DeniedCall { call, process: name_of(pid), at_ms, count: 1 });
        }
    }

    /// What was tried.
    pub(super) fn into_denied(self) -> Vec<DeniedCall> {
        self.denied
    }
}

/// The name a process gives itself; it waits for our answer, so it is still there unless it was killed.
fn name_of(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let printable = name.trim_end().chars().map(|c| if c.is_control() { '?' } else { c });
    printable.take(16).collect()
}

/// Fetches one call; `None` when there is none any more.
#[allow(unsafe_code, reason = "a seccomp listener is only reachable by ioctl(2)")]
fn fetch(listener: &OwnedFd) -> io::Result<Option<libc::seccomp_notif>> {
    // SAFETY: plain data of the kernel's, for which all zeroes is a valid value, and the one it asks for.
    let mut asked: libc::seccomp_notif = unsafe { mem::zeroed() };
    // SAFETY: the descriptor is open and the structure complete; the kernel fills it.
    if unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV as _, &raw mut asked) } == 0 {
        return Ok(Some(asked));
    }
    let error = io::Error::last_os_error();
    if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) { Ok(None) } else { Err(error) }
}

/// Refuses a call, also one whose caller was killed meanwhile.
#[allow(unsafe_code, reason = "a seccomp listener is only reachable by ioctl(2)")]
fn refuse(listener: &OwnedFd, asked: &libc::seccomp_notif) -> io::Result<()> {
    let mut answer = libc::seccomp_notif_resp { id: asked.id, val: 0, error: -seccomp::answer(i64::from(asked.data.nr)), flags: 0 };
    // SAFETY: the descriptor is open and the structure complete; the kernel only reads.
    if unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, &raw mut answer) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ENOENT) { Ok(()) } else { Err(error) }
}

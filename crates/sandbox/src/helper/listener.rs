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

    /// Answers one call.
    pub(super) fn answer(&mut self) {
        let Some(listener) = &self.from else { return };
        match answer_one(listener) {
            Ok(Some((call, pid))) => {
                self.answers += 1;
                self.note(call, pid);
                if self.answers >= MAX_ANSWERS {
                    self.from = None;
                }
            }
            // The caller was killed while it waited.
            Ok(None) => {}
            // Nobody is left who could ask, or something we do not understand.
            Err(_) => self.from = None,
        }
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

/// The name a process gives itself; it waits for us, so it is still there unless it was killed.
fn name_of(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let printable = name.trim_end().chars().map(|c| if c.is_control() { '?' } else { c });
    printable.take(16).collect()
}

/// Fetches one call and refuses it; returns what it was and who made it.
#[allow(unsafe_code, reason = "a seccomp listener is only reachable by ioctl(2)")]
fn answer_one(listener: &OwnedFd) -> io::Result<Option<(String, u32)>> {
    // SAFETY: plain data of the kernel's, for which all zeroes is a valid value, and the one it asks for.
    let mut asked: libc::seccomp_notif = unsafe { mem::zeroed() };
    // SAFETY: the descriptor is open and the structure complete; the kernel fills it.
    if unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV as _, &raw mut asked) } != 0 {
        let error = io::Error::last_os_error();
        return if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) { Ok(None) } else { Err(error) };
    }
    let call = i64::from(asked.data.nr);
    let mut answer = libc::seccomp_notif_resp { id: asked.id, val: 0, error: -seccomp::answer(call), flags: 0 };
    // SAFETY: as above; the kernel only reads.
    if unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, &raw mut answer) } != 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::ENOENT) { Ok(None) } else { Err(error) };
    }
    Ok(Some((seccomp::describe(call, &asked.data.args), asked.pid)))
}

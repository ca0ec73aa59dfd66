//! The system call filter of a container: an allow-list, and what is refused gets the answer that makes programs fall back gracefully.
//!
//! libcontainer without its C library ignores the seccomp section of a run description in silence, so the filter is ours and is installed by ours.

mod allow;
mod oci;
mod table;
mod watched;

use std::{
    collections::BTreeMap,
    io,
    os::fd::{FromRawFd, OwnedFd},
};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

pub(crate) use oci::profile;
pub(crate) use watched::{answer, describe};

/// Conditions that must all hold.
type Conditions = Vec<(u8, SeccompCmpOp, u64)>;
/// Call number and, if it is not refused outright, the cases in which it is.
type Refusals = Vec<(i64, Vec<Conditions>)>;

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// This kind of machine is not known.
    #[error("no system call table for {0}")]
    Machine(&'static str),
    /// The filter could not be built or installed.
    #[error(transparent)]
    Filter(#[from] seccompiler::Error),
    /// A rule is malformed.
    #[error(transparent)]
    Rule(#[from] seccompiler::BackendError),
    /// The filter that tells could not be installed.
    #[error("listen to refused system calls: {0}")]
    Listen(#[source] io::Error),
}

/// Compiled filters.
#[derive(Clone)]
pub(crate) struct Filters {
    /// In the order in which they are installed.
    plain: Vec<BpfProgram>,
    /// Hands what is refused and told to a listener, who answers it.
    telling: BpfProgram,
    /// The same refusals where nobody may listen.
    mute: Vec<BpfProgram>,
}

/// `SECCOMP_RET_USER_NOTIF`, and the mark that stands for it until the program is compiled: seccompiler has no word for it.
const TELL: u32 = libc::SECCOMP_RET_USER_NOTIF;
const MARK: SeccompAction = SeccompAction::Trace(0x7e11);
/// `BPF_RET | BPF_K`.
const RETURN: u16 = 6;

impl Filters {
    /// Compiles the filters for this machine.
    pub(crate) fn compile() -> Result<Self, Error> {
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|_| Error::Machine(std::env::consts::ARCH))?;
        // What is told has to pass here: of several answers the kernel takes a plain error before it asks a listener.
        let allow = table::allowed().chain(watched::outright());
        // A call nobody listed is most likely newer than this list: "not implemented" is what programs are prepared for.
        let allow = allow::program(allow, libc::ENOSYS).ok_or(Error::Machine(std::env::consts::ARCH))?;
        let mut plain = vec![allow];
        for (errno, refusals) in [(libc::EPERM, table::not_permitted()), (libc::ENOSYS, table::not_implemented())] {
            plain.push(program(refusals, SeccompAction::Errno(errno as u32), arch)?);
        }
        let told = watched::told();
        let mute = told.iter().map(|(errno, refusals)| program(refusals.clone(), SeccompAction::Errno(*errno as u32), arch));
        let mute = mute.collect::<Result<_, _>>()?;
        let mut telling = program(told.into_iter().flat_map(|(_, refusals)| refusals).collect(), MARK.clone(), arch)?;
        let mark = u32::from(MARK);
        telling.iter_mut().filter(|step| step.code == RETURN && step.k == mark).for_each(|step| step.k = TELL);
        Ok(Self { plain, telling, mute })
    }

    /// Installs them for this thread and everything it becomes; returns the listener of the refused calls. There is none where somebody above us
    /// listens already: the kernel has room for one. The allow-list comes first: of several refusals the kernel takes the error number of the
    /// filter that was installed last.
    pub(crate) fn install(&self) -> Result<Option<OwnedFd>, Error> {
        self.plain.iter().try_for_each(|program| apply_filter(program))?;
        match listen(&self.telling) {
            Ok(listener) => Ok(Some(listener)),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EINVAL)) => {
                self.mute.iter().try_for_each(|program| apply_filter(program))?;
                Ok(None)
            }
            Err(error) => Err(Error::Listen(error)),
        }
    }
}

/// Installs a filter that asks, and returns where it asks. seccompiler has set `no_new_privs` with the filters before.
#[allow(unsafe_code, reason = "seccomp(2) has no safe form")]
fn listen(program: &BpfProgram) -> io::Result<OwnedFd> {
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let filter = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the kernel reads `len` instructions; seccompiler's type has the layout of the kernel's, and the program outlives the call.
    let answer = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER, &raw const filter)
    };
    match i32::try_from(answer) {
        // SAFETY: the kernel has just made this descriptor for us, closed on execution.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn program(refusals: Refusals, refuse: SeccompAction, arch: TargetArch) -> Result<BpfProgram, Error> {
    let rules = refusals.into_iter().map(rules).collect::<Result<BTreeMap<_, _>, _>>()?;
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?.try_into()?)
}

fn rules((call, cases): (i64, Vec<Conditions>)) -> Result<(i64, Vec<SeccompRule>), seccompiler::BackendError> {
    let rule = |conditions: Conditions| {
        // The kernel looks at the lower half of these arguments only, so a filter that looked at all of it could be got round.
        let condition = |(arg, op, value)| SeccompCondition::new(arg, SeccompCmpArgLen::Dword, op, value);
        SeccompRule::new(conditions.into_iter().map(condition).collect::<Result<_, _>>()?)
    };
    Ok((call, cases.into_iter().map(rule).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_compile_and_stay_small() {
        let filters = Filters::compile().unwrap();
        for program in filters.plain.iter().chain(&filters.mute).chain([&filters.telling]) {
            assert!(program.len() < 4096, "the kernel takes at most 4096 instructions, this has {}", program.len());
        }
        assert!(filters.plain[0].len() < 512, "every container pays for the allow-list: {}", filters.plain[0].len());
    }

    #[test]
    fn the_filter_that_tells_has_no_other_answer() {
        let filters = Filters::compile().unwrap();
        let answers = |program: &BpfProgram| -> std::collections::BTreeSet<u32> {
            program.iter().filter(|step| step.code == RETURN).map(|step| step.k).collect()
        };
        let expected = [TELL, libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_KILL_PROCESS];
        assert_eq!(answers(&filters.telling), expected.into_iter().collect());
    }

    fn is_allowed(call: i64) -> bool {
        table::allowed().any(|allowed| allowed == call)
    }

    fn refusals() -> Refusals {
        let told = watched::told().into_iter().flat_map(|(_, refusals)| refusals);
        table::not_permitted().into_iter().chain(table::not_implemented()).chain(told).collect()
    }

    #[test]
    fn nothing_refused_outright_is_allowed_as_well() {
        for (call, cases) in refusals() {
            assert!(!cases.is_empty() || !is_allowed(call), "call {call} is in two lists");
        }
    }

    #[test]
    fn what_is_refused_in_cases_is_allowed_otherwise() {
        for (call, cases) in refusals() {
            assert!(cases.is_empty() || is_allowed(call), "call {call} could never succeed");
        }
    }
}

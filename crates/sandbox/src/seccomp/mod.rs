//! The system call filter of a container: an allow-list, and what is refused gets the answer that makes programs fall back gracefully.
//!
//! libcontainer without its C library ignores the seccomp section of a run description in silence, so the filter is ours and is installed by ours.

mod table;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

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
}

/// Compiled filters, in the order in which they are installed.
#[derive(Clone)]
pub(crate) struct Filters(Vec<BpfProgram>);

impl Filters {
    /// Compiles the filters for this machine.
    pub(crate) fn compile() -> Result<Self, Error> {
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|_| Error::Machine(std::env::consts::ARCH))?;
        let allow = table::allowed().map(|call| (call, Vec::new())).collect();
        // A call nobody listed is most likely newer than this list: "not implemented" is what programs are prepared for.
        let unknown = SeccompAction::Errno(libc::ENOSYS as u32);
        let mut filters = vec![SeccompFilter::new(allow, unknown, SeccompAction::Allow, arch)?.try_into()?];
        for (errno, refusals) in
            [(libc::EPERM, table::not_permitted()), (libc::ENOSYS, table::not_implemented()), (libc::EAFNOSUPPORT, table::no_such_family())]
        {
            let rules = refusals.into_iter().map(rules).collect::<Result<BTreeMap<_, _>, _>>()?;
            let refuse = SeccompAction::Errno(errno as u32);
            filters.push(SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?.try_into()?);
        }
        Ok(Self(filters))
    }

    /// Installs them for this thread and everything it becomes. The allow-list comes first: of several refusals the kernel takes the error number of
    /// the filter that was installed last.
    pub(crate) fn install(&self) -> Result<(), Error> {
        self.0.iter().try_for_each(|program| apply_filter(program)).map_err(Error::from)
    }
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
        assert_eq!(filters.0.len(), 4);
        for program in &filters.0 {
            assert!(program.len() < 4096, "the kernel takes at most 4096 instructions, this has {}", program.len());
        }
    }

    fn is_allowed(call: i64) -> bool {
        table::allowed().any(|allowed| allowed == call)
    }

    #[test]
    fn nothing_refused_outright_is_allowed_as_well() {
        for (call, cases) in table::not_permitted().into_iter().chain(table::not_implemented()) {
            assert!(!cases.is_empty() || !is_allowed(call), "call {call} is in two lists");
        }
    }

    #[test]
    fn what_is_refused_in_cases_is_allowed_otherwise() {
        for (call, cases) in [table::not_permitted(), table::not_implemented(), table::no_such_family()].concat() {
            assert!(cases.is_empty() || is_allowed(call), "call {call} could never succeed");
        }
    }
}

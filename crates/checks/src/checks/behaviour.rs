//! `behaviour`: the engine asks the kernel for nothing that only an attack, or a program in the wrong place, asks for.

use model::{
    finding::{Finding, Severity},
    run::DeniedCall,
};

use super::ran;
use crate::{
    evidence::Evidence,
    judge::{Check, Draft, Judge, Judgement, Needs},
    wording::{clip, count, list},
};

pub(super) const CHECK: Check = Check {
    id: "behaviour",
    title: "The engine asks for nothing engines have no business with",
    help: include_str!("../../../../docs/checks/behaviour.md"),
    needs: Needs::Run,
    judge: Judge::Evidence(judge),
};

/// Calls named in the title.
const NAMED: usize = 3;
/// Calls quoted.
const QUOTED: usize = 20;

/// What libraries try in passing and do without: worth knowing.
const HARMLESS: &[&str] = &["io_uring_setup", "perf_event_open", "socket(AF_NETLINK)", "socket(another family)"];
/// What debuggers, sandboxes of browsers and crash reporters ask for: it does not work here, nor wherever the engine runs.
const MISPLACED: &[&str] = &[
    "add_key",
    "chroot",
    "clone",
    "fanotify_init",
    "keyctl",
    "pidfd_getfd",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "request_key",
    "socket(AF_ALG)",
    "socket(AF_BLUETOOTH)",
    "socket(AF_CAN)",
    "unshare",
    "userfaultfd",
];

/// The name alone, or with what was asked for.
fn is_in(list: &[&str], call: &str) -> bool {
    let name = call.split('(').next().unwrap_or_default();
    list.iter().any(|listed| *listed == call || *listed == name)
}

fn severity(call: &DeniedCall) -> Severity {
    if is_in(HARMLESS, &call.call) {
        Severity::Info
    } else if is_in(MISPLACED, &call.call) {
        Severity::Warning
    } else {
        // Everything else changes the machine, not the engine.
        Severity::Error
    }
}

fn judge(evidence: &Evidence) -> Judgement {
    let run = match ran(evidence) {
        Ok(run) => run,
        Err(judgement) => return judgement,
    };
    let denied = run.record.denied.as_deref().unwrap_or_default();
    let mut drafts: Vec<Draft> = Vec::new();
    for level in [Severity::Error, Severity::Warning, Severity::Info] {
        let calls: Vec<&DeniedCall> = denied.iter().filter(|call| severity(call) == level).collect();
        if !calls.is_empty() {
            drafts.push(refused(level, &calls));
        }
    }
    if run.record.deaf_to_sigterm {
        drafts.push(deaf().into());
    }
    Judgement::Judged(drafts)
}

fn refused(level: Severity, calls: &[&DeniedCall]) -> Draft {
    // By name, so that the order in which threads got there does not change the message.
    let mut names: Vec<&str> = calls.iter().map(|call| call.call.as_str()).collect();
    names.sort_unstable();
    let shown = list(names.get(..NAMED.min(names.len())).unwrap_or_default(), "and");
    let more = names.len().saturating_sub(NAMED);
    let shown = if more > 0 { format!("{shown} and {more} more") } else { shown };
    let code = match level {
        Severity::Error => "behaviour.attack",
        Severity::Warning => "behaviour.refused",
        Severity::Info => "behaviour.unusual",
    };
    let (why, fix) = match level {
        Severity::Error => (
            "These calls change the machine or look for a way out of the container; an engine that computes needs none of them.",
            "Remove what makes these calls; if a library does, say so to a reviewer.",
        ),
        Severity::Warning => (
            "These calls are refused here and wherever the engine runs: what depends on them does not work.",
            "Switch off what needs them: debuggers, crash reporters, a browser's own sandbox.",
        ),
        Severity::Info => ("Libraries try these calls and do without them.", "Nothing has to be done."),
    };
    let mut finding = Finding::new(code, level, format!("Engine tried {}", clip(&shown, 70)), why, fix);
    finding.evidence = calls
        .iter()
        .take(QUOTED)
        .map(|call| format!("{} | {}, first by {:?} after {} ms", call.call, count(call.count as usize, "time"), call.process, call.at_ms))
        .collect();
    let message = format!("System call refused: {}", names.join(", "));
    let strict = if level == Severity::Warning { Severity::Error } else { level };
    Draft::strictly(finding.message(clip(&message, 400)).at("system calls of the test run"), strict)
}

fn deaf() -> Finding {
    let finding = Finding::new(
        "behaviour.sigterm",
        Severity::Warning,
        "Engine did not end within 2 s of SIGTERM and had to be killed",
        "An engine is asked to end whenever another build is deployed; one that does not listen is killed in the middle of its work.",
        "End on SIGTERM: finish or give up the current call and exit, or leave the signal at its default.",
    );
    finding.message("Engine ignored SIGTERM and was killed").at("end of the test run")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        checks::fixtures::Fixture,
        evidence::tests::{batch, webhook},
    };

    pub(crate) fn fixtures() -> Vec<Fixture> {
        vec![
            Fixture::pass("webhook", webhook()),
            Fixture::pass("batch", batch()),
            Fixture::pass("a host that cannot watch", webhook().unwatched()),
            Fixture::fail("mount", batch().denied(&["mount"]), "behaviour.attack"),
            Fixture::fail("packets", webhook().denied(&["socket(AF_PACKET)", "io_uring_setup"]), "behaviour.attack"),
            Fixture::warn("a browser", webhook().denied(&["unshare(NEWUSER)", "clone(NEWUSER|NEWPID)"]), "behaviour.refused"),
            Fixture::warn("deaf", webhook().deaf(), "behaviour.sigterm"),
            Fixture::skip("a broken layer", webhook().prevented("a layer is broken; see check layers"), "see check layers"),
        ]
    }

    fn findings(calls: &[&str]) -> Vec<Finding> {
        match judge(&webhook().denied(calls).evidence()) {
            Judgement::Judged(drafts) => drafts.into_iter().map(|draft| draft.finding).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_libraries_try_in_passing_is_told_and_blocks_nothing() {
        let found = findings(&["io_uring_setup", "perf_event_open"]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].code.as_str(), found[0].severity), ("behaviour.unusual", Severity::Info));
    }

    #[test]
    fn many_calls_are_one_finding_with_a_list_in_one_order() {
        let found = findings(&["setns", "mount", "bpf", "pivot_root", "swapon"]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].title, "Engine tried bpf, mount and pivot_root and 2 more");
        assert_eq!(found[0].message, "System call refused: bpf, mount, pivot_root, setns, swapon");
        assert_eq!(found[0].evidence.len(), 5);
    }
}

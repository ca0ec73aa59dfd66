//! How an engine ended, and which check tells of it: one cause, one finding.

use model::run::{EngineKind, EngineRun, Exit, Phase, Ready};

/// Who tells why a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It was stopped because all was done, or ended as a batch engine should.
    Done,
    /// Memory ran out: `run` tells.
    Memory,
    /// The time of the whole run was over: `run` tells.
    Time,
    /// It ended by itself before it was ready: `ready` tells.
    BeforeReady,
    /// It ended by itself while it should have been answering: `process` tells.
    Crash,
    /// A batch engine ended badly: `run` tells.
    Exit,
}

/// The one cause.
pub(super) fn ending(run: &EngineRun) -> Ending {
    let timed_out = run.ran_out_in.is_some() || run.record.exit == Exit::TimedOut;
    match (&run.record.exit, run.kind) {
        (Exit::OutOfMemory, _) => Ending::Memory,
        _ if timed_out && !is_slow_start(run) => Ending::Time,
        (Exit::Exited { .. } | Exit::Signaled { .. }, EngineKind::Webhook) => match run.ready {
            Some(Ready::Ready { .. }) => Ending::Crash,
            _ => Ending::BeforeReady,
        },
        (Exit::Exited { code: 0 }, _) => Ending::Done,
        (Exit::Exited { .. } | Exit::Signaled { .. }, _) => Ending::Exit,
        (Exit::Stopped | Exit::TimedOut, _) => Ending::Done,
    }
}

/// Time that ran out while waiting for `/ready` is told by `ready`, whose limit is the shorter one.
fn is_slow_start(run: &EngineRun) -> bool {
    run.ran_out_in == Some(Phase::Ready) || matches!(run.ready, Some(Ready::NotInTime { .. }))
}

/// `exit code 1`, `signal 11 (SIGSEGV)`; `None` if it did not end by itself.
pub(super) fn words(exit: &Exit) -> Option<String> {
    match exit {
        Exit::Exited { code } => Some(format!("exit code {code}")),
        Exit::Signaled { signal } => Some(match signal_name(*signal) {
            Some(name) => format!("signal {signal} ({name})"),
            None => format!("signal {signal}"),
        }),
        Exit::Stopped | Exit::TimedOut | Exit::OutOfMemory => None,
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

/// What to look for, where the way it ended says something by itself.
pub(super) fn hint(exit: &Exit) -> Option<&'static str> {
    let signal = match exit {
        Exit::Exited { code: 126 } => {
            return Some("The program is there but cannot be executed: give it the execute bit (chmod +x) and a right #! line.");
        }
        Exit::Exited { code: 127 } => {
            return Some(
                "The program, or the interpreter in its #! line, is not in the image: check the path in ENTRYPOINT, and the libc it was built for.",
            );
        }
        Exit::Exited { code } if (129..=159).contains(code) => code - 128,
        Exit::Signaled { signal } => *signal,
        _ => return None,
    };
    match signal {
        4 => Some("The program uses instructions this processor does not have: build it for plain x86-64."),
        11 | 7 => Some("The program crashed in native code: check the versions of native libraries against each other."),
        25 => Some("The program wrote a file larger than allowed: write less, or in parts."),
        31 => Some("The program made a system call that is not allowed in the sandbox: remove what needs it."),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::tests::{batch, webhook};

    #[test]
    fn each_ending_has_one_teller() {
        let of = |run: EngineRun| ending(&run);
        assert_eq!(of(webhook().run()), Ending::Done);
        assert_eq!(of(webhook().exit(Exit::OutOfMemory).run()), Ending::Memory);
        assert_eq!(of(webhook().exit(Exit::TimedOut).run()), Ending::Time);
        assert_eq!(of(webhook().ran_out(Phase::Process).run()), Ending::Time);
        let slow = Ready::NotInTime { waited_ms: 120_000, last: "503".into() };
        assert_eq!(of(webhook().ready(slow).ran_out(Phase::Ready).run()), Ending::Done);
        assert_eq!(of(webhook().exit(Exit::Exited { code: 0 }).run()), Ending::Crash);
        assert_eq!(of(webhook().ready(Ready::ProcessEnded).exit(Exit::Exited { code: 1 }).run()), Ending::BeforeReady);
        assert_eq!(of(batch().run()), Ending::Done);
        assert_eq!(of(batch().exit(Exit::Signaled { signal: 11 }).run()), Ending::Exit);
        assert_eq!(of(batch().exit(Exit::Exited { code: 3 }).run()), Ending::Exit);
    }

    #[test]
    fn endings_are_put_into_words() {
        assert_eq!(words(&Exit::Exited { code: 1 }).as_deref(), Some("exit code 1"));
        assert_eq!(words(&Exit::Signaled { signal: 11 }).as_deref(), Some("signal 11 (SIGSEGV)"));
        assert_eq!(words(&Exit::Signaled { signal: 99 }).as_deref(), Some("signal 99"));
        assert_eq!(words(&Exit::Stopped), None);
        assert!(hint(&Exit::Exited { code: 139 }).unwrap().contains("native"));
        assert_eq!(hint(&Exit::Exited { code: 1 }), None);
    }
}

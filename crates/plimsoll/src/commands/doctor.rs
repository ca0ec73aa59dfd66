//! `plimsoll doctor`: what this host allows, one line each, with the mend.

use std::process::ExitCode;

use sandbox::{
    doctor::{examine, kind},
    local::Helper,
};

use crate::log::say;

/// Examines the host; 0 when engines can be run, 3 when not.
pub fn run() -> ExitCode {
    say(format_args!("host  {}", kind()));
    let probes = examine(std::env::temp_dir().join(format!("plimsoll-doctor-{}", std::process::id())), Helper::default());
    for probe in &probes {
        let mark = match (probe.ok, probe.required) {
            (true, _) => "ok  ",
            (false, true) => "FAIL",
            (false, false) => "note",
        };
        say(format_args!("{mark}  {:<46} {}", probe.title, probe.detail));
        if let Some(mend) = probe.mend.as_ref().filter(|_| !probe.ok) {
            say(format_args!("      mend: {mend}"));
        }
    }
    let ready = probes.iter().all(|probe| probe.ok || !probe.required);
    say(if ready { "Engines can be run here." } else { "Engines cannot be run here; checks that need no run still work." });
    if ready { ExitCode::SUCCESS } else { ExitCode::from(super::COULD_NOT_RUN) }
}

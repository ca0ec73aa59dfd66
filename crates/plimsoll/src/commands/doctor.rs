//! `plimsoll doctor`: what this host allows, one line each, with the mend.

use std::{path::PathBuf, process::ExitCode};

use sandbox::{
    doctor::{examine, kind},
    local::Helper,
};

use server::config::{Config, Overrides};

use crate::log::say;

#[derive(clap::Args)]
pub struct Args {
    /// Configuration file (TOML) of a server, for its `sandbox.runtime` and `sandbox.host_clocks`
    #[arg(long)]
    config: Option<PathBuf>,
}

/// Examines the host; 0 when engines can be run, 3 when not.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(args.config.as_deref(), &Overrides::default())?;
    let runtime = super::serve::runtime(&config)?;
    say(format_args!("host  {}", kind()));
    if let Some(runtime) = &runtime {
        say(format_args!("runs  containers are run by {}", runtime.name()));
    }
    let probes = examine(
        std::env::temp_dir().join(format!("plimsoll-doctor-{}", std::process::id())),
        Helper::default(),
        runtime,
        config.sandbox.host_clocks,
    );
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
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::from(super::COULD_NOT_RUN) })
}

//! `plimsoll explain RULE`: the page of a check, offline.

use std::process::ExitCode;

use anyhow::bail;

use crate::log::say;

#[derive(clap::Args)]
pub struct Args {
    /// A check or one of its rules, such as `manifest` or `manifest.json`; without it the list of checks
    rule: Option<String>,
}

/// Shows the page.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(rule) = &args.rule else {
        for check in checks::CHECKS {
            say(format_args!("{:<12} {}", check.id, check.title));
        }
        return Ok(ExitCode::SUCCESS);
    };
    match checks::explain::page(model::finding::check_of(rule)) {
        Some(page) => say(page.trim_end()),
        None => bail!("there is no check {rule:?}; plimsoll explain lists them all"),
    }
    Ok(ExitCode::SUCCESS)
}

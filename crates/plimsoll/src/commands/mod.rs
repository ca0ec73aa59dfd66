//! The commands, by name.

mod advisories;
mod check;
mod demo;
mod doctor;
mod explain;
mod gc;
mod push;
mod quota;
mod serve;

use std::process::ExitCode;

use clap::Subcommand;

/// What can be typed.
#[derive(Subcommand)]
pub enum Command {
    /// Make a database of advisories, or say what is in one
    #[command(subcommand)]
    Advisories(advisories::Action),
    /// Judge an image here, with the same checks as the gate
    Check(check::Args),
    /// Start a server, push a sample engine and watch it being certified
    Demo(demo::Args),
    /// Say what this host allows, and how to mend what it does not
    Doctor(doctor::Args),
    /// Show the page of a check or rule
    Explain(explain::Args),
    /// Remove what nothing in the registry needs, or say what would go
    Gc(gc::Args),
    /// Push an image without a docker installation
    Push(push::Args),
    /// Show what organizations keep and may keep, or set a quota
    Quota(quota::Args),
    /// Run the gate: registry, API and console on one port
    Serve(serve::Args),
}

impl Command {
    /// Whether it needs the sandbox.
    pub fn runs_engines(&self) -> bool {
        matches!(self, Self::Check(_) | Self::Demo(_) | Self::Doctor(_) | Self::Serve(_))
    }
}

/// Exit code of commands that could not do their work.
pub const COULD_NOT_RUN: u8 = 3;

/// Runs a command. 0 good, 1 the image has blocking findings, 2 wrong usage (clap's own), 3 could not run.
pub fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Advisories(action) => advisories::run(action),
        Command::Check(args) => check::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Gc(args) => gc::run(args),
        Command::Push(args) => push::run(args),
        Command::Quota(args) => quota::run(args),
        Command::Serve(args) => serve::run(args),
    };
    done.unwrap_or_else(|error| {
        crate::log::say_error(&error);
        ExitCode::from(COULD_NOT_RUN)
    })
}

/// The runtime of commands that need one.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

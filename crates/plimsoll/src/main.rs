//! The binary: what was typed becomes calls of the other crates. One file per command.

mod commands;
mod engine_image;
mod example;
mod log;
mod login;
mod progress;
mod push;

use std::process::ExitCode;

use clap::Parser;

/// A gate for containerised engines: push an image, get a verdict with reasons.
#[derive(Parser)]
#[command(name = "plimsoll", version, about, long_about = None, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    // The sandbox's helper must run before any thread exists.
    if std::env::args_os().nth(1).is_some_and(|word| word == "sandbox-helper") {
        sandbox::helper_main();
    }
    sandbox::memory::keep_small();
    let command = Cli::parse().command;
    if command.runs_engines() {
        // Before any thread exists. What stands in an ordinary user's way is told where an engine is to run, and by the doctor.
        let _ = sandbox::ordinary::enter();
    }
    commands::run(command)
}

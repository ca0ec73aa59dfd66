//! What the binary writes to the terminal: results to standard output, everything else to standard error.
#![expect(clippy::print_stderr, reason = "the one place that writes to the terminal")]

use std::io::Write;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error; `PLIMSOLL_LOG` sets the level (default `warn`).
pub fn start(default: &str) {
    let filter = EnvFilter::try_from_env("PLIMSOLL_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    // A second start is a test in the same process.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).try_init();
}

/// A line of result.
pub fn say(text: impl std::fmt::Display) {
    // A reader that went away (`| head`) is no fault of ours.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A line for the person at the terminal.
pub fn tell(text: impl std::fmt::Display) {
    eprintln!("{text}");
}

/// An error with all its causes.
pub fn say_error(error: &anyhow::Error) {
    eprintln!("plimsoll: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}

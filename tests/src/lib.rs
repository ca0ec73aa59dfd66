//! Support of the end-to-end tests: the real binary, real clients, a real browser. What a test needs and does not find makes it fail, with
//! the name of the Debian package to install.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test fails by panicking, and then shows what it knows")]

pub mod api;
pub mod browser;
pub mod bucket;
pub mod cache;
pub mod conformance;
pub mod container;
pub mod containerd;
pub mod docker;
pub mod engine;
pub mod leftover;
pub mod neighbour;
pub mod program;
pub mod python;
pub mod registry;
pub mod server;
pub mod shelf;
pub mod web;

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// Longest wait for anything that must come. Far more than it takes: a busy machine is no failure.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// Between two looks at something that is awaited. The one place where a test sleeps.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks until there is something to see; `None` when there is nothing within [`PATIENCE`].
pub fn wait<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + PATIENCE;
    loop {
        let seen = look();
        if seen.is_some() || Instant::now() >= until {
            return seen;
        }
        thread::sleep(PAUSE);
    }
}

/// Looks until there is something to see.
///
/// # Panics
/// When there is nothing within [`PATIENCE`]; `what` says what was awaited.
#[track_caller]
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    let Some(seen) = wait(look) else { panic!("there was no {what} within {} s", PATIENCE.as_secs()) };
    seen
}

/// The root of the sources.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The folder cargo built this test into, such as `target/debug`.
pub fn built() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().to_path_buf()
}

/// The program under test.
///
/// # Panics
/// When it was not built.
pub fn plimsoll() -> PathBuf {
    let path = built().join("plimsoll");
    assert!(path.is_file(), "{} is not there: run `cargo build -p plimsoll` first, as scripts/test does", path.display());
    path
}

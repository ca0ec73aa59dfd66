//! A moving line on the terminal while something takes longer than a second; nothing where output goes to a file.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts bytes.
pub fn bytes(total: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(total).with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("  {msg:24} {bar:32} {bytes}/{total_bytes}") {
        bar.set_style(style);
    }
    bar
}

/// A line that moves as long as it is not finished.
pub fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

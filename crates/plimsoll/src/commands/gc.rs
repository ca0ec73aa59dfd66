//! `plimsoll gc`: removes what nothing in the registry needs, or says what would go.

use std::{path::PathBuf, process::ExitCode};

use server::{
    config::{Config, Overrides},
    keeper,
};

use crate::log::say;

#[derive(clap::Args)]
pub struct Args {
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    /// Data folder of the server, which may be running [default: plimsoll-data]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Configuration file of the server (TOML); a running server goes by its own
    #[arg(long)]
    config: Option<PathBuf>,
}

/// Collects garbage.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    crate::log::start("warn");
    let config = Config::load(args.config.as_deref(), &Overrides { data: args.data, listen: None })?;
    let garbage = super::runtime()?.block_on(keeper::garbage(config, args.dry_run))?;
    let verb = if garbage.dry_run { "would go" } else { "gone" };
    for line in &garbage.lines {
        say(format_args!("{verb:<9} {:>8}  {:>10}  {}: {}", line.count, size(line.bytes), line.what, line.reason));
    }
    let waiting = &garbage.waiting;
    say(format_args!("{:<9} {:>8}  {:>10}  {}: {}", "waiting", waiting.count, size(waiting.bytes), waiting.what, waiting.reason));
    say(format_args!("{} {}", if garbage.dry_run { "This would free" } else { "This freed" }, size(garbage.freed)));
    Ok(ExitCode::SUCCESS)
}

/// Bytes for people, in the units a quota is written in.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    UNITS
        .iter()
        .find(|(_, unit)| bytes >= *unit)
        .map_or_else(|| format!("{bytes} B"), |(name, unit)| format!("{:.1} {name}", bytes as f64 / *unit as f64))
}

/// Bytes as somebody types them: a number, perhaps with KiB, MiB, GiB or TiB.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = match text.get(digits.len()..).unwrap_or_default().trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1_u64 << 40,
        other => return Err(format!("{other:?} is no unit; use KiB, MiB, GiB or TiB, or a plain number of bytes")),
    };
    let number: u64 = digits.trim().parse().map_err(|_| format!("{text:?} is no size; write one like 500GiB"))?;
    number.checked_mul(unit).ok_or_else(|| format!("{text} is more than any disk holds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_and_read() {
        assert_eq!([size(0), size(1023), size(1536), size(5 << 30)], ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
        assert_eq!([parse_size("7"), parse_size("2 KiB"), parse_size("500GiB")], [Ok(7), Ok(2048), Ok(500 << 30)]);
        for wrong in ["", "GiB", "1GB", "-1", "99999999TiB"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}

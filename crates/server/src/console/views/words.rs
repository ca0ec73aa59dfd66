//! Times, durations, sizes and counts as people read them.

/// A moment: relative for reading, exact for the tooltip and for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// ISO 8601 in UTC.
    pub iso: String,
    /// Such as `2024-05-20 10:13:20 UTC`.
    pub exact: String,
    /// Such as `3 minutes ago`.
    pub relative: String,
}

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl When {
    /// The moment `at` seen from `now`, both in epoch milliseconds.
    pub fn new(at: i64, now: i64) -> Self {
        let iso = crate::clock::iso(at);
        let day = iso.get(..10).unwrap_or(&iso).to_owned();
        let exact = iso.get(11..19).map_or_else(|| iso.clone(), |time| format!("{day} {time} UTC"));
        let age = now.saturating_sub(at);
        let ago = |unit: i64, word: &str| format!("{} ago", count(u64::try_from(age / unit).unwrap_or(0), word));
        let relative = match age {
            // Clocks of two machines differ a little: a moment in the near future is now.
            i64::MIN..5_000 => "just now".to_owned(),
            5_000..MINUTE => ago(SECOND, "second"),
            MINUTE..HOUR => ago(MINUTE, "minute"),
            HOUR..DAY => ago(HOUR, "hour"),
            _ if age < 30 * DAY => ago(DAY, "day"),
            _ => format!("on {day}"),
        };
        Self { iso, exact, relative }
    }
}

/// `1 finding`, `2 findings`.
pub fn count(n: u64, word: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {word}{plural}")
}

/// Milliseconds as `340 ms`, `1.9 s`, `2 min 5 s` or `1 h 3 min`.
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{seconds}.{} s", ms % 1000 / 100),
        60_000..3_600_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Bytes as `812 bytes`, `48.3 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return count(bytes, "byte");
    }
    let (mut value, mut unit) = (bytes as f64 / 1024.0, UNITS[0]);
    for next in &UNITS[1..] {
        // 1023.95 would be printed as 1024.0.
        if value < 1023.95 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    format!("{value:.1} {unit}")
}

/// A capability's key as a label: `license-plate` becomes `License plate`.
pub fn label(key: &str) -> String {
    let mut text = key.replace('-', " ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// With a capital letter in front, unless the first word is a name such as `engineId`.
pub fn sentence(text: &str) -> String {
    let mut text = text.to_owned();
    let word = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
    if word.chars().all(|c| c.is_ascii_lowercase())
        && let Some(first) = text.get_mut(..1)
    {
        first.make_ascii_uppercase();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_relative_and_exact() {
        let now = 1_716_200_000_123;
        let at = |age: i64| When::new(now - age, now).relative;
        assert_eq!(at(-HOUR), "just now");
        assert_eq!(at(4_999), "just now");
        assert_eq!(at(5_000), "5 seconds ago");
        assert_eq!(at(MINUTE), "1 minute ago");
        assert_eq!(at(59 * MINUTE), "59 minutes ago");
        assert_eq!(at(3 * HOUR), "3 hours ago");
        assert_eq!(at(29 * DAY), "29 days ago");
        assert_eq!(at(30 * DAY), "on 2024-04-20");
        let when = When::new(now, now);
        assert_eq!((when.iso.as_str(), when.exact.as_str()), ("2024-05-20T10:13:20.123Z", "2024-05-20 10:13:20 UTC"));
    }

    #[test]
    fn impossible_times_do_not_panic() {
        for at in [i64::MIN, -1, 0, i64::MAX] {
            for now in [i64::MIN, 0, i64::MAX] {
                assert!(!When::new(at, now).relative.is_empty());
            }
        }
    }

    #[test]
    fn durations_and_sizes() {
        let durations = [0, 999, 1000, 59_999, 60_000, 125_000, 3_600_000, 3_780_000].map(duration);
        assert_eq!(durations, ["0 ms", "999 ms", "1.0 s", "59.9 s", "1 min 0 s", "2 min 5 s", "1 h 0 min", "1 h 3 min"]);
        let sizes = [0, 1, 1023, 1024, 1 << 20, (1 << 20) - 1, 50_647_000, u64::MAX].map(size);
        assert_eq!(sizes, ["0 bytes", "1 byte", "1023 bytes", "1.0 KiB", "1.0 MiB", "1.0 MiB", "48.3 MiB", "16384.0 PiB"]);
    }

    #[test]
    fn sentences_begin_with_a_capital_letter() {
        let shown = ["register the engine", "engineId is missing", "Done", "", "été", "/var/x is a folder"].map(sentence);
        assert_eq!(shown, ["Register the engine", "engineId is missing", "Done", "", "été", "/var/x is a folder"]);
    }

    #[test]
    fn keys_become_labels() {
        assert_eq!((label("license-plate").as_str(), label("").as_str(), label("é").as_str()), ("License plate", "", "é"));
    }
}

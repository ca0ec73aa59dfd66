//! rpm: `[epoch:]version[-release]`, with `~` before and `^` after the end (rpm-version(7)).

use std::cmp::Ordering;

use super::number::{Number, digits, letters};

pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (parse(a)?, parse(b)?);
    let order = Number::new(a.epoch).cmp(&Number::new(b.epoch)).then_with(|| part(a.version, b.version));
    // Advisories may leave the release out: then every release of the version is meant.
    Some(order.then_with(|| if a.release.is_empty() || b.release.is_empty() { Ordering::Equal } else { part(a.release, b.release) }))
}

struct Version<'a> {
    epoch: &'a str,
    version: &'a str,
    release: &'a str,
}

fn parse(text: &str) -> Option<Version<'_>> {
    let text = text.trim();
    let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
    let (version, release) = rest.rsplit_once('-').unwrap_or((rest, ""));
    let good =
        !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit()) && !version.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic());
    good.then_some(Version { epoch, version, release })
}

fn part(mut a: &str, mut b: &str) -> Ordering {
    let separator = |c: char| !c.is_ascii_alphanumeric() && c != '~' && c != '^';
    loop {
        (a, b) = (a.trim_start_matches(separator), b.trim_start_matches(separator));
        match (a.strip_prefix('~'), b.strip_prefix('~')) {
            (Some(next_a), Some(next_b)) => {
                (a, b) = (next_a, next_b);
                continue;
            }
            (Some(_), None) => return Ordering::Less,
            (None, Some(_)) => return Ordering::Greater,
            (None, None) => {}
        }
        match (a.strip_prefix('^'), b.strip_prefix('^')) {
            (Some(next_a), Some(next_b)) => {
                (a, b) = (next_a, next_b);
                continue;
            }
            (Some(_), None) => return if b.is_empty() { Ordering::Greater } else { Ordering::Less },
            (None, Some(_)) => return if a.is_empty() { Ordering::Less } else { Ordering::Greater },
            (None, None) => {}
        }
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        let ((number_a, rest_a), (number_b, rest_b)) = (digits(a), digits(b));
        let order = match (number_a.is_empty(), number_b.is_empty()) {
            (false, false) => {
                (a, b) = (rest_a, rest_b);
                Number::new(number_a).cmp(&Number::new(number_b))
            }
            // A number is newer than a word.
            (false, true) => return Ordering::Greater,
            (true, false) => return Ordering::Less,
            (true, true) => {
                let ((word_a, rest_a), (word_b, rest_b)) = (letters(a), letters(b));
                (a, b) = (rest_a, rest_b);
                word_a.cmp(word_b)
            }
        };
        if order.is_ne() {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_to_newer() {
        let rising = ["1.0~rc1-1", "1.0-1", "1.0-1.el9", "1.0-2", "1.0^git1-1", "1.0.1-1", "1.0.a-1", "1.0.0-1"];
        assert_eq!(compare("1.0.a", "1.0.0"), Some(Ordering::Less));
        for pair in [&rising[..6]].concat().windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Some(Ordering::Less), "{pair:?}");
        }
        assert_eq!(compare("1:1.0-1", "2.0-1"), Some(Ordering::Greater));
        assert_eq!(compare("1.0-7.el9_2", "1.0"), Some(Ordering::Equal));
        assert_eq!(compare("1_0", "1.0"), Some(Ordering::Equal));
        assert_eq!(compare("1.0", "1.0a"), Some(Ordering::Less));
    }

    #[test]
    fn other_text_is_no_version() {
        for text in ["", "a:1", ":1", "1 0"] {
            assert_eq!(compare(text, "1"), None, "{text:?}");
        }
    }
}

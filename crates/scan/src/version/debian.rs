//! dpkg: `[epoch:]upstream[-revision]` (Debian Policy §5.6.12, deb-version(7)).

use std::cmp::Ordering;

use super::number::{Number, digits};

pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (parse(a)?, parse(b)?);
    let order = Number::new(a.epoch).cmp(&Number::new(b.epoch));
    Some(order.then_with(|| part(a.upstream, b.upstream)).then_with(|| part(a.revision, b.revision)))
}

struct Version<'a> {
    epoch: &'a str,
    upstream: &'a str,
    revision: &'a str,
}

fn parse(text: &str) -> Option<Version<'_>> {
    let text = text.trim();
    let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    let known = |b: u8| b.is_ascii_alphanumeric() || b".+~-:_".contains(&b);
    let good = !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit()) && !upstream.is_empty() && rest.bytes().all(known);
    good.then_some(Version { epoch, upstream, revision })
}

/// Weight of a character outside of numbers: a tilde sorts before the end, letters before everything else.
fn weight(byte: Option<u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(b) if b.is_ascii_digit() => 0,
        Some(b) if b.is_ascii_alphabetic() => i32::from(b),
        Some(b) => i32::from(b) + 256,
    }
}

fn part(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let text = |s: &str| s.bytes().take_while(|b| !b.is_ascii_digit()).count();
        let (words_a, words_b) = (a.split_at(text(a)), b.split_at(text(b)));
        for at in 0..words_a.0.len().max(words_b.0.len()) {
            let order = weight(words_a.0.as_bytes().get(at).copied()).cmp(&weight(words_b.0.as_bytes().get(at).copied()));
            if order.is_ne() {
                return order;
            }
        }
        let (numbers_a, numbers_b) = (digits(words_a.1), digits(words_b.1));
        let order = Number::new(numbers_a.0).cmp(&Number::new(numbers_b.0));
        if order.is_ne() {
            return order;
        }
        (a, b) = (numbers_a.1, numbers_b.1);
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_to_newer() {
        let rising =
            ["0.9~rc1-1", "0.9-1", "0.9-1+b1", "0.9-1.1", "0.9a-1", "0.9+dfsg-1", "1.0~~", "1.0~", "1.0", "1.0.1", "1.10", "1:0.1", "2:0"];
        for pair in rising.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Some(Ordering::Less), "{pair:?}");
        }
        assert_eq!(compare("1.0-0", "1.0"), Some(Ordering::Equal));
        assert_eq!(compare("0:1.00", "1.0"), Some(Ordering::Equal));
    }

    #[test]
    fn what_dpkg_refuses_is_no_version() {
        for text in ["", ":1", "a:1", "1:", "1 2", "1/2"] {
            assert_eq!(compare(text, "1"), None, "{text:?}");
        }
    }
}

//! RubyGems: `Gem::Version`. A word makes a pre-release, zeros before a word or the end do not count.

use std::cmp::Ordering;

use super::number::{Number, digits, letters};

pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (segments(a)?, segments(b)?);
    let mut at = 0;
    loop {
        let order = match (a.get(at), b.get(at)) {
            (None, None) => return Some(Ordering::Equal),
            (Some(a), Some(b)) => segment(a, b),
            // Zeros at the end are cut off, so what is longer is newer, unless it goes on with a word.
            (Some(Segment::Number(_)), None) | (None, Some(Segment::Word(_))) => Ordering::Greater,
            (Some(Segment::Word(_)), None) | (None, Some(Segment::Number(_))) => Ordering::Less,
        };
        if order.is_ne() {
            return Some(order);
        }
        at += 1;
    }
}

#[derive(Clone, Copy)]
enum Segment<'a> {
    Number(Number<'a>),
    Word(&'a str),
}

fn segment(a: &Segment<'_>, b: &Segment<'_>) -> Ordering {
    match (a, b) {
        (Segment::Number(a), Segment::Number(b)) => a.cmp(b),
        (Segment::Word(a), Segment::Word(b)) => a.cmp(b),
        (Segment::Word(_), Segment::Number(_)) => Ordering::Less,
        (Segment::Number(_), Segment::Word(_)) => Ordering::Greater,
    }
}

fn segments(text: &str) -> Option<Vec<Segment<'_>>> {
    let text = text.trim();
    let begins = text.starts_with(|c: char| c.is_ascii_digit());
    let parts = |text: &str| text.split(['.', '-']).all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()));
    if !begins || !parts(text) {
        return None;
    }
    let mut all = Vec::new();
    // A dash reads as ".pre.".
    for (index, half) in text.split('-').enumerate() {
        if index > 0 {
            drop_zeros(&mut all);
            all.push(Segment::Word("pre"));
        }
        let mut rest = half;
        while !rest.is_empty() {
            let (number, after) = digits(rest);
            if !number.is_empty() {
                all.push(Segment::Number(Number::new(number)));
            }
            let (word, after) = letters(after);
            if !word.is_empty() {
                drop_zeros(&mut all);
                all.push(Segment::Word(word));
            }
            rest = after.strip_prefix('.').unwrap_or(after);
        }
    }
    drop_zeros(&mut all);
    Some(all)
}

/// Zeros right before the first word do not count; those behind a word only at the end.
fn drop_zeros(all: &mut Vec<Segment<'_>>) {
    while let Some(Segment::Number(number)) = all.last()
        && number.is_zero()
    {
        all.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_to_newer() {
        let rising = ["0.9", "1.0.a", "1.0.b1", "1.0.b2", "1.0.rc1", "1.0", "1.0.1", "1.1.pre", "1.1", "1.10"];
        for pair in rising.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Some(Ordering::Less), "{pair:?}");
        }
        assert_eq!(compare("1", "1.0.0"), Some(Ordering::Equal));
        assert_eq!(compare("1.0-rc1", "1.0.pre.rc1"), Some(Ordering::Equal));
    }

    #[test]
    fn other_text_is_no_version() {
        for text in ["", "a", "1..0", "1_0", "1.0."] {
            assert_eq!(compare(text, "1"), None, "{text:?}");
        }
    }
}

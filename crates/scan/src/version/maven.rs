//! Maven: `ComparableVersion` (Maven's "Version Order Specification"). Every text is a version.

use std::cmp::Ordering;

use super::number::{Number, digits};

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim().to_ascii_lowercase(), b.trim().to_ascii_lowercase());
    let (a, b) = (parse(&a), parse(&b));
    let pad = |other: Option<&Part<'_>>| match other {
        // What is missing is compared as the nothing of the same kind.
        Some(Part { dash, value: Value::Number(_) }) => Part { dash: *dash, value: Value::Number(Number::default()) },
        Some(Part { dash, value: Value::Word(_) }) => Part { dash: *dash, value: Value::Word("") },
        None => Part { dash: false, value: Value::Word("") },
    };
    for at in 0..a.len().max(b.len()) {
        let one = a.get(at).copied().unwrap_or_else(|| pad(b.get(at)));
        let two = b.get(at).copied().unwrap_or_else(|| pad(a.get(at)));
        let order = part(&one, &two);
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

#[derive(Clone, Copy)]
struct Part<'a> {
    /// Behind a dash, or where digits meet letters.
    dash: bool,
    value: Value<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Value<'a> {
    Number(Number<'a>),
    Word(&'a str),
}

/// `.word` = `-word` < `-number` < `.number`; words by the order of releases, unknown ones behind them by their letters.
fn part(a: &Part<'_>, b: &Part<'_>) -> Ordering {
    match (&a.value, &b.value) {
        (Value::Number(x), Value::Number(y)) if a.dash == b.dash => x.cmp(y),
        (Value::Word(x), Value::Word(y)) => rank(x).cmp(&rank(y)),
        _ => place(a).cmp(&place(b)),
    }
}

fn place(part: &Part<'_>) -> u8 {
    match (&part.value, part.dash) {
        (Value::Word(_), _) => 0,
        (Value::Number(_), true) => 1,
        (Value::Number(_), false) => 2,
    }
}

fn rank(word: &str) -> (u8, &str) {
    let known = match word {
        "alpha" => 0,
        "beta" => 1,
        "milestone" => 2,
        "rc" | "cr" => 3,
        "snapshot" => 4,
        "" | "ga" | "final" | "release" => 5,
        "sp" => 6,
        _ => return (7, word),
    };
    (known, "")
}

fn parse(text: &str) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let (mut rest, mut dash) = (text, false);
    while !rest.is_empty() {
        let (number, after) = digits(rest);
        if number.is_empty() {
            let length = rest.bytes().take_while(|b| !b.is_ascii_digit() && !b".-_".contains(b)).count();
            let (word, after) = rest.split_at(length);
            let before_digit = after.starts_with(|c: char| c.is_ascii_digit());
            let word = match word {
                "a" if before_digit => "alpha",
                "b" if before_digit => "beta",
                "m" if before_digit => "milestone",
                word => word,
            };
            push(&mut parts, Part { dash, value: Value::Word(word) });
            rest = after;
        } else {
            push(&mut parts, Part { dash, value: Value::Number(Number::new(number)) });
            rest = after;
        }
        let separator = rest.bytes().next().filter(|b| b".-_".contains(b));
        dash = separator != Some(b'.');
        if separator.is_some() {
            rest = &rest[1..];
            if rest.is_empty() || rest.starts_with(['.', '-', '_']) {
                push(&mut parts, Part { dash, value: Value::Number(Number::default()) });
            }
        }
    }
    trim(&mut parts);
    parts
}

/// A word or a dash ends a run: zeros and empty words before it do not count.
fn push<'a>(parts: &mut Vec<Part<'a>>, part: Part<'a>) {
    if part.dash || matches!(part.value, Value::Word(_)) {
        trim(parts);
    }
    parts.push(part);
}

fn trim(parts: &mut Vec<Part<'_>>) {
    let nothing = |part: &Part<'_>| match part.value {
        Value::Number(number) => number.is_zero(),
        Value::Word(word) => rank(word).0 == 5,
    };
    while parts.last().is_some_and(nothing) {
        parts.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_to_newer() {
        let rising = [
            "1-alpha",
            "1-alpha-2",
            "1-beta",
            "1-m3",
            "1-rc1",
            "1-cr2",
            "1-SNAPSHOT",
            "1",
            "1-sp",
            "1-abc",
            "1-1",
            "1.0.1",
            "1.1",
            "1.10",
            "2.0.0",
        ];
        for pair in rising.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        }
        assert_eq!((compare("0", "^"), compare("", "^"), compare("0", "0-1")), (Ordering::Less, Ordering::Less, Ordering::Less));
        for (a, b) in [("1", "1.0.0"), ("1-ga", "1.final"), ("1.0.0-a1", "1-alpha-1"), ("1.RC", "1-rc"), ("0", ""), ("0.0", "ga")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }
}

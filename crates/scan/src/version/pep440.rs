//! Python: PEP 440, with the spellings its appendix B accepts.

use std::cmp::Ordering;

use super::number::{Number, digits, letters};

pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (a.trim().to_ascii_lowercase(), b.trim().to_ascii_lowercase());
    let (a, b) = (parse(&a)?, parse(&b)?);
    let order = a.epoch.cmp(&b.epoch).then_with(|| releases(&a.release, &b.release));
    Some(
        order
            .then_with(|| a.pre_key().cmp(&b.pre_key()))
            .then_with(|| a.post.cmp(&b.post))
            .then_with(|| a.dev_key().cmp(&b.dev_key()))
            .then_with(|| locals(a.local, b.local)),
    )
}

struct Version<'a> {
    epoch: Number<'a>,
    release: Vec<Number<'a>>,
    /// Rank of the phase (alpha 0, beta 1, candidate 2) and its number.
    pre: Option<(u8, Number<'a>)>,
    post: Option<Number<'a>>,
    dev: Option<Number<'a>>,
    local: Option<&'a str>,
}

impl<'a> Version<'a> {
    /// A development release of a final one comes before its pre-releases, a final one after them.
    fn pre_key(&self) -> (u8, Number<'a>) {
        match (self.pre, self.post, self.dev) {
            (Some((phase, number)), _, _) => (phase + 1, number),
            (None, None, Some(_)) => (0, Number::default()),
            _ => (u8::MAX, Number::default()),
        }
    }

    /// No development release is the newest.
    fn dev_key(&self) -> (bool, Number<'a>) {
        (self.dev.is_none(), self.dev.unwrap_or_default())
    }
}

fn parse(text: &str) -> Option<Version<'_>> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, local) = text.split_once('+').map_or((text, None), |(version, local)| (version, Some(local)));
    let (epoch, mut rest) = text.split_once('!').unwrap_or(("0", text));
    if epoch.is_empty() || epoch.bytes().any(|b| !b.is_ascii_digit()) || !local.is_none_or(is_local) {
        return None;
    }
    let mut release = Vec::new();
    loop {
        let (number, after) = digits(rest);
        if number.is_empty() {
            return None;
        }
        release.push(Number::new(number));
        rest = after;
        match after.strip_prefix('.') {
            Some(next) if next.starts_with(|c: char| c.is_ascii_digit()) => rest = next,
            _ => break,
        }
    }
    let mut version = Version { epoch: Number::new(epoch), release, pre: None, post: None, dev: None, local };
    if let Some((word, number, after)) = phase(rest, &["a", "b", "c", "rc", "alpha", "beta", "pre", "preview"]) {
        version.pre = Some((["a", "b"].iter().position(|first| word.starts_with(first)).unwrap_or(2) as u8, number));
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('-').filter(|after| after.starts_with(|c: char| c.is_ascii_digit())) {
        let (number, after) = digits(after);
        version.post = Some(Number::new(number));
        rest = after;
    } else if let Some((_, number, after)) = phase(rest, &["post", "rev", "r"]) {
        version.post = Some(number);
        rest = after;
    }
    if let Some((_, number, after)) = phase(rest, &["dev"]) {
        version.dev = Some(number);
        rest = after;
    }
    rest.is_empty().then_some(version)
}

/// `[separator] word [separator] [number]`.
fn phase<'a>(text: &'a str, words: &[&str]) -> Option<(&'a str, Number<'a>, &'a str)> {
    const SEPARATORS: [char; 3] = ['-', '_', '.'];
    let begin = text.strip_prefix(SEPARATORS).unwrap_or(text);
    let (word, after) = letters(begin);
    if !words.contains(&word) {
        return None;
    }
    let (number, rest) = digits(after.strip_prefix(SEPARATORS).unwrap_or(after));
    if number.is_empty() { Some((word, Number::default(), after)) } else { Some((word, Number::new(number), rest)) }
}

fn is_local(text: &str) -> bool {
    text.split(['-', '_', '.']).all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn releases(a: &[Number<'_>], b: &[Number<'_>]) -> Ordering {
    let at = |list: &[Number<'_>], index: usize| {
        list.get(index).map_or(Ordering::Equal, |number| if number.is_zero() { Ordering::Equal } else { Ordering::Greater })
    };
    for index in 0..a.len().max(b.len()) {
        let order = match (a.get(index), b.get(index)) {
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => at(a, index),
            (None, _) => at(b, index).reverse(),
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// A version with a local part is newer than the same without; numbers are newer than words.
fn locals(a: Option<&str>, b: Option<&str>) -> Ordering {
    let (Some(a), Some(b)) = (a, b) else { return a.is_some().cmp(&b.is_some()) };
    let key = |part| if digits(part).1.is_empty() { (true, Number::new(part), "") } else { (false, Number::default(), part) };
    let separators = ['-', '_', '.'];
    let (mut a, mut b) = (a.split(separators), b.split(separators));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => key(a).cmp(&key(b)),
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
        let rising = [
            "0.9",
            "1.0.dev1",
            "1.0a1.dev1",
            "1.0a1",
            "1.0a1.post1",
            "1.0-beta.2",
            "1.0c1",
            "1.0",
            "1.0+abc",
            "1.0+abc.5",
            "1.0+5",
            "1.0-1",
            "1.0.post2.dev3",
            "1.0.post2",
            "1.1",
            "1.10",
            "2024.1",
            "1!0.1",
        ];
        for pair in rising.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Some(Ordering::Less), "{pair:?}");
        }
        for (a, b) in [("1.0", "v1.0.0"), ("1.0RC1", "1.0-c.1"), ("1.0.r1", "1.0-1"), ("1.0a", "1.0alpha0"), ("1.0+A-1", "1.0+a.01")] {
            assert_eq!(compare(a, b), Some(Ordering::Equal), "{a} {b}");
        }
    }

    #[test]
    fn other_text_is_no_version() {
        for text in ["", "x", "1.0-", "1.0foo", "1..0", "1.0+", "1.0+a..b", "!1", "2004d-final"] {
            assert_eq!(compare(text, "1"), None, "{text:?}");
        }
    }
}

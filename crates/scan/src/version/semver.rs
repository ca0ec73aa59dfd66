//! Semantic Versioning 2.0 §11: npm, Go modules (a leading `v`, `+incompatible`), crates. Missing parts are zero, as advisories write them.

use std::cmp::Ordering;

use super::number::{Number, digits};

pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (parse(a)?, parse(b)?);
    Some(a.release.cmp(&b.release).then_with(|| pre_release(a.pre, b.pre)))
}

struct Version<'a> {
    release: [Number<'a>; 3],
    pre: &'a str,
}

fn parse(text: &str) -> Option<Version<'_>> {
    let text = text.trim();
    let text = text.strip_prefix(['v', 'V', '=']).unwrap_or(text);
    let text = text.split_once('+').map_or(text, |(version, _build)| version);
    let mut release = [Number::default(); 3];
    let mut rest = text;
    for (at, number) in release.iter_mut().enumerate() {
        let (value, after) = digits(rest);
        if value.is_empty() {
            return None;
        }
        *number = Number::new(value);
        rest = after;
        match rest.strip_prefix('.') {
            Some(after) if at < 2 => rest = after,
            _ => break,
        }
    }
    let pre = match rest.strip_prefix('-') {
        Some(pre) => pre,
        None if rest.is_empty() => "",
        None => return None,
    };
    let good = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (rest.is_empty() || pre.split('.').all(good)).then_some(Version { release, pre })
}

fn pre_release(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => identifier(a, b),
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn identifier(a: &str, b: &str) -> Ordering {
    let numeric = |id: &str| id.bytes().all(|b| b.is_ascii_digit());
    match (numeric(a), numeric(b)) {
        (true, true) => Number::new(a).cmp(&Number::new(b)),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_to_newer() {
        let rising = [
            "0.0.0-0",
            "0.0.0-20160903044734-789a4c4bd4c1",
            "0.0.0",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "v1.0.0+incompatible",
            "1.0.1",
            "1.2",
            "1.10.0",
            "99.999.99999",
        ];
        for pair in rising.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Some(Ordering::Less), "{pair:?}");
        }
        assert_eq!(compare("1.0.0+a", "v1.0.0+b"), Some(Ordering::Equal));
        assert_eq!(compare("1", "1.0.0"), Some(Ordering::Equal));
    }

    #[test]
    fn other_text_is_no_version() {
        for text in ["", "x", "1.2.3.4", "1.2.3-", "1.2.3-a..b", "1.2.3-a_b", "1.", "latest", "1.2.x"] {
            assert_eq!(compare(text, "1.0.0"), None, "{text:?}");
        }
    }
}

//! Numbers of any length, as versions have them: dates and commit counts overflow every integer sooner or later.

use std::cmp::Ordering;

/// A run of ASCII digits by its value. An empty run is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Number<'a>(&'a str);

impl<'a> Number<'a> {
    /// The value of `digits`, which the caller knows to be ASCII digits.
    pub(super) fn new(digits: &'a str) -> Self {
        Self(digits.trim_start_matches('0'))
    }

    pub(super) fn is_zero(self) -> bool {
        self.0.is_empty()
    }
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(other.0))
    }
}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Splits off the leading ASCII digits.
pub(super) fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// Splits off the leading ASCII letters.
pub(super) fn letters(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_alphabetic).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_counts_not_spelling() {
        let order = |a, b| Number::new(a).cmp(&Number::new(b));
        assert_eq!(order("007", "7"), Ordering::Equal);
        assert_eq!(order("9", "10"), Ordering::Less);
        assert_eq!(order("99999999999999999999999999", "100000000000000000000000000"), Ordering::Less);
        assert_eq!(order("", "0"), Ordering::Equal);
        assert!(Number::new("000").is_zero());
    }
}

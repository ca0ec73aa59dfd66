//! Alpine: `1.2.3a_rc1_p2~hash-r4` (apk-package(5), apk-tools' own comparison).

use std::cmp::Ordering;

use super::number::{Number, digits};

pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (tokens(a.trim())?, tokens(b.trim())?);
    for index in 0.. {
        let (one, two) = (a.get(index).unwrap_or(&Token::End), b.get(index).unwrap_or(&Token::End));
        let order = token(one, two);
        if order.is_ne() || *one == Token::End {
            return Some(order);
        }
    }
    None
}

/// A part of a version, in the order in which they may follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    First(&'a str),
    Digits(&'a str),
    Letter(u8),
    /// Rank of the word: below zero comes before the version without it.
    Suffix(i8),
    SuffixNumber(&'a str),
    Hash(&'a str),
    Revision(&'a str),
    End,
}

impl Token<'_> {
    fn place(&self) -> u8 {
        match self {
            Self::First(_) => 0,
            Self::Digits(_) => 1,
            Self::Letter(_) => 2,
            Self::Suffix(_) => 3,
            Self::SuffixNumber(_) => 4,
            Self::Hash(_) => 5,
            Self::Revision(_) => 6,
            Self::End => 7,
        }
    }
}

fn token(a: &Token<'_>, b: &Token<'_>) -> Ordering {
    match (a, b) {
        // A leading zero makes it a fraction, as Gentoo has it.
        (Token::Digits(a), Token::Digits(b)) if a.starts_with('0') || b.starts_with('0') => a.cmp(b),
        (Token::First(a), Token::First(b))
        | (Token::Digits(a), Token::Digits(b))
        | (Token::SuffixNumber(a), Token::SuffixNumber(b))
        | (Token::Revision(a), Token::Revision(b)) => Number::new(a).cmp(&Number::new(b)),
        (Token::Letter(a), Token::Letter(b)) => a.cmp(b),
        (Token::Suffix(a), Token::Suffix(b)) => a.cmp(b),
        (Token::Hash(a), Token::Hash(b)) => a.cmp(b),
        (Token::Suffix(rank), _) if *rank < 0 => Ordering::Less,
        (_, Token::Suffix(rank)) if *rank < 0 => Ordering::Greater,
        // Whatever goes on longer is newer.
        _ => b.place().cmp(&a.place()),
    }
}

const WORDS: [(&str, i8); 9] =
    [("alpha", -4), ("beta", -3), ("pre", -2), ("rc", -1), ("cvs", 1), ("svn", 2), ("git", 3), ("hg", 4), ("p", 5)];

fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let (first, mut rest) = digits(text);
    let mut tokens = vec![Token::First(first)];
    if first.is_empty() {
        return None;
    }
    while let Some(after) = rest.strip_prefix('.') {
        let (number, next) = digits(after);
        if number.is_empty() {
            return None;
        }
        tokens.push(Token::Digits(number));
        rest = next;
    }
    if let Some(letter) = rest.bytes().next().filter(u8::is_ascii_lowercase) {
        tokens.push(Token::Letter(letter));
        rest = &rest[1..];
    }
    while let Some(after) = rest.strip_prefix('_') {
        let (word, rank) = WORDS.iter().find(|(word, _)| after.starts_with(word))?;
        let (number, next) = digits(&after[word.len()..]);
        tokens.push(Token::Suffix(*rank));
        if !number.is_empty() {
            tokens.push(Token::SuffixNumber(number));
        }
        rest = next;
    }
    if let Some(after) = rest.strip_prefix('~') {
        let length = after.bytes().take_while(u8::is_ascii_hexdigit).count();
        tokens.push(Token::Hash(&after[..length]));
        rest = &after[length..];
    }
    if let Some(after) = rest.strip_prefix("-r") {
        let (number, next) = digits(after);
        if number.is_empty() {
            return None;
        }
        tokens.push(Token::Revision(number));
        rest = next;
    }
    rest.is_empty().then_some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_to_newer() {
        let rising = [
            "1.0_alpha",
            "1.0_alpha1",
            "1.0_beta",
            "1.0_pre1",
            "1.0_rc1",
            "1.0_rc1-r1",
            "1.0",
            "1.0-r0",
            "1.0-r2",
            "1.0-r10",
            "1.0_git20200101",
            "1.0_p1",
            "1.0_p1-r1",
            "1.0a",
            "1.0b-r1",
            "1.0.1",
            "1.2",
            "1.10",
            "2",
        ];
        for pair in rising.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Some(Ordering::Less), "{pair:?}");
        }
        assert_eq!(compare("1.01", "1.1"), Some(Ordering::Less));
        assert_eq!(compare("01", "1"), Some(Ordering::Equal));
    }

    #[test]
    fn other_text_is_no_version() {
        for text in ["", "a", "1.", "1_foo", "1-r", "1-2", "1.0 "] {
            assert_eq!(compare(text, "1").is_some(), text == "1.0 ", "{text:?}");
        }
    }
}

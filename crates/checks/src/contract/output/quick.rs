//! Transcripts, judged while they are read: one pass over the bytes and no tree. Says only "surely valid"; whatever it is not sure of is for the slow
//! and thorough way, which also says why.
//!
//! Times and words, which make up nearly all of a transcript, are read here. Everything else in it is read and checked as a small tree of its own.

use super::{
    ROOT, aion,
    blocks::SERIES_ITEM,
    preamble,
    shape::{Checker, Shape},
    transcript,
};
use crate::contract::json::{self, Caps, Member, Node, Value};

/// Digits of a whole number that is exact in every reader.
const DIGITS: usize = 15;

/// More words in one slot than this are looked at as a tree.
const ALTERNATIVES: usize = 16;

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Whether the bytes are surely a document that keeps the contract `transcript` and names it and no other.
pub fn is_valid_transcript(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| Quick { text, bytes, at: 0, values: 0 }.document().is_some())
}

/// A word among others.
struct Word<'a> {
    text: &'a str,
    best: bool,
    /// It has a confidence and a length.
    measured: bool,
}

struct Quick<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    values: usize,
}

/// `None` always means "not sure".
impl<'a> Quick<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Goes past a sign and the space around it.
    fn sign(&mut self, sign: u8) -> Option<()> {
        if self.peek() != Some(sign) {
            self.space();
            if self.peek() != Some(sign) {
                return None;
            }
        }
        self.at += 1;
        if self.peek().is_some_and(|byte| byte <= b' ') {
            self.space();
        }
        Some(())
    }

    /// Whether a list or object goes on behind a value; stands on what follows then.
    fn goes_on(&mut self, closing: u8) -> Option<bool> {
        if self.peek().is_some_and(|byte| byte <= b' ') {
            self.space();
        }
        match self.peek()? {
            b',' => {
                self.sign(b',')?;
                Some(true)
            }
            byte if byte == closing => {
                self.at += 1;
                Some(false)
            }
            _ => None,
        }
    }

    fn document(mut self) -> Option<()> {
        self.space();
        self.sign(b'{')?;
        self.values = 1;
        let (mut rest, mut has_series): (Vec<Member<'a>>, bool) = (Vec::new(), false);
        loop {
            let at = self.at;
            let key = self.key()?;
            if key == "series" {
                if std::mem::replace(&mut has_series, true) {
                    return None;
                }
                self.series()?;
            } else {
                rest.push(Member { key: key.into(), at, node: self.tree()? });
            }
            if !self.goes_on(b'}')? {
                break;
            }
        }
        self.space();
        let last = rest.iter().rfind(|member| member.key == "validationContracts");
        let named = last?.node.value.list()?.iter().map(|name| name.value.text()).collect::<Vec<_>>() == [Some(transcript::CONTRACT.name)];
        let root = Node { at: 0, value: Value::Object(rest) };
        let mut checker = Checker::default();
        preamble::check(&root, &mut checker);
        aion::check(&root, &mut checker);
        let whole = self.at == self.bytes.len() && self.values <= Caps::RESULT.values;
        (has_series && named && whole && checker.is_clean()).then_some(())
    }

    /// A key without escapes and the colon behind it.
    fn key(&mut self) -> Option<&'a str> {
        let key = self.string()?;
        self.sign(b':')?;
        Some(key)
    }

    /// Goes past a key if it stands here exactly like this, with its colon: most do.
    fn is_key<const N: usize>(&mut self, written: &[u8; N]) -> bool {
        let stands = self.bytes.get(self.at..self.at + N).is_some_and(|bytes| bytes == written);
        if stands {
            self.at += N;
            if self.peek().is_some_and(|byte| byte <= b' ') {
                self.space();
            }
        }
        stands
    }

    /// A text without escapes.
    fn string(&mut self) -> Option<&'a str> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let begin = self.at + 1;
        let mut at = begin;
        loop {
            let Some(eight) = self.bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok()).map(u64::from_le_bytes) else {
                let rest = self.bytes.get(at..)?;
                at += rest.iter().position(|byte| *byte == b'"' || *byte == b'\\' || *byte < 0x20)?;
                break;
            };
            let found = ends_text(eight);
            if found != 0 {
                at += (found.trailing_zeros() / 8) as usize;
                break;
            }
            at += 8;
        }
        self.at = at + 1;
        // A quote is never in the middle of a character.
        if self.bytes[at] == b'"' { self.text.get(begin..at) } else { None }
    }

    /// Any value, as a tree.
    fn tree(&mut self) -> Option<Node<'a>> {
        let left = Caps { values: Caps::RESULT.values.checked_sub(self.values)?, depth: Caps::RESULT.depth - 4 };
        let (node, end, values) = json::read_value(self.text, self.at, left).ok()?;
        self.at = end;
        self.values += values;
        Some(node)
    }

    fn series(&mut self) -> Option<()> {
        self.sign(b'[')?;
        self.values += 1;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Some(());
        }
        loop {
            self.slice()?;
            if !self.goes_on(b']')? {
                return Some(());
            }
        }
    }

    fn slice(&mut self) -> Option<()> {
        self.sign(b'{')?;
        self.values += 1;
        let mut has = 0u8;
        loop {
            if self.is_key(b"\"startTimeMs\":") {
                has |= 1;
                self.whole(false)?;
            } else if self.is_key(b"\"stopTimeMs\":") {
                has |= 2;
                self.whole(false)?;
            } else if self.is_key(b"\"words\":") {
                has |= 4;
                self.words()?;
            } else {
                has |= self.other_of_slice()?;
            }
            if !self.goes_on(b'}')? {
                break;
            }
        }
        (has == 7).then_some(())
    }

    /// Any key of a slice and its value; says which of the needed ones it was.
    fn other_of_slice(&mut self) -> Option<u8> {
        match self.key()? {
            "startTimeMs" => self.whole(false).map(|()| 1),
            "stopTimeMs" => self.whole(false).map(|()| 2),
            "words" => self.words().map(|()| 4),
            "speakerId" | "language" => {
                self.values += 1;
                self.string().map(|_| 0)
            }
            other => {
                let (_, shape) = SERIES_ITEM.fields.iter().find(|(known, _)| *known == other)?;
                self.checked(shape).map(|_| 0)
            }
        }
    }

    /// A value that is checked as a tree.
    fn checked(&mut self, shape: &Shape) -> Option<Node<'a>> {
        let node = self.tree()?;
        let mut checker = Checker::default();
        checker.check(shape, &node, &ROOT);
        checker.is_clean().then_some(node)
    }

    /// One word, or a lattice of them.
    fn words(&mut self) -> Option<()> {
        let begin = self.at;
        self.sign(b'[')?;
        self.values += 1;
        let first = self.word()?;
        if !self.goes_on(b']')? {
            return Some(());
        }
        // Alternatives have rules among each other: all are measured, one is the best, none is there twice.
        let (mut texts, mut count, mut best, mut measured) = ([first.text; ALTERNATIVES], 1, usize::from(first.best), first.measured);
        loop {
            let word = self.word()?;
            if count == ALTERNATIVES || texts[..count].contains(&word.text) {
                return self.lattice(begin);
            }
            texts[count] = word.text;
            count += 1;
            best += usize::from(word.best);
            measured &= word.measured;
            if !self.goes_on(b']')? {
                return (measured && best == 1).then_some(());
            }
        }
    }

    /// Many alternatives, or two that may be the same.
    fn lattice(&mut self, begin: usize) -> Option<()> {
        self.at = begin;
        let (_, shape) = SERIES_ITEM.fields.iter().find(|(known, _)| *known == "words")?;
        let words = self.checked(shape)?;
        (transcript::best_paths(words.value.list()?) == 1).then_some(())
    }

    fn word(&mut self) -> Option<Word<'a>> {
        self.sign(b'{')?;
        self.values += 1;
        let (mut text, mut best, mut has) = (None, false, 0u8);
        loop {
            let key = match () {
                () if self.is_key(b"\"word\":") => "word",
                () if self.is_key(b"\"confidence\":") => "confidence",
                () if self.is_key(b"\"bestPath\":") => "bestPath",
                () if self.is_key(b"\"utteranceLength\":") => "utteranceLength",
                () => self.key()?,
            };
            match key {
                "word" => {
                    self.values += 1;
                    text = Some(self.string()?);
                }
                "confidence" => {
                    has |= 1;
                    self.unit()?;
                }
                "utteranceLength" => {
                    has |= 2;
                    self.whole(true)?;
                }
                "bestPath" => best = self.flag()?,
                _ => return None,
            }
            if !self.goes_on(b'}')? {
                return Some(Word { text: text?, best, measured: has == 3 });
            }
        }
    }

    fn digits(&mut self) -> usize {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - begin
    }

    /// A whole number from 0 or from 1 on, written without fraction and exponent.
    fn whole(&mut self, from_one: bool) -> Option<()> {
        self.values += 1;
        let first = self.peek()?;
        let count = self.digits();
        let written = (1..=DIGITS).contains(&count) && (first != b'0' || (count == 1 && !from_one));
        (written && self.at_end_of_number()).then_some(())
    }

    /// A number from 0 to 1, written as `0`, `1`, `0.93` or `1.0`.
    fn unit(&mut self) -> Option<()> {
        self.values += 1;
        let first = self.peek()?;
        self.at += 1;
        if self.peek() == Some(b'.') {
            self.at += 1;
            let begin = self.at;
            let count = self.digits();
            let one_is_whole = first != b'1' || self.bytes[begin..begin + count].iter().all(|byte| *byte == b'0');
            if count == 0 || !one_is_whole {
                return None;
            }
        }
        (matches!(first, b'0' | b'1') && self.at_end_of_number()).then_some(())
    }

    fn at_end_of_number(&self) -> bool {
        matches!(self.peek(), Some(b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'))
    }

    fn flag(&mut self) -> Option<bool> {
        self.values += 1;
        let rest = self.bytes.get(self.at..)?;
        let flag = rest.starts_with(b"true");
        if !flag && !rest.starts_with(b"false") {
            return None;
        }
        self.at += if flag { 4 } else { 5 };
        Some(flag)
    }
}

/// Marks the first of eight bytes that is a quote, a backslash or a control character; nothing below it is marked.
fn ends_text(eight: u64) -> u64 {
    let is_zero = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
    let control = eight.wrapping_sub(LOW * 0x20) & !eight & HIGH;
    is_zero(eight ^ (LOW * 0x22)) | is_zero(eight ^ (LOW * 0x5c)) | control
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::contract::output::validate;

    const VALID: &str = r#"{"validationContracts":["transcript"],"language":"en","series":[
        {"startTimeMs":0,"stopTimeMs":320,"words":[{"word":"The","confidence":0.93,"utteranceLength":1,"bestPath":true}],"speakerId":"1"},
        {"startTimeMs": 320 , "stopTimeMs": 640, "words": [ { "word": "hörbar", "confidence": 1.0 } ], "sentiment": {"positiveValue": 0.5}},
        {"startTimeMs":640,"stopTimeMs":700,"words":[{"word":"a","confidence":0.6,"utteranceLength":1,"bestPath":true},{"word":"b","confidence":0.4,"utteranceLength":2}]},
        {"startTimeMs":700,"stopTimeMs":701,"words":[{"word":""}]}],"taskId":"7"}"#;

    fn thoroughly(bytes: &[u8]) -> bool {
        let Ok(document) = json::read(bytes, Caps::RESULT) else { return false };
        let named = super::super::names_of(&document.root).is_some_and(|names| names == ["transcript"]);
        let verdict = validate(&document.root, &[&transcript::CONTRACT]);
        named && verdict.violations.is_empty() && verdict.more == 0
    }

    #[test]
    fn ordinary_transcripts_are_surely_valid() {
        let compact: String = VALID.lines().map(str::trim).collect();
        for text in [VALID, &compact, r#"{"series":[],"validationContracts":["transcript"]}"#] {
            assert!(is_valid_transcript(text.as_bytes()) && thoroughly(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn whatever_is_wrong_or_unusual_is_not_surely_valid() {
        for (from, to) in [
            ("\"word\":\"The\"", "\"wrod\":\"The\""),
            ("\"word\":\"The\"", "\"word\":\"The\",\"start\":1"),
            ("\"word\":\"The\"", "\"word\":\"T\\\"he\""),
            ("\"word\":\"The\"", "\"word\":\"T\nhe\""),
            ("0.93", "1.01"),
            ("0.93", "93"),
            ("0.93", "-0.1"),
            ("0.93", "0.9e1"),
            ("0.93", "\"0.93\""),
            ("0.93", "00.93"),
            ("\"utteranceLength\":1,", "\"utteranceLength\":0,"),
            ("\"startTimeMs\":0,", "\"startTimeMs\":-1,"),
            ("\"startTimeMs\":0,", "\"startTimeMs\":1.5,"),
            ("\"startTimeMs\":0,", "\"startTimeMs\":00,"),
            ("\"startTimeMs\":0,", ""),
            ("\"bestPath\":true},{", "\"bestPath\":false},{"),
            ("\"confidence\":0.4,", ""),
            (
                "{\"word\":\"b\",\"confidence\":0.4,\"utteranceLength\":2}",
                "{\"word\":\"a\",\"confidence\":0.6,\"utteranceLength\":1,\"bestPath\":true}",
            ),
            ("\"positiveValue\": 0.5", "\"positiveValue\": 5"),
            ("[\"transcript\"]", "[\"transcript\",\"keyword\"]"),
            ("[\"transcript\"]", "[]"),
            ("\"language\":\"en\"", "\"language\":7"),
            ("\"taskId\":\"7\"}", "\"taskId\":\"7\"}x"),
            ("\"taskId\":\"7\"}", "\"taskId\":\"7\",}"),
            ("\"speakerId\":\"1\"}", "\"speakerId\":\"1\",}"),
        ] {
            assert_eq!(VALID.matches(from).count().min(1), 1, "{from}");
            assert!(!is_valid_transcript(VALID.replacen(from, to, 1).as_bytes()), "{from} -> {to}");
        }
        assert!(!is_valid_transcript(b"") && !is_valid_transcript(b"{}") && !is_valid_transcript(b"{\"series\":[]}"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn what_is_surely_valid_is_valid(at in 0usize..VALID.len(), byte in prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:0123456789.-ew \\\n".to_vec())], cut in any::<bool>()) {
            let mut bytes = VALID.as_bytes().to_vec();
            if cut { bytes.remove(at); } else { bytes[at] = byte; }
            if is_valid_transcript(&bytes) {
                prop_assert!(thoroughly(&bytes), "{}", String::from_utf8_lossy(&bytes));
            }
        }

        #[test]
        fn eight_bytes_are_looked_at_as_one_by_one(bytes in any::<[u8; 8]>()) {
            let found = ends_text(u64::from_le_bytes(bytes));
            let expected = bytes.iter().position(|byte| *byte == b'"' || *byte == b'\\' || *byte < 0x20);
            prop_assert_eq!((found != 0).then(|| (found.trailing_zeros() / 8) as usize), expected);
        }
    }
}

//! Transcripts, judged while they are read: one pass over the bytes and no tree. Says only "surely valid", and what catches the eye all the same;
//! whatever it is not sure of is for the thorough way, which also says why.
//!
//! Times and words, which make up nearly all of a transcript, are read here. Everything else in it is read and checked as a small tree of its own.

use super::{
    ROOT, aion,
    blocks::SERIES_ITEM,
    preamble,
    sense::{Sense, Sensing, Slice, is_blank},
    shape::{Checker, Shape},
    transcript,
};
use crate::contract::json::{self, Caps, Member, Node, Value, end_of_text};

/// Digits of a whole number that is exact in every reader.
const DIGITS: usize = 15;

/// Fields of a slice that are read here, by their place in the list of its fields.
const START: usize = 0;
const STOP: usize = 1;
const SPEAKER: usize = 4;
const WORDS: usize = 5;
/// Those every slice of a transcript has.
const NEEDED: u32 = 1 << START | 1 << STOP | 1 << WORDS;

/// More words in one slot than this are looked at as a tree.
const ALTERNATIVES: usize = 16;

/// Decimals below which a number that is written without an exponent is never rounded to 0 or 1.
const DECIMALS: usize = 16;

/// More decimals than this are for a reader of numbers.
const MOST_DECIMALS: usize = 300;

/// Whether the bytes are surely a document that keeps the contract `transcript` and names it and no other.
pub fn is_valid_transcript(bytes: &[u8]) -> bool {
    transcript(bytes).is_some()
}

/// What catches the eye in a document that surely keeps the contract `transcript` and names it and no other; `None` if that is not sure.
pub(super) fn transcript(bytes: &[u8]) -> Option<Sense> {
    let text = std::str::from_utf8(bytes).ok()?;
    Quick { text, bytes, at: 0, values: 0, sensing: Sensing::default() }.document()
}

/// A word among others.
struct Word<'a> {
    /// The text, if it has no escapes.
    text: Option<&'a str>,
    best: bool,
    /// It has a confidence and a length.
    measured: bool,
}

struct Quick<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    values: usize,
    sensing: Sensing<'a>,
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

    fn document(mut self) -> Option<Sense> {
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
        (has_series && named && whole && checker.is_clean()).then(|| self.sensing.rest(&root))
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
        let (at, end) = end_of_text(self.bytes, begin)?;
        if end != b'"' {
            return None;
        }
        self.at = at + 1;
        // A quote is never in the middle of a character.
        self.text.get(begin..at)
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
        let mut slice = Slice { start: None, stop: None, speaker: None, alternatives: false };
        let mut others = Vec::new();
        // Fields seen, by their place in the list. Of a field that is there twice the last one counts: that is for the thorough way.
        let mut seen = 0u32;
        loop {
            let field = if self.is_key(b"\"startTimeMs\":") {
                START
            } else if self.is_key(b"\"stopTimeMs\":") {
                STOP
            } else if self.is_key(b"\"words\":") {
                WORDS
            } else {
                let key = self.key()?;
                SERIES_ITEM.fields.iter().position(|(known, _)| *known == key)?
            };
            if seen & (1 << field) != 0 {
                return None;
            }
            seen |= 1 << field;
            match field {
                START => slice.start = Some(self.whole(false)?),
                STOP => slice.stop = Some(self.whole(false)?),
                WORDS => slice.alternatives = self.words()? > 1,
                SPEAKER => slice.speaker = Some(self.speaker()?),
                _ => others.extend(self.other_of_slice(field)?),
            }
            if !self.goes_on(b'}')? {
                break;
            }
        }
        if !others.is_empty() {
            self.sensing.beside(&Node { at: 0, value: Value::Object(others) });
        }
        self.sensing.slice(slice);
        (seen & NEEDED == NEEDED).then_some(())
    }

    fn speaker(&mut self) -> Option<&'a str> {
        self.values += 1;
        self.string()
    }

    /// Any other field of a slice; given back if its value may catch the eye.
    fn other_of_slice(&mut self, field: usize) -> Option<Option<Member<'a>>> {
        let (key, shape) = SERIES_ITEM.fields.get(field)?;
        let at = self.at;
        let node = self.checked(shape)?;
        Some(matches!(*key, "language" | "object" | "media").then(|| Member { key: (*key).into(), at, node }))
    }

    /// A value that is checked as a tree.
    fn checked(&mut self, shape: &Shape) -> Option<Node<'a>> {
        let node = self.tree()?;
        let mut checker = Checker::default();
        checker.check(shape, &node, &ROOT);
        checker.is_clean().then_some(node)
    }

    /// One word, or a lattice of them; gives how many.
    fn words(&mut self) -> Option<usize> {
        let begin = self.at;
        self.sign(b'[')?;
        self.values += 1;
        let first = self.word()?;
        if !self.goes_on(b']')? {
            return Some(1);
        }
        // Alternatives have rules among each other: all are measured, one is the best, none is there twice.
        let (mut texts, mut count, mut best, mut measured) = ([""; ALTERNATIVES], 0, 0, true);
        let (mut word, mut more, mut simple) = (first, true, true);
        loop {
            match word.text {
                Some(text) if simple && count < ALTERNATIVES && !texts[..count].contains(&text) => texts[count] = text,
                _ => simple = false,
            }
            count += 1;
            best += usize::from(word.best);
            measured &= word.measured;
            if !more {
                break;
            }
            word = self.word()?;
            more = self.goes_on(b']')?;
        }
        (measured && best == 1 && (simple || self.is_lattice(begin)?)).then_some(count)
    }

    /// Looks again, as a tree, at many alternatives or at some that may be the same; stands behind them before and after.
    fn is_lattice(&mut self, begin: usize) -> Option<bool> {
        let (_, shape) = SERIES_ITEM.fields.get(WORDS)?;
        let (end, values) = (std::mem::replace(&mut self.at, begin), self.values);
        self.checked(shape)?;
        (self.at, self.values) = (end, values);
        Some(true)
    }

    fn word(&mut self) -> Option<Word<'a>> {
        self.sign(b'{')?;
        self.values += 1;
        let (mut text, mut best, mut seen) = (None, false, 0u8);
        loop {
            let (bit, key) = match () {
                () if self.is_key(b"\"word\":") => (8, "word"),
                () if self.is_key(b"\"confidence\":") => (1, "confidence"),
                () if self.is_key(b"\"bestPath\":") => (4, "bestPath"),
                () if self.is_key(b"\"utteranceLength\":") => (2, "utteranceLength"),
                () => match self.key()? {
                    key @ "word" => (8, key),
                    key @ "confidence" => (1, key),
                    key @ "bestPath" => (4, key),
                    key @ "utteranceLength" => (2, key),
                    _ => return None,
                },
            };
            if seen & bit != 0 {
                return None;
            }
            seen |= bit;
            match key {
                "word" => text = self.word_text()?,
                "confidence" => self.unit()?,
                "utteranceLength" => drop(self.whole(true)?),
                _ => best = self.flag()?,
            }
            if !self.goes_on(b'}')? {
                return (seen & 8 != 0).then_some(Word { text, best, measured: seen & 3 == 3 });
            }
        }
    }

    /// The text of a word, if it has no escapes.
    fn word_text(&mut self) -> Option<Option<&'a str>> {
        let at = self.at;
        if let Some(text) = self.string() {
            self.values += 1;
            self.sensing.says = self.sensing.says || !is_blank(text);
            return Some(Some(text));
        }
        self.at = at;
        let node = self.tree()?;
        self.sensing.says = self.sensing.says || !is_blank(node.value.text()?);
        Some(None)
    }

    fn digits(&mut self) -> usize {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - begin
    }

    /// A whole number from 0 or from 1 on, written without fraction and exponent.
    fn whole(&mut self, from_one: bool) -> Option<u64> {
        self.values += 1;
        let (begin, mut number) = (self.at, 0u64);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        let count = self.at - begin;
        let leading = self.bytes.get(begin) == Some(&b'0');
        let written = (1..=DIGITS).contains(&count) && (!leading || (count == 1 && !from_one));
        (written && self.at_end_of_number()).then_some(number)
    }

    /// A number from 0 to 1, written as `0`, `1`, `0.93` or `1.0`.
    fn unit(&mut self) -> Option<()> {
        self.values += 1;
        let first = self.peek()?;
        self.at += 1;
        let mut is_whole = true;
        if self.peek() == Some(b'.') {
            self.at += 1;
            let begin = self.at;
            let count = self.digits();
            let decimals = &self.bytes[begin..begin + count];
            is_whole = decimals.iter().all(|byte| *byte == b'0');
            let rounded = count > MOST_DECIMALS || (count > DECIMALS && decimals.first() == Some(&b'9'));
            if count == 0 || rounded {
                return None;
            }
        }
        let confidence = match (first, is_whole) {
            (b'0', true) => 0.0,
            (b'0', false) => 0.5,
            (b'1', true) => 1.0,
            _ => return None,
        };
        self.sensing.confidences.add(confidence);
        self.at_end_of_number().then_some(())
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

#[cfg(test)]
mod tests;

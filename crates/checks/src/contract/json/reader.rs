//! The reader itself: one pass, no copy of texts without escapes, recursion bounded by the depth cap.

use std::borrow::Cow;

use super::{Caps, Document, Member, Node, Problem, ProblemKind, Value};

const BOM: &[u8] = &[0xef, 0xbb, 0xbf];

/// Reads a document.
///
/// # Errors
/// The first [`Problem`], with its place.
pub fn read(bytes: &[u8], caps: Caps) -> Result<Document<'_>, Problem> {
    if let Some(encoding) = foreign_encoding(bytes) {
        return Err(Problem { at: 0, kind: ProblemKind::Encoding(encoding) });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Problem { at: error.valid_up_to(), kind: ProblemKind::NotUtf8 })?;
    let bom = bytes.starts_with(BOM);
    let mut reader = Reader { at: if bom { BOM.len() } else { 0 }, ..Reader::new(text, caps) };
    reader.space()?;
    if reader.peek().is_none() {
        return Err(reader.problem(ProblemKind::Empty));
    }
    let root = reader.value(0)?;
    reader.space()?;
    match reader.peek() {
        None => Ok(Document { root, bom }),
        Some(_) => Err(reader.problem(ProblemKind::Trailing)),
    }
}

/// Reads the value that begins at an offset of a text; gives it, the offset behind it, and how many values it holds.
///
/// # Errors
/// The first [`Problem`], with its place.
pub(crate) fn read_value(text: &str, at: usize, caps: Caps) -> Result<(Node<'_>, usize, usize), Problem> {
    let mut reader = Reader { at, ..Reader::new(text, caps) };
    let node = reader.value(0)?;
    Ok((node, reader.at, reader.values))
}

/// Names an encoding that is not UTF-8, from its mark or from where its zero bytes are.
fn foreign_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        [0, 0, 0, first, ..] | [first, 0, 0, 0, ..] if *first != 0 => Some("UTF-32"),
        [0, first, ..] | [first, 0, ..] if *first != 0 => Some("UTF-16"),
        _ => None,
    }
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Where the next quote, backslash or control character stands, from an offset on, and which it is. Looks at eight bytes at a time.
#[inline]
pub(crate) fn end_of_text(bytes: &[u8], mut at: usize) -> Option<(usize, u8)> {
    while let Some(eight) = bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok()).map(u64::from_le_bytes) {
        let found = ends_text(eight);
        if found != 0 {
            at += (found.trailing_zeros() / 8) as usize;
            return Some((at, bytes[at]));
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    at += rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20))?;
    Some((at, bytes[at]))
}

/// Marks the first of eight bytes that is a quote, a backslash or a control character; nothing below it is marked.
fn ends_text(eight: u64) -> u64 {
    let is_zero = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
    let control = eight.wrapping_sub(LOW * 0x20) & !eight & HIGH;
    is_zero(eight ^ (LOW * 0x22)) | is_zero(eight ^ (LOW * 0x5c)) | control
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    values: usize,
    caps: Caps,
    /// Items of the lists and members of the objects that are still open, innermost last: each list gets room for exactly what it holds.
    items: Vec<Node<'a>>,
    members: Vec<Member<'a>>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, caps: Caps) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, values: 0, caps, items: Vec::new(), members: Vec::new() }
    }

    fn problem(&self, kind: ProblemKind) -> Problem {
        Problem { at: self.at, kind }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Goes past white space; a comment is told as one.
    fn space(&mut self) -> Result<(), Problem> {
        if self.peek().is_some_and(|byte| byte > b' ' && byte != b'#' && byte != b'/') {
            return Ok(());
        }
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
        match (self.peek(), self.bytes.get(self.at + 1)) {
            (Some(b'#'), _) | (Some(b'/'), Some(b'/' | b'*')) => Err(self.problem(ProblemKind::Comment)),
            _ => Ok(()),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, Problem> {
        self.values += 1;
        if self.values > self.caps.values {
            return Err(self.problem(ProblemKind::TooMany(self.caps.values)));
        }
        let at = self.at;
        let value = match self.peek() {
            Some(b'{') => Value::Object(self.object(depth)?),
            Some(b'[') => Value::List(self.list(depth)?),
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            Some(b't') if self.word("true") => Value::Flag(true),
            Some(b'f') if self.word("false") => Value::Flag(false),
            Some(b'n') if self.word("null") => Value::Null,
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Node { at, value })
    }

    /// Takes a word if it stands here as a whole.
    fn word(&mut self, word: &str) -> bool {
        let end = self.at + word.len();
        let stands = self.bytes.get(self.at..end) == Some(word.as_bytes())
            && !self.bytes.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        if stands {
            self.at = end;
        }
        stands
    }

    /// What stands here instead of `expected`, in the words that help most.
    fn unexpected(&self, expected: &'static str) -> Problem {
        let rest = &self.text[self.at..];
        let kind = match rest.chars().next() {
            None => ProblemKind::Truncated(expected),
            Some('\'' | '\u{2018}' | '\u{2019}') => ProblemKind::SingleQuotes,
            Some(first) if first.is_alphabetic() || first == '_' => {
                ProblemKind::BareWord(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').take(40).collect())
            }
            Some('+' | '.') => ProblemKind::Number,
            Some(found) => ProblemKind::Unexpected { found, expected },
        };
        self.problem(kind)
    }

    fn deeper(&self, depth: usize) -> Result<usize, Problem> {
        if depth == self.caps.depth { Err(self.problem(ProblemKind::TooDeep(self.caps.depth))) } else { Ok(depth + 1) }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node<'a>>, Problem> {
        let depth = self.deeper(depth)?;
        let begin = self.items.len();
        self.at += 1;
        self.space()?;
        if self.take(b']') {
            return Ok(Vec::new());
        }
        loop {
            let item = self.value(depth)?;
            self.items.push(item);
            self.space()?;
            if self.take(b']') {
                return Ok(self.items.drain(begin..).collect());
            }
            self.comma("a comma or ]", b']')?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Vec<Member<'a>>, Problem> {
        let depth = self.deeper(depth)?;
        let begin = self.members.len();
        self.at += 1;
        self.space()?;
        if self.take(b'}') {
            return Ok(Vec::new());
        }
        loop {
            let at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key in double quotes"));
            }
            let key = self.string()?;
            self.space()?;
            if !self.take(b':') {
                return Err(self.unexpected("a colon"));
            }
            self.space()?;
            let node = self.value(depth)?;
            self.members.push(Member { key, at, node });
            self.space()?;
            if self.take(b'}') {
                return Ok(self.members.drain(begin..).collect());
            }
            self.comma("a comma or }", b'}')?;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let stands = self.peek() == Some(byte);
        self.at += usize::from(stands);
        stands
    }

    /// Goes past a comma and the space behind it; `closing` may not follow.
    fn comma(&mut self, expected: &'static str, closing: u8) -> Result<(), Problem> {
        let comma = self.at;
        if !self.take(b',') {
            return Err(self.unexpected(expected));
        }
        self.space()?;
        if self.peek() == Some(closing) {
            return Err(Problem { at: comma, kind: ProblemKind::TrailingComma });
        }
        Ok(())
    }

    fn number(&mut self) -> Result<&'a str, Problem> {
        let begin = self.at;
        let malformed = Problem { at: begin, kind: ProblemKind::Number };
        self.take(b'-');
        let whole = self.digits();
        let leading_zero = whole > 1 && self.bytes.get(self.at - whole) == Some(&b'0');
        if whole == 0 || leading_zero || (self.take(b'.') && self.digits() == 0) {
            return Err(malformed);
        }
        let has_exponent = self.take(b'e') || self.take(b'E');
        if has_exponent {
            let _sign = self.take(b'+') || self.take(b'-');
            if self.digits() == 0 {
                return Err(malformed);
            }
        }
        if self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-')) {
            return Err(malformed);
        }
        let text = &self.text[begin..self.at];
        // Without an exponent, a number this short is finite: parsing it can wait until somebody needs it.
        let surely_finite = text.len() < 300 && !has_exponent;
        if !surely_finite && !text.parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(Problem { at: begin, kind: ProblemKind::NumberRange });
        }
        Ok(text)
    }

    fn digits(&mut self) -> usize {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - begin
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Problem> {
        self.at += 1;
        let begin = self.at;
        match self.plain_part()? {
            b'"' => {
                let text = &self.text[begin..self.at];
                self.at += 1;
                Ok(Cow::Borrowed(text))
            }
            _ => self.escaped(begin).map(Cow::Owned),
        }
    }

    /// Goes to the next quote or backslash and says which.
    fn plain_part(&mut self) -> Result<u8, Problem> {
        match end_of_text(self.bytes, self.at) {
            Some((at, byte)) => {
                self.at = at;
                if byte < 0x20 { Err(self.problem(ProblemKind::Control)) } else { Ok(byte) }
            }
            None => {
                self.at = self.bytes.len();
                Err(self.problem(ProblemKind::Truncated("the closing quote of a text")))
            }
        }
    }

    /// The rest of a text that has escapes; stands on the first backslash.
    fn escaped(&mut self, begin: usize) -> Result<String, Problem> {
        let mut text = self.text[begin..self.at].to_owned();
        loop {
            text.push(self.escape()?);
            let begin = self.at;
            let end = self.plain_part()?;
            text.push_str(&self.text[begin..self.at]);
            if end == b'"' {
                self.at += 1;
                return Ok(text);
            }
        }
    }

    fn escape(&mut self) -> Result<char, Problem> {
        let unknown = self.problem(ProblemKind::Escape);
        let surrogate = self.problem(ProblemKind::Surrogate);
        let letter = self.bytes.get(self.at + 1).copied();
        self.at += 2;
        let plain = match letter {
            Some(b'u') => None,
            Some(b'b') => Some('\u{8}'),
            Some(b'f') => Some('\u{c}'),
            Some(b'n') => Some('\n'),
            Some(b'r') => Some('\r'),
            Some(b't') => Some('\t'),
            Some(same @ (b'"' | b'\\' | b'/')) => Some(char::from(same)),
            _ => return Err(unknown),
        };
        if let Some(plain) = plain {
            return Ok(plain);
        }
        let first = self.hex().ok_or_else(|| unknown.clone())?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or(surrogate);
        }
        if first >= 0xdc00 || self.bytes.get(self.at..self.at + 2) != Some(b"\\u") {
            return Err(surrogate);
        }
        self.at += 2;
        let second = self.hex().ok_or(unknown)?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(surrogate);
        }
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(surrogate)
    }

    /// Four hexadecimal digits.
    fn hex(&mut self) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + 4)?;
        let value = digits.iter().try_fold(0, |sum, &digit| Some(sum * 16 + char::from(digit).to_digit(16)?))?;
        self.at += 4;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn eight_bytes_are_looked_at_as_one_by_one(bytes in prop::collection::vec(any::<u8>(), 0..40), from in 0usize..40) {
            let ends = |byte: &u8| *byte == b'"' || *byte == b'\\' || *byte < 0x20;
            let expected = bytes.iter().enumerate().skip(from).find(|(_, byte)| ends(byte)).map(|(at, byte)| (at, *byte));
            prop_assert_eq!(end_of_text(&bytes, from), expected);
        }
    }
}

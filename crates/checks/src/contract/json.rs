//! Reads JSON and remembers where everything stands. Strict (RFC 8259), with caps, and with an own word for each mistake people make.
//!
//! Duplicate keys are kept, so that whoever judges the document can tell of them; looked up by name, the last one counts.

use std::{borrow::Cow, fmt};

use model::finding::Position;

mod reader;

pub use reader::read;
pub(crate) use reader::{end_of_text, read_value};

/// How much of an untrusted document is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Lists and objects inside each other.
    pub depth: usize,
    /// Values of any kind, all together; what keeps the tree in memory small.
    pub values: usize,
}

impl Caps {
    /// For a manifest.
    pub const MANIFEST: Self = Self { depth: 32, values: 100_000 };
    /// For a result: ten hours of transcript have about half a million values.
    pub const RESULT: Self = Self { depth: 64, values: 2_000_000 };
}

/// A value and the byte it begins at.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<'a> {
    /// Offset in the file, bytes.
    pub at: usize,
    /// The value.
    pub value: Value<'a>,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Flag(bool),
    /// A number, as written; always finite.
    Number(&'a str),
    /// A text, without its escapes.
    Text(Cow<'a, str>),
    /// `[...]`
    List(Vec<Node<'a>>),
    /// `{...}`
    Object(Vec<Member<'a>>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Member<'a> {
    /// The key, without its escapes.
    pub key: Cow<'a, str>,
    /// Offset of the key, bytes.
    pub at: usize,
    /// The value.
    pub node: Node<'a>,
}

/// A whole document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document<'a> {
    /// Its value.
    pub root: Node<'a>,
    /// It began with a byte order mark.
    pub bom: bool,
}

/// Why a file is not the JSON it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Offset in the file, bytes.
    pub at: usize,
    /// What is wrong there.
    pub kind: ProblemKind,
}

/// What is wrong. `Display` is the end of a sentence that begins with "the file".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the sentences say it")]
pub enum ProblemKind {
    #[error("is empty")]
    Empty,
    #[error("is written in {0}; save it as UTF-8")]
    Encoding(&'static str),
    #[error("is not valid UTF-8; save it as UTF-8")]
    NotUtf8,
    #[error("has a comment; JSON knows none, remove it")]
    Comment,
    #[error("has a comma with nothing behind it; remove the comma")]
    TrailingComma,
    #[error("has a text in single quotes; JSON wants double quotes")]
    SingleQuotes,
    #[error("has the bare word {0:?}; write a text in double quotes, and true, false and null in lower case")]
    BareWord(String),
    #[error("has {found:?} where {expected} should be")]
    Unexpected { found: char, expected: &'static str },
    #[error("ends in the middle: {0} is missing")]
    Truncated(&'static str),
    #[error("has a line break or another control character inside a text; write it as \\n, \\t or \\u00XX")]
    Control,
    #[error("has an unknown escape in a text; JSON knows \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX")]
    Escape,
    #[error("has half of a surrogate pair in a \\u escape")]
    Surrogate,
    #[error("has a malformed number; write it like 12, -0.5 or 1e3")]
    Number,
    #[error("has a number that is too large")]
    NumberRange,
    #[error("nests lists and objects more than {0} deep")]
    TooDeep(usize),
    #[error("has more than {0} values")]
    TooMany(usize),
    #[error("goes on after the end of the document; one value is allowed, remove the rest")]
    Trailing,
}

impl<'a> Value<'a> {
    /// The name of its type, as error messages of validators have it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Flag(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(text) if is_short_whole(text) => {
                Some(text.bytes().fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0')) as f64)
            }
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Whether it is a number without a fraction, however it is written (`1.0` is one).
    pub fn is_integer(&self) -> bool {
        match self {
            Self::Number(text) if is_short_whole(text) => true,
            Self::Number(text) => !text.contains(['.', 'e', 'E']) || text.parse::<f64>().is_ok_and(|number| number.fract() == 0.0),
            _ => false,
        }
    }

    /// The items, if it is a list.
    pub fn list(&self) -> Option<&[Node<'a>]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// The members, if it is an object.
    pub fn object(&self) -> Option<&[Member<'a>]> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }

    /// The value of a key, if it is an object that has it; of several, the last.
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.object()?.iter().rev().find(|member| member.key == key).map(|member| &member.node)
    }

    /// The same without positions; of duplicate keys, the last counts.
    pub fn plain(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Flag(flag) => (*flag).into(),
            Self::Number(text) => plain_number(text),
            Self::Text(text) => text.as_ref().into(),
            Self::List(items) => items.iter().map(|item| item.value.plain()).collect(),
            Self::Object(members) => members
                .iter()
                .map(|member| (member.key.as_ref().to_owned(), member.node.value.plain()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

/// Digits alone, and few enough to be exact.
fn is_short_whole(text: &str) -> bool {
    text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn plain_number(text: &str) -> serde_json::Value {
    // Only a float knows minus zero.
    if let (Ok(number), true) = (text.parse::<i64>(), text != "-0") {
        return number.into();
    }
    if let Ok(number) = text.parse::<u64>() {
        return number.into();
    }
    text.parse::<f64>().ok().into()
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plain().fmt(f)
    }
}

/// Line and column of an offset, both from 1; columns count characters.
pub fn line_and_column(bytes: &[u8], at: usize) -> (u32, u32) {
    let before = bytes.get(..at).unwrap_or(bytes);
    let begin = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let column = String::from_utf8_lossy(&before[begin..]).trim_start_matches('\u{feff}').chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// The position of an offset in a file of the image.
pub fn position(file: &str, bytes: &[u8], at: usize, pointer: &str) -> Position {
    let (line, column) = line_and_column(bytes, at);
    Position { file: file.to_owned(), line, column, pointer: pointer.to_owned() }
}

/// The line an offset stands on, without the space around it, cut to about `limit` characters around the offset.
pub fn line_at(bytes: &[u8], at: usize, limit: usize) -> String {
    let at = at.min(bytes.len());
    let begin = bytes[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let end = bytes[at..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |length| at + length);
    // A minified file is one line, as long as the file: only what is near the offset is shown.
    let near = begin.max(at.saturating_sub(limit / 2));
    let text = String::from_utf8_lossy(&bytes[near..end.min(near + limit * 4)]);
    let text = text.trim_start_matches(['\u{feff}', '\u{fffd}']).trim();
    let mark = if near > begin { "…" } else { "" };
    format!("{mark}{}", crate::wording::clip(text, limit))
}

/// The value at an offset of a valid document, as written, on one line and cut; with its key, if the offset is that of a key.
pub fn excerpt(bytes: &[u8], at: usize, limit: usize) -> String {
    let rest = bytes.get(at..bytes.len().min(at.saturating_add(limit * 4))).unwrap_or_default();
    let (mut depth, mut in_text, mut escaped, mut end) = (0usize, false, false, rest.len());
    for (index, &byte) in rest.iter().enumerate() {
        if in_text {
            in_text = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => {
                end = index + depth;
                break;
            }
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => {
                end = index;
                break;
            }
            _ => {}
        }
    }
    let text = String::from_utf8_lossy(&rest[..end]).split_whitespace().collect::<Vec<_>>().join(" ");
    crate::wording::clip(&text, limit)
}

/// A step of a JSON pointer, escaped.
pub fn pointer_step(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;

//! What programs say of the packages they were made of: Go's build info, and the list that cargo-auditable leaves.
//!
//! Both stand in sections, and the table of sections often comes last. So they are known by what they contain, as the program goes by: Go's by
//! the marks of its linker, the list of crates by being a zlib stream of a document that begins with `{"packages":`.

use std::collections::HashMap;

use flate2::{Decompress, FlushDecompress, Status};
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

use super::executable::{Reader, Segment, segments};

/// Bytes looked at together.
const WINDOW: usize = 64 << 10;
/// Bytes that decide about a find.
const AHEAD: usize = 512;
/// Longest list of Go modules that is read, bytes.
const LONGEST_MODULES: usize = 1 << 20;
/// Longest list of crates that is read, bytes of JSON.
const LONGEST_CRATES: usize = 4 << 20;
/// Texts kept that may be Go's version; older programs only point to it.
const MOST_WORDS: usize = 4096;
const LONGEST_VERSION: usize = 64;

/// Go's own marks: before its build info, and around the list of modules.
const INFO: &[u8] = b"\xff Go buildinf:";
const BEGIN: &[u8] = b"\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6";
const END: &[u8] = b"\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2";

/// What a program says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// It was made by Go.
    pub go: Option<GoBuild>,
    /// The document of cargo-auditable.
    pub crates: Option<String>,
    /// What could not be read of it.
    pub trouble: Option<String>,
}

/// Go's build info.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoBuild {
    /// The version of Go, such as `go1.19.8`; empty when it could not be found.
    pub version: String,
    /// One line per module, as `go version -m` prints them.
    pub modules: String,
}

impl Program {
    pub(super) fn length(&self) -> usize {
        let go = self.go.as_ref().map_or(0, |go| go.version.len() + go.modules.len());
        go + self.crates.as_ref().map_or(0, String::len) + self.trouble.as_ref().map_or(0, String::len)
    }
}

/// Looks at a program as it arrives.
pub(crate) struct Probe {
    /// Where the window begins in the file.
    at: u64,
    window: Vec<u8>,
    segments: Option<Vec<Segment>>,
    go: GoProbe,
    crates: Crates,
}

impl Probe {
    pub(super) fn new(first: &[u8]) -> Self {
        Self { at: 0, window: first.to_vec(), segments: None, go: GoProbe::default(), crates: Crates::default() }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (taken, rest) = bytes.split_at(bytes.len().min(WINDOW + AHEAD - self.window.len()));
            self.window.extend_from_slice(taken);
            bytes = rest;
            if self.window.len() == WINDOW + AHEAD {
                self.look(WINDOW);
            }
        }
    }

    pub(super) fn finish(mut self) -> Option<Program> {
        self.look(self.window.len());
        let mut trouble = None;
        let go = self.go.finish(&mut trouble);
        let crates = self.crates.finish(&mut trouble);
        (go.is_some() || crates.is_some() || trouble.is_some()).then_some(Program { go, crates, trouble })
    }

    /// Looks for what begins in the first `length` bytes of the window, and goes past them.
    fn look(&mut self, length: usize) {
        let Self { at, window, segments: parts, go, crates } = self;
        let parts = parts.get_or_insert_with(|| segments(window));
        go.look(*at, window, length, parts);
        crates.look(window, length);
        *at += length as u64;
        self.window.drain(..length);
    }
}

/// Places where a mark begins in the first `length` bytes.
fn places<'a>(finder: &'a Finder<'a>, window: &'a [u8], length: usize) -> impl Iterator<Item = usize> + 'a {
    let end = window.len().min(length + finder.needle().len() - 1);
    finder.find_iter(&window[..end])
}

/// Bytes of the file that are still to come, or are coming.
struct Part {
    from: u64,
    want: usize,
    bytes: Vec<u8>,
}

impl Part {
    fn new(from: u64, want: usize) -> Self {
        Self { from, want, bytes: Vec::new() }
    }

    /// Takes its share of the bytes that lie at `at`.
    fn feed(&mut self, at: u64, bytes: &[u8]) {
        let next = self.from + self.bytes.len() as u64;
        let Some(begin) = next.checked_sub(at).and_then(|begin| usize::try_from(begin).ok()) else { return };
        let share = bytes.get(begin..).unwrap_or_default();
        self.bytes.extend_from_slice(&share[..share.len().min(self.want - self.bytes.len())]);
    }

    fn complete(&self) -> bool {
        self.bytes.len() == self.want
    }
}

/// Where a build info says what it says.
enum Info {
    /// Behind it, Go 1.18 and later.
    Inline { version: String, modules: Part },
    /// Somewhere else; at this address are the address and the length of the version. Before Go 1.18.
    Pointer(u64),
}

#[derive(Default)]
struct GoProbe {
    /// The find, and whether it lies where the linker puts it: embedded programs have one of their own elsewhere.
    info: Option<(Info, bool)>,
    /// A list of modules between its marks.
    modules: Option<Part>,
    /// Texts that may be the version, by their address.
    words: HashMap<u64, Vec<u8>>,
    /// What names one of them, by its own address: the address of the text, and its length. It may come before or after the build info.
    names: HashMap<u64, (u64, u64)>,
    /// Whether anything in it speaks of Go.
    likely: Option<bool>,
    /// Whether its addresses have eight bytes, and whether their high ones come first.
    form: Option<(bool, bool)>,
}

impl GoProbe {
    fn look(&mut self, at: u64, window: &[u8], length: usize, parts: &[Segment]) {
        // Go's linker puts a note with its name into the first page of every ELF program.
        let likely = *self.likely.get_or_insert_with(|| {
            !window.starts_with(b"\x7fELF") || Finder::new(b"Go\0\0").find(&window[..window.len().min(16 << 10)]).is_some()
        });
        if !likely {
            return;
        }
        if window.starts_with(b"\x7fELF") && at == 0 {
            self.form = Some((window.get(4) == Some(&2), window.get(5) == Some(&2)));
        }
        for place in places(&Finder::new(INFO), window, length) {
            let right = parts.iter().any(|part| part.writable && part.has(at + place as u64));
            if self.info.as_ref().is_none_or(|(_, known)| right && !known)
                && let Some(info) = info(at + place as u64, &window[place..], parts)
            {
                self.info = Some((info, right));
            }
        }
        if self.modules.is_none() {
            let begins = |place: &usize| {
                window[*place + BEGIN.len()..].starts_with(b"path\t") || window[*place + BEGIN.len()..].starts_with(b"mod\t")
            };
            self.modules =
                places(&Finder::new(BEGIN), window, length).find(begins).map(|place| Part::new(at + place as u64, LONGEST_MODULES));
        }
        for place in places(&Finder::new(b"go1."), window, length) {
            if self.words.len() < MOST_WORDS
                && let Some(address) = parts.iter().find_map(|part| part.address(at + place as u64))
            {
                self.words.insert(address, window[place..window.len().min(place + LONGEST_VERSION)].to_vec());
            }
        }
        if !self.words.is_empty() {
            parts.iter().filter(|part| part.writable).for_each(|part| self.names(at, window, length, part));
        }
        self.feed(at, &window[..length]);
    }

    /// Looks for addresses of the known texts in a part that the program may write.
    fn names(&mut self, at: u64, window: &[u8], length: usize, part: &Segment) {
        let (wide, big) = *self.form.get_or_insert((true, false));
        let width = if wide { 8 } else { 4 };
        let begin = part.offset.max(at);
        let end = part.offset.saturating_add(part.size).min(at + length as u64);
        let reader = Reader { bytes: window, big };
        let first = part.address(begin).map_or(end, |address| begin + address.next_multiple_of(width) - address);
        for place in (first..end).step_by(width as usize) {
            let (here, width) = (place - at, width as usize);
            let Some(word) = reader.number(here, width).filter(|word| self.words.contains_key(word)) else { continue };
            if let (Some(length), Some(address)) = (reader.number(here + width as u64, width), part.address(place))
                && self.names.len() < MOST_WORDS
            {
                self.names.insert(address, (word, length));
            }
        }
    }

    fn feed(&mut self, at: u64, bytes: &[u8]) {
        if let Some(part) = &mut self.modules
            && !part.complete()
        {
            let before = part.bytes.len().saturating_sub(END.len());
            part.feed(at, bytes);
            if let Some(end) = Finder::new(END).find(&part.bytes[before..]) {
                part.bytes.truncate(before + end + END.len());
                part.want = part.bytes.len();
            }
        }
        match &mut self.info {
            Some((Info::Inline { modules: part, .. }, _)) => part.feed(at, bytes),
            Some((Info::Pointer(_), _)) | None => {}
        }
    }

    fn finish(self, trouble: &mut Option<String>) -> Option<GoBuild> {
        let found = self.modules.filter(|part| part.bytes.ends_with(END) || part.complete()).map(|part| part.bytes);
        let (version, modules) = match self.info?.0 {
            Info::Inline { version, modules } if modules.bytes.is_empty() => (version, found),
            Info::Inline { version, modules } => (version, Some(modules.bytes)),
            Info::Pointer(address) => {
                let (word, length) = self.names.get(&address).copied().unwrap_or_default();
                let text = self.words.get(&word).and_then(|word| word.get(..usize::try_from(length).ok()?));
                (text.map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default(), found)
            }
        };
        let text = modules.as_deref().and_then(|bytes| bytes.strip_prefix(BEGIN)?.strip_suffix(END));
        if modules.as_ref().is_some_and(|bytes| !bytes.is_empty()) && text.is_none() {
            *trouble = Some("has a list of Go modules that is cut off".to_owned());
        }
        Some(GoBuild { version, modules: String::from_utf8_lossy(text.unwrap_or_default()).into_owned() })
    }
}

/// Reads a build info; `None` if what follows the mark is none.
fn info(at: u64, bytes: &[u8], parts: &[Segment]) -> Option<Info> {
    let (&width, &flags) = (bytes.get(14)?, bytes.get(15)?);
    if flags & 2 != 0 {
        let (length, begin) = varint(bytes, 32)?;
        let version = bytes.get(begin..begin.checked_add(length).filter(|_| length <= 256)?)?;
        let version = std::str::from_utf8(version).ok().filter(|text| text.starts_with("go") || text.starts_with("devel"))?;
        let (length, begin) = varint(bytes, begin + length)?;
        let modules = Part::new(at + begin as u64, length.min(LONGEST_MODULES));
        return Some(Info::Inline { version: version.to_owned(), modules });
    }
    if width != 4 && width != 8 {
        return None;
    }
    let pointer = Reader { bytes, big: flags & 1 != 0 }.number(16, usize::from(width))?;
    parts.iter().any(|part| part.place(pointer).is_some()).then_some(Info::Pointer(pointer))
}

/// A number in groups of seven bits, and where it ends.
fn varint(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    for shift in (0..35).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value, at));
        }
    }
    None
}

/// The document of cargo-auditable.
#[derive(Default)]
enum Crates {
    #[default]
    Looking,
    Reading(Box<Inflating>),
    Done(Vec<u8>),
    /// It began and did not end.
    Broken(&'static str),
}

struct Inflating {
    stream: Decompress,
    text: Vec<u8>,
}

impl Crates {
    fn look(&mut self, window: &[u8], length: usize) {
        let mut from = 0;
        if matches!(self, Self::Looking) {
            let Some(place) = memchr::memchr_iter(0x78, &window[..length]).find(|place| begins(&window[*place..])) else { return };
            from = place;
            *self = Self::Reading(Box::new(Inflating { stream: Decompress::new(true), text: Vec::new() }));
        }
        if let Self::Reading(inflating) = self {
            match inflating.push(&window[from..length]) {
                Ok(false) => {}
                Ok(true) => *self = Self::Done(std::mem::take(&mut inflating.text)),
                Err(what) => *self = Self::Broken(what),
            }
        }
    }

    fn finish(self, trouble: &mut Option<String>) -> Option<String> {
        let what = match self {
            Self::Looking => return None,
            Self::Done(text) => match String::from_utf8(text) {
                Ok(text) => return Some(text),
                Err(_) => "has a list of crates that is no text",
            },
            Self::Reading(_) => "has a list of crates that is cut off",
            Self::Broken(what) => what,
        };
        *trouble = Some(what.to_owned());
        None
    }
}

impl Inflating {
    /// Whether the stream is at its end.
    fn push(&mut self, mut input: &[u8]) -> Result<bool, &'static str> {
        let mut output = [0; 8192];
        loop {
            let (taken, made) = (self.stream.total_in(), self.stream.total_out());
            let status =
                self.stream.decompress(input, &mut output, FlushDecompress::None).map_err(|_| "has a list of crates that is damaged")?;
            let (taken, made) = ((self.stream.total_in() - taken) as usize, (self.stream.total_out() - made) as usize);
            self.text.extend_from_slice(&output[..made]);
            input = &input[taken..];
            if self.text.len() > LONGEST_CRATES {
                return Err("has a list of crates that is too long to be read");
            }
            match status {
                Status::StreamEnd => return Ok(true),
                _ if taken == 0 && made == 0 => return Ok(false),
                _ => {}
            }
        }
    }
}

/// Whether a zlib stream begins here whose first bytes are those of the document.
fn begins(bytes: &[u8]) -> bool {
    // RFC 1950: method 8, a window of 32 KiB, no dictionary, and a check over both bytes.
    let Some(&flags) = bytes.get(1) else { return false };
    if (0x7800 + u16::from(flags)) % 31 != 0 || flags & 0x20 != 0 {
        return false;
    }
    let mut text = [0; 24];
    let mut stream = Decompress::new(true);
    let good = stream.decompress(&bytes[..bytes.len().min(AHEAD)], &mut text, FlushDecompress::None).is_ok();
    let text: Vec<u8> =
        text[..(stream.total_out() as usize).min(text.len())].iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    good && (text.starts_with(br#"{"packages":["#) || text.starts_with(br#"{"format":"#))
}

#[cfg(test)]
mod tests;

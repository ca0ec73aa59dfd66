//! An engine's output: cut into lines, kept within caps, delivered live. The engine is never held up because we stopped keeping its words.

use std::{
    io::{self, Read},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use model::run::{LimitHit, Limits, LogLine, Stream};

use crate::LogSink;

/// Appended to a line that was longer than its cap.
pub(crate) const CUT: &str = " [the rest of this line was dropped]";
/// What a line costs at least, so that a million empty lines are not kept for the price of a million bytes.
const LEAST_COST: u64 = 16;
/// Read at once from a pipe.
const CHUNK: usize = 64 << 10;

/// Everything a run said, as far as the caps allow.
pub(crate) struct LogBook {
    began: Instant,
    sink: LogSink,
    caps: Caps,
    state: Mutex<State>,
}

struct Caps {
    bytes: u64,
    line_bytes: usize,
}

#[derive(Default)]
struct State {
    lines: Vec<LogLine>,
    spent: u64,
    seen: u64,
    longest: u64,
    full: bool,
}

/// What was kept.
pub(crate) struct Kept {
    pub(crate) lines: Vec<LogLine>,
    pub(crate) truncated: bool,
    pub(crate) limits_hit: Vec<LimitHit>,
}

impl LogBook {
    /// An empty book; times count from now.
    pub(crate) fn new(limits: &Limits, sink: LogSink) -> Self {
        let caps = Caps { bytes: limits.log_bytes, line_bytes: limits.log_line_bytes };
        Self { began: Instant::now(), sink, caps, state: Mutex::new(State::default()) }
    }

    /// Milliseconds since the book was begun.
    pub(crate) fn now(&self) -> u64 {
        crate::millis(self.began.elapsed())
    }

    /// A line of our own; always kept.
    pub(crate) fn gate(&self, text: String) {
        self.deliver(&mut self.lock(), LogLine { at_ms: self.now(), stream: Stream::Gate, text });
    }

    /// Reads a stream to its end.
    pub(crate) fn drain(&self, stream: Stream, mut from: impl Read) {
        let mut chunk = vec![0; CHUNK];
        let mut lines = Lines::new(self.caps.line_bytes);
        loop {
            match from.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => {
                    let mut state = self.lock();
                    state.seen += read as u64;
                    lines.feed(&chunk[..read], &mut |line, cut| self.keep(&mut state, stream, line, cut));
                    state.longest = state.longest.max(lines.longest);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let mut state = self.lock();
        lines.finish(&mut |line, cut| self.keep(&mut state, stream, line, cut));
        state.longest = state.longest.max(lines.longest);
    }

    fn keep(&self, state: &mut State, stream: Stream, line: &[u8], cut: bool) {
        if state.full {
            return;
        }
        let cost = (line.len() as u64 + 1).max(LEAST_COST);
        if state.spent + cost > self.caps.bytes {
            state.full = true;
            let text = format!("the log reached its limit of {} bytes; what the engine says from here on is not kept", self.caps.bytes);
            self.deliver(state, LogLine { at_ms: self.now(), stream: Stream::Gate, text });
            return;
        }
        state.spent += cost;
        let mut text = String::from_utf8_lossy(line).into_owned();
        if cut {
            text.push_str(CUT);
        }
        self.deliver(state, LogLine { at_ms: self.now(), stream, text });
    }

    /// Under the lock, so that subscribers see the same order as the record.
    fn deliver(&self, state: &mut State, line: LogLine) {
        state.lines.push(line.clone());
        (self.sink)(line);
    }

    /// Takes what was kept.
    pub(crate) fn take(&self) -> Kept {
        let mut state = self.lock();
        let mut limits_hit = Vec::new();
        if state.full {
            limits_hit.push(LimitHit { limit: "log_bytes".to_owned(), allowed: self.caps.bytes, peak: state.seen });
        }
        let line_cap = self.caps.line_bytes as u64;
        if state.longest > line_cap {
            limits_hit.push(LimitHit { limit: "log_line_bytes".to_owned(), allowed: line_cap, peak: state.longest });
        }
        Kept { lines: std::mem::take(&mut state.lines), truncated: !limits_hit.is_empty(), limits_hit }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cuts a byte stream into lines, holding at most one capped line.
struct Lines {
    cap: usize,
    held: Vec<u8>,
    /// Length of the line so far, kept or not.
    length: u64,
    longest: u64,
}

impl Lines {
    fn new(cap: usize) -> Self {
        Self { cap, held: Vec::new(), length: 0, longest: 0 }
    }

    /// Calls `line(bytes, cut)` for every line that ends in `chunk`.
    fn feed(&mut self, chunk: &[u8], line: &mut dyn FnMut(&[u8], bool)) {
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.extend(&rest[..end]);
            self.end(line);
            rest = &rest[end + 1..];
        }
        self.extend(rest);
    }

    /// The stream is over: what is held is the last line.
    fn finish(&mut self, line: &mut dyn FnMut(&[u8], bool)) {
        if self.length > 0 {
            self.end(line);
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = self.cap - self.held.len();
        self.held.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.length += bytes.len() as u64;
    }

    fn end(&mut self, line: &mut dyn FnMut(&[u8], bool)) {
        let cut = self.length > self.held.len() as u64;
        self.longest = self.longest.max(self.length);
        let text = if cut { &self.held[..] } else { self.held.strip_suffix(b"\r").unwrap_or(&self.held) };
        line(text, cut);
        self.held.clear();
        self.length = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::manifest::ClusterSize;
    use proptest::prelude::*;

    use super::*;

    fn book(bytes: u64, line_bytes: usize) -> LogBook {
        let limits = Limits { log_bytes: bytes, log_line_bytes: line_bytes, ..Limits::certification(ClusterSize::Small, None) };
        LogBook::new(&limits, Arc::new(|_| ()))
    }

    fn texts(kept: &Kept) -> Vec<&str> {
        kept.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn lines_lose_their_ends_and_broken_text_is_replaced() {
        let book = book(1000, 100);
        book.drain(Stream::Stdout, &b"one\r\n\ntw\xffo\nlast"[..]);
        let kept = book.take();
        assert_eq!(texts(&kept), ["one", "", "tw\u{fffd}o", "last"]);
        assert!(!kept.truncated);
    }

    #[test]
    fn a_long_line_is_cut_and_marked() {
        let book = book(1000, 4);
        book.drain(Stream::Stderr, &b"12345678\nabcd\n"[..]);
        let kept = book.take();
        assert_eq!(texts(&kept), [format!("1234{CUT}").as_str(), "abcd"]);
        assert!(kept.truncated);
        assert_eq!(kept.limits_hit, [LimitHit { limit: "log_line_bytes".into(), allowed: 4, peak: 8 }]);
    }

    #[test]
    fn an_endless_line_holds_no_more_than_its_cap() {
        let book = book(1000, 10);
        book.drain(Stream::Stdout, io::repeat(b'x').take(50 << 20));
        let kept = book.take();
        assert_eq!(texts(&kept), [format!("xxxxxxxxxx{CUT}").as_str()]);
        assert_eq!(kept.limits_hit[0].peak, 50 << 20);
        assert!(kept.lines[0].text.capacity() < 1000);
    }

    #[test]
    fn a_full_log_says_so_once_and_still_takes_our_own_lines() {
        let book = book(40, 100);
        book.drain(Stream::Stdout, &b"aaaaaaaaaaaaaaaaaaa\nbbbbbbbbbbbbbbbbbbb\ncccc\ndddd\n"[..]);
        book.gate("stopped".to_owned());
        let kept = book.take();
        assert_eq!(kept.lines.len(), 4, "{:?}", kept.lines);
        assert_eq!(kept.lines[2].stream, Stream::Gate);
        assert_eq!(kept.lines[3].text, "stopped");
        assert_eq!(kept.limits_hit, [LimitHit { limit: "log_bytes".into(), allowed: 40, peak: 50 }]);
    }

    #[test]
    fn empty_lines_are_not_free() {
        let book = book(1600, 100);
        book.drain(Stream::Stdout, io::repeat(b'\n').take(1 << 20));
        assert_eq!(book.take().lines.len(), 101, "a hundred lines and the word that it is full");
    }

    proptest! {
        #[test]
        fn where_a_chunk_ends_makes_no_difference(text in "[ab\\n\\r]{0,60}", size in 1usize..9, cap in 1usize..12) {
            let collect = |size: usize| {
                let mut lines = Lines::new(cap);
                let mut found = Vec::new();
                text.as_bytes().chunks(size).for_each(|chunk| lines.feed(chunk, &mut |line, cut| found.push((line.to_vec(), cut))));
                lines.finish(&mut |line, cut| found.push((line.to_vec(), cut)));
                (found, lines.longest)
            };
            prop_assert_eq!(collect(size), collect(usize::MAX));
        }
    }
}

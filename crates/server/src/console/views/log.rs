//! A build's log. Its text comes from strangers' programs: control characters and colours of terminals are taken out, the rest is escaped.

use askama::Template;
use model::run::{LogLine, Stream};

use super::words;

/// Lines of the log on the page; the whole log is a file of its own.
const SHOWN: usize = 500;

/// One line as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// Since the run began.
    pub at: String,
    /// Who wrote it, in words.
    pub stream: &'static str,
    /// The text.
    pub text: String,
}

impl LogRow {
    fn new(line: &LogLine) -> Self {
        let stream = match line.stream {
            Stream::Stdout => "out",
            Stream::Stderr => "err",
            Stream::Gate => "gate",
        };
        Self { at: words::duration(line.at_ms), stream, text: plain(&line.text) }
    }
}

/// The log as far as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogView {
    /// The last lines.
    pub rows: Vec<LogRow>,
    /// Lines before them.
    pub omitted: usize,
}

impl LogView {
    /// The end of a log.
    pub fn new(lines: &[LogLine]) -> Self {
        let omitted = lines.len().saturating_sub(SHOWN);
        Self { rows: lines.iter().skip(omitted).map(LogRow::new).collect(), omitted }
    }
}

/// Lines alone, as they are sent to a page that is open.
#[derive(Template)]
#[template(path = "log_lines.html")]
pub struct LogLines {
    rows: Vec<LogRow>,
}

impl LogLines {
    /// The last of these lines.
    pub fn new(lines: &[LogLine]) -> Self {
        Self { rows: LogView::new(lines).rows }
    }
}

/// A line without colours and control characters. Of a line that was overwritten (progress bars) only the last version stays.
pub fn plain(text: &str) -> String {
    let text = text.trim_end_matches('\r');
    let last = text.rsplit_once('\r').map_or(text, |(_, last)| last);
    let mut shown = String::with_capacity(last.len());
    let mut chars = last.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\t' => shown.push(c),
            c if c.is_control() || is_invisible_order(c) => {}
            c => shown.push(c),
        }
    }
    shown
}

/// Characters that change the order in which text is shown: a line could look like another one.
fn is_invisible_order(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// Skips what follows ESC: `[...letter` (colours, cursor), `]...BEL` (titles, links), or one character.
fn skip_escape(chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('[') => while chars.next().is_some_and(|c| !matches!(c, '@'..='~')) {},
        Some(']') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' {
                    break;
                }
                if c == '\u{1b}' {
                    chars.next();
                    break;
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stream: Stream, text: &str) -> LogLine {
        LogLine { at_ms: 1234, stream, text: text.into() }
    }

    #[test]
    fn terminals_are_not_obeyed() {
        assert_eq!(plain("\u{1b}[1;32mready\u{1b}[0m\tnow"), "ready\tnow");
        assert_eq!(plain("\u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{1b}\\ end"), "link end");
        assert_eq!(plain("10 %\r50 %\r100 %\r"), "100 %");
        assert_eq!(plain("a\u{0}b\u{202e}c\u{9b}d"), "abcd");
        assert_eq!(plain("\u{1b}"), "");
        assert_eq!(plain("\u{1b}["), "");
        assert_eq!(plain("größe ✓"), "größe ✓");
    }

    #[test]
    fn markup_in_a_line_is_text() {
        let html = LogLines::new(&[line(Stream::Stderr, "<img src=x onerror=alert(1)>")]).render().unwrap();
        assert!(html.contains("&#60;img src=x onerror=alert(1)&#62;") && html.contains("1.2 s") && html.contains("err"), "{html}");
        assert!(!html.contains("<img"));
    }

    #[test]
    fn the_end_of_a_long_log_is_shown() {
        let lines: Vec<LogLine> = (0..SHOWN + 7).map(|n| line(Stream::Stdout, &n.to_string())).collect();
        let view = LogView::new(&lines);
        assert_eq!((view.omitted, view.rows.len()), (7, SHOWN));
        assert_eq!(view.rows[0].text, "7");
    }

    proptest::proptest! {
        #[test]
        fn no_control_character_survives(text: String) {
            proptest::prop_assert!(plain(&text).chars().all(|c| c == '\t' || !c.is_control()));
        }
    }
}

//! What an engine wrote before something went wrong: the lines that name the cause, not "see the log".

use model::run::{LogLine, Stream};

use crate::wording::clip;

/// Lines quoted where nothing better is found.
const LINES: usize = 3;
/// Characters of a quoted line.
const WIDTH: usize = 240;
/// Lines looked at from the end.
const LOOKED_AT: usize = 2_000;

/// Parts of paths that belong to a language and not to the engine.
const LIBRARIES: [&str; 7] = ["site-packages", "dist-packages", "lib/python", "<frozen", "<string>", "node_modules", "node:internal"];

/// The lines that say why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastWords {
    /// File and line in the engine, if the lines name one: `/app/main.py line 12, in handle`.
    pub place: Option<String>,
    /// What went wrong, in the language's own words: `KeyError: 'text'`.
    pub cause: Option<String>,
    /// The lines to quote, each with the stream it came from.
    pub lines: Vec<String>,
}

/// Finds them. A traceback or panic counts before the last lines as such.
pub(crate) fn last_words(log: &[LogLine]) -> LastWords {
    let theirs: Vec<&LogLine> = log.iter().filter(|line| line.stream != Stream::Gate && !line.text.trim().is_empty()).collect();
    let recent = theirs.get(theirs.len().saturating_sub(LOOKED_AT)..).unwrap_or_default();
    python(recent)
        .or_else(|| panicked(recent))
        .or_else(|| node(recent))
        .unwrap_or_else(|| LastWords { lines: last_lines(recent), ..LastWords::default() })
}

/// The last lines of standard error, or else of standard output.
fn last_lines(log: &[&LogLine]) -> Vec<String> {
    let of = |stream: Stream| log.iter().filter(|line| line.stream == stream).copied().collect::<Vec<_>>();
    let stderr = of(Stream::Stderr);
    let lines = if stderr.is_empty() { of(Stream::Stdout) } else { stderr };
    lines.iter().skip(lines.len().saturating_sub(LINES)).map(|line| quote(line)).collect()
}

fn quote(line: &LogLine) -> String {
    let stream = if line.stream == Stream::Stderr { "stderr" } else { "stdout" };
    format!("{stream} | {}", clip(line.text.trim_end(), WIDTH))
}

/// A frame of a Python traceback: `File "/app/main.py", line 12, in handle`.
struct Frame {
    index: usize,
    place: String,
    library: bool,
}

fn frame(index: usize, line: &LogLine) -> Option<Frame> {
    let rest = line.text.trim().strip_prefix("File \"")?;
    let (file, rest) = rest.split_once("\", line ")?;
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let function = rest[number.len()..].trim_start_matches(", ").trim();
    let function = if function.is_empty() { String::new() } else { format!(", {}", clip(function, 60)) };
    let library = LIBRARIES.iter().any(|part| file.contains(part));
    Some(Frame { index, place: format!("{} line {number}{function}", clip(file, 120)), library })
}

/// The last traceback: the frame of the engine's own code, that line of code, and the exception.
fn python(log: &[&LogLine]) -> Option<LastWords> {
    let last = log.iter().enumerate().rev().find_map(|(index, line)| frame(index, line))?;
    let indented = |line: &LogLine| line.text.starts_with([' ', '\t']);
    let begin = log[..last.index].iter().rposition(|line| !indented(line)).map_or(0, |index| index + 1);
    let frames: Vec<Frame> = (begin..last.index).filter_map(|index| frame(index, log[index])).chain([last]).collect();
    let own = frames.iter().rev().find(|frame| !frame.library).or(frames.last())?;
    let after = frames.last().map_or(0, |frame| frame.index + 1);
    let exception = log[after..].iter().find(|line| !indented(line));
    let code = log.get(own.index + 1).filter(|line| indented(line) && frame(0, line).is_none());
    let lines = [Some(&log[own.index]), code, exception];
    Some(LastWords {
        place: Some(own.place.clone()),
        cause: exception.map(|line| clip(line.text.trim(), WIDTH)),
        lines: lines.into_iter().flatten().map(|line| quote(line)).collect(),
    })
}

/// A panic of Rust (`thread 'main' panicked at src/main.rs:3:5:` and the message below) or of Go (`panic: ...`).
fn panicked(log: &[&LogLine]) -> Option<LastWords> {
    let index = log.iter().rposition(|line| {
        line.text.contains("' panicked at ") || line.text.contains(") panicked at ") || line.text.starts_with("panic: ")
    })?;
    let line = log[index];
    if let Some(cause) = line.text.strip_prefix("panic: ") {
        return Some(LastWords { place: None, cause: Some(clip(cause, WIDTH)), lines: vec![quote(line)] });
    }
    let place = line.text.split_once(" panicked at ").map(|(_, place)| clip(place.trim().trim_end_matches(':'), 120));
    let message = log.get(index + 1);
    let lines = [Some(&log[index]), message];
    Some(LastWords {
        place,
        cause: message.map(|line| clip(line.text.trim(), WIDTH)),
        lines: lines.into_iter().flatten().map(|line| quote(line)).collect(),
    })
}

/// An error of Node.js: its first line and the first frame in the engine's own code.
fn node(log: &[&LogLine]) -> Option<LastWords> {
    let place = |line: &LogLine| {
        let text = line.text.trim().strip_prefix("at ")?;
        let inner = text.rsplit_once('(').map_or(text, |(_, inner)| inner.trim_end_matches(')'));
        let own = inner.matches(':').count() >= 2 && !LIBRARIES.iter().any(|part| inner.contains(part));
        (own && inner.ends_with(|c: char| c.is_ascii_digit())).then(|| clip(inner, 120))
    };
    let is_frame = |line: &LogLine| line.text.trim_start().starts_with("at ");
    let last = log.iter().rposition(|line| is_frame(line))?;
    let begin = log[..last].iter().rposition(|line| !is_frame(line)).map_or(0, |index| index + 1);
    let (index, place) = (begin..=last).find_map(|index| Some((index, place(log[index])?)))?;
    let error = begin.checked_sub(1).and_then(|index| log.get(index));
    let lines = [error, Some(&log[index])];
    Some(LastWords {
        place: Some(place),
        cause: error.map(|line| clip(line.text.trim(), WIDTH)),
        lines: lines.into_iter().flatten().map(|line| quote(line)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> Vec<LogLine> {
        let line = |text: &str| match text.strip_prefix("out:") {
            Some(text) => LogLine { at_ms: 0, stream: Stream::Stdout, text: text.to_owned() },
            None => LogLine { at_ms: 0, stream: Stream::Stderr, text: text.to_owned() },
        };
        text.lines().map(line).collect()
    }

    #[test]
    fn the_last_three_lines_are_quoted() {
        let words = last_words(&log("a\nb\n\nout:x\nc\nd"));
        assert_eq!(words.lines, ["stderr | b", "stderr | c", "stderr | d"]);
        assert_eq!(last_words(&log("out:x\nout:y")).lines, ["stdout | x", "stdout | y"]);
        assert_eq!(last_words(&[]), LastWords::default());
    }

    #[test]
    fn a_traceback_names_the_line_of_the_engine_and_not_of_a_library() {
        let words = last_words(&log(
            "Traceback (most recent call last):\n  File \"/app/old.py\", line 1, in <module>\n    import x\nImportError: old\n\
             INFO something else\nTraceback (most recent call last):\n  File \"/usr/lib/python3.11/http/server.py\", line 421, in handle\n    method()\n\
             \x20 File \"/app/engine.py\", line 37, in do_POST\n    label = word[\"text\"]\n            ~~~~^^^^^^^^\n\
             \x20 File \"/usr/lib/python3.11/json/x.py\", line 9, in loads\n    return 1\nKeyError: 'text'\n127.0.0.1 - POST /process 500",
        ));
        assert_eq!(words.place.as_deref(), Some("/app/engine.py line 37, in do_POST"));
        assert_eq!(words.cause.as_deref(), Some("KeyError: 'text'"));
        assert_eq!(
            words.lines,
            ["stderr |   File \"/app/engine.py\", line 37, in do_POST", "stderr |     label = word[\"text\"]", "stderr | KeyError: 'text'",]
        );
    }

    #[test]
    fn a_syntax_error_has_no_heading_and_is_found_all_the_same() {
        let words = last_words(&log("  File \"/app/engine.py\", line 3\n    def x(\n         ^\nSyntaxError: '(' was never closed"));
        assert_eq!(words.place.as_deref(), Some("/app/engine.py line 3"));
        assert_eq!(words.cause.as_deref(), Some("SyntaxError: '(' was never closed"));
        assert_eq!(words.lines.len(), 3);
    }

    #[test]
    fn panics_and_errors_of_node_are_found() {
        let rust = last_words(&log("starting\nthread 'main' panicked at src/main.rs:3:5:\nno model\nnote: run with RUST_BACKTRACE=1"));
        assert_eq!((rust.place.as_deref(), rust.cause.as_deref()), (Some("src/main.rs:3:5"), Some("no model")));
        let newer = last_words(&log("thread 'main' (17) panicked at src/main.rs:3:5:\nno model"));
        assert_eq!(newer.place.as_deref(), Some("src/main.rs:3:5"));
        let go = last_words(&log("panic: runtime error: index out of range\n\ngoroutine 1 [running]:"));
        assert_eq!(go.cause.as_deref(), Some("runtime error: index out of range"));
        let node = last_words(&log(
            "/app/index.js:10\n    foo.bar();\nTypeError: foo is undefined\n    at node:internal/x:1:2\n    at run (/app/index.js:10:5)\n    at z (/app/node_modules/a.js:1:1)\nNode.js v20",
        ));
        assert_eq!((node.place.as_deref(), node.cause.as_deref()), (Some("/app/index.js:10:5"), Some("TypeError: foo is undefined")));
    }

    proptest::proptest! {
        #[test]
        fn any_log_is_read(lines in proptest::collection::vec("( {0,4})?(File \"|at |panic: |thread 'a' panicked at |Traceback)?.{0,12}(\", line [0-9]{0,3})?(, in x)?", 0..12)) {
            let words = last_words(&log(&lines.join("\n")));
            proptest::prop_assert!(words.lines.len() <= 3);
        }
    }
}

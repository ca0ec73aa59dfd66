//! How values and lists are put into sentences.

/// A text cut to `limit` characters, with a sign where something is missing. Control characters become spaces.
pub(crate) fn clip(text: &str, limit: usize) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut kept: String = text.chars().take(limit).map(clean).collect();
    if text.chars().nth(limit).is_some() {
        kept.pop();
        kept.push('…');
    }
    kept
}

/// A text from an image in quotes, cut.
pub(crate) fn quoted(text: &str, limit: usize) -> String {
    format!("\"{}\"", clip(text, limit))
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list<S: AsRef<str>>(items: &[S], word: &str) -> String {
    match items {
        [] => String::new(),
        [only] => only.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} {word} {}", first.join(", "), last.as_ref())
        }
    }
}

/// `1 call`, `2 calls`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Bytes for people: whole MiB from one on, else bytes.
pub(crate) fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{bytes} bytes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clipped_text_is_never_longer_than_asked() {
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("abcd", 3), "ab…");
        assert_eq!(clip("a\u{1b}[2Jb\n", 10), "a [2Jb ");
        assert_eq!(quoted("ä\"b", 10), "\"ä\"b\"");
    }

    #[test]
    fn lists_read_as_a_person_writes_them() {
        assert_eq!(list::<&str>(&[], "or"), "");
        assert_eq!(list(&["a"], "or"), "a");
        assert_eq!(list(&["a", "b", "c"], "or"), "a, b or c");
        assert_eq!((count(1, "call"), count(0, "call")), ("1 call".into(), "0 calls".into()));
        assert_eq!((size(512 << 20), size(7)), ("512 MiB".into(), "7 bytes".into()));
    }
}

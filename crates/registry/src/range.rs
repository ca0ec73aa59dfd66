//! `Range` of a download and `Content-Range` of a chunk. Pure.

/// What a `Range` header asks of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Everything: there was no range, or one we may ignore (RFC 9110 §14.2).
    All,
    /// These bytes, both ends included.
    Part {
        /// First byte.
        first: u64,
        /// Last byte.
        last: u64,
    },
    /// Nothing of it exists: 416.
    Unsatisfiable,
}

/// Reads a `Range` header against a blob of `size` bytes. Several ranges at once are answered with everything.
pub fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(text) = header.and_then(|text| text.trim().strip_prefix("bytes=")) else { return Wanted::All };
    let Some((first, last)) = text.trim().split_once('-') else { return Wanted::All };
    match (number(first), number(last)) {
        (Some(first), _) if first >= size && (last.is_empty() || number(last).is_some()) => Wanted::Unsatisfiable,
        (Some(first), None) if last.is_empty() => Wanted::Part { first, last: size.saturating_sub(1) },
        (Some(first), Some(last)) if first <= last => Wanted::Part { first, last: last.min(size.saturating_sub(1)) },
        // HTTP would have it ignored, the standard's conformance program wants it refused; nobody means all bytes by it.
        (Some(_), Some(_)) => Wanted::Unsatisfiable,
        (None, Some(0)) if first.is_empty() => Wanted::Unsatisfiable,
        (None, Some(count)) if first.is_empty() && size > 0 => {
            Wanted::Part { first: size.saturating_sub(count), last: size.saturating_sub(1) }
        }
        (None, Some(_)) if first.is_empty() => Wanted::Unsatisfiable,
        _ => Wanted::All,
    }
}

/// Where a chunk belongs, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// First byte.
    pub first: u64,
    /// Last byte; never before the first.
    pub last: u64,
}

impl Chunk {
    /// Bytes in it; `None` for the one chunk that has 2^64.
    pub fn size(self) -> Option<u64> {
        (self.last - self.first).checked_add(1)
    }
}

/// Reads the `Content-Range` of a chunk: `first-last` as the standard has it, and HTTP's own `bytes first-last/total`.
/// `None` when it is neither.
pub fn chunk(header: &str) -> Option<Chunk> {
    let text = header.trim();
    let text = text.strip_prefix("bytes").map_or(text, |rest| rest.trim_start_matches([' ', '=']));
    let range = text.split_once('/').map_or(text, |(range, _total)| range);
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(Chunk { first, last })
}

/// Digits only: no sign, no space, no overflow.
fn number(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_of_a_download() {
        let part = |first, last| Wanted::Part { first, last };
        for (header, expected) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=0-99", part(0, 9)),
            ("bytes=3-", part(3, 9)),
            ("bytes=-3", part(7, 9)),
            ("bytes=-99", part(0, 9)),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=10-20", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=5-3", Wanted::Unsatisfiable),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("lines=1-2", Wanted::All),
            ("bytes=99999999999999999999-", Wanted::All),
        ] {
            assert_eq!(wanted(Some(header), 10), expected, "{header}");
        }
        assert_eq!(wanted(None, 10), Wanted::All);
        assert_eq!(wanted(Some("bytes=0-0"), 0), Wanted::Unsatisfiable);
        assert_eq!(wanted(Some("bytes=-1"), 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn ranges_of_a_chunk() {
        for good in ["5-9", "bytes 5-9/100", "bytes=5-9", "bytes 5-9/*", " 5-9 "] {
            assert_eq!(chunk(good), Some(Chunk { first: 5, last: 9 }), "{good}");
        }
        for bad in ["", "5", "-", "5-", "-9", "9-5", "a-b", "5-9-", "bytes */9", "+5-9", "99999999999999999999-99999999999999999999"] {
            assert_eq!(chunk(bad), None, "{bad}");
        }
        assert_eq!(Chunk { first: 0, last: u64::MAX }.size(), None);
    }

    proptest! {
        #[test]
        fn a_part_is_inside_the_blob(header in "bytes=[0-9]{0,4}-[0-9]{0,4}", size in 0..2000u64) {
            if let Wanted::Part { first, last } = wanted(Some(&header), size) {
                prop_assert!(first <= last && last < size, "{}-{} of {}", first, last, size);
            }
        }

        #[test]
        fn a_written_chunk_is_read(first in 0..u64::MAX, more in 0..1_000_000u64) {
            let last = first.saturating_add(more);
            prop_assert_eq!(chunk(&format!("{first}-{last}")), Some(Chunk { first, last }));
        }

        #[test]
        fn never_panics(text in ".{0,60}", size in 0..u64::MAX) {
            let _ = chunk(&text).map(Chunk::size);
            let _ = wanted(Some(&text), size);
        }
    }
}

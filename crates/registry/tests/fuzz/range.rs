//! `Range` and `Content-Range`: never panics, and a part is always inside the blob. The first line of an input is the blob's size.

use registry::range::{self, Wanted};

/// One input.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (size, header) = text.split_once('\n').unwrap_or(("", text));
    let size = size.parse().unwrap_or(size.len() as u64);
    if let Wanted::Part { first, last } = range::wanted(Some(header), size) {
        assert!(first <= last && last < size);
    }
    if let Some(chunk) = range::chunk(header) {
        assert!(chunk.first <= chunk.last);
        assert_eq!(range::chunk(&format!("{}-{}", chunk.first, chunk.last)), Some(chunk));
        assert_eq!(range::chunk(&format!("bytes {}-{}/*", chunk.first, chunk.last)), Some(chunk));
        assert!(chunk.size().is_none_or(|size| size > 0));
    }
}

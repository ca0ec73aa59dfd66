//! `Range` and `Content-Range`: never panics, and a part is always inside the blob.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::range::{self, Wanted};

fuzz_target!(|input: (u64, &str)| {
    let (size, text) = input;
    if let Wanted::Part { first, last } = range::wanted(Some(text), size) {
        assert!(first <= last && last < size);
    }
    if let Some(chunk) = range::chunk(text) {
        assert!(chunk.first <= chunk.last);
        assert_eq!(range::chunk(&format!("{}-{}", chunk.first, chunk.last)), Some(chunk));
        let _ = chunk.size();
    }
});

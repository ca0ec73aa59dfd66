//! Manifests as they are pushed: never panics, and names each thing once.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use registry::document;

fuzz_target!(|input: (Option<&str>, &[u8])| {
    let (content_type, bytes) = input;
    for content_type in [content_type, Some("application/vnd.oci.image.manifest.v1+json"), Some("application/vnd.oci.image.index.v1+json")]
    {
        if let Ok(read) = document::read(content_type, bytes) {
            assert!(!read.media_type.is_empty());
            assert_eq!(read.blobs.iter().collect::<HashSet<_>>().len(), read.blobs.len());
            assert_eq!(read.manifests.iter().collect::<HashSet<_>>().len(), read.manifests.len());
        }
    }
});

//! Manifests as they are pushed: never panics, names each thing once, and what a list of referrers shows is JSON that clients can read. An
//! input may begin with a line that is its `Content-Type`.

use std::collections::{BTreeMap, HashSet};

use registry::document;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

fn texts(annotations: Option<&String>) {
    if let Some(text) = annotations {
        let read: BTreeMap<String, String> = serde_json::from_str(text).unwrap();
        assert!(!read.is_empty());
    }
}

/// One input.
pub fn run(input: &[u8]) {
    let line = input.iter().position(|byte| *byte == b'\n').filter(|_| !input.starts_with(b"{"));
    let (content_type, bytes) = match line {
        Some(end) => (std::str::from_utf8(&input[..end]).ok(), &input[end + 1..]),
        // One kind per input: as which, its length decides.
        None => ([Some(IMAGE), Some(document::OCI_INDEX), None][input.len() % 3], input),
    };
    if content_type == Some(document::OCI_INDEX) {
        let listed = document::listed(document::OCI_INDEX, bytes);
        assert_eq!(listed.iter().map(|one| &one.digest).collect::<HashSet<_>>().len(), listed.len());
        listed.iter().for_each(|one| texts(one.annotations.as_ref()));
    }
    let Ok(read) = document::read(content_type, bytes) else { return };
    assert!(!read.media_type.is_empty() && read.media_type.is_ascii());
    assert_eq!(read.blobs.iter().collect::<HashSet<_>>().len(), read.blobs.len());
    assert_eq!(read.manifests.iter().collect::<HashSet<_>>().len(), read.manifests.len());
    assert!(read.annotations.is_none() || read.subject.is_some());
    texts(read.annotations.as_ref());
}

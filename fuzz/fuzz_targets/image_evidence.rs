//! Stored evidence that is damaged: never panics, asks for no more memory than it may have, and what can be read is merged and reads back equal.
#![no_main]

use std::sync::Arc;

use image::{LayerEvidence, Tree};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // As it comes, and as the document of an undamaged frame.
    for bytes in [input.to_vec(), zstd::bulk::compress(input, 1).expect("anything can be compressed")] {
        let Ok(read) = LayerEvidence::from_bytes(&bytes) else { continue };
        assert_eq!(LayerEvidence::from_bytes(&read.to_bytes().expect("it is storable")).expect("and readable"), read);
        let read = Arc::new(read);
        let tree = Tree::merge(&[read.clone(), read]);
        for node in tree.iter() {
            let _ = tree.resolve(&node.entry.path);
        }
    }
});

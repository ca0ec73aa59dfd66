//! The layer reader: no bytes make it panic, its evidence does not depend on how they are cut, the merged view can always be made, and what
//! was stored reads back.
#![no_main]

use std::sync::Arc;

use image::{Caps, LayerEvidence, LayerReader, Tree};
use libfuzzer_sys::fuzz_target;
use model::digest::Digest;

fn evidence(bytes: &[u8], piece: usize) -> LayerEvidence {
    let caps = Caps { entries: 1000, uncompressed: 8 << 20, ratio_after: 1 << 20, problems: 10, ..Caps::default() };
    let mut reader = LayerReader::new(caps);
    bytes.chunks(piece).for_each(|chunk| reader.write(chunk));
    reader.finish()
}

fuzz_target!(|input: &[u8]| {
    let Some((&piece, bytes)) = input.split_first() else { return };
    let found = evidence(bytes, usize::from(piece) + 1);
    assert_eq!(found, evidence(bytes, usize::MAX));
    assert_eq!(found.digest, Digest::of(bytes));
    assert!(found.diff_id.is_some() || found.broken().is_some());
    assert_eq!(LayerEvidence::from_bytes(&found.to_bytes().expect("evidence is always storable")).expect("and readable"), found);
    let found = Arc::new(found);
    let tree = Tree::merge(&[found.clone(), found]);
    for node in tree.iter() {
        let _ = tree.resolve(&node.entry.path);
    }
});

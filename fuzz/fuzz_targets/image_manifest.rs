//! Choosing an image from any index or manifest: never panics, and asks for few blobs. The input is cut at NULs: the first part is the document,
//! the others are the blobs it may name.
#![no_main]

use image::{Error, Platform, select};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut blobs = input.split(|&byte| byte == 0);
    let top = blobs.next().unwrap_or_default();
    let rest: Vec<&[u8]> = blobs.collect();
    let mut asked = 0;
    let _ = select(top, &Platform::new("linux", "amd64"), &mut |digest| {
        asked += 1;
        let found = rest.iter().find(|bytes| digest.matches(bytes)).or(rest.get(asked));
        found.map(|bytes| bytes.to_vec()).ok_or_else(|| Error::BlobMissing { digest: digest.clone(), place: "the input".into() })
    });
    assert!(asked < 100);
});

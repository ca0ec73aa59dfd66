//! See the body, which a test of the scanner runs on the corpus.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/scan/tests/fuzz/archive.rs"]
mod body;

fuzz_target!(|input: &[u8]| body::run(input));

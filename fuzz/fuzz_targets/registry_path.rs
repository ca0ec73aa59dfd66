//! See the body, which a test of the registry runs on the corpus.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/registry/tests/fuzz/path.rs"]
mod body;

fuzz_target!(|input: &[u8]| body::run(input));

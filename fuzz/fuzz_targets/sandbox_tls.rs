//! The first bytes of a connection of an engine.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sandbox::wire::tls::{Greeting, greeting};

fuzz_target!(|bytes: &[u8]| {
    if let Greeting::For(name) = greeting(bytes) {
        assert!(name.len() <= 253 && !name.chars().any(char::is_control));
    }
});

//! Any image config: never panics, and neither does what is asked of it.
#![no_main]

use image::ImageConfig;
use libfuzzer_sys::fuzz_target;
use model::digest::Digest;

fuzz_target!(|input: &[u8]| {
    if let Ok(config) = ImageConfig::parse(input, &Digest::of(b"")) {
        let _ = (config.shell_form(), config.args(), config.platform().to_string(), config.env_value("PATH"));
    }
});

//! Files of waivers and OpenVEX documents: whatever they say, every waiver read says who, why and for what, and can be printed.
#![no_main]

use checks::{standing::last_day, waivers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(read) = waivers::read(input, u32::MAX) {
        assert!(read.len() <= waivers::MOST);
        for waiver in read {
            assert!(waivers::check(&waiver).is_ok());
            let _ = last_day(waiver.expires_at);
        }
    }
});

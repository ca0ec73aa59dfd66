//! Files of waivers and OpenVEX documents: whatever they say, every waiver read says who, why and for what, and can be printed and compared.
#![no_main]

use checks::{
    standing::{ImageNames, last_day},
    waivers,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let image = ImageNames { references: vec!["gate.example.org:8080/1/reader:v1".to_owned()], ..ImageNames::default() };
    if let Ok(read) = waivers::read(input, u32::MAX) {
        assert!(read.waivers.len() <= waivers::MOST + 1);
        for waiver in read.waivers {
            assert!(waivers::check(&waiver).is_ok());
            let _ = last_day(waiver.expires_at);
            let _ = waiver.image.is_some_and(|meant| image.are_meant_by(&meant));
        }
    }
    let _ = image.are_meant_by(&String::from_utf8_lossy(input));
});

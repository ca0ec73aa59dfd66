//! A name query of an engine.
#![no_main]

use std::net::{Ipv4Addr, Ipv6Addr};

use libfuzzer_sys::fuzz_target;
use sandbox::wire::dns;

fuzz_target!(|message: &[u8]| {
    let Some(query) = dns::parse(message) else { return };
    assert!(query.name.len() <= 253 && query.name.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(query.words().len() < 300);
    assert!(query.answer(Ipv4Addr::LOCALHOST, Some(Ipv6Addr::LOCALHOST)).len() <= message.len() + 28);
    assert_eq!(dns::parse(&query.refuse(dns::REFUSED)), None);
});

//! A packet of an engine, and what is answered to it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sandbox::wire::{packet, reply};

fuzz_target!(|bytes: &[u8]| {
    let Some(packet) = packet::parse(bytes) else { return };
    assert!(packet.offset <= bytes.len());
    packet::is_kernel_noise(&packet);
    assert!(packet::joined_groups(&packet).len() <= 16);
    if let Some(answer) = reply::refusal(bytes, &packet) {
        let answer = packet::parse(&answer).expect("what we write can be read");
        assert_eq!((answer.source, answer.target), (packet.target, packet.source));
    }
    let (from, to) = (std::net::SocketAddr::new(packet.target, 1), std::net::SocketAddr::new(packet.source, 2));
    reply::readdress(&mut bytes.to_vec(), packet.offset, from, to);
});

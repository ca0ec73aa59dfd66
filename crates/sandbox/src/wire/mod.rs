//! Bytes of packets, name queries and TLS greetings, read and written. Everything in here comes from an engine: pure functions, no panic, no
//! allocation that an engine could make large. Public for the fuzz targets only.

pub mod dns;
pub mod packet;
pub mod reply;
pub mod tls;

/// A big-endian number in a slice that may be too short.
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

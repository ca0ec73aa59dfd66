//! The one clock and the one source of randomness of the server; everything below gets both as values.

use std::time::Duration;

use uuid::Uuid;

/// Now, milliseconds since 1970 UTC.
#[expect(clippy::disallowed_methods, reason = "the one clock")]
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A new random id.
#[expect(clippy::disallowed_methods, reason = "the one source of ids")]
pub fn new_id() -> Uuid {
    Uuid::new_v4()
}

/// Random bytes for tokens and keys, from the operating system.
///
/// # Panics
/// When the operating system has no randomness to give: nothing safe can be done then.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// As ISO 8601 with milliseconds and `Z` (GraphQL §3).
pub fn iso(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_written_with_milliseconds() {
        assert_eq!(super::iso(1_716_200_000_123), "2024-05-20T10:13:20.123Z");
        assert_ne!(super::random::<32>(), super::random::<32>());
    }
}

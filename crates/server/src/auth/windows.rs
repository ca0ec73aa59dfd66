//! How much one token and one organization may ask of the API: so many requests in each window of ten seconds (GraphQL contract §1).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use sha2::{Digest, Sha256};

use super::Caller;
use crate::{config::Api, error::Problem};

/// Length of a window, milliseconds.
const WINDOW_MS: i64 = 10_000;

/// Most keys counted at one time; a flood of invented tokens must not fill the memory.
const CAPACITY: usize = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// The SHA-256 of a token or an address.
    Token([u8; 32]),
    Organization(i64),
}

#[derive(Default)]
struct Counts {
    window: i64,
    requests: HashMap<Key, u32>,
}

/// Counts requests.
pub struct Windows {
    token: u32,
    organization: u32,
    counts: Mutex<Counts>,
}

impl Windows {
    /// With these limits.
    pub fn new(api: &Api) -> Self {
        Self { token: api.token_requests, organization: api.organization_requests, counts: Mutex::default() }
    }

    /// Counts one request.
    ///
    /// # Errors
    /// [`Problem::RateLimited`] when there were enough in this window.
    pub fn count(&self, caller: Option<&Caller>, token: &str, now: i64) -> Result<(), Problem> {
        let window = now.div_euclid(WINDOW_MS);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.window != window || counts.requests.len() >= CAPACITY {
            *counts = Counts { window, ..Counts::default() };
        }
        let keys = [
            (Some(Key::Token(Sha256::digest(token.as_bytes()).into())), self.token),
            (caller.map(|caller| Key::Organization(caller.organization.0)), self.organization),
        ];
        for (key, limit) in keys {
            let Some(key) = key.filter(|_| limit > 0) else { continue };
            let requests = counts.requests.entry(key).or_default();
            if *requests >= limit {
                let left = (window + 1) * WINDOW_MS - now;
                return Err(Problem::RateLimited { retry_after: left.unsigned_abs().div_ceil(1000) });
            }
            *requests += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_has_its_window() {
        let windows = Windows::new(&Api { token_requests: 2, organization_requests: 0 });
        let ask = |token: &str, now| windows.count(None, token, now);
        assert_eq!((ask("a", 3_000), ask("a", 3_000)), (Ok(()), Ok(())));
        assert_eq!(ask("a", 3_001), Err(Problem::RateLimited { retry_after: 7 }));
        assert_eq!(ask("b", 3_001), Ok(()), "somebody else");
        assert_eq!(ask("a", 10_000), Ok(()), "the next window");
        let free = Windows::new(&Api { token_requests: 0, organization_requests: 0 });
        assert!((0..10_000).all(|_| free.count(None, "a", 0).is_ok()));
    }
}

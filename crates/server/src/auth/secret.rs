//! The text of a token: what it is for, and 256 random bits. It is shown once; only its SHA-256 is kept, for which nothing slower is needed.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use store::tokens::TokenKind;

use crate::clock;

/// The words in front say what it is, to people and to programs that look for secrets in the wrong places.
fn prefix(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Api => "plimsoll-api-",
        TokenKind::Robot => "plimsoll-robot-",
        TokenKind::Refresh => "plimsoll-refresh-",
    }
}

/// A new token.
pub fn make(kind: TokenKind) -> SecretString {
    format!("{}{}", prefix(kind), hex::encode(clock::random::<32>())).into()
}

/// What a text is for, if it has the form of a token of ours.
pub fn kind(text: &str) -> Option<TokenKind> {
    let is_random = |rest: &str| rest.len() == 64 && rest.bytes().all(|b| b.is_ascii_hexdigit());
    TokenKind::ALL.into_iter().find(|kind| text.strip_prefix(prefix(*kind)).is_some_and(is_random))
}

/// What is kept of it.
pub fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// What is kept of a new one.
pub fn hash_of(secret: &SecretString) -> [u8; 32] {
    hash(secret.expose_secret())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_it_is_and_nothing_else_looks_like_one() {
        for wanted in TokenKind::ALL {
            let secret = make(wanted);
            assert_eq!(kind(secret.expose_secret()), Some(wanted));
            assert_ne!(hash_of(&secret), hash_of(&make(wanted)));
        }
        for other in
            ["", "plimsoll-api-", "plimsoll-api-xyz", "correct horse", &"0".repeat(64), &format!("plimsoll-api-{}", "g".repeat(64))]
        {
            assert_eq!(kind(other), None, "{other}");
        }
    }
}

//! Content digests as OCI writes them: `sha256:` or `sha512:` and lower-case hex.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The hash function of a [`Digest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl Algorithm {
    /// The word before the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the digest in hex characters.
    pub fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// A content digest; the text is known to be well formed.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    hex: Box<str>,
}

/// Makes a digest of bytes that arrive piece by piece.
#[derive(Clone, Debug)]
pub struct Hasher(State);

#[derive(Clone, Debug)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// Begins with no bytes.
    pub fn new(algorithm: Algorithm) -> Self {
        use sha2::Digest as _;
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        use sha2::Digest as _;
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> Digest {
        use sha2::Digest as _;
        match self.0 {
            State::Sha256(state) => Digest::from_sha256(state.finalize().into()),
            State::Sha512(state) => Digest::from_sha512(state.finalize().into()),
        }
    }
}

/// Why a text is no digest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DigestError {
    /// Neither `sha256:` nor `sha512:` in front.
    #[error("a digest starts with sha256: or sha512:, not with {0:?}")]
    Algorithm(String),
    /// Wrong length or characters behind the colon.
    #[error("a {0} digest has {1} characters 0-9a-f behind the colon")]
    Hex(&'static str, usize),
}

impl Digest {
    /// Makes a digest from the raw bytes of a SHA-256 hash.
    pub fn from_sha256(hash: [u8; 32]) -> Self {
        Self { algorithm: Algorithm::Sha256, hex: hex::encode(hash).into() }
    }

    /// Makes a digest from the raw bytes of a SHA-512 hash.
    pub fn from_sha512(hash: [u8; 64]) -> Self {
        Self { algorithm: Algorithm::Sha512, hex: hex::encode(hash).into() }
    }

    /// Hashes `bytes` with SHA-256.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self::from_sha256(sha2::Sha256::digest(bytes).into())
    }

    /// Hashes `bytes` with the function this digest uses; true when they are its content.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        use sha2::Digest as _;
        match self.algorithm {
            Algorithm::Sha256 => *self == Self::from_sha256(sha2::Sha256::digest(bytes).into()),
            Algorithm::Sha512 => *self == Self::from_sha512(sha2::Sha512::digest(bytes).into()),
        }
    }

    /// The hash function.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hex text behind the colon: 64 or 128 characters `0-9a-f`, safe as a file name.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// The first 12 characters of the hex text, for people.
    pub fn short(&self) -> &str {
        &self.hex[..12]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.as_str(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (word, rest) = text.split_once(':').unwrap_or((text, ""));
        let algorithm = match word {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            other => return Err(DigestError::Algorithm(other.chars().take(40).collect())),
        };
        let well_formed = rest.len() == algorithm.hex_len() && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !well_formed {
            return Err(DigestError::Hex(algorithm.as_str(), algorithm.hex_len()));
        }
        Ok(Self { algorithm, hex: rest.into() })
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_nothing_is_the_published_value() {
        let digest = Digest::of(b"");
        assert_eq!(digest.to_string(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert!(digest.matches(b""));
        assert!(!digest.matches(b"x"));
    }

    #[test]
    fn refuses_what_is_no_digest() {
        assert_eq!("md5:00".parse::<Digest>(), Err(DigestError::Algorithm("md5".into())));
        assert!("sha256:".parse::<Digest>().is_err());
        assert!(format!("sha256:{}", "A".repeat(64)).parse::<Digest>().is_err());
        assert!(format!("sha512:{}", "a".repeat(64)).parse::<Digest>().is_err());
        assert!(format!("sha256:{}", "é".repeat(32)).parse::<Digest>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn text_round_trips(hash in proptest::array::uniform32(0u8..)) {
            let digest = Digest::from_sha256(hash);
            proptest::prop_assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
        }

        #[test]
        fn in_pieces_as_in_one(bytes: Vec<u8>, cut in 0usize..100, wide: bool) {
            let algorithm = if wide { Algorithm::Sha512 } else { Algorithm::Sha256 };
            let mut hasher = Hasher::new(algorithm);
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            hasher.update(head);
            hasher.update(tail);
            let digest = hasher.finish();
            proptest::prop_assert!(digest.matches(&bytes));
            proptest::prop_assert_eq!(digest.algorithm(), algorithm);
        }

        #[test]
        fn parsing_never_panics(text in ".{0,200}") {
            let _ = text.parse::<Digest>();
        }
    }
}

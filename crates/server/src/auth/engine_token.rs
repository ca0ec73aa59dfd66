//! The tokens of engines: signed, good for one task, its job and its recording, and for nothing else.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use model::id::OrganizationId;
use serde::{Deserialize, Serialize};

use crate::error::Problem;

/// Life of a token, milliseconds: longer than any task, and than an engine that was put to sleep usually sleeps.
const LIFE_MS: i64 = 24 * 3_600_000;

/// Tokens of the registry, which have the same key, are for another audience.
const AUDIENCE: &str = "plimsoll-engine";

/// What a token is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineToken {
    /// The engine's organization.
    #[serde(rename = "org")]
    pub organization: OrganizationId,
    /// The engine.
    #[serde(rename = "sub")]
    pub engine: String,
    /// Its job.
    pub job: String,
    /// Its task.
    pub task: String,
    /// The recording of the task.
    pub tdo: i64,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    #[serde(flatten)]
    token: EngineToken,
    aud: String,
    iat: u64,
    exp: u64,
}

/// Signs and checks them.
pub struct EngineTokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl EngineTokens {
    /// With the key of this installation.
    pub fn new(key: &[u8]) -> Self {
        Self { encoding: EncodingKey::from_secret(key), decoding: DecodingKey::from_secret(key) }
    }

    /// Issues one.
    ///
    /// # Errors
    /// [`Problem::Internal`].
    pub fn issue(&self, token: EngineToken, now_ms: i64) -> Result<String, Problem> {
        let seconds = |ms: i64| u64::try_from(ms / 1000).unwrap_or(0);
        let claims = Claims { token, aud: AUDIENCE.into(), iat: seconds(now_ms), exp: seconds(now_ms + LIFE_MS) };
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).map_err(|error| Problem::internal(&error))
    }

    /// What a text is good for; `None` when it is no token of ours or no longer good.
    pub fn read(&self, text: &str) -> Option<EngineToken> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_audience(&[AUDIENCE]);
        rules.leeway = 5;
        decode::<Claims>(text, &self.decoding, &rules).ok().map(|token| token.claims.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::access_token::{AccessTokens, Holder},
        clock,
    };

    #[test]
    fn tokens_expire_and_those_of_the_registry_are_none() {
        let token = EngineToken { organization: OrganizationId(1), engine: "e".into(), job: "j".into(), task: "t".into(), tdo: 7 };
        let (mine, other) = (EngineTokens::new(b"key"), EngineTokens::new(b"other"));
        let now = clock::now_ms();
        let text = mine.issue(token.clone(), now).unwrap();
        assert_eq!(mine.read(&text), Some(token.clone()));
        assert_eq!((other.read(&text), mine.read("a.b.c")), (None, None));
        assert_eq!(mine.read(&mine.issue(token, now - LIFE_MS - 60_000).unwrap()), None);
        let registry = AccessTokens::new(b"key", 300);
        assert_eq!(mine.read(&registry.issue(Holder::default(), &[], now).unwrap()), None);
        assert_eq!(registry.read(&text), None);
    }
}

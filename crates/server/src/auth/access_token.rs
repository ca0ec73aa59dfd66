//! The tokens of the registry: signed, good for minutes, and holding only what their owner might do when they were issued. They name their
//! owner and, where a token was shown instead of a password, that token: both are looked at again with each request.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use model::id::{TokenId, UserId};
use registry::Scope;
use serde::{Deserialize, Serialize};

use crate::error::Problem;

/// The name of this registry in tokens and challenges.
pub const SERVICE: &str = "plimsoll";

/// Signs and checks tokens.
pub struct AccessTokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    seconds: u64,
}

/// Who a token was issued to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// The account; `None` for whoever did not log in.
    #[serde(rename = "sub", default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The token it was shown for, if it was no password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<TokenId>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    #[serde(flatten)]
    holder: Holder,
    aud: String,
    iat: u64,
    exp: u64,
    scope: Vec<String>,
}

impl AccessTokens {
    /// With the key of this installation.
    pub fn new(key: &[u8], seconds: u64) -> Self {
        Self { encoding: EncodingKey::from_secret(key), decoding: DecodingKey::from_secret(key), seconds }
    }

    /// How long a token is good.
    pub fn seconds(&self) -> u64 {
        self.seconds
    }

    /// Issues a token.
    ///
    /// # Errors
    /// [`Problem::Internal`].
    pub fn issue(&self, holder: Holder, scopes: &[Scope], now_ms: i64) -> Result<String, Problem> {
        let iat = u64::try_from(now_ms / 1000).unwrap_or(0);
        let scope = scopes.iter().map(ToString::to_string).collect();
        let claims = Claims { holder, aud: SERVICE.into(), iat, exp: iat + self.seconds, scope };
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).map_err(|error| Problem::internal(&error))
    }

    /// Whose token this is and what for; `None` when it is not ours or no longer good.
    pub fn read(&self, token: &str) -> Option<(Holder, Vec<Scope>)> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_audience(&[SERVICE]);
        rules.leeway = 5;
        let claims = decode::<Claims>(token, &self.decoding, &rules).ok()?.claims;
        Some((claims.holder, claims.scope.iter().filter_map(|text| text.parse().ok()).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn tokens_expire_and_cannot_be_forged() {
        let holder = Holder { user: Some(UserId(uuid::Uuid::from_u128(7))), via: Some(TokenId(uuid::Uuid::from_u128(8))) };
        let (mine, other) = (AccessTokens::new(b"key", 300), AccessTokens::new(b"other", 300));
        let scopes = Scope::parse_list("repository:1/a:pull").unwrap();
        let now = clock::now_ms();
        assert_eq!(mine.read(&mine.issue(holder, &scopes, now).unwrap()), Some((holder, scopes.clone())));
        assert_eq!(mine.read(&mine.issue(Holder::default(), &[], now).unwrap()), Some((Holder::default(), vec![])));
        assert_eq!(mine.read(&other.issue(holder, &scopes, now).unwrap()), None);
        assert_eq!(mine.read(&mine.issue(holder, &scopes, now - 400_000).unwrap()), None);
        assert_eq!(mine.read("no.token.atall"), None);
        // {"alg":"none"}, with claims of anybody.
        assert_eq!(mine.read("eyJhbGciOiJub25lIn0.eyJhdWQiOiJwbGltc29sbCIsImV4cCI6NDAwMDAwMDAwMH0."), None);
    }
}

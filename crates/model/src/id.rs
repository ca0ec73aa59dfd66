//! Identifiers. One type each, so that a build's id cannot be passed where an engine's is meant.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// A registered engine or adapter.
    EngineId
);
uuid_id!(
    /// One build of one engine.
    BuildId
);
uuid_id!(
    /// A person's account.
    UserId
);
uuid_id!(
    /// One unit of background work.
    JobId
);
uuid_id!(
    /// An invitation to join an organization.
    InvitationId
);
uuid_id!(
    /// A token a program logs in with.
    TokenId
);
uuid_id!(
    /// A push that became no build.
    UnclaimedPushId
);
uuid_id!(
    /// Somebody answers for a known vulnerability.
    WaiverId
);

/// An organization: a positive number, the first segment of every repository path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrganizationId(pub i64);

impl std::fmt::Display for OrganizationId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

//! How far a submitted build is.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::UnknownWord;

/// The phases of `pending` (lifecycle §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Today's advisories and policy.
    Security,
    /// What changed since gate A.
    Certification,
    /// A person decides.
    AwaitingApproval,
}

impl Phase {
    /// Every phase, in their order.
    pub const ALL: [Self; 3] = [Self::Security, Self::Certification, Self::AwaitingApproval];

    /// The word on every wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Certification => "certification",
            Self::AwaitingApproval => "awaiting-approval",
        }
    }

    /// The phase after this one, when it passed.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Security => Self::Certification,
            Self::Certification | Self::AwaitingApproval => Self::AwaitingApproval,
        }
    }
}

impl FromStr for Phase {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let found = Self::ALL.into_iter().find(|phase| phase.as_str() == text);
        found.ok_or_else(|| UnknownWord { what: "phase", word: text.to_owned() })
    }
}

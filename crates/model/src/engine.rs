//! Registered engines: deployment model and the state derived from the builds.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::build::{BuildStatus, UnknownWord};

/// What an engine may reach over the network, fixed at registration (GraphQL `DeploymentModel`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DeploymentModel {
    /// Nothing at all.
    FullyNetworkIsolated,
    /// The hosts of `externalCalls`; the payload stays inside.
    MostlyNetworkIsolated,
    /// The hosts of `externalCalls`.
    NonNetworkIsolated,
    /// People do part of the work.
    HumanReview,
}

impl DeploymentModel {
    /// Every model.
    pub const ALL: [Self; 4] = [Self::FullyNetworkIsolated, Self::MostlyNetworkIsolated, Self::NonNetworkIsolated, Self::HumanReview];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FullyNetworkIsolated => "FullyNetworkIsolated",
            Self::MostlyNetworkIsolated => "MostlyNetworkIsolated",
            Self::NonNetworkIsolated => "NonNetworkIsolated",
            Self::HumanReview => "HumanReview",
        }
    }
}

impl fmt::Display for DeploymentModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeploymentModel {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let found = Self::ALL.into_iter().find(|model| model.as_str() == text);
        found.ok_or_else(|| UnknownWord { what: "deployment model", word: text.to_owned() })
    }
}

/// The state of an engine. Never stored: [`EngineState::derive`] is its only source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineState {
    /// No approved build.
    Pending,
    /// An approved build, none live.
    Ready,
    /// One build is live.
    Active,
    /// Switched off by a person.
    Disabled,
    /// Soft-deleted.
    Deleted,
    /// Accepted in filters, never produced.
    Draft,
}

impl EngineState {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
            Self::Draft => "draft",
        }
    }

    /// The state that flags and builds amount to; the first that matches wins (lifecycle §1).
    pub fn derive(deleted: bool, disabled: bool, builds: impl IntoIterator<Item = BuildStatus>) -> Self {
        if deleted {
            return Self::Deleted;
        }
        if disabled {
            return Self::Disabled;
        }
        let mut state = Self::Pending;
        for status in builds {
            match status {
                BuildStatus::Deployed => return Self::Active,
                BuildStatus::Approved | BuildStatus::Deploying | BuildStatus::DeployFailed | BuildStatus::Paused => state = Self::Ready,
                _ => {}
            }
        }
        state
    }

    /// What a developer may do with an engine in this state (`Engine.validStateActions`).
    pub fn valid_actions(self) -> &'static [&'static str] {
        match self {
            Self::Pending | Self::Draft => &["edit", "delete"],
            Self::Ready | Self::Active => &["edit", "disable", "delete"],
            Self::Disabled => &["enable", "delete"],
            Self::Deleted => &["undelete"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BuildStatus as S;

    #[test]
    fn state_follows_from_the_builds() {
        let of = |builds: &[S]| EngineState::derive(false, false, builds.iter().copied());
        assert_eq!(of(&[]), EngineState::Pending);
        assert_eq!(of(&[S::Available, S::Invalid, S::Pending, S::Disapproved, S::Deleted, S::Uploaded, S::Fetching]), EngineState::Pending);
        for status in [S::Approved, S::Deploying, S::DeployFailed, S::Paused] {
            assert_eq!(of(&[S::Invalid, status]), EngineState::Ready, "{status}");
        }
        assert_eq!(of(&[S::Paused, S::Deployed, S::Approved]), EngineState::Active);
    }

    #[test]
    fn flags_win_over_builds() {
        assert_eq!(EngineState::derive(true, true, [S::Deployed]), EngineState::Deleted);
        assert_eq!(EngineState::derive(false, true, [S::Deployed]), EngineState::Disabled);
    }

    #[test]
    fn models_round_trip() {
        for model in DeploymentModel::ALL {
            assert_eq!(model.as_str().parse(), Ok(model));
        }
        assert!("isolated".parse::<DeploymentModel>().is_err());
    }
}

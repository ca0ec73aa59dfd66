//! Waivers: somebody answers for a known vulnerability, for a while.

use serde::{Deserialize, Serialize};

use crate::id::EngineId;

/// A waiver. It never lasts for ever, and what it waives stays visible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiver {
    /// A CVE, or the id of an advisory.
    pub vulnerability: String,
    /// The one package meant, by name or package URL; `None`: whichever has the vulnerability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The one engine meant; `None`: all that the list is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineId>,
    /// The one image meant, by name, digest or package URL; `None`: all that the list is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub author: String,
    /// When it ends, epoch milliseconds.
    pub expires_at: i64,
    /// It ends earlier, the moment a version appears that mends the vulnerability.
    #[serde(default)]
    pub until_fixed: bool,
}

/// Whether a waiver still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It does.
    Holds,
    /// Its time is over.
    Expired,
    /// A version that mends it has appeared.
    Fixed,
}

impl Waiver {
    /// Whether it holds at a time, epoch milliseconds, for a vulnerability that can be mended or not.
    pub fn hold(&self, at: i64, mendable: bool) -> Hold {
        if at >= self.expires_at {
            Hold::Expired
        } else if self.until_fixed && mendable {
            Hold::Fixed
        } else {
            Hold::Holds
        }
    }

    /// Whether it is meant for this engine. Who knows no engine, such as a laptop, is not told apart by one.
    pub fn is_for(&self, engine: Option<EngineId>) -> bool {
        match (self.engine, engine) {
            (Some(meant), Some(engine)) => meant == engine,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_waiver_ends_by_its_date_by_a_fix_and_for_others() {
        let engine = EngineId(Uuid::from_u128(1));
        let waiver = Waiver {
            vulnerability: "CVE-1".into(),
            package: None,
            engine: Some(engine),
            image: None,
            reason: "not reachable".into(),
            author: "rev@example.org".into(),
            expires_at: 10,
            until_fixed: true,
        };
        assert_eq!(waiver.hold(9, false), Hold::Holds);
        assert_eq!(waiver.hold(10, false), Hold::Expired);
        assert_eq!(waiver.hold(9, true), Hold::Fixed);
        assert_eq!(Waiver { until_fixed: false, ..waiver.clone() }.hold(9, true), Hold::Holds);
        assert!(waiver.is_for(Some(engine)) && waiver.is_for(None) && !waiver.is_for(Some(EngineId(Uuid::from_u128(2)))));
        assert!(Waiver { engine: None, ..waiver }.is_for(Some(engine)));
    }
}

//! What of the known vulnerabilities blocks, and how old the knowledge may be.

use model::finding::Severity;
use scan::{
    Severity as Level,
    advisories::{PRECEDENCE, SeveritySource},
};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Value, json};

/// The part `vulnerabilities` of a policy. Every key may be left out; an unknown key is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Vulnerabilities {
    /// The mildest severity that blocks.
    pub block: Threshold,
    /// What no version mends yet does not block.
    pub only_fixable: bool,
    /// What those are that are known to be exploited and are below the threshold.
    pub exploited: Severity,
    /// What those are whose severity nobody has told.
    pub unknown: Severity,
    /// Days from the publication of a vulnerability during which it does not block, unless it is known to be exploited.
    pub grace_days: u32,
    /// Whose word on the severity counts, the first that has one.
    #[serde(deserialize_with = "sources")]
    pub precedence: Vec<SeveritySource>,
    /// Days since the youngest advisory of the database; 0: any age will do.
    pub max_age_days: u32,
    /// What it is when there is no database, or one that is too old.
    pub unscanned: Unscanned,
    /// Days that a statement of an OpenVEX document counts.
    pub vex_days: u32,
}

/// The mildest severity that blocks. `Unknown` has a key of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Threshold {
    /// All.
    Negligible,
    /// Low and worse.
    Low,
    /// Medium and worse.
    Medium,
    /// High and critical ones.
    High,
    /// Critical ones.
    #[default]
    Critical,
    /// Severity alone never blocks.
    Never,
}

impl Threshold {
    /// Whether a severity reaches it.
    pub fn reached(self, level: Level) -> bool {
        let least = match self {
            Self::Negligible => Level::Negligible,
            Self::Low => Level::Low,
            Self::Medium => Level::Medium,
            Self::High => Level::High,
            Self::Critical => Level::Critical,
            Self::Never => return false,
        };
        level != Level::Unknown && level >= least
    }
}

/// What it is when nobody knows, or knows no more, what is wrong with an image. It is never silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unscanned {
    /// It is told and does not block.
    #[default]
    Warning,
    /// The check could not run, and that blocks.
    Error,
}

impl From<Unscanned> for Severity {
    fn from(word: Unscanned) -> Self {
        match word {
            Unscanned::Warning => Self::Warning,
            Unscanned::Error => Self::Error,
        }
    }
}

impl Default for Vulnerabilities {
    fn default() -> Self {
        Self {
            block: Threshold::default(),
            only_fixable: false,
            exploited: Severity::Warning,
            unknown: Severity::Warning,
            grace_days: 0,
            precedence: PRECEDENCE.to_vec(),
            max_age_days: 14,
            unscanned: Unscanned::default(),
            vex_days: 180,
        }
    }
}

impl Vulnerabilities {
    /// Whether a vulnerability blocks by its severity, or because it is exploited, were there nothing to be said for it.
    pub fn blocks(&self, level: Level, exploited: bool) -> bool {
        let unknown = level == Level::Unknown && self.unknown == Severity::Error;
        self.block.reached(level) || unknown || (exploited && self.exploited == Severity::Error)
    }

    /// Key by key in a fixed order, for the identity of the policy.
    pub(super) fn canonical(&self) -> Value {
        json!([
            self.block,
            self.only_fixable,
            self.exploited,
            self.unknown,
            self.grace_days,
            self.precedence,
            self.max_age_days,
            self.unscanned,
            self.vex_days
        ])
    }
}

/// An empty list would make everything unknown, a word twice is a slip of the pen.
fn sources<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SeveritySource>, D::Error> {
    let sources = Vec::<SeveritySource>::deserialize(deserializer)?;
    let twice = sources.iter().enumerate().any(|(at, source)| sources[..at].contains(source));
    if sources.is_empty() || twice || sources.contains(&SeveritySource::None) {
        return Err(de::Error::custom("precedence is a list of distribution, advisory and nvd, each at most once, at least one"));
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vulnerabilities, String> {
        serde_json::from_str(text).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn an_empty_part_is_the_default() {
        assert_eq!(read("{}").unwrap(), Vulnerabilities::default());
        assert_eq!(read(&serde_json::to_string(&Vulnerabilities::default()).unwrap()).unwrap(), Vulnerabilities::default());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            (r#"{"blocks": "High"}"#, "blocks"),
            (r#"{"block": "high"}"#, "high"),
            (r#"{"precedence": []}"#, "at least one"),
            (r#"{"precedence": ["nvd", "nvd"]}"#, "at most once"),
            (r#"{"precedence": ["none"]}"#, "precedence is a list"),
            (r#"{"unscanned": "info"}"#, "info"),
            (r#"{"graceDays": -1}"#, "-1"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn the_threshold_takes_in_what_is_worse() {
        assert!(Threshold::High.reached(Level::Critical) && Threshold::High.reached(Level::High));
        assert!(!Threshold::High.reached(Level::Medium) && !Threshold::Never.reached(Level::Critical));
        assert!(!Threshold::Negligible.reached(Level::Unknown));
    }
}

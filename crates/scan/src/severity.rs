//! How bad a vulnerability is, in the words of Clair (build report §2), and where the word comes from.

use serde::{Deserialize, Serialize};

/// From "nobody said" to the worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Nobody said.
    #[default]
    Unknown,
    /// Hardly a vulnerability.
    Negligible,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

impl Severity {
    /// All, from the mildest.
    pub const ALL: [Self; 6] = [Self::Unknown, Self::Negligible, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word of the report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Negligible => "Negligible",
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }

    /// By the qualitative scale of CVSS 3 and 4 (specification §5): 0.0, then below 4, 7 and 9.
    pub fn of_score(score: f32) -> Self {
        match score {
            score if score <= 0.0 => Self::Negligible,
            score if score < 4.0 => Self::Low,
            score if score < 7.0 => Self::Medium,
            score if score < 9.0 => Self::High,
            _ => Self::Critical,
        }
    }

    /// A word as distributions and advisory databases use it; `None` when it says nothing.
    pub fn of_word(word: &str) -> Option<Self> {
        Some(match word.trim().to_ascii_lowercase().as_str() {
            "negligible" | "unimportant" | "none" => Self::Negligible,
            "low" | "minor" => Self::Low,
            "medium" | "moderate" => Self::Medium,
            "high" | "important" => Self::High,
            "critical" | "urgent" | "defcon1" => Self::Critical,
            _ => return None,
        })
    }
}

/// A CVSS vector and its score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// As written, such as `CVSS:3.1/AV:N/...`.
    pub vector: String,
    /// 0.0 to 10.0.
    pub score: f32,
}

impl Score {
    /// Scores a vector of version 2, 3 or 4; `None` when it is none.
    pub fn of_vector(vector: &str) -> Option<Self> {
        let vector = vector.trim();
        // The base metrics are mandatory (specification of version 3, §6); without them the score would be a zero that nobody gave.
        const BASE: [&str; 8] = ["AV", "AC", "PR", "UI", "S", "C", "I", "A"];
        let has = |metric: &str| vector.split('/').any(|part| part.split_once(':').is_some_and(|(name, _)| name == metric));
        if vector.starts_with("CVSS:3") && !BASE.iter().all(|metric| has(metric)) {
            return None;
        }
        // Scores of version 2 come without a prefix.
        let prefixed = if vector.starts_with("CVSS:") { vector.to_owned() } else { format!("CVSS:2.0/{vector}") };
        let score = match prefixed.parse::<cvss::Cvss>() {
            Ok(parsed) => parsed.score(),
            Err(_) => vector.parse::<cvss::Cvss>().ok()?.score(),
        };
        Some(Self { vector: vector.to_owned(), score: score as f32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_the_scores_of_their_calculators() {
        for (vector, score, severity) in [
            ("AV:N/AC:L/Au:N/C:N/I:N/A:C", 7.8, Severity::High),
            ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1, Severity::Medium),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8, Severity::Critical),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0, Severity::Negligible),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 9.3, Severity::Critical),
        ] {
            let found = Score::of_vector(vector).unwrap_or_else(|| panic!("{vector}"));
            assert_eq!(found.score, score, "{vector}");
            assert_eq!(Severity::of_score(found.score), severity, "{vector}");
        }
        for text in ["", "high", "CVSS:3.1/AV:N", "CVSS:9.0/AV:N/AC:L"] {
            assert_eq!(Score::of_vector(text), None, "{text}");
        }
    }

    #[test]
    fn words_of_many_houses() {
        assert_eq!(Severity::of_word("Moderate"), Some(Severity::Medium));
        assert_eq!(Severity::of_word("unimportant"), Some(Severity::Negligible));
        assert_eq!(Severity::of_word("not yet assigned"), None);
        assert!(Severity::Critical > Severity::High && Severity::Unknown < Severity::Negligible);
    }
}

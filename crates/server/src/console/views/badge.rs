//! A state in one word, with a symbol: colour never says it alone.

use model::{build::BuildStatus, engine::EngineState, finding::Severity, report::CheckStatus};
use scan::Severity as Level;

/// The family of a state; the style sheet gives each its colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It is well.
    Good,
    /// Somebody must act.
    Bad,
    /// Somebody should look.
    Warn,
    /// Something is going on.
    Busy,
    /// Nothing is going on.
    Idle,
}

impl Tone {
    /// The class in the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Warn => "warn",
            Self::Busy => "busy",
            Self::Idle => "idle",
        }
    }
}

/// A state as shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Badge {
    /// One character; hidden from screen readers, who have the word.
    pub symbol: &'static str,
    /// The state.
    pub word: &'static str,
    /// Its family.
    pub tone: Tone,
}

const fn badge(tone: Tone, symbol: &'static str, word: &'static str) -> Badge {
    Badge { symbol, word, tone }
}

/// The status of a build.
pub fn of_build(status: BuildStatus) -> Badge {
    match status {
        BuildStatus::Uploaded => badge(Tone::Busy, "○", "uploaded"),
        BuildStatus::Fetching => badge(Tone::Busy, "◐", "fetching"),
        BuildStatus::Available => badge(Tone::Good, "✓", "available"),
        BuildStatus::Invalid => badge(Tone::Bad, "✕", "invalid"),
        BuildStatus::Pending => badge(Tone::Busy, "◔", "pending"),
        BuildStatus::Approved => badge(Tone::Good, "✓", "approved"),
        BuildStatus::Disapproved => badge(Tone::Bad, "✕", "disapproved"),
        BuildStatus::Deploying => badge(Tone::Busy, "◐", "deploying"),
        BuildStatus::Deployed => badge(Tone::Good, "●", "deployed"),
        BuildStatus::DeployFailed => badge(Tone::Bad, "✕", "deploy failed"),
        BuildStatus::Paused => badge(Tone::Idle, "‖", "paused"),
        BuildStatus::Deleted => badge(Tone::Idle, "–", "deleted"),
    }
}

/// The state of an engine.
pub fn of_engine(state: EngineState) -> Badge {
    match state {
        EngineState::Pending => badge(Tone::Idle, "○", "pending"),
        EngineState::Ready => badge(Tone::Good, "✓", "ready"),
        EngineState::Active => badge(Tone::Good, "●", "active"),
        EngineState::Disabled => badge(Tone::Warn, "‖", "disabled"),
        EngineState::Deleted => badge(Tone::Idle, "–", "deleted"),
        EngineState::Draft => badge(Tone::Idle, "○", "draft"),
    }
}

/// How a check ended. An error is our trouble, not the engine's: it must not look like a failure.
pub fn of_check(status: CheckStatus) -> Badge {
    match status {
        CheckStatus::Passed => badge(Tone::Good, "✓", "passed"),
        CheckStatus::Warned => badge(Tone::Warn, "!", "warned"),
        CheckStatus::Failed => badge(Tone::Bad, "✕", "failed"),
        CheckStatus::Error => badge(Tone::Busy, "?", "error"),
        CheckStatus::Skipped => badge(Tone::Idle, "–", "skipped"),
    }
}

/// How bad a finding is.
pub fn of_severity(severity: Severity) -> Badge {
    match severity {
        Severity::Error => badge(Tone::Bad, "✕", "error"),
        Severity::Warning => badge(Tone::Warn, "!", "warning"),
        Severity::Info => badge(Tone::Idle, "i", "info"),
    }
}

/// How bad a known vulnerability is.
pub fn of_vulnerability(severity: Level) -> Badge {
    match severity {
        Level::Critical => badge(Tone::Bad, "✕", "Critical"),
        Level::High => badge(Tone::Bad, "▲", "High"),
        Level::Medium => badge(Tone::Warn, "◆", "Medium"),
        Level::Low => badge(Tone::Idle, "▽", "Low"),
        Level::Negligible => badge(Tone::Idle, "·", "Negligible"),
        Level::Unknown => badge(Tone::Busy, "?", "Unknown"),
    }
}

/// What became of an attempt to reach something.
pub fn of_attempt(allowed: bool) -> Badge {
    if allowed { badge(Tone::Good, "✓", "allowed") } else { badge(Tone::Bad, "✕", "refused") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_contract() {
        for status in BuildStatus::ALL {
            let shown = of_build(status).word.replace(' ', "");
            assert_eq!(shown, status.as_str().to_lowercase(), "{status}");
        }
        for status in [CheckStatus::Passed, CheckStatus::Warned, CheckStatus::Failed, CheckStatus::Error, CheckStatus::Skipped] {
            assert_eq!(of_check(status).word, status.as_str());
        }
        for severity in [Severity::Info, Severity::Warning, Severity::Error] {
            assert_eq!(of_severity(severity).word, severity.as_str());
        }
    }

    #[test]
    fn a_check_we_could_not_run_does_not_look_failed() {
        assert_ne!(of_check(CheckStatus::Error).tone, of_check(CheckStatus::Failed).tone);
        assert_ne!(of_check(CheckStatus::Error).symbol, of_check(CheckStatus::Failed).symbol);
    }
}

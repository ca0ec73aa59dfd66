//! Waivers in a list: who answers for what, why and until when.

use model::waiver::Hold;
use store::waivers::Kept;

use super::log::plain;

/// A waiver as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaiverRow {
    /// The vulnerability.
    pub vulnerability: String,
    /// The package, or that it is any.
    pub package: String,
    /// One engine, or all.
    pub scope: &'static str,
    /// Why.
    pub reason: String,
    /// Who.
    pub author: String,
    /// Until when, in words.
    pub until: String,
    /// Whether it can still waive something, in a word.
    pub state: &'static str,
    /// The symbol before the word.
    pub symbol: &'static str,
    /// The class in the style sheet.
    pub tone: &'static str,
}

/// Rows in the order given.
pub fn rows(waivers: Vec<Kept>, now: i64) -> Vec<WaiverRow> {
    waivers.into_iter().map(|kept| row(kept, now)).collect()
}

fn row(kept: Kept, now: i64) -> WaiverRow {
    let waiver = kept.waiver;
    let (state, symbol, tone) = match (&kept.revoked, waiver.hold(now, false)) {
        (Some(_), _) => ("revoked", "–", "idle"),
        (None, Hold::Holds) => ("active", "●", "busy"),
        (None, Hold::Expired | Hold::Fixed) => ("ended", "–", "idle"),
    };
    let day = checks::standing::last_day(waiver.expires_at);
    WaiverRow {
        vulnerability: plain(&waiver.vulnerability),
        package: waiver.package.as_deref().map_or_else(|| "any".to_owned(), plain),
        scope: if waiver.engine.is_some() { "this engine" } else { "all engines" },
        reason: plain(&waiver.reason),
        author: waiver.author,
        until: if waiver.until_fixed { format!("{day}, or a version that mends it") } else { day },
        state,
        symbol,
        tone,
    }
}

#[cfg(test)]
mod tests {
    use model::{
        id::{EngineId, OrganizationId, WaiverId},
        waiver::Waiver,
    };
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_row_says_who_why_and_until_when() {
        let waiver = Waiver {
            vulnerability: "CVE-1".into(),
            package: None,
            engine: Some(EngineId(Uuid::from_u128(1))),
            reason: "the code is never called".into(),
            author: "rev@example.org".into(),
            expires_at: 1_768_435_200_000,
            until_fixed: true,
        };
        let kept = Kept { id: WaiverId(Uuid::from_u128(1)), organization: OrganizationId(1), waiver, created_at: 0, revoked: None };
        let shown = row(kept.clone(), 0);
        assert_eq!((shown.package.as_str(), shown.scope, shown.state), ("any", "this engine", "active"));
        assert_eq!(shown.until, "2026-01-14, or a version that mends it");
        assert_eq!(row(kept.clone(), i64::MAX).state, "ended");
        assert_eq!(row(Kept { revoked: Some((1, "x".into())), ..kept }, 0).state, "revoked");
    }
}

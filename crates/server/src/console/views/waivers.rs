//! Waivers in a list: who answers for what, why and until when; and their own page, with the form for another one.

use askama::Template;
use model::waiver::{Hold, Waiver};
use store::{engines::Engine, waivers::Kept};

use super::{log::plain, paging::Paging, shell::Shell};

/// A waiver as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaiverRow {
    /// Its id.
    pub id: String,
    /// The one engine it is for.
    pub engine: Option<String>,
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

impl WaiverRow {
    /// Whether there is something to take back.
    pub fn is_active(&self) -> bool {
        self.state == "active"
    }
}

/// What stands in the form.
#[derive(Debug, Default)]
pub struct Said {
    /// A CVE, or the id of an advisory.
    pub vulnerability: String,
    /// Any, if empty.
    pub package: String,
    /// Id of the engine whose page led here.
    pub engine: String,
    /// `yes`: for this engine only.
    pub only: String,
    /// Why.
    pub reason: String,
    /// It ends when there is a version that mends it.
    pub until_fixed: bool,
}

/// All waivers of the organization.
#[derive(Template)]
#[template(path = "waiver_list.html")]
pub struct WaiversPage {
    shell: Shell,
    waivers: Vec<WaiverRow>,
    paging: Paging,
    may_waive: bool,
    said: Said,
    engine: Option<(String, String)>,
    problem: Option<String>,
}

impl WaiversPage {
    /// One page of the list.
    pub fn new(shell: Shell, waivers: Vec<Kept>, paging: Paging, may_waive: bool, now: i64) -> Self {
        Self { shell, waivers: rows(waivers, now), paging, may_waive, said: Said::default(), engine: None, problem: None }
    }

    /// With what stands in the form, the engine whose page led here, and what was wrong.
    #[must_use]
    pub fn with(mut self, said: Said, engine: Option<&Engine>, problem: Option<String>) -> Self {
        self.engine = engine.map(|engine| (engine.id.to_string(), engine.name.clone()));
        (self.said, self.problem) = (said, problem);
        self
    }
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
        id: kept.id.to_string(),
        engine: waiver.engine.map(|engine| engine.to_string()),
        vulnerability: plain(&waiver.vulnerability),
        package: package(&waiver),
        scope: if waiver.engine.is_some() { "this engine" } else { "all engines" },
        reason: plain(&waiver.reason),
        author: waiver.author,
        until: if waiver.until_fixed { format!("{day}, or a version that mends it") } else { day },
        state,
        symbol,
        tone,
    }
}

/// The package, and the image if it is for one only.
fn package(waiver: &Waiver) -> String {
    let package = waiver.package.as_deref().map_or_else(|| "any".to_owned(), plain);
    waiver.image.as_deref().map_or_else(|| package.clone(), |image| format!("{package} in {}", plain(image)))
}

#[cfg(test)]
mod tests {
    use model::id::{EngineId, OrganizationId, WaiverId};
    use uuid::Uuid;

    use super::*;
    use crate::console::views::{Account, Section, fixtures};

    #[test]
    fn a_row_says_who_why_and_until_when() {
        let waiver = Waiver {
            vulnerability: "CVE-1".into(),
            package: None,
            engine: Some(EngineId(Uuid::from_u128(1))),
            image: None,
            reason: "the code is never called".into(),
            author: "rev@example.org".into(),
            expires_at: 1_768_435_200_000,
            until_fixed: true,
        };
        let kept = Kept { id: WaiverId(Uuid::from_u128(1)), organization: OrganizationId(1), waiver, created_at: 0, revoked: None };
        let shown = row(kept.clone(), 0);
        assert_eq!((shown.package.as_str(), shown.scope, shown.state), ("any", "this engine", "active"));
        assert_eq!(shown.until, "2026-01-14, or a version that mends it");
        let mut of_image = kept.clone();
        of_image.waiver.image = Some("pkg:oci/reader".into());
        assert_eq!(row(of_image, 0).package, "any in pkg:oci/reader");
        assert_eq!(row(kept.clone(), i64::MAX).state, "ended");
        assert_eq!(row(Kept { revoked: Some((1, "x".into())), ..kept }, 0).state, "revoked");
    }

    #[test]
    fn the_form_keeps_what_was_typed_and_is_for_who_may_waive() {
        let html = |may_waive| {
            let shell = Shell::new("Waivers", Section::Review, Account::Known("rev@example.org".into()));
            let said = Said { vulnerability: "CVE-<1>".into(), only: "yes".into(), reason: "not called".into(), ..Said::default() };
            let page = WaiversPage::new(shell, vec![], Paging::asked("/waivers", None), may_waive, 0);
            page.with(said, Some(&fixtures::engine()), Some("give a reason".into())).render().unwrap()
        };
        for part in ["CVE-&#60;1&#62;", "not called</textarea>", "role=\"alert\"", "name=\"only\" value=\"yes\" checked", "No waivers."] {
            assert!(html(true).contains(part), "{part} is missing in {}", html(true));
        }
        assert!(!html(false).contains("<textarea"));
    }
}

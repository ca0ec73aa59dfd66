//! What waits for a decision: for how long, for whom, and until when it will probably be made.

use model::{
    build::{BuildStatus, Phase},
    id::OrganizationId,
    organization::Settings,
};
use store::{Db, accounts, build_life, builds, builds::Build};

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The gate is at work.
    Gate,
    /// A reviewer decides.
    Reviewer,
    /// The developer was asked for changes.
    Developer,
}

impl Turn {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Reviewer => "reviewer",
            Self::Developer => "developer",
        }
    }
}

/// One entry of the queue.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The build.
    pub build: Build,
    /// Since when, epoch milliseconds.
    pub since: i64,
    /// Until when it should be decided, epoch milliseconds.
    pub due: i64,
    /// Whose turn it is.
    pub turn: Turn,
    /// When it will probably be decided, epoch milliseconds; `None` without past decisions.
    pub estimate: Option<i64>,
}

impl Waiting {
    /// Whether the target has passed.
    pub fn is_overdue(&self, now: i64) -> bool {
        now > self.due
    }
}

/// Past decisions an estimate is made from.
const PAST: i64 = 50;

/// One page of the queue of an organization, the longest waiting first.
///
/// # Errors
/// [`store::Error`].
pub async fn queue(db: &Db, organization: OrganizationId, offset: i64, limit: i64) -> Result<Vec<Waiting>, store::Error> {
    let settings = accounts::settings(db.read(), organization).await?;
    let usual = median(build_life::recent_waits(db.read(), organization, PAST).await?);
    let rows = builds::queue(db.read(), organization, offset, limit).await?;
    Ok(rows.into_iter().map(|build| waiting(build, &settings, usual)).collect())
}

fn waiting(build: Build, settings: &Settings, usual: Option<i64>) -> Waiting {
    let life = &build.life;
    let is_pending = build.status == BuildStatus::Pending;
    let since = if is_pending { life.submitted_at } else { life.appealed_at }.unwrap_or(build.modified_at);
    let turn = match (is_pending, life.phase) {
        (true, Some(Phase::AwaitingApproval)) if life.recheck.is_some() => Turn::Gate,
        (true, Some(Phase::AwaitingApproval)) if life.changes_asked => Turn::Developer,
        (true, Some(Phase::AwaitingApproval)) | (false, _) => Turn::Reviewer,
        (true, _) => Turn::Gate,
    };
    let due = since + i64::from(settings.target_hours) * 3_600_000;
    Waiting { since, due, turn, estimate: usual.map(|usual| since + usual), build }
}

/// The middle of past durations: one that took for ever does not move it.
fn median(mut waits: Vec<i64>) -> Option<i64> {
    waits.sort_unstable();
    waits.get(waits.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use store::build_life::Life;

    use super::*;
    use crate::console::fixtures::build;

    fn pending(life: Life) -> Waiting {
        waiting(Build { life, ..build(BuildStatus::Pending) }, &Settings::default(), Some(1_000))
    }

    #[test]
    fn whose_turn_it_is_follows_from_phase_and_questions() {
        let at = |phase| Life { phase: Some(phase), submitted_at: Some(5), ..Life::default() };
        assert_eq!(pending(at(Phase::Security)).turn, Turn::Gate);
        assert_eq!(pending(at(Phase::Certification)).turn, Turn::Gate);
        let waits = pending(at(Phase::AwaitingApproval));
        assert_eq!((waits.turn, waits.since, waits.due, waits.estimate), (Turn::Reviewer, 5, 5 + 72 * 3_600_000, Some(1_005)));
        assert!(!waits.is_overdue(waits.due) && waits.is_overdue(waits.due + 1));
        assert_eq!(pending(Life { changes_asked: true, ..at(Phase::AwaitingApproval) }).turn, Turn::Developer);
        assert_eq!(pending(Life { recheck: Some("security".into()), ..at(Phase::AwaitingApproval) }).turn, Turn::Gate);
        let appeal = Build { life: Life { appealed_at: Some(9), ..Life::default() }, ..build(BuildStatus::Disapproved) };
        let appeal = waiting(appeal, &Settings::default(), None);
        assert_eq!((appeal.turn, appeal.since, appeal.estimate), (Turn::Reviewer, 9, None));
    }

    #[test]
    fn the_estimate_is_the_middle_of_the_past() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![900_000, 1, 3]), Some(3));
    }
}

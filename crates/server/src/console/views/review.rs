//! The part of a build's page where people act and write.

use model::{
    build::{BuildStatus, Event, Phase},
    report::Report,
};
use store::{
    build_life::{Note, NoteKind},
    builds::Build,
};

use super::{log::plain, words::When};

/// A link to the page of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionLink {
    /// The word in the address.
    pub word: &'static str,
    /// For people.
    pub label: &'static str,
    /// The obvious one.
    pub is_first: bool,
}

/// The actions, the obvious one first.
pub fn actions(valid: &[Event], status: BuildStatus) -> Vec<ActionLink> {
    let first = match status {
        BuildStatus::Available => Event::Submit,
        BuildStatus::Pending => Event::Approve,
        BuildStatus::Approved | BuildStatus::DeployFailed => Event::Deploy,
        BuildStatus::Deployed => Event::Pause,
        BuildStatus::Paused => Event::Unpause,
        BuildStatus::Invalid => Event::Upload,
        _ => Event::Start,
    };
    let link = |event: &Event| ActionLink { word: event.as_str(), label: label(*event), is_first: *event == first };
    let mut links: Vec<ActionLink> = valid.iter().map(link).collect();
    links.sort_by_key(|link| !link.is_first);
    links
}

fn label(event: Event) -> &'static str {
    match event {
        Event::Submit => "Submit for approval",
        Event::Upload => "Test again",
        Event::Approve => "Approve",
        Event::Disapprove => "Disapprove",
        Event::Invalidate => "Declare invalid",
        Event::Deploy => "Deploy",
        Event::Pause => "Pause",
        Event::Unpause => "Unpause",
        _ => "Delete",
    }
}

/// A note as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteRow {
    /// What it is.
    pub kind: &'static str,
    /// The rule it is about.
    pub finding: Option<String>,
    /// Who.
    pub author: String,
    /// When.
    pub when: When,
    /// What.
    pub text: String,
}

/// Everything about the review.
#[derive(Clone, Debug, Default)]
pub struct Review {
    /// What it waits for.
    pub waits: Option<String>,
    /// What was written.
    pub notes: Vec<NoteRow>,
    /// What can be written: word and label.
    pub choices: Vec<(&'static str, &'static str)>,
    /// Rules with findings.
    pub codes: Vec<String>,
    /// Checks that can be run again: id and title.
    pub checks: Vec<(String, String)>,
}

impl Review {
    /// `parts`: may decide, may answer as a developer.
    pub fn new(build: &Build, notes: &[Note], parts: (bool, bool), report: Option<&Report>, now: i64) -> Self {
        let (decides, develops) = parts;
        let life = &build.life;
        let waiting = life.phase == Some(Phase::AwaitingApproval);
        let refused = matches!(build.status, BuildStatus::Disapproved | BuildStatus::Invalid);
        let possible = [
            (true, "comment", "a remark"),
            (decides && waiting, "changes", "a question or a wish for changes: it is the developer's turn then"),
            (develops && life.changes_asked, "answer", "the answer to what was asked"),
            (develops && refused && life.appealed_at.is_none(), "appeal", "an appeal: please look at this refusal again"),
            (decides && life.appealed_at.is_some(), "appealAnswer", "the refusal stands, because"),
        ];
        let mut codes: Vec<String> =
            report.iter().flat_map(|report| &report.checks).flat_map(|check| &check.findings).map(|one| one.code.clone()).collect();
        codes.sort_unstable();
        codes.dedup();
        let checks = report.filter(|_| decides && waiting && life.recheck.is_none());
        let is_over = build.status == BuildStatus::Deleted;
        Self {
            waits: waits(build),
            notes: notes.iter().map(|note| row(note, now)).collect(),
            choices: possible.into_iter().filter(|(yes, ..)| *yes && !is_over).map(|(_, word, label)| (word, label)).collect(),
            codes,
            checks: checks.iter().flat_map(|report| &report.checks).map(|check| (check.id.clone(), check.title.clone())).collect(),
        }
    }

    /// Whether there is anything to show.
    pub fn is_shown(&self) -> bool {
        !self.choices.is_empty() || !self.notes.is_empty()
    }
}

fn waits(build: &Build) -> Option<String> {
    let life = &build.life;
    if let Some(check) = &life.recheck {
        return Some(format!("The check {check} is run again."));
    }
    match life.phase {
        Some(Phase::Security) => Some("The gate applies today's advisories and policy.".into()),
        Some(Phase::Certification) => Some("The gate tests what may have changed since the push.".into()),
        Some(Phase::AwaitingApproval) if life.changes_asked => Some("A reviewer asked for changes; it is the developer's turn.".into()),
        Some(Phase::AwaitingApproval) => Some("It is a reviewer's turn.".into()),
        None => life.appealed_at.map(|_| "The developer asks to look at the refusal again; it is a reviewer's turn.".into()),
    }
}

fn row(note: &Note, now: i64) -> NoteRow {
    let kind = match note.kind {
        NoteKind::Comment => "Remark",
        NoteKind::Changes => "Changes asked",
        NoteKind::Answer => "Answer",
        NoteKind::Appeal => "Appeal",
        NoteKind::AppealAnswer => "The refusal stands",
    };
    let finding = note.finding.as_deref().map(plain);
    NoteRow { kind, finding, author: note.author.clone(), when: When::new(note.at, now), text: note.text.clone() }
}

#[cfg(test)]
mod tests {
    use store::build_life::Life;

    use super::*;
    use crate::console::views::fixtures::{build, report};

    #[test]
    fn the_obvious_action_comes_first() {
        let links = actions(&[Event::Disapprove, Event::Deploy, Event::Delete], BuildStatus::Approved);
        assert_eq!(
            links.iter().map(|link| (link.word, link.is_first)).collect::<Vec<_>>(),
            [("deploy", true), ("disapprove", false), ("delete", false)]
        );
    }

    #[test]
    fn everybody_is_offered_what_they_may_write() {
        let words = |status, life: Life, parts| -> Vec<&str> {
            let build = Build { life, ..build(status) };
            Review::new(&build, &[], parts, Some(&report(model::report::Verdict::Invalid)), 0).choices.iter().map(|one| one.0).collect()
        };
        let waiting = Life { phase: Some(Phase::AwaitingApproval), ..Life::default() };
        assert_eq!(words(BuildStatus::Pending, waiting.clone(), (true, false)), ["comment", "changes"]);
        assert_eq!(words(BuildStatus::Pending, Life { changes_asked: true, ..waiting }, (false, true)), ["comment", "answer"]);
        assert_eq!(words(BuildStatus::Disapproved, Life::default(), (false, true)), ["comment", "appeal"]);
        assert_eq!(
            words(BuildStatus::Disapproved, Life { appealed_at: Some(1), ..Life::default() }, (true, true)),
            ["comment", "appealAnswer"]
        );
        assert!(words(BuildStatus::Deleted, Life::default(), (true, true)).is_empty());
    }
}

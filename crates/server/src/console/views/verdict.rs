//! The first sentence of a build's page, and how far the gate is.

use model::{
    build::{BuildStatus, Event, Phase},
    finding::Severity,
    report::{CheckStatus, Report, Verdict},
};
use store::builds::HistoryLine;

use super::{
    log::plain,
    words::{count, sentence as sentence_of},
};
use crate::ops::rematch_builds::WORSENED;

/// What the build amounts to, in one sentence.
pub fn sentence(status: BuildStatus, report: Option<&Report>, history: &[HistoryLine]) -> String {
    // The line that brought the build here; notes such as "pushed again" change no status.
    let last = history.iter().rev().find(|line| line.from_status.as_ref() != Some(&line.to_status));
    match status {
        BuildStatus::Uploaded => "The image is stored; the gate takes it up in a moment.".into(),
        BuildStatus::Fetching => fetching(report),
        BuildStatus::Available => available(report),
        BuildStatus::Invalid => invalid(report, last),
        BuildStatus::Pending => "Submitted for approval; the last checks run, then a reviewer decides.".into(),
        BuildStatus::Approved => "Approved: it may be deployed.".into(),
        BuildStatus::Disapproved => decided("Not approved", last),
        BuildStatus::Deploying => "Being placed and started.".into(),
        BuildStatus::Deployed => "Live: the engine's tasks run on this build.".into(),
        BuildStatus::DeployFailed => decided("It could not be started; whatever was live before stays live", last),
        BuildStatus::Paused => "Paused: it was live and takes no tasks now.".into(),
        BuildStatus::Deleted => "Deleted: this page is kept for the record.".into(),
    }
}

/// How far a submitted build is.
pub fn pending(phase: Phase) -> &'static str {
    match phase {
        Phase::Security => "Submitted for approval: the image is looked at with the advisories and the policy of today.",
        Phase::Certification => "Submitted for approval: what changed since the last test is tested again.",
        Phase::AwaitingApproval => "All checks are done: it is awaiting the decision of a reviewer.",
    }
}

fn fetching(report: Option<&Report>) -> String {
    match report {
        None => "The gate is reading the image.".into(),
        Some(report) if report.errors.is_empty() => "Nothing found so far that blocks; the engine is being tested now.".into(),
        Some(report) => {
            format!(
                "{} so far; the engine is tested all the same, so that you see everything at once.",
                count(report.errors.len() as u64, "blocking finding")
            )
        }
    }
}

fn available(report: Option<&Report>) -> String {
    let first = match report {
        Some(report) if report.verdict == Verdict::NotTestable => {
            "Not run: no gate can test an engine of this kind; nothing blocks it, a reviewer decides"
        }
        _ => "Passed: nothing blocks this build",
    };
    let mut parts = vec![first.to_owned()];
    if let Some(report) = report {
        let warnings = report.warnings.len() as u64;
        if warnings > 0 {
            parts.push(format!("{} worth a look", count(warnings, "warning")));
        }
        let errors = report.checks.iter().filter(|check| check.status == CheckStatus::Error).count() as u64;
        if errors > 0 {
            parts.push(format!("{} could not be run by the gate", count(errors, "check")));
        }
    }
    format!("{}.", parts.join("; "))
}

fn invalid(report: Option<&Report>, last: Option<&HistoryLine>) -> String {
    if last.is_some_and(|line| line.event == Event::Invalidate.as_str()) {
        return decided("Declared invalid", last);
    }
    match report {
        Some(report) if report.verdict == Verdict::NotTestable => {
            "The gate could not finish its work and the image is not to blame; the history below says what happened.".into()
        }
        Some(report) if !report.errors.is_empty() => match (report.count(Severity::Error).max(1) as u64, first_failure(report)) {
            (1, Some(title)) => format!("Not accepted: {title}."),
            (n, Some(title)) => format!("Not accepted: {} to mend, beginning with: {title}.", count(n, "finding")),
            (n, None) => format!("Not accepted: {} to mend before this image can pass.", count(n, "finding")),
        },
        _ => decided("Not accepted", last),
    }
}

/// Title of the first finding that blocks.
fn first_failure(report: &Report) -> Option<String> {
    let check = report.checks.iter().find(|check| check.status == CheckStatus::Failed)?;
    let title = plain(&check.findings.first()?.title);
    Some(title.trim_end_matches('.').to_owned())
}

/// What the gate could not check, each with the reason: nobody should take silence for a good word.
pub fn not_checked(report: &Report) -> Vec<String> {
    let checks = report.checks.iter().filter(|check| check.status == CheckStatus::Error);
    checks.map(|check| format!("{} ({})", check.title, plain(check.reason.as_deref().unwrap_or("see its findings")))).collect()
}

/// How many known vulnerabilities the report has, in words; `None` when nothing was looked up.
pub fn vulnerabilities(report: &Report) -> Option<String> {
    report.scan.as_ref()?;
    let counts = scan::Severity::ALL.into_iter().rev().map(scan::Severity::as_str);
    let counts: Vec<String> =
        counts.filter_map(|word| report.vulnerability_counts.get(word).map(|count| format!("{count} {word}"))).collect();
    Some(if counts.is_empty() { "none known".to_owned() } else { counts.join(", ") })
}

/// What became known last, after the verdict.
pub fn worsened(history: &[HistoryLine]) -> Option<String> {
    let last = history.iter().rev().find(|line| line.event == WORSENED)?;
    Some(sentence_of(&plain(&last.reason)))
}

/// What a person or the gate decided, with the reason they gave.
fn decided(what: &str, last: Option<&HistoryLine>) -> String {
    let by = last.filter(|line| line.actor != "system").map_or_else(String::new, |line| format!(" by {}", line.actor));
    match last.map(|line| line.reason.trim()).filter(|reason| !reason.is_empty()) {
        Some(reason) => format!("{what}{by}: {reason}"),
        None => format!("{what}{by}."),
    }
}

/// How far one step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Over.
    Done,
    /// Going on.
    Now,
    /// Still to come.
    Later,
}

/// One step of the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done in it.
    pub label: &'static str,
    /// How far it is.
    pub progress: Progress,
}

impl Step {
    /// Class in the style sheet, and the word for those who do not see it.
    pub fn word(&self) -> &'static str {
        match self.progress {
            Progress::Done => "done",
            Progress::Now => "now",
            Progress::Later => "later",
        }
    }
}

/// The steps while the gate works; none at other times.
pub fn steps(status: BuildStatus, report: Option<&Report>) -> Vec<Step> {
    let now = match status {
        BuildStatus::Uploaded => 1,
        BuildStatus::Fetching => {
            if report.is_some() {
                2
            } else {
                1
            }
        }
        _ => return Vec::new(),
    };
    let labels = ["Image received", "Static checks", "Test run", "Verdict"];
    let progress = |index: usize| match index.cmp(&now) {
        std::cmp::Ordering::Less => Progress::Done,
        std::cmp::Ordering::Equal => Progress::Now,
        std::cmp::Ordering::Greater => Progress::Later,
    };
    labels.into_iter().enumerate().map(|(index, label)| Step { label, progress: progress(index) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::views::build_page::tests::report;

    fn line(actor: &str, event: Event, reason: &str) -> HistoryLine {
        HistoryLine {
            at: 0,
            actor: actor.into(),
            event: event.as_str().into(),
            from_status: None,
            to_status: String::new(),
            reason: reason.into(),
        }
    }

    #[test]
    fn every_status_has_a_sentence() {
        for status in BuildStatus::ALL {
            for report in [None, Some(report(Verdict::Invalid))] {
                let said = sentence(status, report.as_ref(), &[]);
                assert!(said.ends_with('.') && said.len() > 10, "{status}: {said}");
            }
        }
    }

    #[test]
    fn numbers_and_reasons_are_told() {
        let mut report = report(Verdict::Invalid);
        assert_eq!(
            sentence(BuildStatus::Invalid, Some(&report), &[]),
            "Not accepted: Result of keyword-1 has no label in 214 of 214 entries."
        );
        report.errors.push("another sentence of the same finding".into());
        assert!(sentence(BuildStatus::Invalid, Some(&report), &[]).starts_with("Not accepted: Result of"));
        let finding = report.checks[2].findings[0].clone();
        report.checks[2].findings.push(finding);
        assert!(
            sentence(BuildStatus::Invalid, Some(&report), &[]).starts_with("Not accepted: 2 findings to mend, beginning with: Result of")
        );
        report.checks[2].findings.clear();
        assert_eq!(sentence(BuildStatus::Invalid, Some(&report), &[]), "Not accepted: 1 finding to mend before this image can pass.");
        assert_eq!(not_checked(&report), ["No known vulnerability blocks (no advisory database is loaded)"]);
        let lost = [line("system", Event::Lost, "The worker died three times.")];
        assert_eq!(sentence(BuildStatus::Invalid, None, &lost), "Not accepted: The worker died three times.");
        let note = HistoryLine {
            from_status: Some("invalid".into()),
            to_status: "invalid".into(),
            ..line("dev@example.org", Event::Start, "again")
        };
        let declared = [line("rev@example.org", Event::Invalidate, "wrong licence"), note];
        assert_eq!(sentence(BuildStatus::Invalid, Some(&report), &declared), "Declared invalid by rev@example.org: wrong licence");
        report.verdict = Verdict::NotTestable;
        assert!(sentence(BuildStatus::Invalid, Some(&report), &[]).contains("not to blame"));
        report.errors.clear();
        report.verdict = Verdict::Available;
        assert_eq!(
            sentence(BuildStatus::Available, Some(&report), &[]),
            "Passed: nothing blocks this build; 1 warning worth a look; 1 check could not be run by the gate."
        );
    }

    #[test]
    fn what_no_gate_can_test_is_not_called_passed() {
        let mut report = report(Verdict::Available);
        report.verdict = Verdict::NotTestable;
        assert!(available(Some(&report)).starts_with("Not run: no gate can test"), "{}", available(Some(&report)));
    }

    #[test]
    fn steps_go_on_with_the_static_findings() {
        let now = |status, report: Option<&Report>| steps(status, report).iter().position(|step| step.progress == Progress::Now);
        let running = report(Verdict::Running);
        assert_eq!(now(BuildStatus::Uploaded, None), Some(1));
        assert_eq!(now(BuildStatus::Fetching, None), Some(1));
        assert_eq!(now(BuildStatus::Fetching, Some(&running)), Some(2));
        assert_eq!(steps(BuildStatus::Available, Some(&running)), []);
    }
}

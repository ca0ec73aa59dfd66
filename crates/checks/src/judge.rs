//! The shape of a check, and the one function that runs them all.

use std::cmp::Reverse;

use model::{
    finding::{Finding, Severity},
    report::{CheckResult, CheckStatus},
};

use crate::{checks::CHECKS, evidence::Evidence, policy::Policy, wording::clip};

/// Characters of a title.
const TITLE: usize = 90;

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The image alone: it is judged the moment a push ends.
    Static,
    /// The test run.
    Run,
}

/// How much evidence there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The run is still to come: only static checks are judged, the others are left out.
    Static,
    /// All there will be.
    Complete,
}

/// A check: a value, not a class. One file each in `checks/`, one line in [`CHECKS`].
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Lower case, one word; the first part of its codes and the name of its page.
    pub id: &'static str,
    /// What holds when it passes, for people.
    pub title: &'static str,
    /// Its page, in Markdown.
    pub help: &'static str,
    /// What it looks at.
    pub needs: Needs,
    /// Judges. Pure; never panics, whatever the evidence.
    pub judge: Judge,
}

/// The function of a check.
#[derive(Clone, Copy, Debug)]
pub enum Judge {
    /// It looks at the evidence; how bad its findings are, the policy says afterwards.
    Evidence(fn(&Evidence) -> Judgement),
    /// It must know the policy to say what it found.
    Policy(fn(&Evidence, &Policy) -> Judgement),
}

impl Judge {
    /// Judges.
    pub fn of(self, evidence: &Evidence, policy: &Policy) -> Judgement {
        match self {
            Self::Evidence(judge) => judge(evidence),
            Self::Policy(judge) => judge(evidence, policy),
        }
    }
}

/// What a check has to say.
#[derive(Clone, Debug)]
pub enum Judgement {
    /// It was judged; no finding means that all is well.
    Judged(Vec<Draft>),
    /// It does not apply, or what it needs is missing because of something another check tells; with the reason.
    Skipped(String),
    /// Its evidence could not be gathered. Never the image's fault.
    CouldNotRun {
        /// Why, in a few words.
        reason: String,
        /// The finding, at the one check that tells of this cause.
        finding: Option<Box<Draft>>,
    },
    /// It was judged by what we have, and that is not enough to say that all is well. Never the image's fault.
    Doubtful {
        /// Why, in a few words.
        reason: String,
        /// The finding about the doubt.
        doubt: Box<Draft>,
        /// What was found all the same.
        drafts: Vec<Draft>,
    },
}

/// A finding before the policy has spoken. Its own severity is that of the lenient mode.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The finding.
    pub finding: Finding,
    /// How bad it is in the strict mode.
    pub strict: Severity,
}

impl Draft {
    /// A finding that is worse in the strict mode.
    pub fn strictly(finding: Finding, strict: Severity) -> Self {
        Self { finding, strict }
    }
}

impl From<Finding> for Draft {
    fn from(finding: Finding) -> Self {
        Self { strict: finding.severity, finding }
    }
}

impl Judgement {
    /// Nothing to say.
    pub const CLEAN: Self = Self::Judged(Vec::new());
}

/// Judges the evidence by every check of the stage, in the order of [`CHECKS`]. All of them run, whatever the others find.
pub fn judge(evidence: &Evidence, policy: &Policy, stage: Stage) -> Vec<CheckResult> {
    let due = |check: &&Check| stage == Stage::Complete || check.needs == Needs::Static;
    CHECKS.iter().filter(due).map(|check| result(check, check.judge.of(evidence, policy), policy)).collect()
}

fn result(check: &Check, judgement: Judgement, policy: &Policy) -> CheckResult {
    let applied = |drafts: Vec<Draft>| drafts.into_iter().map(|draft| finished(policy.apply(draft))).collect::<Vec<Finding>>();
    let (mut findings, reason, could_run) = match judgement {
        Judgement::Judged(drafts) => (applied(drafts), None, true),
        Judgement::Skipped(reason) => return made(check, CheckStatus::Skipped, Some(reason), Vec::new()),
        Judgement::CouldNotRun { reason, finding } => (applied(finding.into_iter().map(|draft| *draft).collect()), Some(reason), false),
        Judgement::Doubtful { reason, doubt, drafts } => {
            let mut findings = applied(drafts);
            // What blocks by itself is the image's, whatever we may not know.
            let blocked = findings.iter().any(|finding| finding.severity == Severity::Error);
            findings.extend(applied(vec![*doubt]));
            (findings, Some(reason).filter(|_| !blocked), blocked)
        }
    };
    findings.sort_by(|a, b| (Reverse(a.severity), &a.code, &a.message).cmp(&(Reverse(b.severity), &b.code, &b.message)));
    let worst = findings.first().map(|finding| finding.severity);
    let status = match worst {
        _ if !could_run => CheckStatus::Error,
        Some(Severity::Error) => CheckStatus::Failed,
        Some(Severity::Warning) => CheckStatus::Warned,
        Some(Severity::Info) | None => CheckStatus::Passed,
    };
    made(check, status, reason, findings)
}

fn made(check: &Check, status: CheckStatus, reason: Option<String>, findings: Vec<Finding>) -> CheckResult {
    CheckResult { id: check.id.to_owned(), title: check.title.to_owned(), status, reason, findings, attempts: None }
}

/// The last hand: no title is longer than what fits on a line.
fn finished(mut finding: Finding) -> Finding {
    finding.title = clip(&finding.title, TITLE);
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::tests::webhook;

    #[test]
    fn checks_stand_in_alphabetical_order_and_once() {
        assert!(CHECKS.windows(2).all(|pair| pair[0].id < pair[1].id));
    }

    #[test]
    fn before_the_run_only_static_checks_are_judged() {
        let evidence = webhook().pending();
        let results = judge(&evidence, &Policy::default(), Stage::Static);
        let ids: Vec<_> = results.iter().map(|result| result.id.as_str()).collect();
        assert_eq!(ids, ["entrypoint", "image", "layers", "manifest", "security"]);
        assert_eq!(judge(&evidence, &Policy::default(), Stage::Complete).len(), CHECKS.len());
    }

    #[test]
    fn status_follows_from_the_worst_finding_and_the_worst_stands_first() {
        let check = |judgement| result(&CHECKS[0], judgement, &Policy::default());
        let draft = |code: &str, severity| Draft::from(Finding::new(code, severity, "x".repeat(200), "why", "fix"));
        let mixed = check(Judgement::Judged(vec![draft("a.info", Severity::Info), draft("a.bad", Severity::Error)]));
        assert_eq!((mixed.status, mixed.findings[0].code.as_str()), (CheckStatus::Failed, "a.bad"));
        assert_eq!(mixed.findings[0].title.chars().count(), TITLE);
        assert_eq!(check(Judgement::Judged(vec![draft("a.b", Severity::Warning)])).status, CheckStatus::Warned);
        assert_eq!(check(Judgement::Judged(vec![draft("a.b", Severity::Info)])).status, CheckStatus::Passed);
        assert_eq!(check(Judgement::CLEAN).status, CheckStatus::Passed);
        let skipped = check(Judgement::Skipped("because".into()));
        assert_eq!((skipped.status, skipped.reason.as_deref()), (CheckStatus::Skipped, Some("because")));
        let error = Judgement::CouldNotRun { reason: "no sandbox".into(), finding: Some(Box::new(draft("a.b", Severity::Error))) };
        assert_eq!(check(error).status, CheckStatus::Error);
        let doubtful = |drafts| Judgement::Doubtful { reason: "old".into(), doubt: Box::new(draft("a.old", Severity::Error)), drafts };
        assert_eq!(check(doubtful(Vec::new())).status, CheckStatus::Error);
        let blocked = check(doubtful(vec![draft("a.b", Severity::Error)]));
        assert_eq!((blocked.status, blocked.reason, blocked.findings.len()), (CheckStatus::Failed, None, 2));
    }
}

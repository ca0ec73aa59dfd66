//! The checks: one file each, one line each in the list.

mod behaviour;
mod ending;
mod entrypoint;
mod image;
mod layers;
mod manifest;
mod network;
mod output;
mod process;
mod ready;
mod run;
mod security;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
pub(crate) use network::tests::call as network_call;
#[cfg(test)]
pub(crate) use security::tests as security_tests;

pub use output::judge_pasted;

use model::{
    finding::{Finding, Severity},
    run::{EngineRun, NotStarted, Outcome},
};

use crate::{
    evidence::{Evidence, ImageEvidence, ManifestEvidence, RunEvidence},
    judge::{Check, Judgement},
    policy::Policy,
};

/// All checks, in alphabetical order.
pub const CHECKS: &[Check] = &[
    behaviour::CHECK,
    entrypoint::CHECK,
    image::CHECK,
    layers::CHECK,
    manifest::CHECK,
    network::CHECK,
    output::CHECK,
    process::CHECK,
    ready::CHECK,
    run::CHECK,
    security::CHECK,
];

/// What a check says that needs the image and has none.
fn without_image(evidence: &Evidence) -> Judgement {
    match &evidence.image {
        ImageEvidence::Unread(_) => {
            Judgement::CouldNotRun { reason: "the image could not be read; see check image".to_owned(), finding: None }
        }
        _ => Judgement::Skipped("the image cannot be tested; see check image".to_owned()),
    }
}

/// The run of an engine that was started, or what a check says that needs one and has none.
fn ran(evidence: &Evidence) -> Result<&EngineRun, Judgement> {
    let skipped = |reason: &str| Err(Judgement::Skipped(reason.to_owned()));
    match &evidence.run {
        RunEvidence::Pending => skipped("the run is still to come"),
        RunEvidence::Prevented(reason) => skipped(reason),
        RunEvidence::Late(_) => skipped("the time of the test was over before the run; see check run"),
        RunEvidence::Refused(refusal) => {
            Err(Judgement::CouldNotRun { reason: format!("{}; see check run", refusal.reason), finding: None })
        }
        RunEvidence::Done(outcome) => match outcome.as_ref() {
            Outcome::Ran(run) => Ok(run),
            Outcome::NotStarted(NotStarted::NoHook | NotStarted::BadHook { .. }) => {
                skipped("it is not known where the engine listens; see check ready")
            }
            Outcome::NotStarted(_) => skipped("the image says nothing to start; see check entrypoint"),
            Outcome::NotTestable(_) => skipped("this engine cannot be tested here; see check run"),
        },
    }
}

/// Why a push became no build: the worst finding of the static checks that keeps its engine from being known.
pub(crate) fn unclaimed_reason(evidence: &Evidence) -> Finding {
    let hidden = matches!(evidence.manifest, ManifestEvidence::NoImage);
    let judgements = [(image::CHECK, true), (layers::CHECK, hidden), (manifest::CHECK, true)]
        .map(|(check, counts)| (check.id, counts, check.judge.of(evidence, &Policy::default())));
    let keeps =
        |code: &str| !code.starts_with("manifest.") || code.starts_with("manifest.engineId.") || !code["manifest.".len()..].contains('.');
    for (_, _, judgement) in judgements.into_iter().filter(|(_, counts, _)| *counts) {
        let drafts = match judgement {
            Judgement::Judged(drafts) => drafts,
            Judgement::CouldNotRun { finding, .. } => finding.into_iter().map(|draft| *draft).collect(),
            Judgement::Doubtful { drafts, .. } => drafts,
            Judgement::Skipped(_) => Vec::new(),
        };
        let reason =
            drafts.into_iter().map(|draft| draft.finding).find(|finding| finding.severity == Severity::Error && keeps(&finding.code));
        if let Some(reason) = reason {
            return reason;
        }
    }
    manifest::no_engine()
}

#[cfg(test)]
mod tests;

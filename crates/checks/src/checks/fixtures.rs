//! What each check must say about which evidence. A check without a fixture that passes and one that fails fails the tests.

use crate::evidence::tests::Builder;

/// What is expected of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nothing to say.
    Passed,
    /// Nothing blocks; with the code of the one finding.
    Warned(&'static str),
    /// Passed, with a remark; with the code of the first.
    Noted(&'static str),
    /// The worst finding blocks; with its code.
    Failed(&'static str),
    /// Skipped, with a part of the reason.
    Skipped(&'static str),
    /// Could not run, with the code of the finding if this check tells it.
    Error(Option<&'static str>),
}

/// Evidence and what a check must say about it.
pub(crate) struct Fixture {
    pub(crate) name: &'static str,
    pub(crate) evidence: Builder,
    pub(crate) expected: Expected,
}

impl Fixture {
    pub(crate) fn pass(name: &'static str, evidence: Builder) -> Self {
        Self { name, evidence, expected: Expected::Passed }
    }

    pub(crate) fn warn(name: &'static str, evidence: Builder, code: &'static str) -> Self {
        Self { name, evidence, expected: Expected::Warned(code) }
    }

    pub(crate) fn note(name: &'static str, evidence: Builder, code: &'static str) -> Self {
        Self { name, evidence, expected: Expected::Noted(code) }
    }

    pub(crate) fn fail(name: &'static str, evidence: Builder, code: &'static str) -> Self {
        Self { name, evidence, expected: Expected::Failed(code) }
    }

    pub(crate) fn skip(name: &'static str, evidence: Builder, reason: &'static str) -> Self {
        Self { name, evidence, expected: Expected::Skipped(reason) }
    }

    pub(crate) fn could_not(name: &'static str, evidence: Builder, code: Option<&'static str>) -> Self {
        Self { name, evidence, expected: Expected::Error(code) }
    }
}

/// The fixtures of a check; one line each.
pub(crate) fn of(check: &str) -> Vec<Fixture> {
    match check {
        "behaviour" => super::behaviour::tests::fixtures(),
        "entrypoint" => super::entrypoint::tests::fixtures(),
        "image" => super::image::tests::fixtures(),
        "layers" => super::layers::tests::fixtures(),
        "manifest" => super::manifest::tests::fixtures(),
        "network" => super::network::tests::fixtures(),
        "output" => super::output::tests::fixtures(),
        "process" => super::process::tests::fixtures(),
        "ready" => super::ready::tests::fixtures(),
        "run" => super::run::tests::fixtures(),
        "security" => super::security::tests::fixtures(),
        _ => Vec::new(),
    }
}

//! `manifest`: `/var/manifest.json` is there, is JSON, and keeps the rules of its contract.

use model::{
    finding::{Finding, Severity},
    manifest::MANIFEST_PATH,
};

use crate::{
    contract,
    evidence::{Evidence, ManifestEvidence},
    judge::{Check, Judge, Judgement, Needs},
    wording::clip,
};

pub(super) const CHECK: Check = Check {
    id: "manifest",
    title: "The manifest is there, complete and right",
    help: include_str!("../../../../docs/checks/manifest.md"),
    needs: Needs::Static,
    judge: Judge::Evidence(judge),
};

const WHY: &str =
    "The manifest says which engine the image is, what it takes and gives, and how it is run; without it nothing can be tested.";

fn judge(evidence: &Evidence) -> Judgement {
    match &evidence.manifest {
        ManifestEvidence::Found { path, bytes, .. } => Judgement::Judged(contract::manifest::judge(path, bytes, &evidence.terms)),
        ManifestEvidence::Missing => Judgement::Judged(vec![missing().into()]),
        ManifestEvidence::Unusable(fact) => Judgement::Judged(vec![unusable(fact).into()]),
        ManifestEvidence::NoImage => {
            Judgement::Skipped("the part of the image where it would be could not be read; see checks image and layers".to_owned())
        }
        ManifestEvidence::Unread(reason) => Judgement::CouldNotRun {
            reason: "it could not be read".to_owned(),
            // Where the whole image could not be read, check image tells.
            finding: evidence.facts().map(|_| Box::new(unread(reason).into())),
        },
    }
}

fn missing() -> Finding {
    let finding = Finding::new(
        "manifest.missing",
        Severity::Error,
        format!("The image has no {MANIFEST_PATH}"),
        WHY,
        format!("Add it in the Dockerfile: COPY manifest.json {MANIFEST_PATH}. The engine's page in the console has one ready to use."),
    );
    finding.message("Need a valid manifest").at(MANIFEST_PATH)
}

fn unusable(fact: &str) -> Finding {
    let finding = Finding::new(
        "manifest.unusable",
        Severity::Error,
        format!("{MANIFEST_PATH} {}", clip(fact, 65)),
        WHY,
        format!("Put a regular JSON file of at most 1 MiB there: COPY manifest.json {MANIFEST_PATH}."),
    );
    finding.message(format!("invalid manifest: it {}", clip(fact, 200))).at(MANIFEST_PATH)
}

fn unread(reason: &str) -> Finding {
    let finding = Finding::new(
        "manifest.unread",
        Severity::Error,
        "The gate could not read the manifest",
        "Nothing is said about the image: the fault is the gate's own.",
        "Check again; if it happens again, tell whoever runs the gate what the evidence says.",
    );
    finding.message("The gate could not read the manifest").at("this gate").quote(clip(reason, 400))
}

/// The manifest names no engine, for a reason no rule has told.
pub(super) fn no_engine() -> Finding {
    let finding = Finding::new(
        "manifest.engineId.missing",
        Severity::Error,
        "The manifest names no engine",
        WHY,
        "Write the id from the engine's page in the console as \"engineId\".",
    );
    finding.message("Need a valid engineId").at(MANIFEST_PATH).field("engineId")
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::{checks::fixtures::Fixture, evidence::tests::webhook};

    pub(crate) fn fixtures() -> Vec<Fixture> {
        vec![
            Fixture::pass("a good manifest", webhook()),
            Fixture::fail("none", webhook().manifest_evidence(ManifestEvidence::Missing), "manifest.missing"),
            Fixture::fail(
                "a directory",
                webhook().manifest_evidence(ManifestEvidence::Unusable("is a directory".into())),
                "manifest.unusable",
            ),
            Fixture::fail("no JSON", webhook().manifest_text("{,}"), "manifest.json"),
            Fixture::fail("without an id", webhook().manifest(json!({"engineId": null})), "manifest.engineId.missing"),
            Fixture::fail("a wrong size", webhook().manifest(json!({"clusterSize": "tiny"})), "manifest.clusterSize.invalid"),
            Fixture::fail(
                "an unknown format",
                webhook().manifest(json!({"outputFormats": ["x/y"]})),
                "manifest.outputFormats.unknown_format",
            ),
            Fixture::warn("an unknown key", webhook().manifest(json!({"vCPU": 4})), "manifest.unknown"),
            Fixture::skip("behind a broken layer", webhook().manifest_evidence(ManifestEvidence::NoImage), "see checks image and layers"),
            Fixture::could_not("unreadable", webhook().manifest_evidence(ManifestEvidence::Unread("disk".into())), Some("manifest.unread")),
            Fixture::could_not("in an unreadable image", webhook().unread(), None),
        ]
    }
}

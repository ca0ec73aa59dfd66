//! `image`: what was pushed is a container image for the platform this gate runs.

use image::{ImageProblem, Platform};
use model::finding::{Finding, Severity};

use crate::{
    evidence::{Evidence, ImageEvidence},
    judge::{Check, Draft, Judge, Judgement, Needs},
    wording::{clip, list},
};

pub(super) const CHECK: Check = Check {
    id: "image",
    title: "The image is one this gate can run",
    help: include_str!("../../../../docs/checks/image.md"),
    needs: Needs::Static,
    judge: Judge::Evidence(judge),
};

const BUILD_AGAIN: &str = "Build the image again with a current docker, podman or buildah, and push it again.";
const INCOMPLETE: &str = "Whoever pulls an image checks every part of it; one wrong part makes the whole unusable.";

fn judge(evidence: &Evidence) -> Judgement {
    match &evidence.image {
        ImageEvidence::Read(_) => Judgement::CLEAN,
        ImageEvidence::AtFault(problem) => Judgement::Judged(vec![at_fault(problem).into()]),
        ImageEvidence::Unread(reason) => {
            let finding = Finding::new(
                "image.unread",
                Severity::Error,
                "The gate could not read the image",
                "Nothing is said about the image: the fault is the gate's own.",
                "Check again; if it happens again, tell whoever runs the gate what the evidence says.",
            );
            let finding: Draft = finding.message("The gate could not read the image").at("this gate").quote(clip(reason, 400)).into();
            Judgement::CouldNotRun { reason: "the image could not be read".to_owned(), finding: Some(Box::new(finding)) }
        }
    }
}

/// Digests of parts are in the evidence and never in the message: they change with the way an image travels.
fn at_fault(problem: &ImageProblem) -> Finding {
    let error = |code: &str, title: String, why: &str, fix: String| Finding::new(code, Severity::Error, title, why, fix);
    let finding = match problem {
        ImageProblem::Platform { wanted, found } => return platform(wanted, found),
        ImageProblem::NotAnImage { media_type } => {
            let shown = clip(media_type, 50);
            let why = "Only container images can be run; charts, signatures and attestations cannot.";
            let fix = "Push an image built with docker, podman or buildah.".to_owned();
            error("image.not_an_image", format!("This is not a container image but {shown}"), why, fix)
                .message(format!("invalid image: {shown} is not a container image"))
        }
        ImageProblem::Manifest { .. } => {
            error("image.manifest", "The image manifest is malformed".to_owned(), INCOMPLETE, BUILD_AGAIN.to_owned())
                .message("invalid image: malformed manifest")
        }
        ImageProblem::Config { .. } => {
            error("image.config", "The image config is malformed".to_owned(), INCOMPLETE, BUILD_AGAIN.to_owned())
                .message("invalid image: malformed config")
        }
        ImageProblem::TooLarge { what, size, limit, .. } => {
            let why = "Documents this large come from broken tools or from attackers.";
            error("image.too_large", format!("The image's {what} has {size} bytes, more than {limit}"), why, BUILD_AGAIN.to_owned())
                .message(format!("invalid image: {what} larger than {limit} bytes"))
        }
        ImageProblem::EmptyIndex { .. } => {
            let fix = "Push the image itself, or an index that names one.".to_owned();
            error("image.empty_index", "The image index names no image".to_owned(), INCOMPLETE, fix).message("invalid image: empty index")
        }
        ImageProblem::TooDeep { limit } => {
            let why = "Nobody builds indexes inside indexes inside indexes on purpose.";
            let fix = "Push the image itself.".to_owned();
            error("image.too_deep", format!("Image indexes are nested more than {limit} deep"), why, fix)
                .message("invalid image: indexes nested too deep")
        }
        ImageProblem::TooManyLayers { count, limit } => {
            let why = "Every layer is mounted when the engine starts, and the system has a limit.";
            let fix = "Merge RUN and COPY lines of the Dockerfile, or build with --squash.".to_owned();
            error("image.too_many_layers", format!("The image has {count} layers, more than {limit}"), why, fix)
                .message(format!("invalid image: more than {limit} layers"))
        }
        ImageProblem::Digest { .. } => {
            error("image.digest", "A part of the image is not what its digest says".to_owned(), INCOMPLETE, BUILD_AGAIN.to_owned())
                .message("invalid image: a part is not what its digest says")
        }
        ImageProblem::Size { size, actual, .. } => error(
            "image.size",
            format!("A part of the image has {actual} bytes, its manifest says {size}"),
            INCOMPLETE,
            BUILD_AGAIN.to_owned(),
        )
        .message("invalid image: a part is not as long as its manifest says"),
        ImageProblem::BlobMissing { .. } => {
            let fix = "Save or push the image again; an interrupted copy leaves parts out.".to_owned();
            error("image.missing_part", "A part of the image is missing".to_owned(), INCOMPLETE, fix)
                .message("invalid image: a part is missing")
        }
    };
    finding.at("image manifest and what it names").quote(clip(&problem.to_string(), 400))
}

fn platform(wanted: &Platform, found: &[Platform]) -> Finding {
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    let shown = if found.is_empty() { "no platform we know".to_owned() } else { list(&found, "and") };
    let windows = found.iter().any(|platform| platform.starts_with("windows"));
    let why = if windows {
        "Engines run on Linux; Windows images are not supported."
    } else {
        "An image holds programs for one kind of processor; on another they cannot be started."
    };
    let mut finding = Finding::new(
        "image.platform",
        Severity::Error,
        format!("The image is for {}, this gate runs {wanted}", clip(&shown, 45)),
        why,
        format!("Build it with: docker build --platform {wanted} ."),
    );
    finding.value = found.first().cloned();
    finding.allowed = vec![wanted.to_string()];
    finding.message(format!("invalid platform: {} is not {wanted}", clip(&shown, 200))).at("image config, os and architecture")
}

#[cfg(test)]
pub(super) mod tests {
    use model::digest::Digest;

    use super::*;
    use crate::{checks::fixtures::Fixture, evidence::tests::webhook};

    pub(crate) fn fixtures() -> Vec<Fixture> {
        let digest = || Digest::of(b"part");
        let wanted = || Platform::new("linux", "amd64");
        let fail = |name, problem, code| Fixture::fail(name, webhook().at_fault(problem), code);
        let windows = vec![Platform::new("windows", "amd64")];
        vec![
            Fixture::pass("an image", webhook()),
            fail("for Windows", ImageProblem::Platform { wanted: wanted(), found: windows }, "image.platform"),
            fail("for nothing", ImageProblem::Platform { wanted: wanted(), found: vec![] }, "image.platform"),
            fail(
                "a chart",
                ImageProblem::NotAnImage { media_type: "application/vnd.cncf.helm.config.v1+json".into() },
                "image.not_an_image",
            ),
            fail("a broken manifest", ImageProblem::Manifest { digest: digest(), reason: "x".into() }, "image.manifest"),
            fail("a broken config", ImageProblem::Config { digest: digest(), reason: "x".into() }, "image.config"),
            fail("a huge config", ImageProblem::TooLarge { what: "config".into(), digest: digest(), size: 9, limit: 8 }, "image.too_large"),
            fail("an empty index", ImageProblem::EmptyIndex { digest: digest() }, "image.empty_index"),
            fail("nested indexes", ImageProblem::TooDeep { limit: 3 }, "image.too_deep"),
            fail("many layers", ImageProblem::TooManyLayers { count: 600, limit: 512 }, "image.too_many_layers"),
            fail("changed", ImageProblem::Digest { digest: digest(), actual: Digest::of(b"") }, "image.digest"),
            fail("longer", ImageProblem::Size { digest: digest(), size: 1, actual: 2 }, "image.size"),
            fail("incomplete", ImageProblem::BlobMissing { digest: digest() }, "image.missing_part"),
            Fixture::could_not("unreadable", webhook().unread(), Some("image.unread")),
        ]
    }

    #[test]
    fn windows_is_named_and_refused() {
        let finding = platform(&Platform::new("linux", "amd64"), &[Platform::new("windows", "amd64"), Platform::new("linux", "arm64")]);
        assert_eq!(finding.title, "The image is for windows/amd64 and linux/arm64, this gate runs linux/amd64");
        assert!(finding.why.contains("Windows"));
        assert_eq!(finding.message, "invalid platform: windows/amd64 and linux/arm64 is not linux/amd64");
    }
}

//! `layers`: every layer is a readable archive, and the one the image's config lists.

use std::mem::discriminant;

use image::LayerProblem;
use model::finding::{Finding, Severity};

use super::without_image;
use crate::{
    evidence::{Evidence, ImageFacts, LayerFacts},
    judge::{Check, Draft, Judge, Judgement, Needs},
    wording::{clip, list},
};

pub(super) const CHECK: Check = Check {
    id: "layers",
    title: "Every layer is readable and the one it should be",
    help: include_str!("../../../../docs/checks/layers.md"),
    needs: Needs::Static,
    judge: Judge::Evidence(judge),
};

/// Problems and layers named in one finding.
const NAMED: usize = 5;

fn judge(evidence: &Evidence) -> Judgement {
    let Some(facts) = evidence.facts() else { return without_image(evidence) };
    let mut drafts: Vec<Draft> = problems(facts).into_iter().map(Draft::from).collect();
    drafts.extend(devices(facts).map(Draft::from));
    drafts.extend(count(facts).or_else(|| diff_ids(facts)).map(Draft::from));
    Judgement::Judged(drafts)
}

/// One finding per kind of problem, with all the layers that have it.
fn problems(facts: &ImageFacts) -> Vec<Finding> {
    let mut kinds: Vec<Kind<'_>> = Vec::new();
    let further = |layer: &LayerFacts| layer.problems.iter().any(|problem| matches!(problem, LayerProblem::More { .. }));
    for (index, layer) in facts.layers.iter().enumerate() {
        for problem in layer.problems.iter().filter(|problem| !matches!(problem, LayerProblem::More { .. })) {
            match kinds.iter_mut().find(|kind| discriminant(kind.first) == discriminant(problem)) {
                Some(kind) => kind.add(index, problem, further(layer)),
                None => {
                    let mut kind = Kind { first: problem, layers: Vec::new(), sentences: Vec::new(), count: 0, further: false };
                    kind.add(index, problem, further(layer));
                    kinds.push(kind);
                }
            }
        }
    }
    kinds.iter().map(|kind| kind.finding(facts.layers.len())).collect()
}

/// One kind of problem and where it occurs.
struct Kind<'a> {
    first: &'a LayerProblem,
    layers: Vec<usize>,
    sentences: Vec<String>,
    count: usize,
    further: bool,
}

impl<'a> Kind<'a> {
    fn add(&mut self, layer: usize, problem: &'a LayerProblem, further: bool) {
        self.count += 1;
        self.further |= further;
        if self.layers.last() != Some(&layer) {
            self.layers.push(layer);
        }
        if self.sentences.len() < NAMED {
            self.sentences.push(format!("layer {}: {}", layer + 1, clip(&problem.to_string(), 300)));
        }
    }

    fn finding(&self, total: usize) -> Finding {
        let (fact, breaks) = fact(self.first);
        let layers = named(&self.layers);
        let (code, severity, why, fix) = if breaks {
            (
                "layers.unreadable",
                Severity::Error,
                "A layer that cannot be unpacked cannot be run, here or anywhere else.",
                "Build the image again with a current docker, podman or buildah, and push it again.",
            )
        } else {
            (
                "layers.ignored",
                Severity::Warning,
                "Container runtimes treat such files differently: the engine may miss a file in one place that it has in another.",
                "Add the files by their plain, real paths, and build the image again.",
            )
        };
        let times = if self.count > self.layers.len() { format!(" ({} times)", self.count) } else { String::new() };
        let mut finding = Finding::new(code, severity, format!("Layer {layers} of {total} {fact}{times}"), why, fix);
        finding.evidence.clone_from(&self.sentences);
        if self.count > self.sentences.len() || self.further {
            finding.evidence.push("and more of the kind".to_owned());
        }
        finding.message(format!("invalid layer {layers} of {total}: it {fact}")).at(format!("layer {layers}, counted from the bottom"))
    }
}

/// Layer numbers from 1 for people.
fn named(layers: &[usize]) -> String {
    let mut names: Vec<String> = layers.iter().take(NAMED).map(|index| (index + 1).to_string()).collect();
    if layers.len() > NAMED {
        names.push(format!("{} more", layers.len() - NAMED));
    }
    list(&names, "and")
}

/// The problem without its numbers, and whether it keeps the layer from being unpacked. Offsets depend on the compression, which changes
/// when an image travels, so they are in the evidence alone.
fn fact(problem: &LayerProblem) -> (&'static str, bool) {
    let fact = match problem {
        LayerProblem::NotATar => "is not a tar archive",
        LayerProblem::ForeignCompression { .. } => "is compressed in a way OCI does not allow",
        LayerProblem::Truncated { .. } => "ends in the middle of a file",
        LayerProblem::TruncatedStream { .. } => "ends in the middle of its compressed stream",
        LayerProblem::CorruptStream { .. } => "has a damaged compressed stream",
        LayerProblem::TrailingGarbage { .. } => "has bytes behind its end",
        LayerProblem::BadChecksum { .. } => "has a tar header with a wrong checksum",
        LayerProblem::BadHeader { .. } => "has a malformed tar header",
        LayerProblem::TooManyEntries { .. } => "has too many files",
        LayerProblem::TooManyNames { .. } => "has path names that are too long together",
        LayerProblem::TooLarge { .. } => "is too large when unpacked",
        LayerProblem::TooManyStreams { .. } => "consists of too many compressed streams",
        LayerProblem::Ratio { .. } => "inflates as a decompression bomb would",
        LayerProblem::PathTooLong { .. } => "has a path that is too long",
        LayerProblem::HeaderTooLarge { .. } => "has an extended header that is too large",
        LayerProblem::PathEscapes { .. } => "has a path that leads out of the image",
        LayerProblem::BehindSymlink { .. } => "has a file behind a symbolic link of its own",
        LayerProblem::LinkTargetMissing { .. } => "has a hard link to a file it does not contain",
        LayerProblem::Sparse { .. } => "has a sparse file that tools do not unpack",
        LayerProblem::UnknownType { .. } => "has a member of an unknown type",
        LayerProblem::More { .. } => "has further problems",
    };
    // Such a link is no gap in what we know of the layer, but unpacking ends there.
    (fact, problem.breaks() || matches!(problem, LayerProblem::LinkTargetMissing { .. }))
}

/// Device nodes, all in one finding.
fn devices(facts: &ImageFacts) -> Option<Finding> {
    let with: Vec<usize> = (0..facts.layers.len()).filter(|index| !facts.layers[*index].devices.is_empty()).collect();
    if with.is_empty() {
        return None;
    }
    let (layers, total) = (named(&with), facts.layers.len());
    let mut finding = Finding::new(
        "layers.device",
        Severity::Warning,
        format!("Layer {layers} of {total} has device nodes, which are not made"),
        "A device node gives whoever opens it a way to the machine's disks and memory; engines get the few devices of every container in /dev.",
        "Leave device nodes out of the image; /dev/null, /dev/zero, /dev/random and their like are there without them.",
    );
    let lines = with
        .iter()
        .flat_map(|index| facts.layers[*index].devices.iter().map(move |path| format!("layer {}: {}", index + 1, clip(path, 200))));
    finding.evidence = lines.take(NAMED + 1).collect();
    if finding.evidence.len() > NAMED {
        finding.evidence[NAMED] = "and more of the kind".to_owned();
    }
    Some(
        finding
            .message(format!("layer {layers} of {total} has device nodes, which are not made"))
            .at(format!("layer {layers}, counted from the bottom")),
    )
}

fn count(facts: &ImageFacts) -> Option<Finding> {
    let (layers, listed) = (facts.layers.len(), facts.config.diff_ids.len());
    (layers != listed).then(|| {
        let finding = Finding::new(
            "layers.count",
            Severity::Error,
            format!("The image has {layers} layers, its config lists {listed}"),
            "The config says by digest what each layer contains; container runtimes refuse an image where the two do not agree.",
            "Build the image again with a current docker, podman or buildah, and push it again.",
        );
        finding.message(format!("invalid image: {layers} layers, but {listed} diffIDs")).at("image config, rootfs.diff_ids")
    })
}

/// Layers whose content is not what the config says, all in one finding.
fn diff_ids(facts: &ImageFacts) -> Option<Finding> {
    let pairs = facts.layers.iter().zip(&facts.config.diff_ids).enumerate();
    let wrong: Vec<_> = pairs
        .filter_map(|(index, (layer, listed))| Some((index, layer.diff_id.as_ref()?, listed)))
        .filter(|(_, is, listed)| is != listed)
        .collect();
    let layers = named(&wrong.iter().map(|(index, ..)| *index).collect::<Vec<_>>());
    let total = facts.layers.len();
    if wrong.is_empty() {
        return None;
    }
    let mut finding = Finding::new(
        "layers.diff_id",
        Severity::Error,
        format!("Layer {layers} of {total} is not the one its config lists"),
        "The config says by digest what each layer contains; container runtimes refuse an image where the two do not agree.",
        "Build the image again with a current docker, podman or buildah; a tool that edits layers must write the config anew.",
    );
    finding.evidence =
        wrong.iter().take(NAMED).map(|(index, is, listed)| format!("layer {}: config says {listed}, content is {is}", index + 1)).collect();
    Some(finding.message(format!("invalid layer {layers} of {total}: not the one its config lists")).at("image config, rootfs.diff_ids"))
}

#[cfg(test)]
pub(super) mod tests {
    use model::digest::Digest;

    use super::*;
    use crate::{checks::fixtures::Fixture, evidence::tests::webhook};

    pub(crate) fn fixtures() -> Vec<Fixture> {
        let fail = |name, problem| Fixture::fail(name, webhook().layer_problem(problem), "layers.unreadable");
        let escapes = || LayerProblem::PathEscapes { path: "../etc/passwd".into() };
        vec![
            Fixture::pass("two good layers", webhook()),
            fail("no archive", LayerProblem::NotATar),
            fail("cut off", LayerProblem::Truncated { offset: 5 }),
            fail("a dangling hard link", LayerProblem::LinkTargetMissing { path: "a".into(), target: "b".into() }),
            Fixture::warn("a path out of the image", webhook().layer_problem(escapes()), "layers.ignored"),
            Fixture::warn("a device node", webhook().device("opt/disk"), "layers.device"),
            Fixture::fail("another layer", webhook().diff_id(0, Digest::of(b"other")), "layers.diff_id"),
            Fixture::fail("a layer too few", webhook().without_layer(), "layers.count"),
            Fixture::skip("no image", webhook().not_an_image(), "see check image"),
        ]
    }

    #[test]
    fn many_problems_of_a_kind_are_one_finding_with_a_list() {
        let escapes = |n: usize| LayerProblem::PathEscapes { path: format!("../{n}") };
        let mut builder = webhook();
        for n in 0..8 {
            builder = builder.layer_problem(escapes(n));
        }
        let evidence = builder.layer_problem(LayerProblem::More { count: 200 }).evidence();
        let found = problems(evidence.facts().unwrap());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].title, "Layer 1 of 2 has a path that leads out of the image (8 times)");
        assert_eq!((found[0].evidence.len(), found[0].evidence[5].as_str()), (NAMED + 1, "and more of the kind"));
    }

    #[test]
    fn messages_have_no_numbers_that_depend_on_compression() {
        let evidence =
            webhook().layer_problem(LayerProblem::CorruptStream { compression: image::Compression::Gzip, offset: 4711 }).evidence();
        let found = problems(evidence.facts().unwrap());
        assert_eq!(found[0].message, "invalid layer 1 of 2: it has a damaged compressed stream");
        assert!(found[0].evidence[0].contains("4711"));
    }
}

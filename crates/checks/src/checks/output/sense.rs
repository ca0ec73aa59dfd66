//! What no contract forbids and no application can use, told once for all documents.

use model::finding::{Finding, Severity};

use super::document::Judged;
use crate::{
    contract::output::{Confidences, Places, Sense, language_tag_for},
    wording::{clip, list},
};

/// Samples and places named in a sentence.
const NAMED: usize = 5;
/// Fewer confidences than this say nothing of an engine.
const FEW: u64 = 5;

pub(super) fn findings(documents: &[Judged]) -> Vec<Finding> {
    [
        found_nothing(documents),
        backward(documents),
        overlapping(documents),
        unsure_of_nothing(documents),
        languages(documents),
        numbered_on(documents),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn warning(code: &str, title: String, why: &str, fix: impl Into<String>) -> Finding {
    Finding::new(code, Severity::Warning, title, why, fix)
}

/// Documents whose lists, texts and words are all empty, all in one finding.
fn found_nothing(documents: &[Judged]) -> Option<Finding> {
    let group: Vec<&Judged> = documents.iter().filter(|document| document.sense.found_nothing).collect();
    let first = group.first()?;
    let mut samples: Vec<&str> = group.iter().map(|document| document.sample.as_str()).collect();
    samples.dedup();
    samples.truncate(NAMED);
    let shown = list(&samples, "and");
    let finding = warning(
        "output.nothing_found",
        format!("Engine found nothing in {}", clip(&shown, 60)),
        "The samples are made so that there is something to find; an engine that finds nothing may not have read them.",
        "Check that the engine reads its input (chunk or cacheURI), and that no exception is swallowed.",
    );
    Some(finding.message(format!("Output check: nothing found in {shown}")).at(first.place.clone()).sample(&first.sample))
}

/// The first document with such slices, its first such slice, and how many there are in all.
fn slices<'a>(documents: &'a [Judged], of: impl Fn(&'a Sense) -> &'a Places) -> Option<(&'a Judged, usize, u64)> {
    let document = documents.iter().find(|document| of(&document.sense).count > 0)?;
    Some((document, *of(&document.sense).first.first()?, documents.iter().map(|document| of(&document.sense).count).sum()))
}

fn times(count: u64) -> String {
    if count > 1 { format!(", {count} times") } else { String::new() }
}

fn paths(places: &Places) -> Vec<String> {
    places.first.iter().take(NAMED).map(|index| format!(".series[{index}]")).collect()
}

/// Slices that end before they start, all in one finding.
fn backward(documents: &[Judged]) -> Option<Finding> {
    let (document, index, count) = slices(documents, |sense| &sense.backward)?;
    let mut finding = warning(
        "output.times",
        format!("Result: .series[{index}] ends before it starts{}", times(count)),
        "A slice of negative length is shown by no player and found by no search.",
        "Write the earlier time into startTimeMs and the later one into stopTimeMs, both in milliseconds.",
    );
    finding.evidence = paths(&document.sense.backward);
    let finding = finding.message(format!("Output check: .series[{index}] startTimeMs is after stopTimeMs"));
    Some(finding.at(document.place.clone()).sample(&document.sample))
}

/// Slices with alternatives that lie over each other, all in one finding.
fn overlapping(documents: &[Judged]) -> Option<Finding> {
    let (document, index, count) = slices(documents, |sense| &sense.overlapping)?;
    let mut finding = warning(
        "output.overlap",
        format!("Result: .series[{index}] overlaps the slice before it, with alternatives{}", times(count)),
        "Alternative words stand in one slice, one behind the other; where slices overlap as well, nobody knows which word belongs to which.",
        "Let each slice begin where the one before it ends, and put all words of one moment into the words of one slice.",
    );
    finding.evidence = paths(&document.sense.overlapping);
    let finding = finding.message(format!("Output check: .series[{index}] overlaps the slice before it"));
    Some(finding.at(document.place.clone()).sample(&document.sample))
}

/// All confidences are exactly 0, or all exactly 1, or there is nothing but these two.
fn unsure_of_nothing(documents: &[Judged]) -> Option<Finding> {
    let sum = |of: fn(&Confidences) -> u64| documents.iter().map(|document| of(&document.sense.confidences)).sum::<u64>();
    let (zero, one, between) = (sum(|c| c.zero), sum(|c| c.one), sum(|c| c.between));
    if between > 0 || zero + one < FEW {
        return None;
    }
    let first = documents.iter().find(|document| document.sense.confidences != Confidences::default())?;
    let all = zero + one;
    let fact = match (zero, one) {
        (0, _) => format!("each of the {all} confidences is exactly 1"),
        (_, 0) => format!("each of the {all} confidences is exactly 0"),
        _ => format!("each of the {all} confidences is exactly 0 or exactly 1"),
    };
    let finding = warning(
        "output.confidence",
        format!("Result: {fact}"),
        "Applications sort and filter by confidence; one that is always the same says nothing, and 0 is often not shown at all.",
        "Write how sure the engine is, as a fraction between 0 and 1; leave confidence out if it does not know.",
    );
    Some(finding.message(format!("Output check: {fact}")).at(first.place.clone()).sample(&first.sample))
}

/// Languages that are no tags, all in one finding.
fn languages(documents: &[Judged]) -> Option<Finding> {
    let first = documents.iter().find(|document| !document.sense.languages.is_empty())?;
    let (path, text) = first.sense.languages.first()?;
    let shown = clip(text, 30);
    let meant = language_tag_for(text);
    let fix = match &meant {
        Some(tag) => format!("Write \"{}\".", clip(tag, 30)),
        None => "Write the language as a tag of BCP 47: \"en\", \"en-US\", \"de-CH\"; one tag, not a list and not a name.".to_owned(),
    };
    let mut finding = warning(
        "output.language",
        format!("Result: {} is \"{shown}\", which is no language tag", clip(path, 35)),
        "Languages are compared by their tags; another spelling is another language.",
        fix,
    );
    finding.value = Some(clip(text, 100));
    finding.suggestion = meant;
    finding.evidence = first.sense.languages.iter().take(NAMED).map(|(path, text)| format!("{path}: \"{}\"", clip(text, 60))).collect();
    Some(finding.message(format!("Output check: {path} is not a language tag")).at(first.place.clone()).sample(&first.sample))
}

/// Only texts are complete enough that a number says where it begins.
fn numbered_on(documents: &[Judged]) -> Option<Finding> {
    let texts = documents.iter().filter(|document| document.contracts.contains(&"text"));
    let (document, (key, path)) = texts.filter_map(|document| Some((document, document.sense.numbered_on.as_ref()?))).next()?;
    let within = if *key == "paragraph" { "page" } else { "paragraph" };
    let finding = warning(
        "output.numbering",
        format!("Result: {key} of {path} goes on from the {within} before"),
        "Paragraphs are counted within their page and sentences within their paragraph; viewers find the place by all three numbers.",
        format!("Begin with {key} 1 in each {within}."),
    );
    Some(finding.message(format!("Output check: {path} {key} does not begin anew")).at(document.place.clone()).sample(&document.sample))
}

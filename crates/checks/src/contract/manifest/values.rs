//! Checks of single values: types, ranges and closed sets.

use super::{fields::WW, look::Look};
use crate::{
    contract::json::{Node, Value},
    spelling,
    wording::list,
};

/// GPU codes with hardware behind them, and those that are only announced or belong to the newer edge API.
const GPUS: [&str; 3] = ["G2", "G3", "P2"];
const OTHER_GPUS: [&str; 7] = ["CG1", "F1", "P3", "aws_p2", "aws_p3", "cuda", "none"];

/// Words of `schedule` (spaces and hyphens do not count), and the word meant.
const SCHEDULES: [(&str, &str); 6] = [
    ("any", "any"),
    ("recurring", "recurring"),
    ("continuous", "continuous"),
    ("immediate", "immediate"),
    ("ondemand", "on demand"),
    ("now", "immediate"),
];

/// Longest release notes, characters.
const NOTES: usize = 10_000;

/// A value that is one of a few words. Says which was probably meant.
pub(super) fn one_of(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str, words: &'static [&'static str]) {
    let text = node.value.text();
    if text.is_some_and(|text| words.contains(&text)) {
        return;
    }
    let near = text.and_then(|text| {
        let same = words.iter().find(|word| word.eq_ignore_ascii_case(text.trim())).copied();
        same.or_else(|| spelling::nearest(text, words.iter().copied()))
    });
    let finding = look.invalid(node, pointer);
    finding.allowed = words.iter().map(|word| (*word).to_owned()).collect();
    finding.fix = format!("Write {}.", list(&words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>(), "or"));
    if let Some(near) = near {
        finding.suggestion = Some(near.to_owned());
        finding.fix = format!("Write \"{near}\"; allowed are {}.", list(words, "and"));
    }
}

/// A whole number of at least `least`.
pub(super) fn integer(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str, least: f64) -> bool {
    // Beyond this a whole number is not exact in every reader, and none that means anything is that large.
    let most = 9_007_199_254_740_991.0;
    let right = node.value.is_integer() && node.value.number().is_some_and(|number| (least..=most).contains(&number));
    if !right {
        look.invalid(node, pointer);
    }
    right
}

/// A number above zero.
pub(super) fn positive(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) -> bool {
    let right = node.value.number().is_some_and(|number| number > 0.0);
    if !right {
        look.invalid(node, pointer);
    }
    right
}

/// A text, or a list of texts; gives them.
pub(super) fn texts<'n>(look: &mut Look<'_, '_>, node: &'n Node<'_>, pointer: &str) -> Option<Vec<&'n str>> {
    let found = match &node.value {
        Value::Text(text) => Some(vec![text.as_ref()]),
        Value::List(items) => items.iter().map(|item| item.value.text()).collect(),
        _ => None,
    };
    if found.is_none() {
        look.invalid(node, pointer);
    }
    found
}

/// `initialConcurrency` may not be above `maxConcurrency`, whose default is 50.
pub(super) fn initial_concurrency(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    if !integer(look, node, pointer, 1.0) {
        return;
    }
    let most = look.context.number("maxConcurrency").unwrap_or(50.0);
    if node.value.number().is_some_and(|number| number > most) {
        let fact = format!("is above maxConcurrency, which is {most}");
        look.reject("range", look.field.levels, node, pointer, &fact).fix = format!("Write {most} or less, or raise maxConcurrency.");
    }
}

/// `minMediaLengthMs` may not be above `maxMediaLengthMs`.
pub(super) fn shortest_media(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    if !integer(look, node, pointer, 0.0) {
        return;
    }
    if let Some(most) = look.context.number("maxMediaLengthMs").filter(|most| node.value.number().is_some_and(|least| least > *most)) {
        let fact = format!("is above maxMediaLengthMs, which is {most}");
        look.reject("range", look.field.levels, node, pointer, &fact).fix = "Write the shorter length into minMediaLengthMs.".to_owned();
    }
}

/// Memory beyond the cluster size is granted for the test run, but deserves a word.
pub(super) fn memory(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    if !positive(look, node, pointer) {
        return;
    }
    let sizes = [("small", 512.0), ("medium", 2048.0), ("large", 6144.0)];
    let size = look.context.text("clusterSize").and_then(|text| sizes.iter().find(|(word, _)| *word == text));
    if let (Some((word, megabytes)), Some(wanted)) = (size, node.value.number())
        && wanted > *megabytes
    {
        let fact = format!("is more than clusterSize {word} gives ({megabytes} MB)");
        let fix = match sizes.iter().find(|(_, megabytes)| wanted <= *megabytes) {
            Some((fitting, _)) => format!("Write \"clusterSize\": \"{fitting}\", or lower minMemoryRequired."),
            None => "Lower minMemoryRequired; the largest cluster size has 6144 MB.".to_owned(),
        };
        look.reject("cluster", WW, node, pointer, &fact).fix = fix;
    }
}

/// `true`, `false`, or one of them as a text.
pub(super) fn flag(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    let right = match &node.value {
        Value::Flag(_) => true,
        Value::Text(text) => matches!(text.as_ref(), "true" | "false"),
        _ => false,
    };
    if !right {
        look.invalid(node, pointer);
    }
}

/// A text of at most 10,000 characters.
pub(super) fn notes(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    match node.value.text() {
        None => drop(look.invalid(node, pointer)),
        Some(text) if text.chars().count() > NOTES => {
            let fact = format!("is longer than {NOTES} characters");
            look.reject("length", look.field.levels, node, pointer, &fact).fix = "Shorten it.".to_owned();
        }
        Some(_) => {}
    }
}

/// One of the documented schedules, in any of their spellings.
pub(super) fn schedule(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    let folded: Option<String> = node.value.text().map(|text| text.to_lowercase().replace([' ', '-', '_'], ""));
    if folded.is_some_and(|folded| SCHEDULES.iter().any(|(word, _)| *word == folded)) {
        return;
    }
    let finding = look.invalid(node, pointer);
    finding.allowed = ["any", "recurring", "continuous", "immediate", "on demand"].map(str::to_owned).to_vec();
}

/// GPU codes: a text, a list in a text, or a list.
pub(super) fn gpus(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    let Some(texts) = texts(look, node, pointer) else { return };
    let split = |text: &&str| {
        text.split(',').map(|code| code.trim_matches(|c: char| c.is_whitespace() || "[]'\"".contains(c)).to_owned()).collect::<Vec<_>>()
    };
    let codes: Vec<String> = texts.iter().flat_map(split).filter(|code| !code.is_empty()).collect();
    let known = |list: &[&str], code: &String| list.iter().any(|known| known.eq_ignore_ascii_case(code));
    if codes.iter().any(|code| !known(&GPUS, code) && !known(&OTHER_GPUS, code)) {
        look.invalid(node, pointer).allowed = GPUS.map(str::to_owned).to_vec();
    } else if codes.iter().any(|code| known(&OTHER_GPUS, code)) {
        let fact = "names hardware that is not available yet; the test runs on CPU";
        look.reject("unavailable", WW, node, pointer, fact).fix = format!("Write one of {}, or leave the key out.", GPUS.join(", "));
    }
}

/// An encoder label such as `pcm_s16be`.
pub(super) fn encoding(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    let fits = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !node.value.text().is_some_and(fits) {
        look.invalid(node, pointer);
    }
}

/// Languages as ISO 639-1 or BCP 47 write them.
pub(super) fn languages(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    let Some(texts) = texts(look, node, pointer) else { return };
    let right = texts.iter().flat_map(|text| text.split(',')).all(|language| is_language(language.trim()));
    if !right {
        look.invalid(node, pointer);
    }
}

/// Whether a text has the form of a BCP 47 tag.
fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    let first = parts.next().unwrap_or_default();
    (2..=8).contains(&first.len())
        && first.bytes().all(|byte| byte.is_ascii_alphabetic())
        && parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Ids of source types: 1 to 7 and 10 to 23, as numbers or as texts.
pub(super) fn source_types(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    let Some(items) = node.value.list() else {
        look.invalid(node, pointer);
        return;
    };
    let id = |item: &Node<'_>| match &item.value {
        Value::Number(text) => text.parse::<u32>().ok(),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    let known = |item: &Node<'_>| id(item).is_some_and(|id| matches!(id, 1..=7 | 10..=23));
    if let Some((index, item)) = items.iter().enumerate().find(|(_, item)| !known(item)) {
        look.invalid(item, &format!("{pointer}/{index}"));
    }
}

/// A whole number, or what `other` takes as a text.
pub(super) fn number_or(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str, other: fn(&str) -> bool) {
    let right = match &node.value {
        Value::Number(_) => node.value.is_integer(),
        Value::Text(text) => other(text.trim()),
        _ => false,
    };
    if !right {
        look.invalid(node, pointer);
    }
}

/// A version such as `"2.0"`, or a number.
pub(super) fn oauth(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    if !matches!(node.value, Value::Text(_) | Value::Number(_)) {
        look.invalid(node, pointer);
    }
}

/// Two letters.
pub(super) fn country(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    if !node.value.text().is_some_and(|text| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic())) {
        look.invalid(node, pointer);
    }
}

/// An http(s) URL.
pub(super) fn url(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    if !node.value.text().is_some_and(super::hosts::is_web_url) {
        look.invalid(node, pointer);
    }
}

/// Digits only.
pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A UUID in its usual form of 36 characters, in any letter case; the version is not looked at.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

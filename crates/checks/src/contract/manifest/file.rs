//! What can be wrong with the file as a whole.

use model::{
    finding::{Finding, Severity},
    manifest::MANIFEST_PATH,
};

use crate::{
    contract::json::{self, Node, Problem, ProblemKind},
    wording::clip,
};

const WHY: &str =
    "The manifest says which engine the image is, what it takes and gives, and how it is run; without it nothing can be tested.";

/// The file for people: where it is looked for, and where it really is if that is a link.
pub(super) fn shown(file: &str) -> String {
    if file == MANIFEST_PATH { file.to_owned() } else { format!("{MANIFEST_PATH}, a link to {file},") }
}

/// It is not JSON.
pub(super) fn not_json(file: &str, bytes: &[u8], problem: &Problem) -> Finding {
    let position = json::position(file, bytes, problem.at, "");
    let kind = problem.kind.to_string();
    let (fact, mend) = kind.split_once("; ").map_or((kind.as_str(), None), |(fact, mend)| (fact, Some(mend)));
    let fix = match (&problem.kind, mend) {
        (ProblemKind::Empty, _) => "Write the manifest of your engine into it: the console offers one ready to use.".to_owned(),
        (_, Some(mend)) => format!("{}. Check the file with: python3 -m json.tool manifest.json.", capital(mend)),
        (_, None) => "Mend that place. Check the file with: python3 -m json.tool manifest.json.".to_owned(),
    };
    let mut finding = Finding::new("manifest.json", Severity::Error, format!("Manifest is not JSON: it {fact}"), WHY, fix)
        .message(format!("invalid manifest: line {}, column {}: it {fact}", position.line, position.column))
        .at(format!("{} line {}, column {}", shown(file), position.line, position.column));
    let line = json::line_at(bytes, problem.at, 100);
    if !line.is_empty() && !matches!(problem.kind, ProblemKind::Encoding(_)) {
        finding.evidence.push(format!("{} | {line}", position.line));
    }
    finding.position = Some(position);
    finding
}

fn capital(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}

/// It is JSON, but no object.
pub(super) fn not_an_object(file: &str, bytes: &[u8], root: &Node<'_>) -> Finding {
    let kind = root.value.kind();
    let mut finding = Finding::new(
        "manifest.json",
        Severity::Error,
        format!("Manifest is a JSON {kind}, not an object"),
        WHY,
        "Put the fields into one object: { \"engineId\": \"...\", ... }.",
    );
    finding.position = Some(json::position(file, bytes, root.at, ""));
    finding.evidence.push(clip(&json::line_at(bytes, root.at, 100), 100));
    finding.message(format!("invalid manifest: a JSON {kind}, not an object")).at(shown(file).trim_end_matches(','))
}

/// It begins with a byte order mark.
pub(super) fn bom(file: &str) -> Finding {
    let finding = Finding::new(
        "manifest.bom",
        Severity::Warning,
        "Manifest begins with a byte order mark",
        "Many JSON readers refuse a file that begins with one.",
        "Save the file as UTF-8 without BOM; in Python: open(path, \"w\", encoding=\"utf-8\").",
    );
    finding.message("invalid manifest: it begins with a byte order mark").at(shown(file).trim_end_matches(','))
}

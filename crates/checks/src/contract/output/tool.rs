//! What the validation tool answers (output standard §4): every contract the document names is checked, and the general format.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{
    Contract, is_valid_transcript, names_of,
    strip::{strip, write},
    validate,
};
use crate::contract::json::{self, Caps, Node};

/// What becomes of keys that closed objects do not list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownFields {
    /// They are errors, as at the gate.
    #[default]
    Reject,
    /// They are removed first, as the tool did in former times.
    Strip,
}

/// What the tool answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<'a> {
    /// The document is valid; and what it is without what was stripped, as JSON text: what was sent, if there was nothing to strip.
    Valid(Cow<'a, str>),
    /// It is not.
    Invalid {
        /// For people.
        message: String,
        /// Entries `{keyword, dataPath, schemaPath, params, message}`, in the order of the document.
        errors: Vec<Json>,
    },
}

/// What stands before and behind a valid document in the body of the answer.
pub const VALID: (&str, &str) = ("{\"data\":{\"valid\":true,\"processed\":", "}}");

impl Answer<'_> {
    /// The body of the answer, as documented.
    pub fn body(&self) -> String {
        match self {
            Self::Valid(processed) => [VALID.0, processed, VALID.1].concat(),
            Self::Invalid { message, errors } => {
                json!({ "errors": [{ "name": "invalid_input", "message": message, "validationErrors": errors }] }).to_string()
            }
        }
    }
}

/// Validates a document.
pub fn tool(bytes: &[u8], unknown: UnknownFields) -> Answer<'_> {
    if let (true, Ok(text)) = (is_valid_transcript(bytes), std::str::from_utf8(bytes)) {
        // A valid document has nothing to strip.
        return Answer::Valid(Cow::Borrowed(text));
    }
    let mut document = match json::read(bytes, Caps::RESULT) {
        Ok(document) => document,
        Err(problem) => {
            let (line, column) = json::line_and_column(bytes, problem.at);
            let message = format!("The document is not JSON: line {line}, column {column}: it {}", problem.kind);
            return Answer::Invalid { message, errors: Vec::new() };
        }
    };
    let stripped = unknown == UnknownFields::Strip && strip(&mut document.root);
    if let Some((message, errors)) = faults(&document.root) {
        return Answer::Invalid { message, errors };
    }
    Answer::Valid(match std::str::from_utf8(bytes) {
        Ok(text) if !stripped => Cow::Borrowed(text.trim_start_matches('\u{feff}').trim()),
        _ => {
            let mut text = String::with_capacity(bytes.len());
            write(&document.root, &mut text);
            Cow::Owned(text)
        }
    })
}

/// What is wrong with a document: a sentence, and the entries.
fn faults(root: &Node<'_>) -> Option<(String, Vec<Json>)> {
    let names = names_of(root);
    let mut contracts: Vec<&Contract> = names.iter().flatten().filter_map(|name| Contract::named(name)).collect();
    contracts.sort_by_key(|contract| contract.name);
    contracts.dedup_by_key(|contract| contract.name);
    let verdict = validate(root, &contracts);
    let mut errors: Vec<Json> = verdict.violations.iter().map(super::Violation::entry).collect();
    if names.is_none() && root.value.object().is_some() {
        errors.insert(0, unnamed());
    }
    let message = message(errors.first()?, errors.len() as u64 + verdict.more);
    Some((message, errors))
}

/// Without a name it is not known what to check.
fn unnamed() -> Json {
    json!({
        "keyword": "required",
        "dataPath": "",
        "schemaPath": "#/required",
        "params": { "missingProperty": "validationContracts" },
        "message": "should have required property 'validationContracts'",
    })
}

fn message(first: &Json, count: u64) -> String {
    let text = |key: &str| first[key].as_str().unwrap_or_default();
    let place = if text("dataPath").is_empty() { "the document" } else { text("dataPath") };
    let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
    format!("The document does not keep its contract: {place} {}{more}", text("message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(document: &Json, unknown: UnknownFields) -> Json {
        serde_json::from_str(&tool(document.to_string().as_bytes(), unknown).body()).unwrap()
    }

    fn strict(document: &Json) -> Json {
        answer(document, UnknownFields::Reject)
    }

    #[test]
    fn a_valid_document_comes_back_as_it_is() {
        let document = json!({"validationContracts": ["keyword"], "object": [{"type": "keyword", "label": "a", "confidence": 1}], "theirs": {"x": 1.5}});
        assert_eq!(strict(&document), json!({"data": {"valid": true, "processed": document}}));
    }

    #[test]
    fn an_unknown_key_in_a_word_is_an_error_or_stripped_as_the_setting_says() {
        let with =
            |word: Json| json!({"validationContracts": ["transcript"], "series": [{"startTimeMs": 0, "stopTimeMs": 9, "words": [word]}]});
        let document = with(json!({"word": "a", "start": 3}));
        let refused = strict(&document);
        assert_eq!(refused["errors"][0]["name"], "invalid_input");
        assert_eq!(
            refused["errors"][0]["validationErrors"],
            json!([{"keyword": "additionalProperties", "dataPath": ".series[0].words[0]", "schemaPath": "#/additionalProperties",
                "params": {"additionalProperty": "start"}, "message": "should NOT have additional properties"}])
        );
        let stripped = answer(&document, UnknownFields::Strip);
        assert_eq!(stripped, json!({"data": {"valid": true, "processed": with(json!({"word": "a"}))}}));
    }

    #[test]
    fn what_is_stripped_is_only_what_closed_objects_do_not_list() {
        let id = "2a9b3c8e-1111-4222-8333-444455556666";
        let document = json!({"validationContracts": ["object"], "mine": 1, "tags": [{"key": "a", "mine": 1}], "vendor": {"x": [{"y": 1}]},
            "object": [{"type": "object", "mine": 1, "structuredData": {id: {"z": 1}, "name": 2}, "age": {"min": 1, "mine": 1},
                "boundingPoly": [{"x": 0, "y": 0, "z": 0}]}]});
        let kept = json!({"validationContracts": ["object"], "mine": 1, "tags": [{"key": "a", "mine": 1}], "vendor": {"x": [{"y": 1}]},
            "object": [{"type": "object", "structuredData": {id: {"z": 1}}, "age": {"min": 1, "mine": 1}, "boundingPoly": [{"x": 0, "y": 0}]}]});
        assert_eq!(answer(&document, UnknownFields::Strip)["data"]["processed"], kept);
        assert_eq!(strict(&document)["errors"][0]["validationErrors"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn stripping_mends_nothing_else() {
        let document = json!({"validationContracts": ["keyword"], "object": [{"type": "keyword", "lable": "a"}, 5]});
        let errors = answer(&document, UnknownFields::Strip)["errors"][0]["validationErrors"].clone();
        let told: Vec<_> =
            errors.as_array().unwrap().iter().map(|e| (e["dataPath"].as_str().unwrap(), e["keyword"].as_str().unwrap())).collect();
        assert_eq!(told, [(".object[0]", "required"), (".object[1]", "type")]);
    }

    #[test]
    fn every_contract_that_is_named_is_checked() {
        let document = json!({"validationContracts": ["keyword", "language", "language", "no-such-thing"], "object": []});
        let answer = strict(&document);
        assert_eq!(answer["errors"][0]["validationErrors"].as_array().unwrap().len(), 1, "{answer:#}");
        assert_eq!(answer["errors"][0]["validationErrors"][0]["params"]["missingProperty"], "language");
        let answer = strict(&json!({"validationContracts": ["transcripts"], "series": []}));
        assert_eq!(answer["errors"][0]["validationErrors"][0]["keyword"], "enum");
        assert_eq!(answer["errors"][0]["validationErrors"][0]["dataPath"], ".validationContracts[0]");
    }

    #[test]
    fn without_a_contract_or_without_json_it_says_so() {
        let answer = strict(&json!({"object": []}));
        assert_eq!(answer["errors"][0]["validationErrors"][0]["params"], json!({"missingProperty": "validationContracts"}));
        let message = |bytes: &[u8]| match tool(bytes, UnknownFields::Reject) {
            Answer::Invalid { message, .. } => message,
            Answer::Valid(processed) => panic!("{processed}"),
        };
        assert_eq!(
            message(b"{\n \"a\": 1,}"),
            "The document is not JSON: line 2, column 8: it has a comma with nothing behind it; remove the comma"
        );
        assert_eq!(message(b""), "The document is not JSON: line 1, column 1: it is empty");
        assert_eq!(message(b"[]"), "The document does not keep its contract: the document should be object");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            for unknown in [UnknownFields::Reject, UnknownFields::Strip] {
                let body: Json = serde_json::from_str(&tool(&bytes, unknown).body()).unwrap();
                proptest::prop_assert!(body["errors"].is_array());
            }
        }
    }
}

//! The contracts by example: what the standard's text says, right and wrong.

mod mutations;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::contract::json::{Caps, read};

/// `path keyword` of every violation, in order.
fn wrong(contracts: &[&str], document: &Json) -> Vec<String> {
    let text = document.to_string();
    let parsed = read(text.as_bytes(), Caps::RESULT).unwrap();
    let contracts: Vec<&Contract> = contracts.iter().map(|name| Contract::named(name).unwrap()).collect();
    validate(&parsed.root, &contracts).violations.iter().map(|v| format!("{} {}", v.data_path, v.keyword)).collect()
}

fn entry(contract: &str, document: &Json) -> Json {
    let text = document.to_string();
    let parsed = read(text.as_bytes(), Caps::RESULT).unwrap();
    let verdict = validate(&parsed.root, &[Contract::named(contract).unwrap()]);
    assert_eq!(verdict.violations.len(), 1, "{:#?}", verdict.violations);
    verdict.violations[0].entry()
}

#[test]
fn contracts_stand_in_alphabetical_order() {
    assert!(CONTRACTS.windows(2).all(|pair| pair[0].name < pair[1].name) && INFORMAL.is_sorted());
    assert!(Contract::named("aion").is_none());
}

/// A right document of each contract.
fn right() -> Vec<(&'static str, Json)> {
    vec![
        (
            "anomaly",
            json!({"object": [{"type": "anomaly", "label": "spike"}], "series": [{"startTimeMs": 0, "stopTimeMs": 5, "object": {"type": "anomaly"}}]}),
        ),
        ("concept", json!({"object": [{"type": "concept", "objectCategory": [{"class": "sport", "@id": "x", "confidence": 0.5}]}]})),
        ("entity", json!({"object": [{"type": "namedEntity", "label": "Rome"}, {"type": "namedEntity", "entityId": "e1"}]})),
        ("keyword", json!({"object": [{"type": "keyword", "label": "harbour", "confidence": 0.9, "sentence": 1}]})),
        ("language", json!({"language": "en"})),
        ("media-translated", json!({"media": [{"assetId": "a", "language": "de", "more": 1}]})),
        (
            "object",
            json!({"object": [{"type": "object", "label": "car", "boundingPoly": [{"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": 1.0, "y": 1}]}]}),
        ),
        (
            "sentiment",
            json!({"sentiment": {"positiveValue": 0.5, "positiveConfidence": 1}, "emotions": [{"emotion": "joy", "emotionValue": 0.1}]}),
        ),
        ("summary", json!({"summary": "short"})),
        ("text", json!({"object": [{"type": "text", "text": "STOP", "page": 1}]})),
        (
            "transcript",
            json!({"series": [
            {"startTimeMs": 0, "stopTimeMs": 700, "words": [{"word": "a"}], "speakerId": "1"},
            {"startTimeMs": 700, "stopTimeMs": 900, "words": [
                {"word": "b", "confidence": 0.6, "utteranceLength": 1, "bestPath": true},
                {"word": "c", "confidence": 0.4, "utteranceLength": 1}]}]}),
        ),
    ]
}

#[test]
fn right_documents_of_every_contract_have_nothing_wrong() {
    for (contract, mut document) in right() {
        assert_eq!(wrong(&[contract], &document), [""; 0], "{contract}");
        document["validationContracts"] = json!([contract]);
        document["generatedDateUTC"] = json!("0001-01-01T00:00:00Z");
        document["someKeyOfTheirs"] = json!({"any": 1});
        assert_eq!(wrong(&[contract], &document), [""; 0], "{contract}");
    }
    assert_eq!(right().len(), CONTRACTS.len());
}

#[test]
fn empty_documents_lack_what_the_contract_needs() {
    for (contract, expected) in [
        ("anomaly", &[" required", " required"][..]),
        ("concept", &[" required"]),
        ("entity", &[" required"]),
        ("keyword", &[" required"]),
        ("language", &[" required"]),
        ("media-translated", &[" required"]),
        ("object", &[" required", " required"]),
        ("sentiment", &[" required", " required", " required"]),
        ("summary", &[" required"]),
        ("text", &[" required", " required"]),
        ("transcript", &[" required"]),
    ] {
        assert_eq!(wrong(&[contract], &json!({})), expected, "{contract}");
    }
    assert_eq!(wrong(&[], &json!({})), [""; 0]);
    assert_eq!(wrong(&[], &json!([])), [" type"]);
    assert_eq!(wrong(&["keyword"], &json!("text")), [" type", " required"]);
}

#[test]
fn what_is_often_got_wrong_is_told_by_the_leaf_that_helps() {
    let keyword = |item: Json| wrong(&["keyword"], &json!({ "object": [item] }));
    assert_eq!(keyword(json!({"type": "keyword"})), [".object[0] required"]);
    assert_eq!(keyword(json!({"label": "a"})), [".object[0] required"]);
    assert_eq!(keyword(json!({"type": "Keyword", "label": "a"})), [".object[0].type enum", ".object[0].type const"]);
    assert_eq!(keyword(json!({"type": "text", "label": "a"})), [".object[0].type const"]);
    assert_eq!(keyword(json!({"type": "keyword", "label": "a", "confidence": 97})), [".object[0].confidence maximum"]);
    assert_eq!(keyword(json!({"type": "keyword", "label": "a", "confidence": "0.9"})), [".object[0].confidence type"]);
    assert_eq!(keyword(json!({"type": "keyword", "label": "a", "found": true})), [".object[0] additionalProperties"]);
    assert_eq!(keyword(json!({"type": "keyword", "label": "a", "page": 0})), [".object[0].page minimum"]);
    assert_eq!(keyword(json!({"type": "keyword", "label": "a", "objectCategory": []})), [".object[0].objectCategory minItems"]);
    assert_eq!(keyword(json!({"type": "keyword", "label": "a", "lipMovement": 1.5})), [".object[0].lipMovement maximum"]);
    assert_eq!(
        keyword(json!({"type": "keyword", "label": "a", "structuredData": {"name": 1}})),
        [".object[0].structuredData additionalProperties"]
    );
    assert_eq!(keyword(json!(null)), [".object[0] type"]);
    assert_eq!(
        wrong(&["keyword"], &json!({"series": [{"startTimeMs": 0, "stopTimeMs": 1, "object": [{"type": "keyword"}]}]})),
        [" required", ".series[0].object type",]
    );
    let box_of = |points: Json| wrong(&["object"], &json!({"object": [{"type": "object", "boundingPoly": points}]}));
    let point = json!({"x": 0.5, "y": 0.5});
    assert_eq!(box_of(json!([point])), [""; 0]);
    assert_eq!(box_of(json!([])), [".object[0].boundingPoly minItems"]);
    assert_eq!(box_of(json!([point, point])), [".object[0].boundingPoly minItems"]);
    assert_eq!(box_of(json!([{"x": 100, "y": 50}])), [".object[0].boundingPoly[0].x maximum", ".object[0].boundingPoly[0].y maximum"]);
    assert_eq!(wrong(&["object"], &json!({"object": [{"type": "object", "page": 1}]})), [".object[0].page false schema"]);
    assert_eq!(wrong(&["summary"], &json!({"series": [{"startTimeMs": 0, "stopTimeMs": 1, "summary": "x"}]})), [" required"]);
    assert_eq!(wrong(&["language"], &json!({"language": ["en", "de"]})), [".language type"]);
    assert_eq!(
        wrong(&["sentiment"], &json!({"sentiment": {"positiveConfidence": 1}})),
        [".sentiment required", ".sentiment required", ".sentiment dependencies",]
    );
    assert_eq!(wrong(&["sentiment"], &json!({"object": [{"type": "object"}]})), [".object[0] required", ".object[0] required"]);
    assert_eq!(wrong(&["entity"], &json!({"object": [{"type": "namedEntity"}]})), [".object[0] required", ".object[0] required"]);
    assert_eq!(
        wrong(&["text"], &json!({"series": [{"startTimeMs": 0, "stopTimeMs": 1, "object": {"type": "text", "text": "a", "page": 1}}]})),
        [".series[0].object.page false schema",]
    );
}

#[test]
fn transcripts_are_held_to_their_own_rules() {
    let words = |words: Json| wrong(&["transcript"], &json!({"series": [{"startTimeMs": 0, "stopTimeMs": 1, "words": words}]}));
    assert_eq!(words(json!([{"word": ""}])), [""; 0]);
    assert_eq!(words(json!([])), [".series[0].words minItems"]);
    assert_eq!(words(json!([{"word": "a", "start": 1}])), [".series[0].words[0] additionalProperties"]);
    assert_eq!(
        words(json!([{"word": "a"}, {"word": "b"}])),
        [
            ".series[0].words requireBestPath",
            ".series[0].words[0] required",
            ".series[0].words[0] required",
            ".series[0].words[1] required",
            ".series[0].words[1] required",
        ]
    );
    let word = json!({"word": "a", "confidence": 1, "utteranceLength": 1, "bestPath": true});
    let equal = json!({"utteranceLength": 1.0, "confidence": 1, "bestPath": true, "word": "a"});
    assert_eq!(words(json!([word, equal])), [".series[0].words uniqueItems", ".series[0].words requireBestPath"]);
    let slice = |item: Json| wrong(&["transcript"], &json!({ "series": [item] }));
    assert_eq!(slice(json!({"startTimeMs": 0, "stopTimeMs": 1})), [".series[0] required"]);
    assert_eq!(
        slice(json!({"startTimeMs": -1, "stopTimeMs": 1.5, "words": [{"word": "a"}]})),
        [".series[0].startTimeMs minimum", ".series[0].stopTimeMs type",]
    );
    assert_eq!(wrong(&["transcript"], &json!({"series": []})), [""; 0]);
}

#[test]
fn the_preamble_is_checked_in_all() {
    let root = |extra: Json| wrong(&[], &extra);
    assert_eq!(root(json!({"taskId": 5})), [".taskId type"]);
    assert_eq!(root(json!({"generatedDateUTC": "yesterday"})), [".generatedDateUTC format"]);
    assert_eq!(root(json!({"generatedDateUtc": "yesterday"})), [""; 0]);
    assert_eq!(root(json!({"validationContracts": []})), [".validationContracts minItems"]);
    assert_eq!(root(json!({"validationContracts": ["transcripts"]})), [".validationContracts[0] enum"]);
    assert_eq!(root(json!({"validationContracts": ["face", "whatever"]})), [""; 0]);
    assert_eq!(root(json!({"validationContracts": ["2a9b3c8e-1111-4222-8333-444455556666"]})), [""; 0]);
    assert_eq!(root(json!({"validationContracts": "keyword"})), [".validationContracts type"]);
    assert_eq!(root(json!({"gps": {"latitude": 1}})), [".gps type"]);
    assert_eq!(root(json!({"gps": [{"latitude": 91, "longitude": 0}]})), [".gps[0].latitude maximum"]);
}

#[test]
fn entries_have_the_documented_form() {
    assert_eq!(
        entry("keyword", &json!({"object": [{"type": "keyword"}]})),
        json!({"keyword": "required", "dataPath": ".object[0]", "schemaPath": "#/required", "params": {"missingProperty": "label"},
            "message": "should have required property 'label'"})
    );
    assert_eq!(
        entry("transcript", &json!({"series": [{"startTimeMs": -1, "stopTimeMs": 1, "words": [{"word": "a"}]}]})),
        json!({"keyword": "minimum", "dataPath": ".series[0].startTimeMs", "schemaPath": "#/properties/startTimeMs/minimum",
            "params": {"comparison": ">=", "limit": 0, "exclusive": false}, "message": "should be >= 0"})
    );
    assert_eq!(
        entry("keyword", &json!({"object": [{"type": "keyword", "label": "a", "x-y": 1}]})),
        json!({"keyword": "additionalProperties", "dataPath": ".object[0]", "schemaPath": "#/additionalProperties",
            "params": {"additionalProperty": "x-y"}, "message": "should NOT have additional properties"})
    );
    assert_eq!(entry("keyword", &json!({"object": [], "vendor": 1}))["dataPath"], ".vendor");
    assert_eq!(entry("keyword", &json!({"object": [], "tags": [{"key": "a", "score": 2}]}))["schemaPath"], "#/properties/score/maximum");
}

#[test]
fn many_violations_are_counted_not_kept() {
    let items: Vec<Json> = (0..3_000).map(|_| json!({"type": "keyword"})).collect();
    let text = json!({ "object": items }).to_string();
    let parsed = read(text.as_bytes(), Caps::RESULT).unwrap();
    let verdict = validate(&parsed.root, &[Contract::named("keyword").unwrap()]);
    assert_eq!((verdict.violations.len(), verdict.more), (KEPT, 2_000));
}

#[test]
fn hostile_alternatives_are_compared_in_reasonable_time() {
    let keys: Vec<String> = (0..200_000).map(|n| format!("\"k{n}\":{n}")).collect();
    let word = format!("{{\"word\":\"a\",{}}}", keys.join(","));
    let text = format!("{{\"series\":[{{\"startTimeMs\":0,\"stopTimeMs\":1,\"words\":[{word},{word}]}}]}}");
    let parsed = read(text.as_bytes(), Caps::RESULT).unwrap();
    let verdict = validate(&parsed.root, &[Contract::named("transcript").unwrap()]);
    assert_eq!((verdict.violations.len(), verdict.more), (KEPT, 399_006));
}

#[test]
fn a_result_without_any_data_is_told_apart() {
    let holds = |document: Json| !held(document.to_string().as_bytes(), None).unwrap().sense.found_nothing;
    assert!(holds(json!({"object": [1]})) && holds(json!({"summary": "x"})) && holds(json!({"sentiment": {"positiveValue": 0}})));
    assert!(!holds(json!({})) && !holds(json!({"object": [], "series": []})) && !holds(json!({"taskId": "x"})) && !holds(json!([1])));
    let without = |document: Json| held(document.to_string().as_bytes(), None).unwrap().without_data;
    assert!(without(json!({"taskId": "x"})) && without(json!({"object": null})) && !without(json!({"object": []})) && !without(json!([])));
}

fn any_document() -> impl Strategy<Value = Json> {
    let keys = vec![
        "object",
        "series",
        "words",
        "word",
        "type",
        "label",
        "startTimeMs",
        "stopTimeMs",
        "validationContracts",
        "boundingPoly",
        "x",
        "y",
        "sentiment",
        "positiveValue",
        "gps",
        "structuredData",
        "a-b",
        "confidence",
        "bestPath",
        "media",
        "assetId",
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        (-2i64..3).prop_map(Json::from),
        prop::sample::select(vec!["keyword", "transcript", "object", "", "en"]).prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 60, 5, move |inner| {
        let keys = keys.clone();
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::vec((prop::sample::select(keys), inner), 0..5).prop_map(|members| members
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    #[test]
    fn any_document_is_judged_and_each_violation_once(document in any_document()) {
        let text = document.to_string();
        let parsed = read(text.as_bytes(), Caps::RESULT).unwrap();
        let all: Vec<&Contract> = CONTRACTS.iter().collect();
        let verdict = validate(&parsed.root, &all);
        let mut entries: Vec<String> = verdict.violations.iter().map(|v| format!("{}{}{}", v.keyword, v.data_path, v.params)).collect();
        entries.sort();
        let count = entries.len();
        entries.dedup();
        prop_assert_eq!(entries.len(), count);
        for violation in &verdict.violations {
            prop_assert!(violation.schema_path.starts_with("#/") && violation.at < text.len());
        }
    }

    #[test]
    fn a_key_nobody_knows_is_refused_in_every_closed_object(which in 0usize..11, key in "[b-d]{3,6}") {
        let (contract, mut document) = right().swap_remove(which);
        prop_assume!(!matches!(contract, "language" | "summary" | "media-translated"));
        let item = ["/object/0", "/series/0", "/sentiment"].into_iter().find(|pointer| document.pointer(pointer).is_some()).unwrap();
        document.pointer_mut(item).unwrap()[&key] = json!(1);
        let found = wrong(&[contract], &document);
        prop_assert_eq!(found.len(), 1);
        prop_assert!(found[0].ends_with("additionalProperties"));
    }
}

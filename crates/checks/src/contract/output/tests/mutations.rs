//! Documents made by chance that keep their contract, and what each way to spoil one must be called (output standard §2, §3, §7).

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::wrong;

fn unit() -> impl Strategy<Value = Json> {
    prop_oneof![Just(json!(0)), Just(json!(1)), (0.0f64..=1.0).prop_map(Json::from)]
}

fn text() -> impl Strategy<Value = Json> {
    "[a-zA-Zäöé \\\\\"\\n]{0,12}".prop_map(Json::from)
}

fn maybe(key: &'static str, value: impl Strategy<Value = Json> + 'static) -> BoxedStrategy<Option<(String, Json)>> {
    prop::option::of(value.prop_map(move |value| (key.to_owned(), value))).boxed()
}

/// An object of some fixed and some optional fields.
fn object(fixed: Json, optional: Vec<BoxedStrategy<Option<(String, Json)>>>) -> impl Strategy<Value = Json> {
    optional.prop_map(move |fields| {
        let mut members: Map<String, Json> = fixed.as_object().unwrap().clone();
        members.extend(fields.into_iter().flatten());
        Json::Object(members)
    })
}

fn polygon() -> impl Strategy<Value = Json> {
    let point = (0.0f64..=1.0, 0.0f64..=1.0).prop_map(|(x, y)| json!({"x": x, "y": y}));
    prop::collection::vec(point, 1..6).prop_filter("two points are no polygon", |points| points.len() != 2).prop_map(Json::from)
}

fn sentiment() -> impl Strategy<Value = Json> {
    (unit(), unit()).prop_map(|(value, confidence)| json!({"positiveValue": value, "positiveConfidence": confidence}))
}

/// An entry of `object` of this type, with everything its contract asks for.
fn entry(kind: &'static str) -> impl Strategy<Value = Json> {
    let gps =
        (-90.0f64..=90.0, -180.0f64..=360.0).prop_map(|(latitude, longitude)| json!([{"latitude": latitude, "longitude": longitude}]));
    object(
        json!({"type": kind, "label": "a", "text": "b", "objectCategory": [{"class": "c"}]}),
        vec![
            maybe("confidence", unit()),
            maybe("boundingPoly", polygon()),
            maybe("sentiment", sentiment()),
            maybe("gps", gps),
            maybe("uri", text()),
            maybe("vendor", text().prop_map(|text| json!({"any": [text]}))),
            maybe("collateIndex", (-9i64..9).prop_map(Json::from)),
        ],
    )
}

/// A slice with words: one, or alternatives of which one is the best.
fn slice() -> impl Strategy<Value = Json> {
    let words = (text(), 0usize..4, unit()).prop_map(|(first, more, confidence)| {
        if more == 0 {
            return json!([{ "word": first, "confidence": confidence }]);
        }
        let word = |n: usize| json!({"word": format!("w{n}"), "confidence": confidence, "utteranceLength": 1, "bestPath": n == 0});
        (0..=more).map(word).collect::<Json>()
    });
    (0u64..1_000_000, 0u64..5_000, words, prop::option::of(text())).prop_map(|(start, length, words, speaker)| {
        let mut slice = json!({"startTimeMs": start, "stopTimeMs": start + length, "words": words});
        if let Some(speaker) = speaker {
            slice["speakerId"] = speaker;
        }
        slice
    })
}

fn document(contract: &'static str) -> BoxedStrategy<Json> {
    let around = |key: &'static str, items: BoxedStrategy<Json>| {
        prop::collection::vec(items, 1..5)
            .prop_map(move |items| json!({ "validationContracts": [contract], "someKeyOfTheirs": 1, key: items }))
            .boxed()
    };
    match contract {
        "transcript" => around("series", slice().boxed()),
        "entity" => around("object", entry("namedEntity").boxed()),
        "concept" => around("object", entry("concept").boxed()),
        "keyword" => around("object", entry("keyword").boxed()),
        "text" => around("object", entry("text").boxed()),
        "anomaly" => around("object", entry("anomaly").boxed()),
        _ => around("object", entry("object").boxed()),
    }
}

const ENTRIES: [&str; 6] = ["entity", "concept", "keyword", "text", "anomaly", "object"];

/// Ways to spoil an entry of `object`, and what each is called.
fn spoil_entry(entry: &mut Json, way: usize) -> &'static str {
    match way {
        0 => {
            entry["confidence"] = json!(97);
            ".confidence maximum"
        }
        1 => {
            entry["confidence"] = json!("0.9");
            ".confidence type"
        }
        2 => {
            entry["boundingPoly"] = json!([{"x": 0, "y": 0}, {"x": 1, "y": 1}]);
            ".boundingPoly minItems"
        }
        3 => {
            entry["boundingPoly"] = json!([{"x": 640, "y": 0}]);
            ".boundingPoly[0].x maximum"
        }
        4 => {
            entry["boundingPoly"] = json!([{"x": 0}]);
            ".boundingPoly[0] required"
        }
        5 => {
            entry["found"] = json!(true);
            " additionalProperties"
        }
        6 => {
            entry["objectCategory"] = json!([]);
            ".objectCategory minItems"
        }
        7 => {
            entry["objectCategory"] = json!([{"class": {"name": "c"}}]);
            ".objectCategory[0].class type"
        }
        8 => {
            entry["structuredData"] = json!({"weather": 1});
            ".structuredData additionalProperties"
        }
        9 => {
            entry["lipMovement"] = json!(1.5);
            ".lipMovement maximum"
        }
        10 => {
            entry["label"] = json!(null);
            ".label type"
        }
        _ => {
            entry["gps"] = json!([{"latitude": 91, "longitude": 0}]);
            ".gps[0].latitude maximum"
        }
    }
}

/// Ways to spoil a slice of a transcript.
fn spoil_slice(slice: &mut Json, way: usize) -> &'static str {
    match way {
        0 => {
            slice["startTimeMs"] = json!(0.5);
            ".startTimeMs type"
        }
        1 => {
            slice["stopTimeMs"] = json!(-1);
            ".stopTimeMs minimum"
        }
        2 => {
            slice["start"] = json!(1);
            " additionalProperties"
        }
        3 => {
            slice["words"] = json!([]);
            ".words minItems"
        }
        4 => {
            slice["words"][0]["end"] = json!(1);
            ".words[0] additionalProperties"
        }
        5 => {
            let word = json!({"word": "a", "confidence": 1, "utteranceLength": 1, "bestPath": false});
            slice["words"] = json!([word, {"word": "b", "confidence": 1, "utteranceLength": 1}]);
            ".words requireBestPath"
        }
        6 => {
            slice["object"] = json!([{"type": "object"}]);
            ".object type"
        }
        7 => {
            slice.as_object_mut().unwrap().shift_remove("stopTimeMs");
            " required"
        }
        _ => {
            slice["speakerId"] = json!(1);
            ".speakerId type"
        }
    }
}

proptest! {
    #[test]
    fn documents_that_keep_their_contract_are_valid(
        (contract, document) in prop::sample::select(ENTRIES.iter().copied().chain(["transcript"]).collect::<Vec<_>>())
            .prop_flat_map(|contract| (Just(contract), document(contract))),
    ) {
        prop_assert_eq!(wrong(&[contract], &document), [""; 0], "{}", document);
    }

    #[test]
    fn an_entry_that_is_spoilt_is_called_what_it_is(
        (contract, document) in prop::sample::select(ENTRIES.to_vec()).prop_flat_map(|contract| (Just(contract), document(contract))),
        way in 0usize..12,
    ) {
        let mut document = document;
        let last = document["object"].as_array().unwrap().len() - 1;
        let expected = spoil_entry(&mut document["object"][last], way);
        prop_assert_eq!(wrong(&[contract], &document), [format!(".object[{last}]{expected}")], "{}", document);
    }

    #[test]
    fn a_slice_that_is_spoilt_is_called_what_it_is(document in document("transcript"), way in 0usize..9) {
        let mut document = document;
        let last = document["series"].as_array().unwrap().len() - 1;
        let expected = spoil_slice(&mut document["series"][last], way);
        prop_assert_eq!(wrong(&["transcript"], &document), [format!(".series[{last}]{expected}")], "{}", document);
    }

    #[test]
    fn a_type_of_another_contract_is_not_this_ones(document in document("keyword"), kind in prop::sample::select(vec!["text", "object", "namedEntity"])) {
        let mut document = document;
        document["object"][0]["type"] = json!(kind);
        prop_assert_eq!(wrong(&["keyword"], &document), [".object[0].type const"]);
        document["object"][0].as_object_mut().unwrap().shift_remove("type");
        prop_assert_eq!(wrong(&["keyword"], &document), [".object[0] required"]);
    }
}

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{transcript as transcript_of, *};
use crate::contract::output::{sense::sense, validate};

const VALID: &str = r#"{"validationContracts":["transcript"],"language":"en","series":[
        {"startTimeMs":0,"stopTimeMs":320,"words":[{"word":"The","confidence":0.93,"utteranceLength":1,"bestPath":true}],"speakerId":"1"},
        {"startTimeMs": 320 , "stopTimeMs": 640, "words": [ { "word": "hörbar", "confidence": 1.0 } ], "sentiment": {"positiveValue": 0.5}},
        {"startTimeMs":640,"stopTimeMs":700,"words":[{"word":"a","confidence":0.6,"utteranceLength":1,"bestPath":true},{"word":"b","confidence":0.4,"utteranceLength":2}]},
        {"startTimeMs":700,"stopTimeMs":701,"words":[{"word":""}]}],"taskId":"7"}"#;

/// What the thorough way says of a document that keeps and names the contract.
fn thoroughly(bytes: &[u8]) -> Option<Sense> {
    let document = json::read(bytes, Caps::RESULT).ok()?;
    let named = super::super::names_of(&document.root).is_some_and(|names| names == ["transcript"]);
    let verdict = validate(&document.root, &[&transcript::CONTRACT]);
    (named && verdict.violations.is_empty() && verdict.more == 0).then(|| sense(&document.root))
}

#[test]
fn fields_read_here_stand_where_the_list_has_them() {
    for (key, index) in [("startTimeMs", START), ("stopTimeMs", STOP), ("speakerId", SPEAKER), ("words", WORDS)] {
        assert_eq!(SERIES_ITEM.fields[index].0, key);
    }
    assert!(SERIES_ITEM.fields.len() < 32);
}

#[test]
fn ordinary_transcripts_are_surely_valid() {
    let compact: String = VALID.lines().map(str::trim).collect();
    for text in [VALID, &compact, r#"{"series":[],"validationContracts":["transcript"]}"#] {
        let found = transcript_of(text.as_bytes());
        assert!(found.is_some() && found == thoroughly(text.as_bytes()), "{text}");
    }
}

#[test]
fn escapes_and_many_alternatives_are_read_too() {
    let word = |text: &str, best: bool| format!(r#"{{"word":{text},"confidence":0.1,"utteranceLength":1,"bestPath":{best}}}"#);
    let document = |words: &[String]| {
        format!(r#"{{"validationContracts":["transcript"],"series":[{{"startTimeMs":0,"stopTimeMs":9,"words":[{}]}}]}}"#, words.join(","))
    };
    let many: Vec<String> = (0..20).map(|n| word(&format!("\"{n}\""), n == 7)).collect();
    let escaped = [word(r#""h\u00f6rbar \"""#, true)];
    let both = [word(r#""\u0061""#, true), word("\"b\"", false)];
    for right in [document(&many), document(&escaped), document(&both)] {
        let found = transcript_of(right.as_bytes());
        assert!(found.is_some() && found == thoroughly(right.as_bytes()), "{right}");
    }
    let same = [word(r#""\u0061""#, true), word("\"a\"", true)];
    let twice = [word(r#""\u0061""#, false), word("\"a\"", false), word("\"b\"", true)];
    for wrong in [document(&same), document(&twice), document(&[word(r#""\x""#, true)])] {
        assert!(!is_valid_transcript(wrong.as_bytes()) && thoroughly(wrong.as_bytes()).is_none(), "{wrong}");
    }
}

#[test]
fn whatever_is_wrong_or_unusual_is_not_surely_valid() {
    for (from, to) in [
        ("\"word\":\"The\"", "\"wrod\":\"The\""),
        ("\"word\":\"The\"", "\"word\":\"The\",\"start\":1"),
        ("\"word\":\"The\"", "\"word\":\"The\",\"word\":\"A\""),
        ("\"stopTimeMs\":320,", "\"stopTimeMs\":320,\"stopTimeMs\":330,"),
        ("\"word\":\"The\"", "\"word\":\"T\nhe\""),
        ("0.93", "1.01"),
        ("0.93", "93"),
        ("0.93", "-0.1"),
        ("0.93", "0.9e1"),
        ("0.93", "\"0.93\""),
        ("0.93", "00.93"),
        ("\"utteranceLength\":1,", "\"utteranceLength\":0,"),
        ("\"startTimeMs\":0,", "\"startTimeMs\":-1,"),
        ("\"startTimeMs\":0,", "\"startTimeMs\":1.5,"),
        ("\"startTimeMs\":0,", "\"startTimeMs\":00,"),
        ("\"startTimeMs\":0,", ""),
        ("\"bestPath\":true},{", "\"bestPath\":false},{"),
        ("\"confidence\":0.4,", ""),
        (
            "{\"word\":\"b\",\"confidence\":0.4,\"utteranceLength\":2}",
            "{\"word\":\"a\",\"confidence\":0.6,\"utteranceLength\":1,\"bestPath\":true}",
        ),
        ("\"positiveValue\": 0.5", "\"positiveValue\": 5"),
        ("[\"transcript\"]", "[\"transcript\",\"keyword\"]"),
        ("[\"transcript\"]", "[]"),
        ("\"language\":\"en\"", "\"language\":7"),
        ("\"taskId\":\"7\"}", "\"taskId\":\"7\"}x"),
        ("\"taskId\":\"7\"}", "\"taskId\":\"7\",}"),
        ("\"speakerId\":\"1\"}", "\"speakerId\":\"1\",}"),
    ] {
        assert_eq!(VALID.matches(from).count().min(1), 1, "{from}");
        assert!(!is_valid_transcript(VALID.replacen(from, to, 1).as_bytes()), "{from} -> {to}");
    }
    assert!(!is_valid_transcript(b"") && !is_valid_transcript(b"{}") && !is_valid_transcript(b"{\"series\":[]}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn what_is_surely_valid_is_valid(at in 0usize..VALID.len(), byte in prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:0123456789.-ew \\\n".to_vec())], cut in any::<bool>()) {
        let mut bytes = VALID.as_bytes().to_vec();
        if cut { bytes.remove(at); } else { bytes[at] = byte; }
        if let Some(sense) = transcript_of(&bytes) {
            prop_assert_eq!(Some(sense), thoroughly(&bytes), "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn both_ways_say_the_same_of_any_transcript(document in documents(), spaced in any::<bool>()) {
        let text = if spaced { serde_json::to_string_pretty(&document).unwrap() } else { document.to_string() };
        let (quickly, thoroughly) = (transcript_of(text.as_bytes()), thoroughly(text.as_bytes()));
        // Whatever a serializer writes is read here, so that "not sure" is no way out.
        prop_assert_eq!(quickly, thoroughly, "{}", text);
    }
}

/// Transcripts, most of them right, with what engines put into them.
fn documents() -> impl Strategy<Value = Json> {
    let word = (
        prop_oneof![Just("a".to_owned()), Just(String::new()), "[a-z\"\u{e4} ]{0,12}"],
        prop::option::weighted(
            0.9,
            prop::sample::select(vec![json!(0), json!(1), json!(0.5), json!(0.25), json!(1.0), json!(0.0), json!(2)]),
        ),
        prop::option::weighted(0.9, 0u32..3),
        prop::option::of(any::<bool>()),
    );
    let word = word.prop_map(|(word, confidence, length, best)| {
        let mut entry = json!({ "word": word });
        if let Some(value) = confidence {
            entry["confidence"] = value;
        }
        if let Some(value) = length {
            entry["utteranceLength"] = value.max(1).into();
        }
        if let Some(value) = best {
            entry["bestPath"] = value.into();
        }
        entry
    });
    let words = prop_oneof![4 => prop::collection::vec(word.clone(), 1..2), 1 => prop::collection::vec(word, 1..19)];
    let more = prop::option::weighted(
        0.2,
        prop::sample::select(vec![
            ("language", json!("en_US")),
            ("object", json!({"type": "face", "confidence": 1, "language": "no tag"})),
            ("media", json!({"assetId": "x", "language": "fr"})),
            ("sentiment", json!({"positiveValue": 0.5})),
            ("tags", json!([])),
            ("mine", json!(1)),
        ]),
    );
    let slice = (0u32..500, 0u32..500, words, prop::option::of("[12]"), more).prop_map(|(start, length, words, speaker, more)| {
        let mut slice = json!({"startTimeMs": start, "stopTimeMs": (start + length).saturating_sub(20), "words": words});
        if let Some(speaker) = speaker {
            slice["speakerId"] = speaker.into();
        }
        if let Some((key, value)) = more {
            slice[key] = value;
        }
        slice
    });
    let root = prop::sample::select(vec![
        json!({}),
        json!({"language": "english", "taskId": "1"}),
        json!({"object": [{"type": "text", "page": 1, "paragraph": 1}, {"type": "text", "page": 2, "paragraph": 2, "confidence": 0}]}),
        json!({"summary": 7}),
    ]);
    (root, prop::collection::vec(slice, 0..6)).prop_map(|(mut root, series)| {
        root["validationContracts"] = json!(["transcript"]);
        root["series"] = series.into();
        root
    })
}

//! Results that are right, wrong, empty, of another kind, and many at once.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::{
    checks::fixtures::Fixture,
    evidence::tests::{Builder, batch, webhook},
    policy::{Mode, Policy},
};

fn keyword(item: Json) -> Json {
    json!({"validationContracts": ["keyword"], "object": [item]})
}

fn answer(document: &Json) -> Builder {
    webhook().answer("keyword-1", "application/json", document.to_string())
}

fn as_capability(capability: Capability, document: &Json) -> Builder {
    answer(document).answer("keyword-2", "application/json", document.to_string()).capability(capability)
}

pub(crate) fn fixtures() -> Vec<Fixture> {
    let right = json!({"type": "keyword", "label": "sea"});
    let transcript =
        json!({"validationContracts": ["transcript"], "series": [{"startTimeMs": 0, "stopTimeMs": 5, "words": [{"word": "a"}]}]});
    let backward =
        json!({"validationContracts": ["transcript"], "series": [{"startTimeMs": 9, "stopTimeMs": 5, "words": [{"word": "a"}]}]});
    let late =
        json!({"validationContracts": ["transcript"], "series": [{"startTimeMs": 69_000, "stopTimeMs": 70_500, "words": [{"word": "a"}]}]});
    let slices = |slices: Json| json!({"validationContracts": ["transcript"], "series": slices});
    let two = |from: u32, to: u32| {
        let word = |word: &str, confidence: f64, best: bool| json!({"word": word, "confidence": confidence, "utteranceLength": 1, "bestPath": best});
        json!({"startTimeMs": from, "stopTimeMs": to, "words": [word("a", 0.5, true), word("b", 0.25, false)]})
    };
    let overlapping = slices(json!([two(0, 500), two(400, 900)]));
    let silent = slices(json!([{"startTimeMs": 0, "stopTimeMs": 5, "words": [{"word": " "}]}]));
    let certain = |n: u32| json!({"startTimeMs": n, "stopTimeMs": n + 1, "words": [{"word": "a", "confidence": 1}]});
    let sure = slices((0..5).map(certain).collect());
    let line = |page: u32, paragraph: u32| json!({"type": "text", "text": "a", "page": page, "paragraph": paragraph});
    let counted = json!({"validationContracts": ["text"], "object": [line(1, 1), line(1, 2), line(2, 3)]});
    let face = |kind: &str| json!({"validationContracts": ["face"], "object": [{"type": kind}]});
    let position = json!({"validationContracts": ["geolocation"], "object": [], "gps": [{"latitude": 1, "longitude": 2}]});
    let file = |capability, kind: &str| {
        webhook().answer("keyword-1", kind, "%PDF-1.7").answer("keyword-2", kind, "%PDF-1.7").capability(capability)
    };
    vec![
        Fixture::pass("keywords", answer(&keyword(right.clone()))),
        Fixture::pass("a transcript", as_capability(Capability::Transcription, &transcript)),
        Fixture::pass("faces", as_capability(Capability::Face, &face("face"))),
        Fixture::pass("places", as_capability(Capability::Geolocation, &position)),
        Fixture::pass("a file", file(Capability::MediaOut, "application/pdf").manifest(json!({"outputFormats": ["application/pdf"]}))),
        Fixture::pass("batch", batch()),
        Fixture::fail("a label missing", answer(&keyword(json!({"type": "keyword"}))), "output.schema"),
        Fixture::fail("an unknown contract", answer(&json!({"validationContracts": ["keywords"], "object": [right]})), "output.schema"),
        Fixture::fail("an empty body", webhook().answer("keyword-1", "application/json", " \n"), "output.missing"),
        Fixture::fail("no body", webhook().outputs(vec![]), "output.missing"),
        Fixture::fail("no data", answer(&json!({"taskId": "x"})), "output.missing"),
        Fixture::fail("no JSON", webhook().answer("keyword-1", "application/json", "{'object': []}"), "output.not_json"),
        Fixture::fail(
            "JSON as a page",
            webhook().answer("keyword-1", "text/html", keyword(right.clone()).to_string()),
            "output.content_type",
        ),
        Fixture::fail("an unlisted file", file(Capability::MediaOut, "image/gif"), "output.content_type"),
        Fixture::fail("a file instead of JSON", file(Capability::Keyword, "application/json-seq"), "output.content_type"),
        Fixture::fail(
            "no such file",
            file(Capability::MediaOut, "video/mp4").manifest(json!({"outputFormats": ["video/mp4"]})),
            "output.unreadable",
        ),
        Fixture::fail("cut off", webhook().truncated("keyword-1"), "output.too_large"),
        Fixture::fail("places without gps", as_capability(Capability::Geolocation, &face("object")), "output.data"),
        Fixture::warn("no contract named", answer(&json!({"object": [right]})), "output.contract.missing"),
        Fixture::warn("nothing found", answer(&json!({"validationContracts": ["keyword"], "object": []})), "output.nothing_found"),
        Fixture::warn("backward", as_capability(Capability::Transcription, &backward), "output.times"),
        Fixture::warn(
            "beyond the end",
            as_capability(Capability::Transcription, &late).exchange("keyword-1", |exchange| exchange.span_ms = (60_000, 68_000)),
            "output.times_beyond",
        ),
        Fixture::pass(
            "times of the whole recording",
            as_capability(Capability::Transcription, &late).exchange("keyword-1", |exchange| exchange.span_ms = (60_000, 70_000)),
        ),
        Fixture::warn("overlapping alternatives", as_capability(Capability::Transcription, &overlapping), "output.overlap"),
        Fixture::warn("silent words", as_capability(Capability::Transcription, &silent), "output.nothing_found"),
        Fixture::warn("sure of everything", as_capability(Capability::Transcription, &sure), "output.confidence"),
        Fixture::warn(
            "a name for a language",
            as_capability(Capability::Language, &json!({"validationContracts": ["language"], "language": "en_US"})),
            "output.language",
        ),
        Fixture::warn("counted on", as_capability(Capability::Text, &counted), "output.numbering"),
        Fixture::warn("logos as objects", as_capability(Capability::Logo, &face("object")), "output.type"),
        Fixture::skip("an adapter", webhook().capability(Capability::Adapter), "adapter"),
        Fixture::skip("not ready", webhook().ready(Ready::ProcessEnded), "see check ready"),
        Fixture::skip("no call succeeded", webhook().exchange_all(|exchange| exchange.status = Some(500)), "see checks process and run"),
        Fixture::skip("a batch engine without results", batch().outputs(vec![]), "see check run"),
        Fixture::could_not("no sandbox", webhook().refused(), None),
    ]
}

fn findings(builder: Builder) -> Vec<Finding> {
    match judge(&builder.evidence()) {
        Judgement::Judged(drafts) => drafts.into_iter().map(|draft| draft.finding).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_fault_of_many_entries_is_one_finding_with_a_list() {
    let items: Vec<Json> = (0..214).map(|n| json!({"type": "keyword", "lable": n.to_string()})).collect();
    let document = json!({"validationContracts": ["keyword"], "object": items});
    let found = findings(answer(&document).answer("keyword-2", "application/json", document.to_string()));
    assert_eq!(
        found.iter().map(|f| f.message.as_str()).collect::<Vec<_>>(),
        ["Output check: .object[0] should have required property 'label'"]
    );
    assert_eq!(found[0].title, "Result: .object[0] has lable where label should be, 428 times");
    assert_eq!((found[0].validation_errors.len(), found[0].sample.as_deref()), (40, Some("keyword-1")));
    let entry = |n: usize| format!("{{\"type\":\"keyword\",\"lable\":\"{n}\"}}");
    assert_eq!(found[0].evidence, [entry(0), entry(1), entry(2), "also in keyword-2".to_owned()]);
    assert_eq!((found[0].suggestion.as_deref(), found[0].fix.as_str()), (Some("label"), "Write \"label\" instead of \"lable\"."));
}

#[test]
fn alternatives_are_one_cause() {
    let found = findings(as_capability(Capability::Object, &json!({"validationContracts": ["object"], "summary": "x"})));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].message, "Output check: should have one of the properties object or series");
    assert_eq!(found[0].title, "Result: document should have one of the properties object or series, 2 times");
}

#[test]
fn the_contract_of_the_capability_is_checked_although_another_is_named() {
    let document = json!({"validationContracts": ["summary"], "summary": "x", "object": [{"type": "keyword"}]});
    let found = findings(answer(&document));
    assert_eq!(found[0].message, "Output check: .object[0] should have required property 'label'");
    assert_eq!(found[1].message, "Output check: validationContracts names summary, not keyword");
}

#[test]
fn of_several_contracts_the_one_that_fits_is_meant() {
    let text = json!({"object": [{"type": "text", "text": "hallo"}]});
    let found = findings(as_capability(Capability::Translate, &text));
    assert_eq!(
        found.iter().map(|f| (f.code.as_str(), f.suggestion.as_deref())).collect::<Vec<_>>(),
        [("output.contract.missing", Some("text"))]
    );
}

#[test]
fn a_missing_contract_blocks_in_the_strict_mode() {
    let evidence = answer(&json!({"object": [{"type": "keyword", "label": "a"}]})).evidence();
    let strict = Policy { mode: Mode::Strict, ..Policy::default() };
    let Judgement::Judged(drafts) = judge(&evidence) else { panic!() };
    assert_eq!(strict.apply(drafts[0].clone()).severity, Severity::Error);
    assert_eq!(Policy::default().apply(drafts[0].clone()).severity, Severity::Warning);
}

#[test]
fn each_fix_says_what_to_write() {
    let fix = |document: Json| findings(answer(&document)).remove(0).fix;
    let item = |extra: (&str, Json)| keyword(json!({"type": "keyword", "label": "a", extra.0: extra.1}));
    assert_eq!(fix(item(("confidence", json!(97)))), "Write confidence as a fraction from 0 to 1, not in percent or pixels.");
    assert_eq!(fix(item(("confidence", json!("high")))), "Write confidence as a number.");
    assert_eq!(fix(item(("page", json!(1.5)))), "Round page to a whole number.");
    assert_eq!(fix(item(("found", json!(true)))), "Remove \"found\", or put it into a vendor object, which is free.");
    assert_eq!(fix(item(("boundingPoly", json!([])))), "Give one point, or three and more; a box is its four corners.");
    assert_eq!(fix(keyword(json!({"type": "text", "label": "a"}))), "Write \"keyword\".");
    assert_eq!(fix(keyword(json!({"type": "keyword"}))), "Add \"label\" to .object[0].");
}

proptest! {
    #[test]
    fn any_body_is_judged(body in prop::collection::vec(any::<u8>(), 0..120), kind in "(application/json|text/html|x|)") {
        let _ = judge(&webhook().answer("keyword-1", &kind, body).evidence());
    }
}

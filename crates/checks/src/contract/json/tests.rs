//! The reader against serde_json as its oracle, and the words for common mistakes.

use proptest::prelude::*;

use super::*;

const CAPS: Caps = Caps { depth: 8, values: 50 };

fn problem(text: &str) -> (usize, ProblemKind) {
    let problem = read(text.as_bytes(), CAPS).expect_err(text);
    (problem.at, problem.kind)
}

#[test]
fn positions_are_those_of_the_file() {
    let text = "\u{feff}{\n  \"a\": [1,\n \"ä\", {\"b\\u0041\": null}]\n}";
    let document = read(text.as_bytes(), CAPS).unwrap();
    assert!(document.bom);
    let list = document.root.value.get("a").unwrap();
    let inner = &list.value.list().unwrap()[2];
    let place = |node: &Node<'_>| line_and_column(text.as_bytes(), node.at);
    assert_eq!((place(&document.root), place(list), place(inner)), ((1, 1), (2, 8), (3, 7)));
    let member = &inner.value.object().unwrap()[0];
    assert_eq!((member.key.as_ref(), line_and_column(text.as_bytes(), member.at)), ("bA", (3, 8)));
    assert_eq!(line_at(text.as_bytes(), inner.at, 40), "\"ä\", {\"b\\u0041\": null}]");
}

#[test]
fn each_common_mistake_has_its_own_words() {
    use ProblemKind as P;
    for (text, at, kind) in [
        ("", 0, P::Empty),
        (" \n ", 3, P::Empty),
        ("{\"a\": 1} // note", 9, P::Comment),
        ("{ # note\n}", 2, P::Comment),
        ("[1, /* two */ 2]", 4, P::Comment),
        ("[1, 2,]", 5, P::TrailingComma),
        ("{\"a\": 1,}", 7, P::TrailingComma),
        ("{'a': 1}", 1, P::SingleQuotes),
        ("{\"a\": True}", 6, P::BareWord("True".into())),
        ("[nullable]", 1, P::BareWord("nullable".into())),
        ("{a: 1}", 1, P::BareWord("a".into())),
        ("[NaN]", 1, P::BareWord("NaN".into())),
        ("[1 2]", 3, P::Unexpected { found: '2', expected: "a comma or ]" }),
        ("{\"a\" 1}", 5, P::Unexpected { found: '1', expected: "a colon" }),
        ("[}", 1, P::Unexpected { found: '}', expected: "a value" }),
        ("[1", 2, P::Truncated("a comma or ]")),
        ("{\"a\":", 5, P::Truncated("a value")),
        ("\"abc", 4, P::Truncated("the closing quote of a text")),
        ("\"a\nb\"", 2, P::Control),
        (r#""a\x""#, 2, P::Escape),
        (r#""\u12""#, 1, P::Escape),
        (r#""\ud800""#, 1, P::Surrogate),
        (r#""\ud800\u0041""#, 1, P::Surrogate),
        (r#""\udc00""#, 1, P::Surrogate),
        ("01", 0, P::Number),
        ("[.5]", 1, P::Number),
        ("[1.]", 1, P::Number),
        ("[1e]", 1, P::Number),
        ("0x10", 0, P::Number),
        ("-", 0, P::Number),
        ("1e400", 0, P::NumberRange),
        ("{} {}", 3, P::Trailing),
        ("[[[[[[[[[1]]]]]]]]]", 8, P::TooDeep(8)),
    ] {
        assert_eq!(problem(text), (at, kind), "{text}");
    }
    assert_eq!(problem(&format!("[{}1]", "1,".repeat(100))).1, P::TooMany(50));
    assert_eq!(problem(&"[".repeat(50_000)).1, P::TooDeep(8));
}

#[test]
fn a_long_line_is_shown_around_the_place() {
    let text = format!("[\n{}HERE{}\n]", "a".repeat(500), "b".repeat(500));
    let line = line_at(text.as_bytes(), text.find("HERE").unwrap(), 20);
    assert_eq!(line, format!("…{}HERE{}…", "a".repeat(10), "b".repeat(5)));
    assert_eq!(line_at(text.as_bytes(), 0, 20), "[");
    assert_eq!(line_at(text.as_bytes(), 9_999, 20), "]");
}

#[test]
fn an_excerpt_is_one_value() {
    let text = br#"{"a": {"b": "x}\\\"", "c": [1, 2]}, "d": 5, "e": "long text"}"#;
    let at = |wanted: &str| std::str::from_utf8(text).unwrap().find(wanted).unwrap();
    assert_eq!(excerpt(text, at("{\"b\""), 80), r#"{"b": "x}\\\"", "c": [1, 2]}"#);
    assert_eq!(excerpt(text, at("\"d\""), 80), "\"d\": 5");
    assert_eq!(excerpt(text, at("5"), 80), "5");
    assert_eq!(excerpt(text, at("\"long"), 80), "\"long text\"");
    assert_eq!(excerpt(text, at("[1"), 4), "[1,…");
    assert_eq!(excerpt(text, 1_000, 4), "");
}

#[test]
fn foreign_encodings_are_named() {
    let utf16: Vec<u8> = "{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked: Vec<u8> = [0xff, 0xfe].into_iter().chain(utf16.clone()).collect();
    for bytes in [utf16, marked, vec![0xfe, 0xff, 0, b'{']] {
        assert_eq!(read(&bytes, CAPS).unwrap_err().kind, ProblemKind::Encoding("UTF-16"));
    }
    let latin = read(b"{\"a\": \"\xe4\"}", CAPS).unwrap_err();
    assert_eq!((latin.at, latin.kind), (7, ProblemKind::NotUtf8));
}

#[test]
fn the_last_of_duplicate_keys_counts_and_both_are_there() {
    let document = read(br#"{"a": 1, "b": 2, "a": 3.0}"#, CAPS).unwrap();
    assert_eq!(document.root.value.get("a").unwrap().value, Value::Number("3.0"));
    assert_eq!(document.root.value.object().unwrap().len(), 3);
    assert_eq!(document.root.value.plain(), serde_json::json!({"a": 3.0, "b": 2}));
}

#[test]
fn integers_are_told_by_value() {
    for (text, integer) in [("1", true), ("1.0", true), ("1e2", true), ("1.5", false), ("-0", true), ("123456789012345678901", true)] {
        assert_eq!(read(text.as_bytes(), CAPS).unwrap().root.value.is_integer(), integer, "{text}");
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((".{0,8}", inner), 0..6)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn what_serde_writes_is_read_back_equal(value in any_json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let document = read(text.as_bytes(), Caps::RESULT).unwrap();
        prop_assert_eq!(document.root.value.plain(), value);
    }

    #[test]
    fn the_same_texts_are_json_for_serde(text in "[\\[\\]{}:,\"\\\\a-fnrtu0-9+.eE \\-/#']{0,24}") {
        let ours = read(text.as_bytes(), Caps::RESULT).map(|document| document.root.value.plain());
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} / {:?}", ours, theirs);
        // serde_json may be off by one in the last place of a float.
        if let (Ok(ours), Ok(theirs), false) = (ours, theirs, text.contains(['.', 'e', 'E'])) {
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn any_bytes_are_answered_with_a_place_inside(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Err(problem) = read(&bytes, CAPS) {
            prop_assert!(problem.at <= bytes.len());
            let _ = (line_and_column(&bytes, problem.at), line_at(&bytes, problem.at, 20), excerpt(&bytes, problem.at, 20), problem.kind.to_string());
        }
    }
}

//! What a result should be, and how near to it a result is: words for transcripts, boxes for objects, labels for everything else.
//!
//! The file is a text (what is said), or JSON: `{"text": "..."}`, `{"objects": [{"label": "car", "boundingPoly": [...]}], "iou": 0.5}`,
//! `{"labels": ["a", "b"]}`.

use std::collections::BTreeSet;

use model::report::Accuracy;
use serde::Deserialize;
use serde_json::Value;

use super::rounded;

/// Words of a text that are compared: the work grows with the product of both lengths.
const WORDS: usize = 5_000;
/// Objects that are compared.
const OBJECTS: usize = 2_000;
/// Bytes of the file.
const FILE: usize = 4 << 20;
/// How far boxes have to overlap, unless the file says otherwise.
const IOU: f64 = 0.5;

/// What a result should be.
#[derive(Clone, Debug, PartialEq)]
pub enum Truth {
    /// What is said.
    Words(Vec<String>),
    /// What is to be seen, and where.
    Objects {
        /// Label and box: left, top, right, bottom.
        objects: Vec<(String, [f64; 4])>,
        /// How far boxes have to overlap.
        iou: f64,
    },
    /// Labels, in any order.
    Labels(BTreeSet<String>),
}

/// Why a file is no truth.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TruthError {
    /// Too long.
    #[error("the truth has more than {FILE} bytes; give a shorter sample and its truth")]
    Size,
    /// Not a text.
    #[error("the truth is not UTF-8; save it as UTF-8")]
    Encoding,
    /// JSON of another form.
    #[error("the truth is JSON, but neither {{\"text\": ...}} nor {{\"objects\": [...]}} nor {{\"labels\": [...]}}: {0}")]
    Form(String),
    /// Nothing in it.
    #[error("the truth is empty")]
    Empty,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    text: Option<String>,
    objects: Option<Vec<Object>>,
    labels: Option<Vec<String>>,
    iou: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    label: String,
    bounding_poly: Vec<Point>,
}

#[derive(Deserialize)]
struct Point {
    x: f64,
    y: f64,
}

impl Truth {
    /// Reads a file.
    ///
    /// # Errors
    /// [`TruthError`] says what is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, TruthError> {
        if bytes.len() > FILE {
            return Err(TruthError::Size);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| TruthError::Encoding)?.trim_start_matches('\u{feff}').trim();
        if !text.starts_with('{') {
            return Self::words(text);
        }
        let file: File = serde_json::from_str(text).map_err(|error| TruthError::Form(error.to_string()))?;
        match (file.text, file.objects, file.labels) {
            (Some(text), None, None) => Self::words(&text),
            (None, Some(objects), None) => {
                let objects = objects.into_iter().take(OBJECTS).map(|object| (folded(&object.label), bounds(&object.bounding_poly)));
                Ok(Self::Objects { objects: objects.collect(), iou: file.iou.unwrap_or(IOU).clamp(0.0, 1.0) })
            }
            (None, None, Some(labels)) if !labels.is_empty() => Ok(Self::Labels(labels.iter().map(|label| folded(label)).collect())),
            (None, None, Some(_)) => Err(TruthError::Empty),
            _ => Err(TruthError::Form("exactly one of the three is needed".to_owned())),
        }
    }

    fn words(text: &str) -> Result<Self, TruthError> {
        let words = words(text);
        if words.is_empty() { Err(TruthError::Empty) } else { Ok(Self::Words(words)) }
    }

    /// How near a result is; nothing if it cannot be read.
    pub fn accuracy(&self, result: &[u8]) -> Vec<Accuracy> {
        let Ok(document) = serde_json::from_slice::<Value>(result) else { return Vec::new() };
        let metric = |metric: &str, value: f64| Accuracy { metric: metric.to_owned(), value: rounded(value) };
        match self {
            Self::Words(truth) => vec![metric("wordErrorRate", word_errors(truth, &spoken(&document)) as f64 / truth.len() as f64)],
            Self::Objects { objects, iou } => {
                let found = seen(&document);
                let hits = matches(objects, &found, *iou) as f64;
                let of = |all: usize| if all == 0 { 1.0 } else { hits / all as f64 };
                vec![metric("precision", of(found.len())), metric("recall", of(objects.len()))]
            }
            Self::Labels(truth) => {
                let found = labels(&document);
                vec![metric("exactMatch", if found == *truth { 1.0 } else { 0.0 })]
            }
        }
    }
}

fn folded(label: &str) -> String {
    label.trim().to_lowercase()
}

/// Words without signs and in lower case, as error rates are counted.
fn words(text: &str) -> Vec<String> {
    let plain = |word: &str| word.chars().filter(|c| c.is_alphanumeric() || *c == '\'').flat_map(char::to_lowercase).collect::<String>();
    text.split_whitespace().map(plain).filter(|word| !word.is_empty()).take(WORDS).collect()
}

/// The words of a transcript, of alternatives the best.
fn spoken(document: &Value) -> Vec<String> {
    let mut said = Vec::new();
    for slice in document["series"].as_array().into_iter().flatten().take(WORDS) {
        let alternatives = slice["words"].as_array().map(Vec::as_slice).unwrap_or_default();
        let best = alternatives.iter().find(|word| word["bestPath"] == true).or(alternatives.first());
        said.extend(best.and_then(|word| word["word"].as_str()).map(words).into_iter().flatten());
    }
    said.truncate(WORDS);
    said
}

/// The least number of words that have to be replaced, put in or left out (Levenshtein).
fn word_errors(truth: &[String], said: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=said.len()).collect();
    for (index, word) in truth.iter().enumerate() {
        let (mut diagonal, mut left) = (row[0], index + 1);
        row[0] = left;
        for (column, other) in said.iter().enumerate() {
            let replaced = diagonal + usize::from(word != other);
            diagonal = row[column + 1];
            left = replaced.min(diagonal + 1).min(left + 1);
            row[column + 1] = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Entries of `object`, at the root and in slices.
fn entries(document: &Value) -> impl Iterator<Item = &Value> {
    let slices = document["series"].as_array().into_iter().flatten().map(|slice| &slice["object"]).filter(|object| object.is_object());
    document["object"].as_array().into_iter().flatten().chain(slices).take(OBJECTS)
}

fn seen(document: &Value) -> Vec<(String, [f64; 4])> {
    let points = |entry: &Value| serde_json::from_value::<Vec<Point>>(entry["boundingPoly"].clone()).unwrap_or_default();
    entries(document).map(|entry| (folded(entry["label"].as_str().unwrap_or_default()), bounds(&points(entry)))).collect()
}

fn labels(document: &Value) -> BTreeSet<String> {
    let classes = |entry: &Value| {
        let classes = entry["objectCategory"].as_array().into_iter().flatten().filter_map(|category| category["class"].as_str());
        classes.map(folded).collect::<Vec<_>>()
    };
    let label = |entry: &Value| entry["label"].as_str().or(entry["text"].as_str()).map(folded);
    let mut found: BTreeSet<String> =
        entries(document).flat_map(|entry| label(entry).into_iter().chain(classes(entry)).collect::<Vec<_>>()).collect();
    found.extend(["language", "summary"].iter().filter_map(|key| document[*key].as_str()).map(folded));
    found
}

/// The upright box around a polygon.
fn bounds(points: &[Point]) -> [f64; 4] {
    let all = |pick: fn(&Point) -> f64, least: bool| {
        let values = points.iter().map(pick);
        if least { values.fold(f64::INFINITY, f64::min) } else { values.fold(f64::NEG_INFINITY, f64::max) }
    };
    [all(|p| p.x, true), all(|p| p.y, true), all(|p| p.x, false), all(|p| p.y, false)]
}

fn overlap(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let area = |r: &[f64; 4]| (r[2] - r[0]).max(0.0) * (r[3] - r[1]).max(0.0);
    let common = area(&[a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    let whole = area(a) + area(b) - common;
    if whole > 0.0 && whole.is_finite() { common / whole } else { 0.0 }
}

/// How many objects were found: same label, boxes that overlap far enough, each used once; the best overlaps first.
fn matches(truth: &[(String, [f64; 4])], found: &[(String, [f64; 4])], iou: f64) -> usize {
    let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
    for (i, (label, area)) in truth.iter().enumerate() {
        for (j, (_, place)) in found.iter().enumerate().filter(|(_, (other, _))| other == label) {
            let share = overlap(area, place);
            if share >= iou && share > 0.0 {
                pairs.push((share, i, j));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut left, mut right) = (BTreeSet::new(), BTreeSet::new());
    for (_, i, j) in pairs {
        if !left.contains(&i) && !right.contains(&j) {
            left.insert(i);
            right.insert(j);
        }
    }
    left.len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(truth: &str, result: &Value) -> Vec<(String, f64)> {
        let truth = Truth::read(truth.as_bytes()).unwrap();
        truth.accuracy(result.to_string().as_bytes()).into_iter().map(|found| (found.metric, found.value)).collect()
    }

    #[test]
    fn words_are_counted_as_error_rates_are() {
        let said = |words: &str| {
            let slice = |word: &str| json!({"startTimeMs": 0, "stopTimeMs": 1, "words": [{"word": "x", "bestPath": false}, {"word": word, "bestPath": true}]});
            json!({"series": words.split(' ').map(slice).collect::<Vec<_>>()})
        };
        let rate = |words: &str| value("The harbour of Bristol, was busy!", &said(words))[0].1;
        assert_eq!(rate("the harbour of bristol was busy"), 0.0);
        assert_eq!(rate("the harbour of bristol was"), 0.167);
        assert_eq!(rate("a harbor of bristol was very busy"), 0.5);
        assert_eq!(value(r#"{"text": "one two"}"#, &json!({}))[0], ("wordErrorRate".into(), 1.0));
    }

    #[test]
    fn objects_are_found_where_boxes_overlap_far_enough() {
        let square = |x: f64| json!([{"x": x, "y": 0.0}, {"x": x + 0.2, "y": 0.0}, {"x": x + 0.2, "y": 0.2}, {"x": x, "y": 0.2}]);
        let truth =
            json!({"objects": [{"label": "car", "boundingPoly": square(0.1)}, {"label": "dog", "boundingPoly": square(0.5)}]}).to_string();
        let found = |x: f64| json!({"object": [{"type": "object", "label": "Car", "boundingPoly": square(x)}]});
        assert_eq!(value(&truth, &found(0.11)), [("precision".into(), 1.0), ("recall".into(), 0.5)]);
        assert_eq!(value(&truth, &found(0.4)), [("precision".into(), 0.0), ("recall".into(), 0.0)]);
        let twice = json!({"object": [found(0.1)["object"][0], found(0.1)["object"][0]]});
        assert_eq!(value(&truth, &twice), [("precision".into(), 0.5), ("recall".into(), 0.5)]);
        assert_eq!(value(&truth, &json!({"object": [{"label": "car"}]})), [("precision".into(), 0.0), ("recall".into(), 0.0)]);
    }

    #[test]
    fn labels_match_as_a_set() {
        let truth = r#"{"labels": ["Harbour", "ship"]}"#;
        let with =
            |labels: &[&str]| json!({"object": labels.iter().map(|label| json!({"type": "keyword", "label": label})).collect::<Vec<_>>()});
        assert_eq!(value(truth, &with(&["ship", "harbour"])), [("exactMatch".into(), 1.0)]);
        assert_eq!(value(truth, &with(&["ship"])), [("exactMatch".into(), 0.0)]);
        assert_eq!(value(r#"{"labels": ["en"]}"#, &json!({"language": "en"})), [("exactMatch".into(), 1.0)]);
    }

    #[test]
    fn files_that_are_no_truth_say_why() {
        let why = |text: &str| Truth::read(text.as_bytes()).unwrap_err().to_string();
        for (text, word) in
            [("", "empty"), ("{}", "exactly one"), (r#"{"words": 1}"#, "unknown field"), (r#"{"labels": []}"#, "empty"), ("{", "JSON")]
        {
            assert!(why(text).contains(word), "{text}: {}", why(text));
        }
        assert_eq!(Truth::read(&[0xff]), Err(TruthError::Encoding));
        assert_eq!(Truth::read(&vec![b'a'; FILE + 1]), Err(TruthError::Size));
    }

    proptest::proptest! {
        #[test]
        fn any_result_is_measured(result in ".{0,200}", x in proptest::num::f64::ANY) {
            for truth in ["one two three", r#"{"labels": ["a"]}"#, r#"{"objects": [{"label": "a", "boundingPoly": [{"x": 0, "y": 0}]}]}"#] {
                let truth = Truth::read(truth.as_bytes()).unwrap();
                let _ = truth.accuracy(result.as_bytes());
                let _ = truth.accuracy(json!({"object": [{"label": "a", "boundingPoly": [{"x": x, "y": x}]}]}).to_string().as_bytes());
            }
        }
    }
}

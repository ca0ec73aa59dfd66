//! What no contract forbids and is wrong all the same: gathered from a tree here, and by `quick` while it reads.

use std::fmt::Write as _;

use crate::contract::json::{Node, Value};

/// Places and texts kept of one kind.
const KEPT: usize = 5;

/// What catches the eye in a document, whatever its contract.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sense {
    /// It holds no result: its lists are empty, and so are its texts and words.
    pub found_nothing: bool,
    /// Slices of `series` that end before they start.
    pub backward: Places,
    /// Slices that overlap the one in front of them, of the same speaker, where one of the two has alternative words.
    pub overlapping: Places,
    /// The slice that ends last: its index, and when, milliseconds.
    pub latest: Option<(usize, u64)>,
    /// How sure the engine says it is.
    pub confidences: Confidences,
    /// What stands where a language is told and is no tag of BCP 47: the first few, with their paths.
    pub languages: Vec<(String, String)>,
    /// A number of entries that goes on where the part they lie in has changed: `paragraph` or `sentence`, and the path of the entry.
    pub numbered_on: Option<(&'static str, String)>,
}

/// Indexes of slices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// How many there are.
    pub count: u64,
    /// The first few.
    pub first: Vec<usize>,
}

impl Places {
    fn add(&mut self, index: usize) {
        self.count += 1;
        if self.first.len() < KEPT {
            self.first.push(index);
        }
    }
}

/// How many confidences there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confidences {
    /// Exactly 0.
    pub zero: u64,
    /// Exactly 1.
    pub one: u64,
    /// Anything between.
    pub between: u64,
}

impl Confidences {
    pub(super) fn add(&mut self, confidence: f64) {
        if confidence == 0.0 {
            self.zero += 1;
        } else if confidence == 1.0 {
            self.one += 1;
        } else {
            self.between += 1;
        }
    }
}

/// One slice of `series`, as far as its neighbours are concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice<'n> {
    /// Milliseconds.
    pub start: Option<u64>,
    /// Milliseconds.
    pub stop: Option<u64>,
    /// Who speaks.
    pub speaker: Option<&'n str>,
    /// It has alternative words.
    pub alternatives: bool,
}

/// Gathers, slice by slice.
#[derive(Default)]
pub(super) struct Sensing<'n> {
    pub(super) confidences: Confidences,
    /// Something was said in a slice.
    pub(super) says: bool,
    /// The slice that is looked at.
    pub(super) index: usize,
    sense: Sense,
    before: Option<Slice<'n>>,
}

/// Looks through a document.
pub(super) fn sense(root: &Node<'_>) -> Sense {
    let mut sensing = Sensing::default();
    for slice in root.value.get("series").and_then(|series| series.value.list()).unwrap_or_default() {
        sensing.tree(slice);
    }
    sensing.rest(root)
}

impl<'n> Sensing<'n> {
    fn tree(&mut self, node: &'n Node<'_>) {
        let time = |key: &str| node.value.get(key)?.value.number().filter(|time| (0.0..1e15).contains(time)).map(|time| time as u64);
        let words = node.value.get("words").and_then(|words| words.value.list());
        for word in words.unwrap_or_default() {
            self.confidence_of(word);
            self.says = self.says || !word.value.get("word").and_then(|word| word.value.text()).is_some_and(is_blank);
        }
        self.says = self.says || words.is_none();
        self.beside(node);
        let speaker = node.value.get("speakerId").and_then(|speaker| speaker.value.text());
        let alternatives = words.is_some_and(|words| words.len() > 1);
        self.slice(Slice { start: time("startTimeMs"), stop: time("stopTimeMs"), speaker, alternatives });
    }

    /// What a slice has besides its times and words.
    pub(super) fn beside(&mut self, slice: &Node<'_>) {
        let index = self.index;
        self.language_of(slice, || format!(".series[{index}]"));
        if let Some(entry) = slice.value.get("object") {
            self.says = true;
            self.entry(entry, || format!(".series[{index}].object"));
        }
        if let Some(media) = slice.value.get("media") {
            self.language_of(media, || format!(".series[{index}].media"));
        }
    }

    /// Times of the next slice.
    #[inline]
    pub(super) fn slice(&mut self, slice: Slice<'n>) {
        let index = self.index;
        self.index += 1;
        if let Some(stop) = slice.stop
            && self.sense.latest.is_none_or(|(_, latest)| stop >= latest)
        {
            self.sense.latest = Some((index, stop));
        }
        if let (Some(start), Some(stop)) = (slice.start, slice.stop) {
            if start > stop {
                self.sense.backward.add(index);
            }
            if let Some(Slice { start: Some(begin), stop: Some(end), speaker, alternatives }) = self.before
                && (alternatives || slice.alternatives)
                && start < end
                && begin < stop
                && speaker == slice.speaker
            {
                self.sense.overlapping.add(index);
            }
        }
        self.before = Some(slice);
    }

    /// Everything but `series`.
    pub(super) fn rest(mut self, root: &Node<'_>) -> Sense {
        self.language_of(root, String::new);
        for (key, list) in [("object", entries_of(root, "object")), ("media", entries_of(root, "media"))] {
            for (index, entry) in list.iter().enumerate() {
                self.entry(entry, || format!(".{key}[{index}]"));
            }
        }
        self.sense.found_nothing = !self.says && !holds_data(root);
        self.sense.numbered_on = numbered_on(entries_of(root, "object"));
        self.sense.confidences = self.confidences;
        self.sense
    }

    fn entry(&mut self, entry: &Node<'_>, place: impl FnOnce() -> String) {
        self.confidence_of(entry);
        self.language_of(entry, place);
    }

    fn confidence_of(&mut self, node: &Node<'_>) {
        if let Some(confidence) = node.value.get("confidence").and_then(|confidence| confidence.value.number()) {
            self.confidences.add(confidence);
        }
    }

    fn language_of(&mut self, node: &Node<'_>, place: impl FnOnce() -> String) {
        if let Some(language) = node.value.get("language").and_then(|language| language.value.text()) {
            self.language(language, place);
        }
    }

    /// A language, and the path of what is in it.
    pub(super) fn language(&mut self, language: &str, place: impl FnOnce() -> String) {
        if !is_language_tag(language) && self.sense.languages.len() < KEPT && self.sense.languages.iter().all(|(_, told)| told != language)
        {
            let mut path = place();
            // Writing into a text cannot fail.
            let _ = write!(path, ".language");
            self.sense.languages.push((path, language.to_owned()));
        }
    }
}

/// Nothing but space.
pub(super) fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn entries_of<'n, 'a>(root: &'n Node<'a>, key: &str) -> &'n [Node<'a>] {
    root.value.get(key).and_then(|list| list.value.list()).unwrap_or_default()
}

/// Whether any block of data but `series` has something in it.
fn holds_data(root: &Node<'_>) -> bool {
    super::DATA.iter().filter(|key| **key != "series").filter_map(|key| root.value.get(key)).any(|node| match &node.value {
        Value::List(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Text(text) => !is_blank(text),
        _ => false,
    })
}

/// The form of a language tag: a code of two or three letters, then parts of letters and digits. There are no longer codes in use.
pub(super) fn is_language_tag(text: &str) -> bool {
    let mut parts = text.split('-');
    let first = parts.next().unwrap_or_default();
    let letters = first.bytes().all(|byte| byte.is_ascii_alphabetic());
    let private = matches!(first, "x" | "X" | "i" | "I") && text.len() > 2;
    letters
        && (private || matches!(first.len(), 2 | 3))
        && parts.all(|part| matches!(part.len(), 1..=8) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// A language tag that may have been meant.
pub(crate) fn language_tag_for(text: &str) -> Option<String> {
    let mended = text.trim().replace('_', "-");
    is_language_tag(&mended).then_some(mended)
}

/// Whether paragraphs are counted on from page to page, or sentences from paragraph to paragraph: so it looks when the first number of each next part
/// follows the last one of the part before.
fn numbered_on(entries: &[Node<'_>]) -> Option<(&'static str, String)> {
    let number = |entry: &Node<'_>, key: &str| entry.value.get(key)?.value.number().filter(|number| *number >= 1.0);
    let goes_on = |outer: [&str; 2], key: &'static str| {
        let (mut part, mut last, mut on, mut restarts) = (None, 0.0, None, false);
        for (index, entry) in entries.iter().enumerate() {
            let Some(now) = number(entry, key) else { continue };
            let here = outer.map(|outer| number(entry, outer));
            match part {
                Some(part) if part != here && now == last + 1.0 => on = on.or(Some(index)),
                Some(part) if part != here => restarts = true,
                _ => {}
            }
            part = Some(here);
            last = now;
        }
        on.filter(|_| !restarts).map(|index| (key, format!(".object[{index}]")))
    };
    goes_on(["page", "page"], "paragraph").or_else(|| goes_on(["page", "paragraph"], "sentence"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::contract::json::{Caps, read};

    fn of(document: &Json) -> Sense {
        sense(&read(document.to_string().as_bytes(), Caps::RESULT).unwrap().root)
    }

    fn slice(start: u64, stop: u64, words: Json) -> Json {
        json!({"startTimeMs": start, "stopTimeMs": stop, "words": words})
    }

    #[test]
    fn slices_with_alternatives_may_not_overlap() {
        let one = || json!([{"word": "a"}]);
        let two = || json!([{"word": "a"}, {"word": "b"}]);
        let overlapping = |slices: Json| of(&json!({"series": slices})).overlapping;
        assert_eq!(
            overlapping(json!([slice(0, 10, two()), slice(9, 20, one()), slice(19, 30, two())])),
            Places { count: 2, first: vec![1, 2] }
        );
        assert_eq!(overlapping(json!([slice(0, 10, two()), slice(10, 20, two())])), Places::default());
        assert_eq!(overlapping(json!([slice(0, 10, one()), slice(9, 20, one())])), Places::default(), "words alone may");
        assert_eq!(overlapping(json!([slice(10, 20, two()), slice(0, 10, two())])), Places::default(), "another order is no overlap");
        let mut other = slice(5, 20, two());
        other["speakerId"] = json!("2");
        assert_eq!(overlapping(json!([slice(0, 10, two()), other])), Places::default(), "two people may speak at once");
    }

    #[test]
    fn confidences_are_counted_wherever_they_stand() {
        let document = json!({"object": [{"confidence": 1}, {"confidence": 1.0}, {"confidence": "1"}], "series": [
            {"startTimeMs": 3, "stopTimeMs": 1, "words": [{"word": "a", "confidence": 0}, {"word": "b", "confidence": 0.5}]},
            {"object": {"confidence": 0.0}}]});
        let sense = of(&document);
        assert_eq!(sense.confidences, Confidences { zero: 2, one: 2, between: 1 });
        assert_eq!((sense.backward, sense.latest, sense.found_nothing), (Places { count: 1, first: vec![0] }, Some((0, 1)), false));
    }

    #[test]
    fn nothing_is_found_when_all_is_empty() {
        for empty in [
            json!({"series": [], "object": [], "summary": " "}),
            json!({"series": [slice(0, 1, json!([{"word": " "}, {"word": ""}])), slice(1, 2, json!([]))]}),
        ] {
            assert!(of(&empty).found_nothing, "{empty}");
        }
        for full in [
            json!({"series": [slice(0, 1, json!([{"word": ""}, {"word": "a"}]))]}),
            json!({"series": [{"startTimeMs": 0}]}),
            json!({"series": [{"words": [], "object": {}}]}),
            json!({"language": "en"}),
        ] {
            assert!(!of(&full).found_nothing, "{full}");
        }
    }

    #[test]
    fn languages_are_tags() {
        for right in ["en", "de-CH", "zh-Hans-CN", "sl-rozaj-biske", "x-mine", "i-klingon", "es-419", "yue"] {
            assert!(is_language_tag(right), "{right}");
        }
        for (wrong, meant) in [
            ("en_US", Some("en-US")),
            ("english", None),
            ("", None),
            ("e", None),
            (" de", Some("de")),
            ("en-", None),
            ("x", None),
            ("en,fr", None),
        ] {
            assert!(!is_language_tag(wrong), "{wrong}");
            assert_eq!(language_tag_for(wrong).as_deref(), meant, "{wrong}");
        }
        let document = json!({"language": "en_US", "object": [{"language": "English"}, {"language": "English"}, {"language": "fr"}],
            "media": [{"language": "deutsch"}], "series": [{"language": "en_GB"}, {"media": {"language": "de_DE"}}, {"object": {"language": "no!"}}]});
        let told = of(&document).languages;
        let told: Vec<_> = told.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        assert_eq!(
            told,
            [
                (".series[0].language", "en_GB"),
                (".series[1].media.language", "de_DE"),
                (".series[2].object.language", "no!"),
                (".language", "en_US"),
                (".object[0].language", "English"),
            ]
        );
    }

    #[test]
    fn numbers_begin_anew_with_the_part_they_lie_in() {
        let numbered = |entries: &[[u32; 3]]| {
            let entry = |[page, paragraph, sentence]: &[u32; 3]| json!({"page": page, "paragraph": paragraph, "sentence": sentence});
            of(&json!({"object": entries.iter().map(entry).collect::<Vec<_>>()})).numbered_on
        };
        assert_eq!(numbered(&[[1, 1, 1], [1, 2, 1], [2, 3, 1], [3, 4, 1]]), Some(("paragraph", ".object[2]".to_owned())));
        assert_eq!(numbered(&[[1, 1, 1], [1, 1, 2], [1, 2, 3]]), Some(("sentence", ".object[2]".to_owned())));
        assert_eq!(numbered(&[[1, 1, 1], [1, 2, 1], [2, 1, 1], [2, 2, 1]]), None);
        assert_eq!(numbered(&[[1, 1, 1], [2, 2, 1], [3, 1, 1]]), None, "they do begin anew, if not always");
        assert_eq!(numbered(&[[1, 1, 1], [2, 5, 4]]), None, "entries may be left out");
    }
}

//! What an engine can do, whatever word its manifest or its category uses for it (manifest contract §3).
//!
//! One table: the key, the words that mean it, and what its result looks like. Everybody who needs one of the three reads it here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A capability. Its text form on every wire is [`Capability::as_str`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Brings data in instead of analysing it: pull and push adapters.
    Adapter,
    /// Finds what does not fit.
    Anomaly,
    /// Sorts content or pictures into classes.
    Concept,
    /// Joins data by time or place.
    Correlation,
    /// Finds names of people, places and organizations.
    Entity,
    /// Finds faces.
    Face,
    /// Describes parts of faces.
    FacialFeatures,
    /// Recognises known audio.
    Fingerprint,
    /// Puts media on a map.
    Geolocation,
    /// Finds the words that matter.
    Keyword,
    /// Names the language.
    Language,
    /// Reads licence plates.
    LicensePlate,
    /// Finds logos.
    Logo,
    /// Makes another media file: transcode, thumbnail, reduction, redaction.
    MediaOut,
    /// Finds objects in pictures.
    Object,
    /// Works for the platform itself.
    Platform,
    /// Tells the mood.
    Sentiment,
    /// Tells speakers apart.
    Speaker,
    /// Shortens text.
    Summary,
    /// Reads text from pictures and documents.
    Text,
    /// Turns speech into words.
    Transcription,
    /// Turns one language into another.
    Translate,
    /// Says whether a face or voice is the claimed one.
    Verification,
}

/// One row of the table.
struct Row {
    capability: Capability,
    key: &'static str,
    /// Without spaces, `-`, `_` and brackets, lower case.
    words: &'static [&'static str],
    contracts: &'static [&'static str],
    object_types: &'static [&'static str],
}

const fn row(
    capability: Capability,
    key: &'static str,
    words: &'static [&'static str],
    contracts: &'static [&'static str],
    object_types: &'static [&'static str],
) -> Row {
    Row { capability, key, words, contracts, object_types }
}

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row(Capability::Adapter, "adapter", &["adapter", "pull", "push"], &[], &[]),
    row(Capability::Anomaly, "anomaly", &["anomaly", "anomalydetection"], &["anomaly"], &["anomaly"]),
    row(Capability::Concept, "concept", &["concept", "contentclassification", "imageclassification"], &["concept", "object"], &["concept", "object"]),
    row(Capability::Correlation, "correlation", &["correlation"], &[], &[]),
    row(Capability::Entity, "entity", &["entity", "entityextraction"], &["entity"], &["namedEntity"]),
    row(Capability::Face, "face", &["face", "facedetection", "facerecognition", "facialdetection"], &[], &["face"]),
    row(Capability::FacialFeatures, "facial-features", &["facialfeatures"], &[], &["facial-features"]),
    row(Capability::Fingerprint, "fingerprint", &["fingerprint", "audiofingerprinting"], &[], &["fingerprint"]),
    row(Capability::Geolocation, "geolocation", &["geolocation"], &[], &[]),
    row(Capability::Keyword, "keyword", &["keyword", "keywordextraction"], &["keyword"], &["keyword"]),
    row(Capability::Language, "language", &["language", "languageidentification"], &["language"], &[]),
    row(Capability::LicensePlate, "license-plate", &["licenseplate", "licenseplaterecognition", "alpr"], &[], &["licensePlate"]),
    row(Capability::Logo, "logo", &["logo", "logodetection", "logorecognition"], &[], &["logo"]),
    row(Capability::MediaOut, "media-out", &["mediaout", "transcode", "thumbnail", "reduction", "visualredaction"], &[], &[]),
    row(Capability::Object, "object", &["object", "objectdetection", "objectrecognition"], &["object"], &["object"]),
    row(Capability::Platform, "platform", &["platform", "automation", "conductor", "stationplayout"], &[], &[]),
    row(Capability::Sentiment, "sentiment", &["sentiment", "sentimentanalysis"], &["sentiment"], &[]),
    row(Capability::Speaker, "speaker", &["speaker", "speakerdetection", "speakerrecognition", "speakerseparation"], &[], &["speaker"]),
    row(Capability::Summary, "summary", &["summary", "summarization"], &["summary"], &[]),
    row(Capability::Text, "text", &["text", "ocr", "textextraction", "textrecognition"], &["text"], &["text"]),
    row(Capability::Transcription, "transcription", &["transcription", "transcribe", "transcript"], &["transcript"], &[]),
    row(Capability::Translate, "translate", &["translate", "translation"], &["transcript", "text", "media-translated"], &[]),
    row(Capability::Verification, "verification", &["verification", "faceverification", "speakerverification"], &[], &["face-verification", "speaker-verification"]),
];

/// Lower case, without the characters the match ignores. Only the first 64 characters count: no word is longer.
fn folded(word: &str) -> String {
    word.chars().take(64).filter(|c| !matches!(c, ' ' | '-' | '_' | '(' | ')')).flat_map(char::to_lowercase).collect()
}

impl Capability {
    /// Every capability, in the order of [`Capability::as_str`].
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.capability)
    }

    /// The capability a category word means, in any letter case and with or without spaces, `-` and `_`.
    pub fn from_word(word: &str) -> Option<Self> {
        let word = folded(word);
        TABLE.iter().find(|row| row.words.contains(&word.as_str())).map(|row| row.capability)
    }

    fn row(self) -> &'static Row {
        // The variants and the rows stand in the same order, which a test holds; the first row is never the answer for a variant that has one.
        TABLE.get(self as usize).unwrap_or(&TABLE[0])
    }

    /// The key, such as `license-plate`.
    pub fn as_str(self) -> &'static str {
        self.row().key
    }

    /// Output contracts of which a result must meet one; the first is meant when a result names none. Empty: no formal contract exists,
    /// only the general format is checked (output standard §3).
    pub fn contracts(self) -> &'static [&'static str] {
        self.row().contracts
    }

    /// Values of `type` expected in `object` entries; empty: any.
    pub fn object_types(self) -> &'static [&'static str] {
        self.row().object_types
    }

    /// A key that must occur somewhere in the result although no contract demands it.
    pub fn required_data(self) -> Option<&'static str> {
        match self {
            Self::Geolocation => Some("gps"),
            Self::Correlation => Some("structuredData"),
            _ => None,
        }
    }

    /// Whether a result may be a file of one of the manifest's output formats instead of JSON.
    pub fn allows_file_output(self) -> bool {
        matches!(self, Self::Translate | Self::MediaOut)
    }

    /// Whether this is an adapter, which brings data in, and not a cognitive engine.
    pub fn is_adapter(self) -> bool {
        self == Self::Adapter
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_has_each_capability_once_in_order_and_no_word_twice() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.capability as usize, index, "{}", row.key);
            assert_eq!(serde_json::to_value(row.capability).unwrap(), row.key);
            assert_eq!(Capability::from_word(row.key), Some(row.capability));
        }
        assert_eq!(Capability::Verification as usize + 1, TABLE.len());
        let words: Vec<_> = TABLE.iter().flat_map(|row| row.words).collect();
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len());
        assert!(words.iter().all(|word| folded(word) == **word));
    }

    #[test]
    fn words_of_published_images_are_understood() {
        for (word, capability) in [
            ("translation", Capability::Translate),
            ("face detection", Capability::Face),
            ("Sentiment", Capability::Sentiment),
            ("Automation", Capability::Platform),
            ("objectRecognition", Capability::Object),
            ("faceRecognition", Capability::Face),
            ("license plate (recognition)", Capability::LicensePlate),
            ("station_playout", Capability::Platform),
            ("TEXT-RECOGNITION", Capability::Text),
        ] {
            assert_eq!(Capability::from_word(word), Some(capability), "{word}");
        }
        assert_eq!(Capability::from_word("cooking"), None);
        assert_eq!(Capability::from_word(""), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_answered(word in ".{0,200}") {
            let _ = Capability::from_word(&word);
        }
    }
}

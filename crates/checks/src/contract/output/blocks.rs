//! The building blocks of results (output standard §2), shared by all contracts.

use serde_json::json;

use super::shape::{Checker, INTEGER, List, NUMBER, Object, Path, Shape, UNIT, nothing_else};
use crate::contract::json::{Node, Value};

/// Values of `type` in an object entry.
pub(super) const OBJECT_TYPES: &[&str] = &[
    "object",
    "face",
    "facial-features",
    "face-verification",
    "speaker-verification",
    "licensePlate",
    "logo",
    "fingerprint",
    "speaker",
    "sound",
    "concept",
    "keyword",
    "text",
    "namedEntity",
    "barcode",
    "anomaly",
];

const COUNT: Shape = Shape::Integer(1.0);
const TIME: Shape = Shape::Integer(0.0);

static POINT: Object = Object { open: false, required: &["x", "y"], fields: &[("x", UNIT), ("y", UNIT)], also: nothing_else };

/// A polygon of one point, or of three and more.
static POLYGON: List = List {
    least: 1,
    of: Shape::Object(&POINT),
    also: |node, path, checker| {
        if node.value.list().is_some_and(|points| points.len() == 2) {
            checker.at_least(2, 3, node, path);
        }
    },
};

static POINTS: List = List { least: 1, of: Shape::Object(&POINT), also: nothing_else };

static TAG: Object =
    Object { open: true, required: &["key"], fields: &[("key", Shape::Text), ("value", Shape::Text), ("score", UNIT)], also: nothing_else };

/// A list of tags.
pub(super) static TAGS: List = List { least: 0, of: Shape::Object(&TAG), also: nothing_else };

static CATEGORY: Object = Object {
    open: false,
    required: &["class"],
    fields: &[("class", Shape::Text), ("@id", Shape::Text), ("confidence", UNIT)],
    also: nothing_else,
};

static CATEGORIES: List = List { least: 1, of: Shape::Object(&CATEGORY), also: nothing_else };

/// A mood: one of two values at least, and no confidence without its value.
pub(super) static SENTIMENT: Object = Object {
    open: false,
    required: &[],
    fields: &[("positiveValue", UNIT), ("positiveConfidence", UNIT), ("negativeValue", UNIT), ("negativeConfidence", UNIT)],
    also: |node, path, checker| {
        checker.require_any(node, path, &["positiveValue", "negativeValue"]);
        for (confidence, value) in [("positiveConfidence", "positiveValue"), ("negativeConfidence", "negativeValue")] {
            if node.value.get(confidence).is_some() && node.value.get(value).is_none() {
                let params = json!({ "property": confidence, "missingProperty": value, "depsCount": 1, "deps": value });
                checker.fail(
                    node,
                    path,
                    "dependencies",
                    params,
                    format!("should have property {value} when property {confidence} is present"),
                );
            }
        }
    },
};

static EMOTION: Object = Object {
    open: true,
    required: &["emotion"],
    fields: &[("emotion", Shape::Text), ("emotionValue", UNIT), ("emotionConfidence", UNIT)],
    also: nothing_else,
};

/// A list of emotions.
pub(super) static EMOTIONS: List = List { least: 0, of: Shape::Object(&EMOTION), also: nothing_else };

static PLACE: Object = Object {
    open: false,
    required: &["latitude", "longitude"],
    fields: &[
        ("latitude", Shape::Number(-90.0, 90.0)),
        ("longitude", Shape::Number(-180.0, 360.0)),
        ("precision", NUMBER),
        ("direction", Shape::Number(0.0, 360.0)),
        ("velocity", NUMBER),
        ("altitude", NUMBER),
    ],
    also: nothing_else,
};

/// A list of places.
pub(super) static GPS: List = List { least: 0, of: Shape::Object(&PLACE), also: nothing_else };

static AGE: Object =
    Object { open: true, required: &[], fields: &[("min", NUMBER), ("max", NUMBER), ("confidence", UNIT)], also: nothing_else };

static TRANSCRIPTION: Object =
    Object { open: true, required: &["confidence"], fields: &[("confidence", UNIT), ("text", Shape::Text)], also: nothing_else };

static LANDMARK: Object = Object {
    open: true,
    required: &["type", "locationPoly"],
    fields: &[("type", Shape::Text), ("locationPoly", Shape::List(&POINTS))],
    also: nothing_else,
};

static LANDMARKS: List = List { least: 0, of: Shape::Object(&LANDMARK), also: nothing_else };

/// Data under the ids of schemas of users.
const STRUCTURED_DATA: Shape = Shape::Keyed(is_lower_uuid);

/// The form of an id in `structuredData` and `validationContracts`.
pub(super) fn is_lower_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

static MEDIA_ITEM: Object = Object {
    open: true,
    required: &["assetId"],
    fields: &[("assetId", Shape::Text), ("contentType", Shape::Text), ("language", Shape::Text)],
    also: nothing_else,
};

/// A list of media.
pub(super) static MEDIA: List = List { least: 0, of: Shape::Object(&MEDIA_ITEM), also: nothing_else };

/// What was found: an entry of `object`.
pub(super) static OBJECT_RESULT: Object = Object {
    open: false,
    required: &["type"],
    fields: &[
        ("type", Shape::OneOf(OBJECT_TYPES)),
        ("label", Shape::Text),
        ("uri", Shape::Text),
        ("confidence", UNIT),
        ("text", Shape::Text),
        ("language", Shape::Text),
        ("collateIndex", INTEGER),
        ("page", COUNT),
        ("paragraph", COUNT),
        ("sentence", COUNT),
        ("transcription", Shape::Object(&TRANSCRIPTION)),
        ("lipVoiceCorrelation", UNIT),
        ("lipMovement", UNIT),
        ("faceLandmarks", Shape::List(&LANDMARKS)),
        ("sentiment", Shape::Object(&SENTIMENT)),
        ("emotions", Shape::List(&EMOTIONS)),
        ("age", Shape::Object(&AGE)),
        ("objectCategory", Shape::List(&CATEGORIES)),
        ("boundingPoly", Shape::List(&POLYGON)),
        ("gps", Shape::List(&GPS)),
        ("structuredData", STRUCTURED_DATA),
        ("vendor", Shape::AnyObject),
        ("libraryId", Shape::Text),
        ("entityId", Shape::Text),
        ("mode", Shape::OneOf(&["enroll", "verify"])),
        ("region", Shape::OneOf(&["left", "right", "top", "bottom"])),
        ("entityIdentifierId", Shape::Text),
    ],
    also: nothing_else,
};

/// A list of what was found.
pub(super) static OBJECTS: List = List { least: 0, of: Shape::Object(&OBJECT_RESULT), also: nothing_else };

static WORD: Object = Object {
    open: false,
    required: &["word"],
    fields: &[("word", Shape::Text), ("confidence", UNIT), ("utteranceLength", COUNT), ("bestPath", Shape::Flag)],
    also: nothing_else,
};

/// The words of one slot: with alternatives, each needs its confidence and length, and no two are equal.
static WORDS: List = List {
    least: 1,
    of: Shape::Object(&WORD),
    also: |node, path, checker| {
        let items = node.value.list().unwrap_or_default();
        if items.len() < 2 {
            return;
        }
        for (index, item) in items.iter().enumerate().filter(|(_, item)| item.value.object().is_some()) {
            for key in ["confidence", "utteranceLength"] {
                checker.require(item, &path.index(index), key);
            }
        }
        checker.unique(items, node, path);
    },
};

/// One slice of time.
pub(super) static SERIES_ITEM: Object = Object {
    open: false,
    required: &["startTimeMs", "stopTimeMs"],
    fields: &[
        ("startTimeMs", TIME),
        ("stopTimeMs", TIME),
        ("tags", Shape::List(&TAGS)),
        ("summary", Shape::Text),
        ("speakerId", Shape::Text),
        ("words", Shape::List(&WORDS)),
        ("language", Shape::Text),
        ("sentiment", Shape::Object(&SENTIMENT)),
        ("emotions", Shape::List(&EMOTIONS)),
        ("object", Shape::Object(&OBJECT_RESULT)),
        ("gps", Shape::List(&GPS)),
        ("structuredData", STRUCTURED_DATA),
        ("vendor", Shape::AnyObject),
        ("media", Shape::Object(&MEDIA_ITEM)),
        ("libraryId", Shape::Text),
        ("entityId", Shape::Text),
    ],
    also: nothing_else,
};

/// A list of slices.
pub(super) static SERIES: List = List { least: 0, of: Shape::Object(&SERIES_ITEM), also: nothing_else };

/// Which page, paragraph and sentence: keys some contracts forbid.
const PLACES: [&str; 3] = ["page", "paragraph", "sentence"];

/// Looks at each entry of the root's `object` list that is an object. That they have the right shape, the general format sees to.
pub(super) fn each_object(root: &Node<'_>, checker: &mut Checker, look: fn(&Node<'_>, &Path<'_>, &mut Checker)) {
    let path = super::ROOT.key("object");
    let Some(node) = root.value.get("object") else { return };
    for (index, item) in node.value.list().unwrap_or_default().iter().enumerate().filter(|(_, item)| item.value.object().is_some()) {
        look(item, &path.index(index), checker);
    }
}

/// Looks at each slice of the root's `series` that is an object.
pub(super) fn each_slice(root: &Node<'_>, checker: &mut Checker, look: impl Fn(&Node<'_>, &Path<'_>, &mut Checker)) {
    let path = super::ROOT.key("series");
    let Some(node) = root.value.get("series") else { return };
    for (index, item) in node.value.list().unwrap_or_default().iter().enumerate().filter(|(_, item)| item.value.object().is_some()) {
        look(item, &path.index(index), checker);
    }
}

/// Looks at the one `object` of each slice, which must be there.
pub(super) fn each_series_object(root: &Node<'_>, checker: &mut Checker, look: fn(&Node<'_>, &Path<'_>, &mut Checker)) {
    each_slice(root, checker, |item, path, checker| {
        if !checker.require(item, path, "object") {
            return;
        }
        if let Some(object) = item.value.get("object").filter(|object| object.value.object().is_some()) {
            look(object, &path.key("object"), checker);
        }
    });
}

/// The entry must be of this type.
pub(super) fn of_type(item: &Node<'_>, path: &Path<'_>, checker: &mut Checker, wanted: &str) {
    if let Some(kind) = item.value.get("type")
        && kind.value != Value::Text(wanted.into())
    {
        checker.fail(kind, &path.key("type"), "const", json!({ "allowedValue": wanted }), "should be equal to constant");
    }
}

/// The entry may not say on which page it is.
pub(super) fn without_place(item: &Node<'_>, path: &Path<'_>, checker: &mut Checker) {
    for key in PLACES {
        if let Some(place) = item.value.get(key) {
            checker.fail(place, &path.key(key), "false schema", json!({}), "boolean schema is false");
        }
    }
}

/// Keys of the closed objects.
pub(super) fn known_keys() -> impl Iterator<Item = &'static str> {
    [&OBJECT_RESULT, &SERIES_ITEM, &WORD, &CATEGORY, &SENTIMENT, &PLACE, &POINT]
        .into_iter()
        .flat_map(|object| object.fields.iter().map(|(key, _)| *key))
}

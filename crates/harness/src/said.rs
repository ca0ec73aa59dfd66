//! What the answer to a call says of itself. A result may be large: nothing of it is kept, and what it holds is not looked at.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

/// Keys that only a result has.
const RESULT_KEYS: [&str; 9] = ["series", "object", "media", "language", "summary", "sentiment", "emotions", "gps", "validationContracts"];

/// An answer, as far as whoever called is concerned.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    /// No JSON.
    Nothing,
    /// JSON, but no object.
    Other,
    /// An object.
    Object(Box<Words>),
}

/// The keys that mean something to whoever called, and whether there is a result. Of a key that is there twice the last one counts.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Words {
    /// `type`.
    pub(crate) kind: Option<Value>,
    /// `nextPollTimeUTC`.
    pub(crate) next_poll_time: Option<Value>,
    /// `taskPayload`.
    pub(crate) task_payload: Option<Value>,
    /// `estimatedProcessingTimeInSeconds`.
    pub(crate) estimate: Option<Value>,
    /// It has a key of a result, whatever stands there.
    pub(crate) has_result: bool,
}

impl Said {
    pub(crate) fn read(body: &[u8]) -> Self {
        if body.trim_ascii_start().first() == Some(&b'{') {
            return serde_json::from_slice(body).map_or(Self::Nothing, |words| Self::Object(Box::new(words)));
        }
        serde_json::from_slice::<IgnoredAny>(body).map_or(Self::Nothing, |_| Self::Other)
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WordsVisitor)
    }
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Words;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Words, A::Error> {
        let mut words = Words::default();
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            let kept = match &*key {
                "type" => &mut words.kind,
                "nextPollTimeUTC" => &mut words.next_poll_time,
                "taskPayload" => &mut words.task_payload,
                "estimatedProcessingTimeInSeconds" => &mut words.estimate,
                key => {
                    words.has_result |= RESULT_KEYS.contains(&key);
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *kept = Some(map.next_value()?);
        }
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_there_twice_or_holds_null_makes_nothing_else_of_an_answer() {
        let result = Said::Object(Box::new(Words { has_result: true, ..Words::default() }));
        for body in [r#"{"object": [], "object": [], "x": 1, "x": 2}"#, r#"{"language": null}"#, r#" {"s\u0065ries": []}"#] {
            assert_eq!(Said::read(body.as_bytes()), result, "{body}");
        }
        let twice = Said::read(br#"{"type": "a", "type": "b"}"#);
        assert_eq!(twice, Said::Object(Box::new(Words { kind: Some("b".into()), ..Words::default() })));
        for (body, said) in [("[{}]", Said::Other), (" \"x\"", Said::Other), ("{\"x\": 1", Said::Nothing), ("", Said::Nothing)] {
            assert_eq!(Said::read(body.as_bytes()), said, "{body}");
        }
    }
}

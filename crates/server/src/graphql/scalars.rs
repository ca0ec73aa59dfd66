//! Scalars of the GraphQL contract §3.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
pub use harness::graphql::{Json, JsonData, UploadedFile};
use jiff::Timestamp;

use crate::clock;

/// A time. Read from ISO 8601 or an integer (below 10^11 seconds, else milliseconds), written as ISO 8601 with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime(pub i64);

#[Scalar]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) => {
                let number = number.as_i64().ok_or_else(|| InputValueError::custom("a time in seconds or milliseconds is an integer"))?;
                let ms = if number.unsigned_abs() < 100_000_000_000 { number * 1000 } else { number };
                let outside = |_| InputValueError::custom(format!("{number} is no time between the years -9999 and 9999"));
                Ok(Self(Timestamp::from_millisecond(ms).map_err(outside)?.as_millisecond()))
            }
            Value::String(text) => {
                let at: Timestamp = text.parse().map_err(|_| InputValueError::custom(format!("{text:?} is no ISO 8601 time")))?;
                Ok(Self(at.as_millisecond()))
            }
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(clock::iso(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_milliseconds_and_texts_are_the_same_time() {
        for value in [Value::from(1_716_200_000), Value::from(1_716_200_000_000_i64), Value::from("2024-05-20T10:13:20Z")] {
            assert_eq!(DateTime::parse(value).unwrap(), DateTime(1_716_200_000_000));
        }
        assert!(DateTime::parse(Value::from("yesterday")).is_err());
        assert!(DateTime::parse(Value::from(1.5)).is_err());
        for outside in [i64::MIN, i64::MAX, 300_000_000_000_000] {
            assert!(DateTime::parse(Value::from(outside)).is_err(), "{outside}");
        }
    }
}

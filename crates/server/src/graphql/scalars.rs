//! Scalars of the GraphQL contract §3.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

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
                Ok(Self(if number.abs() < 100_000_000_000 { number * 1000 } else { number }))
            }
            Value::String(text) => {
                let at: jiff::Timestamp = text.parse().map_err(|_| InputValueError::custom(format!("{text:?} is no ISO 8601 time")))?;
                Ok(Self(at.as_millisecond()))
            }
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(clock::iso(self.0))
    }
}

/// Any JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonData(pub serde_json::Value);

#[Scalar(name = "JSONData")]
impl ScalarType for JsonData {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value.into_json()?))
    }

    fn to_value(&self) -> Value {
        Value::from_json(self.0.clone()).unwrap_or(Value::Null)
    }
}

/// Any JSON, under the scalar's older name; the fields that are old themselves have it. Variables declared with it are accepted everywhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Json(pub serde_json::Value);

#[Scalar(name = "JSON")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value.into_json()?))
    }

    fn to_value(&self) -> Value {
        Value::from_json(self.0.clone()).unwrap_or(Value::Null)
    }
}

/// The file part of a multipart request. Its value in the query does not matter: there is one file, and the first field that wants it gets it.
pub struct UploadedFile;

#[Scalar(name = "UploadedFile")]
impl ScalarType for UploadedFile {
    fn parse(_: Value) -> InputValueResult<Self> {
        Ok(Self)
    }

    fn to_value(&self) -> Value {
        Value::Null
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
    }
}

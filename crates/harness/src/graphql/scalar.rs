//! Scalars of the API (GraphQL §3).

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

use super::error::iso;

/// Any JSON value.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonData(pub serde_json::Value);

/// Any JSON value.
#[Scalar(name = "JSONData")]
impl ScalarType for JsonData {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value.into_json()?))
    }

    fn to_value(&self) -> Value {
        Value::from_json(self.0.clone()).unwrap_or_default()
    }
}

/// Any JSON value, under the scalar's older name; the fields that are old themselves have it. Variables declared with it are accepted everywhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Json(pub serde_json::Value);

/// The older name of JSONData.
#[Scalar(name = "JSON")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value.into_json()?))
    }

    fn to_value(&self) -> Value {
        Value::from_json(self.0.clone()).unwrap_or_default()
    }
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateTime(pub(crate) jiff::Timestamp);

/// Written as ISO 8601 with milliseconds and Z. Read as such, or as a number: below 10^11 seconds, above milliseconds.
#[Scalar(name = "DateTime")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let time = match &value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_i64().and_then(|n| {
                if n.unsigned_abs() < 100_000_000_000 {
                    jiff::Timestamp::from_second(n).ok()
                } else {
                    jiff::Timestamp::from_millisecond(n).ok()
                }
            }),
            _ => None,
        };
        time.map(Self).ok_or_else(|| InputValueError::expected_type(value))
    }

    fn to_value(&self) -> Value {
        Value::String(iso(self.0))
    }
}

/// The file part of a multipart request. Its value in the query does not matter: there is one file, and the first field that wants it gets it.
pub struct UploadedFile;

/// The file part of a multipart request.
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
    use async_graphql::Number;

    use super::*;

    #[test]
    fn times_are_read_in_every_form_clients_send() {
        let read = |value: Value| <DateTime as ScalarType>::parse(value).ok().map(|time| iso(time.0));
        let expected = Some("2024-05-20T10:13:20.000Z".to_owned());
        assert_eq!(read(Value::String("2024-05-20T10:13:20Z".into())), expected);
        assert_eq!(read(Value::Number(Number::from(1_716_200_000_i64))), expected);
        assert_eq!(read(Value::Number(Number::from(1_716_200_000_000_i64))), expected);
        assert_eq!(read(Value::String("yesterday".into())), None);
        assert_eq!(read(Value::Boolean(true)), None);
    }
}

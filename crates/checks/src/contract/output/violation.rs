//! One violation, in the shape of the reference validator (output standard §5).

use serde_json::{Value, json};

/// What is wrong at one place of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// The keyword of the schema that failed.
    pub keyword: &'static str,
    /// `""` for the root, `.series[1].words[0]`, `.tags['a-b']`.
    pub data_path: String,
    /// Where the rule stands, relative to the nearest definition: `#/properties/startTimeMs/minimum`.
    pub schema_path: String,
    /// Depends on the keyword.
    pub params: Value,
    /// The documented words.
    pub message: String,
    /// Offset in the document of the value, bytes.
    pub at: usize,
}

impl Violation {
    /// The entry `{keyword, dataPath, schemaPath, params, message}`.
    pub fn entry(&self) -> Value {
        json!({
            "keyword": self.keyword,
            "dataPath": self.data_path,
            "schemaPath": self.schema_path,
            "params": self.params,
            "message": self.message,
        })
    }

    /// The path without its indexes: equal for all items of a list.
    pub fn pattern(&self) -> String {
        let mut pattern = String::with_capacity(self.data_path.len());
        let mut rest = self.data_path.as_str();
        while let Some(open) = rest.find('[') {
            let (before, after) = rest.split_at(open);
            pattern.push_str(before);
            let close = after.find(']').map_or(after.len(), |close| close + 1);
            let index = after[1..].starts_with(|c: char| c.is_ascii_digit());
            pattern.push_str(if index { "[]" } else { &after[..close] });
            rest = &after[close..];
        }
        pattern.push_str(rest);
        pattern
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_no_indexes() {
        let at = |path: &str| Violation {
            keyword: "type",
            data_path: path.into(),
            schema_path: String::new(),
            params: json!({}),
            message: String::new(),
            at: 0,
        };
        assert_eq!(at(".series[12].words[0]").pattern(), ".series[].words[]");
        assert_eq!(at(".object[1]['a-b']").pattern(), ".object[]['a-b']");
        assert_eq!(at("").pattern(), "");
        assert_eq!(at("['a[']").pattern(), "['a[']");
    }
}

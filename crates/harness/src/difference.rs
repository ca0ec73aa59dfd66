//! What differs between two results of the same input, in few words.

use std::collections::BTreeSet;

use serde_json::Value;

/// Lines given.
const LINES: usize = 5;
/// Characters of a value.
const SHOWN: usize = 60;
/// What is another one for each task.
const OF_THE_TASK: [&str; 8] =
    ["generatedDateUTC", "generatedDateUtc", "jobId", "recordingId", "taskId", "taskPayload", "tdoId", "chunkContext"];

/// One line per place that differs; empty if nothing does that matters.
pub(crate) fn differences(one: &[u8], other: &[u8]) -> Vec<String> {
    if one == other {
        return Vec::new();
    }
    let mut lines = Vec::new();
    match (serde_json::from_slice::<Value>(one), serde_json::from_slice::<Value>(other)) {
        (Ok(one), Ok(other)) => walk(&one, &other, "", &mut lines),
        _ => {
            let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
            lines.push(format!("{} bytes | {} bytes, different from byte {same} on", one.len(), other.len()));
        }
    }
    lines
}

fn walk(one: &Value, other: &Value, path: &str, lines: &mut Vec<String>) {
    if lines.len() >= LINES || one == other {
        return;
    }
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).filter(|key| !OF_THE_TASK.contains(&key.as_str())).collect();
            for key in keys {
                let missing = Value::Null;
                walk(a.get(key).unwrap_or(&missing), b.get(key).unwrap_or(&missing), &format!("{path}/{}", shown(key)), lines);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() {
                lines.push(format!("{path}: {} items | {} items", a.len(), b.len()));
            }
            a.iter().zip(b).enumerate().for_each(|(index, (a, b))| walk(a, b, &format!("{path}/{index}"), lines));
        }
        _ => lines.push(format!("{path}: {} | {}", shown(&one.to_string()), shown(&other.to_string()))),
    }
    lines.truncate(LINES);
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(one: &str, other: &str) -> Vec<String> {
        differences(one.as_bytes(), other.as_bytes())
    }

    #[test]
    fn places_that_differ_are_named_with_both_values() {
        assert_eq!(of(r#"{"a":1,"b":[1,{"c":"x"}]}"#, r#"{"b":[1,{"c":"y"}],"a":1}"#), [r#"/b/1/c: "x" | "y""#]);
        assert_eq!(of(r#"{"a":[1]}"#, r#"{"a":[1,2],"d":true}"#), ["/a: 1 items | 2 items", "/d: null | true"]);
        assert_eq!(of("plain", "plane"), ["5 bytes | 5 bytes, different from byte 3 on"]);
    }

    #[test]
    fn what_belongs_to_the_task_or_to_the_writing_is_no_difference() {
        assert!(of(r#"{"taskId":"1","a":1}"#, r#"{ "a": 1, "taskId": "2", "generatedDateUTC": "2024-05-20T10:00:00Z" }"#).is_empty());
    }

    #[test]
    fn there_are_never_many_lines() {
        let list = |from: u32| serde_json::to_string(&(from..from + 500).collect::<Vec<_>>()).unwrap();
        assert_eq!(of(&list(0), &list(1)).len(), LINES);
    }
}

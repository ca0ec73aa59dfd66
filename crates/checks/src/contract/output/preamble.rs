//! What every result may begin with (output standard §1).

use serde_json::json;

use super::{
    CONTRACTS, INFORMAL, ROOT,
    blocks::is_lower_uuid,
    shape::{Checker, List, Object, Path, Shape},
};
use crate::contract::json::{Node, Value};

static NAMES: List = List { least: 1, of: Shape::Text, also: known_name };

/// The root, as far as all contracts agree on it.
static PREAMBLE: Object = Object {
    open: true,
    required: &[],
    fields: &[
        ("schemaId", Shape::Text),
        ("sourceEngineId", Shape::Text),
        ("sourceEngineName", Shape::Text),
        ("externalSourceId", Shape::Text),
        ("taskId", Shape::Text),
        ("taskPayload", Shape::AnyObject),
        ("generatedDateUTC", Shape::Own(date)),
        ("validationContracts", Shape::List(&NAMES)),
    ],
    also: super::shape::nothing_else,
};

pub(super) fn check(root: &Node<'_>, checker: &mut Checker) {
    checker.check(&Shape::Object(&PREAMBLE), root, &ROOT);
}

/// Only the first name is looked at; the reference does the same.
fn known_name(node: &Node<'_>, path: &Path<'_>, checker: &mut Checker) {
    let Some(first) = node.value.list().and_then(<[_]>::first) else { return };
    let Some(name) = first.value.text() else { return };
    let known = CONTRACTS.iter().any(|contract| contract.name == name) || INFORMAL.contains(&name) || is_lower_uuid(name);
    if !known {
        let names: Vec<&str> = CONTRACTS.iter().map(|contract| contract.name).collect();
        checker.fail(first, &path.index(0), "enum", json!({ "allowedValues": names }), "should be equal to one of the allowed values");
    }
}

fn date(node: &Node<'_>, path: &Path<'_>, checker: &mut Checker) {
    match &node.value {
        Value::Text(text) if is_date_time(text) => {}
        Value::Text(_) => checker.fail(node, path, "format", json!({ "format": "date-time" }), "should match format \"date-time\""),
        _ => checker.check(&Shape::Text, node, path),
    }
}

/// RFC 3339: `2024-05-20T10:00:00.5Z`, `...+02:00`.
fn is_date_time(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    let Some((date, time)) = upper.split_once('T') else { return false };
    let Some((clock, zone)) = time.split_at_checked(8) else { return false };
    let fraction = zone.strip_prefix('.').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let zone = match fraction {
        Some(rest) if rest.len() + 1 < zone.len() => rest,
        Some(_) => return false,
        None => zone,
    };
    let offset =
        zone == "Z" || zone.strip_prefix(['+', '-']).and_then(|zone| numbers(zone, ':', [2, 2])).is_some_and(|[h, m]| h < 24 && m < 60);
    let day = |[year, month, day]: [u32; 3]| (1..=12).contains(&month) && day >= 1 && day <= days(year, month);
    numbers(date, '-', [4, 2, 2]).is_some_and(day)
        && numbers(clock, ':', [2, 2, 2]).is_some_and(|[h, m, s]| h < 24 && m < 60 && s <= 60)
        && offset
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Numbers of fixed widths with a sign between them.
fn numbers<const N: usize>(text: &str, between: char, widths: [usize; N]) -> Option<[u32; N]> {
    let parts: Vec<&str> = text.split(between).collect();
    let mut found = [0; N];
    if parts.len() != N {
        return None;
    }
    for ((part, width), slot) in parts.iter().zip(widths).zip(&mut found) {
        let digits = part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit());
        *slot = if digits { part.parse().ok()? } else { return None };
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_rfc_3339() {
        for right in ["2024-05-20T10:00:00Z", "0001-01-01T00:00:00z", "2024-02-29t23:59:60.123+02:00", "2016-12-31T23:59:59.9-00:30"] {
            assert!(is_date_time(right), "{right}");
        }
        for wrong in [
            "",
            "2024-05-20",
            "2024-05-20 10:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-05-20T24:00:00Z",
            "2024-05-20T10:00:00",
            "2024-05-20T10:00:00.Z",
            "2024-05-20T10:00:00+2:00",
            "24-05-20T10:00:00Z",
            "2024-05-20T10:00:00+24:00",
        ] {
            assert!(!is_date_time(wrong), "{wrong}");
        }
    }
}

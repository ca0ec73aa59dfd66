//! Texts, and what is made of texts.

use serde_json::json;

/// Names, places, numbers, good mood.
pub(super) const HARBOUR: &str = "The harbour of Bristol was busy on Monday morning. \
Captain Mary Ellison inspected the cargo of the steamship Aurora before the ship sailed for Lisbon. \
The crew loaded coffee, copper wire and nine hundred barrels of olive oil. \
Everybody was delighted with the weather, and the harbour master praised the careful work of the crew. \
By noon the ship had left the harbour without any trouble.\n";

/// Names, places, numbers, bad mood.
pub(super) const STORM: &str = "A heavy storm damaged the railway bridge near Inverness last night. \
The engineers of Northern Rail closed the line and sent buses to every station. \
Passengers complained about long delays and poor information. \
Repairs to the bridge will cost about two million pounds and take three weeks. \
Peter Lindqvist, the minister of transport, promised to visit the town on Friday.\n";

/// Length of one spoken word in a transcript, milliseconds.
const WORD_MS: u64 = 320;

/// A text as a small page.
pub(super) fn html(text: &str) -> Vec<u8> {
    let paragraphs: String = text.trim().split_inclusive(". ").map(|sentence| format!("<p>{}</p>\n", sentence.trim())).collect();
    format!("<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>News</title></head>\n<body>\n{paragraphs}</body>\n</html>\n")
        .into_bytes()
}

/// A text as an engine result of the contract `transcript`, and its length in milliseconds.
pub(super) fn transcript(text: &str) -> (Vec<u8>, u64) {
    let mut end = 0;
    let series: Vec<_> = text
        .split_whitespace()
        .map(|word| {
            let start = end;
            end += WORD_MS;
            json!({"startTimeMs": start, "stopTimeMs": end, "words": [{"word": word, "confidence": 0.9}]})
        })
        .collect();
    let document = json!({"validationContracts": ["transcript"], "language": "en-GB", "series": series});
    (document.to_string().into_bytes(), end)
}

/// A walk: a place for every second.
pub(super) fn track(number: u32) -> (Vec<u8>, u64) {
    let place = |second: u32| {
        let (north, east) = (51.4490 + f64::from(number) * 0.01, -2.6000);
        let (latitude, longitude) = (north + f64::from(second) * 0.0001, east + f64::from(second * second % 7) * 0.0001);
        let time = u64::from(second) * 1_000;
        json!({"startTimeMs": time, "stopTimeMs": time + 1_000,
            "gps": [{"latitude": (latitude * 1e6).round() / 1e6, "longitude": (longitude * 1e6).round() / 1e6, "precision": 5}]})
    };
    let series: Vec<_> = (0..20).map(place).collect();
    (json!({ "series": series }).to_string().into_bytes(), 20_000)
}

/// Two series of readings that go together, under the ids of two schemas.
pub(super) fn two_series(number: u32) -> (Vec<u8>, u64) {
    let slice = |minute: u32| {
        let time = u64::from(minute) * 1_000;
        let reading = (minute * 7 + number * 3) % 11;
        json!({"startTimeMs": time, "stopTimeMs": time + 1_000, "structuredData": {
            "2a9b3c8e-1111-4222-8333-444455556666": {"temperature": 20 + reading},
            "2a9b3c8e-1111-4222-8333-444455557777": {"visitors": 100 - 3 * reading},
        }})
    };
    let series: Vec<_> = (0..30).map(slice).collect();
    (json!({ "series": series }).to_string().into_bytes(), 30_000)
}

/// Fifty rows of readings, one of which does not fit.
pub(super) fn table(number: u32) -> Vec<u8> {
    let mut csv = "minute,temperature\n".to_owned();
    for minute in 0..50 {
        let wobble = f64::from((minute * 7 + number * 3) % 11) / 10.0;
        let reading = if minute == 20 + number * 5 { 71.5 } else { 20.0 + wobble };
        csv.push_str(&format!("{minute},{reading:.1}\n"));
    }
    csv.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_holds_every_word_in_order_without_gaps() {
        let (bytes, end) = transcript(HARBOUR);
        let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let series = document["series"].as_array().unwrap();
        let words: Vec<_> = series.iter().map(|slot| slot["words"][0]["word"].as_str().unwrap()).collect();
        assert_eq!(words.join(" "), HARBOUR.trim());
        assert!(series.windows(2).all(|pair| pair[0]["stopTimeMs"] == pair[1]["startTimeMs"]));
        assert_eq!(series.last().unwrap()["stopTimeMs"], end);
    }

    #[test]
    fn a_table_has_fifty_rows_and_one_outlier() {
        let csv = String::from_utf8(table(2)).unwrap();
        assert_eq!(csv.lines().count(), 51);
        assert_eq!(csv.matches(",71.5").count(), 1);
    }

    #[test]
    fn a_page_holds_every_sentence() {
        let page = String::from_utf8(html(STORM)).unwrap();
        assert_eq!(page.matches("<p>").count(), 5);
        assert!(page.contains("<p>Passengers complained about long delays and poor information.</p>"));
    }
}

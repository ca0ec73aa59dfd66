//! How fast transcripts are validated, beside ajv (node) on the same documents in the same run: from bytes to a verdict, one core each.
//!
//! `scripts/bench validator`. Needs node and npm; ajv is fetched once into `target/ajv`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]

use std::{fs, path::Path, process::Command, time::Instant};

use checks::contract::{
    json::{Caps, read},
    output::{Answer, Contract, UnknownFields, VALID, held, is_valid_transcript, tool, validate},
};
use model::capability::Capability;
use serde_json::json;

/// Documents, and slices in each: an hour of speech.
const DOCUMENTS: u32 = 8;
const SLICES: u32 = 9_000;
/// Rounds, of which the median counts.
const ROUNDS: usize = 7;

const WORDS: [&str; 12] = ["the", "harbour", "of", "Bristol", "was", "busy", "on", "Monday", "morning,", "captain", "Ellison", "inspected"];

/// What speech engines write: a word per slice, now and then alternatives, a speaker.
fn document(number: u32) -> String {
    let slice = |index: u32| {
        let word = WORDS[((index * 7 + number) % 12) as usize];
        let confidence = f64::from(50 + (index * 13 + number) % 50) / 100.0;
        let best = json!({ "word": word, "confidence": confidence, "bestPath": true, "utteranceLength": 1 });
        let words = if index.is_multiple_of(20) {
            json!([best, { "word": WORDS[((index + 5) % 12) as usize], "confidence": 0.11, "bestPath": false, "utteranceLength": 1 }])
        } else {
            json!([best])
        };
        json!({ "startTimeMs": index * 400, "stopTimeMs": index * 400 + 390, "speakerId": format!("speaker{}", index / 40 % 2), "words": words })
    };
    let series: Vec<_> = (0..SLICES).map(slice).collect();
    json!({ "validationContracts": ["transcript"], "taskId": "19104428_GvNQ57jXtG", "language": "en-GB", "series": series }).to_string()
}

/// Megabytes per second, the median of the rounds.
fn speed(documents: &[String], judge: impl Fn(&[u8]) -> bool) -> f64 {
    let bytes: usize = documents.iter().map(String::len).sum();
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let (began, mut passes) = (Instant::now(), 0);
            while began.elapsed().as_millis() < 500 {
                assert!(documents.iter().all(|document| judge(document.as_bytes())), "a document is not valid");
                passes += 1;
            }
            (bytes * passes) as f64 / 1e6 / began.elapsed().as_secs_f64()
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn ajv(folder: &Path) -> (f64, f64) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let modules = root.join("target/ajv");
    if !modules.join("node_modules/ajv").exists() {
        fs::create_dir_all(&modules).unwrap();
        let npm =
            Command::new("npm").args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(&modules).arg("ajv@8").status();
        assert!(npm.is_ok_and(|status| status.success()), "npm could not install ajv; install Debian's packages nodejs and npm");
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/validator");
    let node = Command::new("node")
        .arg(here.join("ajv.js"))
        .arg(modules.join("node_modules/ajv"))
        .arg(here.join("transcript.json"))
        .arg(folder)
        .output();
    let node = node.unwrap();
    assert!(node.status.success(), "{}", String::from_utf8_lossy(&node.stderr));
    let text = String::from_utf8(node.stdout).unwrap();
    let mut figures = text.split_whitespace().map(|figure| figure.parse().unwrap());
    (figures.next().unwrap(), figures.next().unwrap())
}

/// As the server answers: the document stands in the buffer it was received into, behind the beginning of the answer.
fn answered(bytes: &[u8]) -> bool {
    thread_local!(static BODY: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) });
    BODY.with_borrow_mut(|body| {
        let valid =
            matches!(tool(bytes, UnknownFields::Reject), Answer::Valid(std::borrow::Cow::Borrowed(text)) if text.len() == bytes.len());
        body.clear();
        body.extend_from_slice(VALID.0.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(VALID.1.as_bytes());
        valid
    })
}

fn gate(bytes: &[u8]) -> bool {
    let held = held(bytes, Some(Capability::Transcription)).unwrap();
    held.verdict.violations.is_empty() && held.unnamed.is_none() && !held.sense.found_nothing
}

/// How many violations there are.
fn as_tree(bytes: &[u8], contracts: &[&Contract]) -> usize {
    validate(&read(bytes, Caps::RESULT).unwrap().root, contracts).violations.len()
}

/// With a confidence in percent near its end.
fn faulty(document: &str) -> String {
    let at = document.rfind("\"confidence\":0.").unwrap() + "\"confidence\":".len();
    format!("{}9{}", &document[..at], &document[at + 1..])
}

fn main() {
    let documents: Vec<String> = (0..DOCUMENTS).map(document).collect();
    let folder = tempfile::tempdir().unwrap();
    for (index, document) in documents.iter().enumerate() {
        fs::write(folder.path().join(format!("{index}.json")), document).unwrap();
    }
    let transcript = [Contract::named("transcript").unwrap()];
    let rows = [
        ("valid or not, bytes to verdict", speed(&documents, is_valid_transcript)),
        ("the validation tool, bytes to the answer's body", speed(&documents, answered)),
        ("the gate, bytes to verdict and remarks", speed(&documents, gate)),
        ("as a tree, the place of every value with it", speed(&documents, |bytes| as_tree(bytes, &transcript) == 0)),
        (
            "the same of documents with a fault",
            speed(&documents.iter().map(|document| faulty(document)).collect::<Vec<_>>(), |bytes| as_tree(bytes, &transcript) == 1),
        ),
    ];
    let (parsed, alone) = ajv(folder.path());
    println!(
        "{} transcripts of {} slices, {:.1} MB together, one core",
        DOCUMENTS,
        SLICES,
        documents.iter().map(String::len).sum::<usize>() as f64 / 1e6
    );
    for (what, speed) in rows {
        println!("{what:<48} {speed:8.1} MB/s   {:5.1} x ajv", speed / parsed);
    }
    println!("{:<48} {parsed:8.1} MB/s", "ajv 8: JSON.parse and validate");
    println!("{:<48} {alone:8.1} MB/s", "ajv 8: validate alone, already parsed");
}

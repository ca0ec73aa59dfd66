//! The JSON reader against serde_json: the same documents are JSON for both, and every place lies inside the file.
#![no_main]

use checks::contract::json::{Caps, ProblemKind, excerpt, line_and_column, line_at, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let caps = Caps { depth: 100, values: 100_000 };
    let theirs = serde_json::from_slice::<serde_json::Value>(input);
    match read(input, caps) {
        Ok(document) => {
            // A byte order mark is tolerated here and refused there.
            assert!(theirs.is_ok() || document.bom, "only we read it");
            let _ = (document.root.value.plain(), excerpt(input, document.root.at, 80));
        }
        Err(problem) => {
            assert!(problem.at <= input.len());
            let capped = matches!(problem.kind, ProblemKind::TooDeep(_) | ProblemKind::TooMany(_));
            // Zero bytes in the beginning are taken for UTF-16; no JSON has any.
            assert!(capped || theirs.is_err(), "only they read it: {problem:?}");
            let _ = (line_and_column(input, problem.at), line_at(input, problem.at, 80), excerpt(input, problem.at, 80));
        }
    }
});

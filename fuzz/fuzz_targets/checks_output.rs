//! Any result against every contract: judged without a panic, violations in order and each once.
#![no_main]

use std::collections::HashSet;

use checks::contract::{
    json::{Caps, read},
    output::{CONTRACTS, Contract, KEPT, Verdict, holds_something, is_valid_transcript, names_of, validate},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let surely = is_valid_transcript(input);
    let Ok(document) = read(input, Caps::RESULT) else {
        assert!(!surely);
        return;
    };
    if surely {
        assert_eq!(validate(&document.root, &[Contract::named("transcript").unwrap()]), Verdict::default());
    }
    let verdict = validate(&document.root, &CONTRACTS.iter().collect::<Vec<_>>());
    assert!(verdict.violations.len() <= KEPT && (verdict.more == 0 || verdict.violations.len() == KEPT));
    assert!(verdict.violations.is_sorted_by_key(|violation| violation.at));
    let each: HashSet<String> = verdict.violations.iter().map(|v| format!("{} {} {}", v.keyword, v.data_path, v.params)).collect();
    assert_eq!(each.len(), verdict.violations.len());
    for violation in &verdict.violations {
        let _ = (violation.entry(), violation.pattern());
    }
    let _ = (names_of(&document.root), holds_something(&document.root));
});

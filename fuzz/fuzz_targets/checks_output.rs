//! Any result against every contract: judged without a panic, violations in order and each once; both ways to judge a transcript say the same.
#![no_main]

use std::collections::HashSet;

use checks::{
    contract::{
        json::{Caps, read},
        output::{CONTRACTS, Contract, KEPT, UnknownFields, Verdict, held, is_valid_transcript, names_of, tool, validate},
    },
    judge_pasted,
};
use libfuzzer_sys::fuzz_target;
use model::capability::Capability;

fuzz_target!(|input: &[u8]| {
    let surely = is_valid_transcript(input);
    let _ = (tool(input, UnknownFields::Reject).body(), tool(input, UnknownFields::Strip).body(), judge_pasted(input, None));
    let Ok(document) = read(input, Caps::RESULT) else {
        assert!(!surely);
        return;
    };
    if surely {
        assert_eq!(validate(&document.root, &[Contract::named("transcript").unwrap()]), Verdict::default());
        // Another capability makes the same document go the thorough way.
        let (quickly, thoroughly) = (held(input, Some(Capability::Transcription)).unwrap(), held(input, Some(Capability::Face)).unwrap());
        assert_eq!((quickly.sense, quickly.verdict), (thoroughly.sense, thoroughly.verdict));
    }
    let verdict = validate(&document.root, &CONTRACTS.iter().collect::<Vec<_>>());
    assert!(verdict.violations.len() <= KEPT && (verdict.more == 0 || verdict.violations.len() == KEPT));
    assert!(verdict.violations.is_sorted_by_key(|violation| violation.at));
    let each: HashSet<String> = verdict.violations.iter().map(|v| format!("{} {} {}", v.keyword, v.data_path, v.params)).collect();
    assert_eq!(each.len(), verdict.violations.len());
    for violation in &verdict.violations {
        let _ = (violation.entry(), violation.pattern());
    }
    let _ = names_of(&document.root);
});

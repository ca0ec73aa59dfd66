//! A document somebody pasted, judged as a result of an engine would be: the same findings, with line and column.

use model::{
    finding::{Finding, Position, Severity},
    run::EngineOutput,
};

use super::{document, group, sense};
use crate::{
    contract::{
        json::{line_and_column, line_at},
        output::Contract,
    },
    policy::Policy,
    wording::clip,
};

/// What the document is called.
const NAME: &str = "document";
/// Further places told of one kind of fault.
const PLACES: usize = 10;
/// Characters quoted of a line.
const LINE: usize = 160;

/// Everything there is to say about a document: held against a contract, or against those it names. The worst come first, in the order of the document.
pub fn judge_pasted(bytes: &[u8], contract: Option<&'static Contract>) -> Vec<Finding> {
    let expected: Vec<&'static str> = contract.iter().map(|contract| contract.name).collect();
    let output = EngineOutput {
        sample: NAME.to_owned(),
        via: NAME.to_owned(),
        content_type: "application/json".to_owned(),
        body: bytes.to_vec(),
        truncated: false,
    };
    let judged = match document::judge_against(&output, &expected, None) {
        Ok(judged) => [judged],
        Err(finding) => return vec![cleaned(*finding)],
    };
    let mut findings = group::placed(&judged).into_iter().map(|(finding, places)| at(finding, &places, bytes)).collect::<Vec<_>>();
    let unnamed = group::unnamed(&judged, None).map(|draft| Finding { severity: Severity::Error, ..Policy::default().apply(draft) });
    findings.extend(unnamed.into_iter().chain(sense::findings(&judged)).map(cleaned));
    findings
}

/// A finding with the line and column of its first place, and where else the same is wrong.
fn at(finding: Finding, places: &[usize], bytes: &[u8]) -> Finding {
    let mut finding = cleaned(finding);
    let Some(first) = places.first() else { return finding };
    let (line, column) = line_and_column(bytes, *first);
    finding.position = Some(Position { file: NAME.to_owned(), line, column, pointer: String::new() });
    finding.evidence.insert(0, format!("line {line} | {}", line_at(bytes, *first, LINE)));
    for place in places.iter().skip(1).take(PLACES) {
        let (line, column) = line_and_column(bytes, *place);
        finding.evidence.push(format!("also at line {line}, column {column}"));
    }
    // The entries say the same in the words of the reference; the lines above say where.
    finding.validation_errors.truncate(1);
    finding
}

/// There are no samples and no hooks here: what speaks of them goes.
fn cleaned(mut finding: Finding) -> Finding {
    let prefix = format!("{NAME}, sample {NAME}");
    finding.place = finding.place.map(|place| place.replacen(&prefix, NAME, 1));
    finding.sample = None;
    finding.title = clip(&finding.title.replacen("Result: ", "", 1).replacen("Result of document", "The document", 1), 90);
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Title, how bad, line and column, what was meant.
    type Told = (String, Severity, Option<(u32, u32)>, Option<String>);

    fn told(text: &str, contract: Option<&str>) -> Vec<Told> {
        let findings = judge_pasted(text.as_bytes(), contract.map(|name| Contract::named(name).unwrap()));
        let line = |finding: Finding| {
            (finding.title, finding.severity, finding.position.map(|position| (position.line, position.column)), finding.suggestion)
        };
        findings.into_iter().map(line).collect()
    }

    #[test]
    fn faults_have_their_line_and_what_was_meant() {
        let text = "{\"validationContracts\": [\"keyword\"],\n \"object\": [\n  {\"type\": \"keyword\", \"lable\": \"a\"},\n  {\"type\": \"keyword\", \"lable\": \"b\"}]}";
        let [fault] = &told(text, None)[..] else { panic!("one fault: {:?}", told(text, None)) };
        assert_eq!(fault.0, ".object[0] has lable where label should be, 2 times");
        assert_eq!((fault.1, fault.2, fault.3.as_deref()), (Severity::Error, Some((3, 3)), Some("label")));
        let evidence = &judge_pasted(text.as_bytes(), None)[0].evidence;
        assert!(evidence[0].starts_with("line 3 | {\"type\": \"keyword\", \"lable\""), "{evidence:?}");
        assert!(evidence.contains(&"also at line 4, column 3".to_owned()), "{evidence:?}");
    }

    #[test]
    fn the_contract_is_that_which_was_chosen_or_named() {
        let text = r#"{"validationContracts": ["summary"], "summary": "short", "language": "en_US"}"#;
        let [remark] = &told(text, None)[..] else { panic!() };
        assert_eq!((remark.1, remark.3.as_deref()), (Severity::Warning, Some("en-US")));
        let titles: Vec<_> = told(text, Some("keyword")).into_iter().map(|told| told.0).collect();
        assert_eq!(titles[0], "document should have required property 'object'");
        assert!(titles[1].contains("names summary, not keyword"), "{titles:?}");
        assert!(told(r#"{"summary": "x"}"#, None)[0].0.contains("names no contract"));
        assert_eq!(told(r#"{"summary": "x"}"#, None)[0].1, Severity::Error);
        assert_eq!(told(r#"{"validationContracts": ["language"], "language": "de"}"#, Some("language")), []);
    }

    #[test]
    fn what_is_no_json_or_holds_nothing_says_so() {
        let [finding] = &told("{\n \"a\": 1,}", None)[..] else { panic!() };
        assert!(finding.0.contains("is not JSON"), "{finding:?}");
        assert!(judge_pasted(b"{\n \"a\": 1,}", None)[0].place.as_deref().unwrap().contains("line 2, column 8"));
        assert!(told("{}", None)[0].0.contains("holds no data"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            proptest::prop_assert!(!judge_pasted(&bytes, Contract::named("object")).is_empty());
        }
    }
}

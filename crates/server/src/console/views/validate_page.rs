//! The validation tool for people.

use askama::Template;
use checks::contract::output::CONTRACTS;
use model::finding::{Finding, Severity};

use super::{finding::FindingView, log::plain, shell::Shell, words};

/// Longer documents are not repeated in the form, bytes.
const REPEATED: usize = 200 << 10;

/// What was sent.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    /// Name of the contract; empty for those the document names.
    pub contract: String,
    /// The document.
    pub document: Vec<u8>,
    /// Name of the file, if one was uploaded.
    pub file_name: String,
}

/// What there is to say about a document.
struct Answer {
    good: bool,
    sentence: String,
    findings: Vec<FindingView>,
}

/// The page.
#[derive(Template)]
#[template(path = "validate.html")]
pub struct ValidatePage {
    shell: Shell,
    contracts: Vec<(&'static str, bool)>,
    none_chosen: bool,
    text: String,
    answer: Option<Answer>,
    problem: Option<String>,
}

impl ValidatePage {
    /// Nothing was sent yet.
    pub fn empty(shell: Shell) -> Self {
        Self::new(shell, Typed::default(), None, None)
    }

    /// What was sent cannot be judged.
    pub fn refused(shell: Shell, typed: Typed, problem: String) -> Self {
        Self::new(shell, typed, None, Some(problem))
    }

    /// What was sent, and what is to be said of it.
    pub fn judged(shell: Shell, typed: Typed, findings: &[Finding]) -> Self {
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count() as u64;
        let remarks = findings.len() as u64 - errors;
        let what = if typed.file_name.is_empty() { "The document".to_owned() } else { plain(&typed.file_name) };
        let against =
            if typed.contract.is_empty() { "the contracts it names".to_owned() } else { format!("the contract {}", typed.contract) };
        let also = if remarks > 0 { format!(", with {}", words::count(remarks, "remark")) } else { String::new() };
        let sentence = match errors {
            0 => format!("{what} keeps {against}{also}."),
            errors => format!("{what} does not keep {against}: {}{also}.", words::count(errors, "fault")),
        };
        let answer = Answer { good: errors == 0, sentence, findings: findings.iter().map(FindingView::new).collect() };
        Self::new(shell, typed, Some(answer), None)
    }

    fn new(shell: Shell, typed: Typed, answer: Option<Answer>, problem: Option<String>) -> Self {
        let text = if typed.document.len() > REPEATED { String::new() } else { String::from_utf8_lossy(&typed.document).into_owned() };
        let contracts: Vec<(&'static str, bool)> =
            CONTRACTS.iter().map(|contract| (contract.name, contract.name == typed.contract)).collect();
        let none_chosen = contracts.iter().all(|(_, chosen)| !chosen);
        Self { shell, contracts, none_chosen, text, answer, problem }
    }
}

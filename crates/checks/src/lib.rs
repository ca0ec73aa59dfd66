//! Evidence in, findings out. Gathering does all the I/O and may fail; judging is pure and cannot.
//!
//! The same evidence and the same policy give the same findings, on a laptop and on a server: nothing in here asks for the time, the host or
//! a setting. A check says what is wrong and how bad it is; the [`Policy`] says what blocks.

pub mod benchmark;
mod checks;
pub mod contract;
pub mod evidence;
pub mod explain;
mod judge;
mod last_words;
pub mod output;
mod policy;
pub mod report;
mod spelling;
pub mod standing;
pub mod waivers;
mod wording;

pub use checks::{CHECKS, judge_pasted};
pub use evidence::{Evidence, RunEvidence, StaticEvidence, Terms};
pub use judge::{Check, Draft, Judge, Judgement, Needs, Stage, judge};
pub use policy::{Blocks, Mode, Policy, RULES_VERSION, Threshold, Unscanned, Vulnerabilities};
pub use report::{ReportMeta, merge, report};

/// Why a report could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name of a format is not one of ours.
    #[error("there is no report format {0:?}; use text, json, sarif or junit")]
    Format(String),
    /// The report could not be turned into JSON.
    #[error("the report could not be written as JSON")]
    Json(#[from] serde_json::Error),
}

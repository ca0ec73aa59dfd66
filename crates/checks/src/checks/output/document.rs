//! One result document: read, held against its contracts. What is wrong is kept as data, so that equal faults of many documents are told once.

use model::{
    capability::Capability,
    finding::{Finding, Severity},
    run::EngineOutput,
};

use super::place;
use crate::{
    contract::{
        json,
        output::{Held, Sense, Unnamed, Violation, held_against},
    },
    wording::clip,
};

/// Characters of a quoted value.
const SNIPPET: usize = 160;
/// Violations whose value is quoted.
const QUOTED: usize = 40;

/// A document that could be read.
pub(super) struct Judged {
    /// Id of its sample.
    pub sample: String,
    /// Where it came from.
    pub place: String,
    /// Names of the contracts it was held against.
    pub contracts: Vec<&'static str>,
    /// The contract that was meant although the document does not name it.
    pub unnamed: Option<Unnamed>,
    /// What is wrong, with the value as written.
    pub violations: Vec<(Violation, String)>,
    /// Violations beyond those kept.
    pub more: u64,
    /// What catches the eye although no contract forbids it.
    pub sense: Sense,
    /// Types of entries that are not those of the capability.
    pub foreign_types: Vec<String>,
    /// The key that every result of this capability has, and this one has not.
    pub lacks: Option<&'static str>,
}

/// Reads a result and holds it against its contracts.
pub(super) fn judge(output: &EngineOutput, capability: Option<Capability>) -> Result<Judged, Box<Finding>> {
    judge_against(output, capability.map(Capability::contracts).unwrap_or_default(), capability)
}

/// The same with contracts of which the document should keep one.
pub(super) fn judge_against(
    output: &EngineOutput,
    expected: &[&'static str],
    capability: Option<Capability>,
) -> Result<Judged, Box<Finding>> {
    let held = held_against(&output.body, expected, capability).map_err(|problem| Box::new(not_json(output, &problem)))?;
    if held.without_data {
        return Err(Box::new(nothing(output)));
    }
    let Held { contracts, unnamed, verdict, sense, foreign_types, lacks, .. } = held;
    let quoted = |(index, violation): (usize, Violation)| {
        let text = if index < QUOTED { json::excerpt(&output.body, violation.at, SNIPPET) } else { String::new() };
        (violation, text)
    };
    Ok(Judged {
        sample: output.sample.clone(),
        place: place(output),
        contracts: contracts.iter().map(|contract| contract.name).collect(),
        unnamed,
        violations: verdict.violations.into_iter().enumerate().map(quoted).collect(),
        more: verdict.more,
        sense,
        foreign_types,
        lacks,
    })
}

fn not_json(output: &EngineOutput, problem: &json::Problem) -> Finding {
    let (line, column) = json::line_and_column(&output.body, problem.at);
    let kind = problem.kind.to_string();
    let (fact, mend) = kind.split_once("; ").map_or((kind.as_str(), None), |(fact, mend)| (fact, Some(mend)));
    let fix = mend.map_or_else(
        || "Let the JSON library of your language write the result, such as json.dumps in Python.".to_owned(),
        |mend| format!("In the result, {mend}. Let a JSON library write it, such as json.dumps in Python."),
    );
    let finding = Finding::new(
        "output.not_json",
        Severity::Error,
        format!("Result of {} is not JSON: it {}", clip(&output.sample, 25), clip(fact, 45)),
        "A result is read by programs; one that is not JSON is read by none.",
        fix,
    );
    let finding = finding
        .message(format!("Output check: the result is not JSON: it {fact}"))
        .at(format!("{}, line {line}, column {column}", place(output)));
    finding.sample(&output.sample).quote(json::line_at(&output.body, problem.at, SNIPPET))
}

fn nothing(output: &EngineOutput) -> Finding {
    let finding = Finding::new(
        "output.missing",
        Severity::Error,
        format!("Result of {} holds no data", clip(&output.sample, 50)),
        "A result document says what was found: in object, series, or another block of the output standard.",
        "Write what was found into the block of your category; see the example on the page of this check.",
    );
    let text = String::from_utf8_lossy(output.body.get(..SNIPPET).unwrap_or(&output.body)).into_owned();
    finding
        .message(format!("Output check: the result for {} holds no data", output.sample))
        .at(place(output))
        .sample(&output.sample)
        .quote(clip(&text, SNIPPET))
}

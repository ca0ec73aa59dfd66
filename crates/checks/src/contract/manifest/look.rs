//! One field being looked at: the file around it, and what was found wrong with it.

use model::{
    capability::Capability,
    finding::{Finding, Severity},
};

use super::{
    fields::{Field, Levels},
    file::shown,
    members::Members,
};
use crate::{
    contract::json::{self, Node},
    evidence::Terms,
    judge::Draft,
    wording::{clip, quoted},
};

/// Characters of a value in a sentence.
const SHOWN: usize = 40;

/// The file and the conditions under which it is judged.
pub(super) struct Context<'a> {
    /// Absolute path in the image.
    pub file: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
    /// Its members.
    pub members: &'a Members<'a>,
    /// The registration.
    pub terms: &'a Terms,
    /// Whether it is judged by the rules for adapters.
    pub adapter: bool,
}

impl<'a> Context<'a> {
    pub(super) fn new(file: &'a str, bytes: &'a [u8], members: &'a Members<'a>, terms: &'a Terms) -> Self {
        let written = members.get("category").and_then(|found| Capability::from_word(found.node.value.text()?));
        let adapter = terms.capability.or(written).is_some_and(Capability::is_adapter);
        Self { file, bytes, members, terms, adapter }
    }

    /// Adds line, column, pointer and the quoted line to a finding.
    pub(super) fn place(&self, mut finding: Finding, at: usize, pointer: &str) -> Finding {
        let position = json::position(self.file, self.bytes, at, pointer);
        finding.evidence.push(format!("{} | {}", position.line, json::line_at(self.bytes, at, 100)));
        finding.place = Some(format!("{} line {}, column {}", shown(self.file), position.line, position.column));
        finding.position = Some(position);
        finding
    }

    /// The text of a field, if it is one.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.members.get(key)?.node.value.text()
    }

    /// The number of a field, if it is one.
    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.members.get(key)?.node.value.number()
    }
}

/// One field being looked at.
pub(super) struct Look<'c, 'a> {
    pub(super) field: &'static Field,
    pub(super) context: &'c Context<'a>,
    pub(super) drafts: Vec<Draft>,
}

impl<'c, 'a> Look<'c, 'a> {
    pub(super) fn new(field: &'static Field, context: &'c Context<'a>) -> Self {
        Self { field, context, drafts: Vec::new() }
    }

    fn code(&self, rule: &str) -> String {
        format!("manifest.{}.{rule}", self.field.key)
    }

    fn push(&mut self, finding: Finding, levels: Levels) -> &mut Finding {
        let mut finding = finding.field(self.field.key);
        finding.severity = levels.0;
        self.drafts.push(Draft::strictly(finding, levels.1));
        let last = self.drafts.len() - 1;
        &mut self.drafts[last].finding
    }

    /// The field is needed and absent.
    pub(super) fn missing(&mut self, levels: Levels) {
        let key = self.field.key;
        let what = if self.context.members.written(key).is_some() { "is empty" } else { "is missing" };
        let finding = Finding::new(
            &self.code("missing"),
            Severity::Error,
            format!("{key} {what}"),
            self.field.why,
            format!("Add \"{key}\": {}.", self.field.example),
        );
        let finding = finding.message(format!("Need a valid {key}"));
        let finding = match self.context.members.written(key) {
            Some(found) => self.context.place(finding, found.node.at, &found.pointer),
            None => finding.at(format!("{} has no such key", shown(self.context.file))),
        };
        self.push(finding, levels);
    }

    /// The field is needed and absent, but another one stands in for it.
    pub(super) fn fallback(&mut self, levels: Levels, from: &str) {
        let key = self.field.key;
        let finding = Finding::new(
            &self.code("fallback"),
            Severity::Error,
            format!("{key} is missing; the first of {from} is used"),
            self.field.why,
            format!("Add \"{key}\": {}.", self.field.example),
        );
        let finding = finding.message(format!("Need a valid {key}")).at(format!("{} has no such key", shown(self.context.file)));
        self.push(finding, levels);
    }

    /// The value is not what the field wants; gives the finding back for what else there is to say.
    pub(super) fn invalid(&mut self, node: &Node<'_>, pointer: &str) -> &mut Finding {
        let wants = self.field.wants;
        self.reject("invalid", self.field.levels, node, pointer, &format!("is not {wants}"))
    }

    /// The value breaks a rule; `fact` ends the sentence that the value begins.
    pub(super) fn reject(&mut self, rule: &str, levels: Levels, node: &Node<'_>, pointer: &str, fact: &str) -> &mut Finding {
        let key = self.field.key;
        let shown = self.shown(node);
        let finding = Finding::new(
            &self.code(rule),
            Severity::Error,
            format!("{key}: {shown} {fact}"),
            self.field.why,
            format!("Write \"{key}\": {}.", self.field.example),
        );
        let finding = finding.message(format!("invalid {key}: {shown} {fact}"));
        let mut finding = self.context.place(finding, node.at, pointer);
        finding.value = Some(clip(&node.value.to_string(), 300));
        self.push(finding, levels)
    }

    /// A finding of another form than `invalid <field>`.
    pub(super) fn tell(&mut self, finding: Finding, levels: Levels, at: usize, pointer: &str) -> &mut Finding {
        let finding = self.context.place(finding, at, pointer);
        self.push(finding, levels)
    }

    /// The full code of a rule of this field.
    pub(super) fn rule(&self, rule: &str) -> String {
        self.code(rule)
    }

    /// A value for a sentence.
    fn shown(&self, node: &Node<'_>) -> String {
        match node.value.text() {
            Some(text) => quoted(text, SHOWN),
            None => clip(&node.value.to_string(), SHOWN),
        }
    }
}

//! The shape of a row in the table of fields.

use model::finding::Severity;

use super::look::{Context, Look};
use crate::contract::json::Node;

/// Severity in the lenient and in the strict mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Levels(pub Severity, pub Severity);

/// Error in both modes.
pub(super) const EE: Levels = Levels(Severity::Error, Severity::Error);
/// Warning in the lenient, error in the strict mode.
pub(super) const WE: Levels = Levels(Severity::Warning, Severity::Error);
/// Warning in both modes.
pub(super) const WW: Levels = Levels(Severity::Warning, Severity::Warning);
/// Only worth knowing in the lenient mode, a warning in the strict one.
pub(super) const IW: Levels = Levels(Severity::Info, Severity::Warning);

/// What it means that a field is absent, empty or null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// Nothing.
    Fine,
    /// It is needed.
    Missing(Levels),
    /// It is needed, but its value can be taken from another field.
    Fallback {
        /// How bad.
        levels: Levels,
        /// The other field.
        from: &'static str,
    },
}

/// One field: a row of the table.
pub(super) struct Field {
    /// Its key.
    pub key: &'static str,
    /// Other keys that are taken for it without a word.
    pub aliases: &'static [&'static str],
    /// What its value is, after "is not".
    pub wants: &'static str,
    /// A right value, as JSON.
    pub example: &'static str,
    /// What it is for.
    pub why: &'static str,
    /// How bad a wrong value is.
    pub levels: Levels,
    /// What its absence means.
    pub absent: fn(&Context<'_>) -> Absent,
    /// Looks at a value that is there and neither null nor empty.
    pub check: fn(&mut Look<'_, '_>, &Node<'_>, &str),
}

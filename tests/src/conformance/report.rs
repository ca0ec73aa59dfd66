//! What came of the cases, by category.

use std::fmt;

use super::Checked;

/// Counts of one category.
#[derive(Debug, Default)]
struct Row {
    category: String,
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// What came of all cases.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
    reasons: Vec<String>,
}

impl Report {
    fn row(&mut self, category: &str) -> &mut Row {
        // Cases of a category come one after the other, but for the few that speak of the registry as a whole.
        let at = self.rows.iter().position(|row| row.category == category).unwrap_or(self.rows.len());
        if at == self.rows.len() {
            self.rows.push(Row { category: category.to_owned(), ..Row::default() });
        }
        self.rows.get_mut(at).unwrap()
    }

    /// Counts one case. Returns whether it passed.
    pub(crate) fn case(&mut self, category: &str, name: &str, checked: Checked) -> bool {
        match &checked {
            Ok(()) => self.row(category).passed += 1,
            Err(why) => {
                self.row(category).failed += 1;
                self.reasons.push(format!("{category}: {name}: {why}"));
            }
        }
        checked.is_ok()
    }

    /// Counts a case that could not be tried because one before it failed.
    pub(crate) fn skip(&mut self, category: &str, name: &str) {
        self.row(category).skipped += 1;
        self.reasons.push(format!("{category}: {name}: not tried, because what it needs has failed"));
    }

    fn sum(&self, part: impl Fn(&Row) -> usize) -> usize {
        self.rows.iter().map(part).sum()
    }

    /// Cases that passed, failed and were not tried.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.sum(|row| row.passed), self.sum(|row| row.failed), self.sum(|row| row.skipped))
    }

    /// Why cases failed or were not tried.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {:<28} | passed | failed | skipped |", "category")?;
        writeln!(f, "| {:-<28} | -----: | -----: | ------: |", "")?;
        for row in &self.rows {
            writeln!(f, "| {:<28} | {:>6} | {:>6} | {:>7} |", row.category, row.passed, row.failed, row.skipped)?;
        }
        let (passed, failed, skipped) = self.counts();
        write!(f, "| {:<28} | {passed:>6} | {failed:>6} | {skipped:>7} |", "all")
    }
}

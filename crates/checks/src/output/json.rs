//! The report as it is: one JSON document.

use model::report::Report;

use crate::Error;

/// Writes it with one member per line.
///
/// # Errors
/// [`Error::Json`], which no report that [`crate::report`] made gives.
pub fn render(report: &Report) -> Result<String, Error> {
    Ok(serde_json::to_string_pretty(report)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_equal() {
        let report = crate::output::tests::full();
        assert_eq!(serde_json::from_str::<Report>(&render(&report).unwrap()).unwrap(), report);
    }
}

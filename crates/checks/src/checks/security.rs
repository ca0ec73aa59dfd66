//! `security`: no known vulnerability in the image blocks it.
//!
//! Until an advisory database is loaded nothing is known, and the check says so: it never passes in silence.

use model::finding::{Finding, Severity};

use crate::{
    evidence::Evidence,
    judge::{Check, Judgement, Needs},
};

pub(super) const CHECK: Check = Check {
    id: "security",
    title: "No known vulnerability blocks",
    help: include_str!("../../../../docs/checks/security.md"),
    needs: Needs::Static,
    judge,
};

fn judge(_: &Evidence) -> Judgement {
    let finding = Finding::new(
        "security.no_database",
        Severity::Warning,
        "NOT SCANNED: no advisory database is loaded",
        "Without a database nobody knows whether this image has known vulnerabilities; an empty list means nothing.",
        "This version brings no scanner yet: scan the image with one of your own before you deploy it, and keep its base image up to date.",
    );
    let finding = finding.message("Not scanned for vulnerabilities: no advisory database is loaded").at("the whole image");
    Judgement::CouldNotRun { reason: "no advisory database is loaded".to_owned(), finding: Some(Box::new(finding.into())) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{checks::fixtures::Fixture, evidence::tests::webhook, policy::Policy};

    pub(crate) fn fixtures() -> Vec<Fixture> {
        vec![Fixture::could_not("no database", webhook(), Some("security.no_database"))]
    }

    #[test]
    fn a_policy_can_make_it_block() {
        let policy: Policy = serde_json::from_str(r#"{"severities": {"security.no_database": "error"}}"#).unwrap();
        let results = crate::judge(&webhook().evidence(), &policy, crate::Stage::Static);
        assert_eq!(results.last().unwrap().findings[0].severity, Severity::Error);
    }
}

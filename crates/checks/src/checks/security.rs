//! `security`: no known vulnerability in the image blocks it.
//!
//! Without a database of advisories nothing is known, with an old one not enough, and the check says so: it never passes in silence.

mod known;

use model::finding::{Finding, Severity};
use scan::Warning;

use crate::{
    evidence::{Evidence, Scanned, SecurityEvidence},
    judge::{Check, Draft, Judge, Judgement, Needs},
    policy::{Policy, Unscanned, Vulnerabilities},
    standing::{self, day},
};

pub(super) const CHECK: Check = Check {
    id: "security",
    title: "No known vulnerability blocks",
    help: include_str!("../../../../docs/checks/security.md"),
    needs: Needs::Static,
    judge: Judge::Policy(judge),
};

/// Lines quoted of a list, with the one that says how many more there are; as many as a terminal shows.
const QUOTED: usize = 12;

fn judge(evidence: &Evidence, policy: &Policy) -> Judgement {
    let rules = &policy.vulnerabilities;
    match &evidence.security {
        SecurityEvidence::NoDatabase => Judgement::CouldNotRun {
            reason: "no advisory database is loaded".to_owned(),
            finding: Some(Box::new(no_database(rules).into())),
        },
        SecurityEvidence::NoImage => super::without_image(evidence),
        SecurityEvidence::Unread(reason) => Judgement::CouldNotRun {
            reason: "the advisory database cannot be read".to_owned(),
            finding: Some(Box::new(unread(reason).into())),
        },
        SecurityEvidence::Scanned(scanned) => of_scanned(scanned, evidence, rules),
    }
}

fn of_scanned(scanned: &Scanned, evidence: &Evidence, rules: &Vulnerabilities) -> Judgement {
    let judge = standing::Judge {
        rules,
        waivers: &evidence.terms.waivers,
        engine: evidence.terms.engine,
        image: &evidence.terms.image,
        at: scanned.at,
    };
    let mut drafts = known::findings(&scanned.vulnerabilities, &judge);
    drafts.extend(unread_packages(&scanned.warnings));
    if !standing::is_too_old(rules, &scanned.newest, scanned.at) {
        return Judgement::Judged(drafts);
    }
    let doubt = too_old(scanned, rules).into();
    match rules.unscanned {
        Unscanned::Warning => {
            drafts.push(doubt);
            Judgement::Judged(drafts)
        }
        Unscanned::Error => Judgement::Doubtful {
            reason: "the advisory database is older than the policy allows".to_owned(),
            doubt: Box::new(doubt),
            drafts,
        },
    }
}

fn no_database(rules: &Vulnerabilities) -> Finding {
    let finding = Finding::new(
        "security.no_database",
        rules.unscanned.into(),
        "NOT SCANNED: no advisory database is loaded",
        "Without a database nobody knows whether this image has known vulnerabilities; an empty list means nothing.",
        "Make one with \"plimsoll advisories build SOURCE... -o advisories.db\" and name it with --advisories, or for a server in advisories.path.",
    );
    finding.message("Not scanned for vulnerabilities: no advisory database is loaded").at("the whole image")
}

fn too_old(scanned: &Scanned, rules: &Vulnerabilities) -> Finding {
    let newest = standing::millis(&scanned.newest).map_or_else(|| "of an unknown day".to_owned(), |newest| format!("of {}", day(newest)));
    let finding = Finding::new(
        "security.database_old",
        rules.unscanned.into(),
        format!("The newest advisory is {newest}; the policy allows {} days", rules.max_age_days),
        "What became known since then was not looked for. The image is not to blame.",
        "Bring the database up to date with \"plimsoll advisories update\", then check again.",
    );
    finding.message(format!("Scanned with an old advisory database: its newest advisory is {newest}")).at("the whole image")
}

fn unread(reason: &str) -> Finding {
    let finding = Finding::new(
        "security.database_unread",
        Severity::Error,
        "NOT SCANNED: the advisory database cannot be read",
        "Without it nobody knows whether this image has known vulnerabilities. The image is not to blame.",
        "Make the database again with \"plimsoll advisories build\", or put the former one back.",
    );
    finding.message(format!("Not scanned for vulnerabilities: {reason}")).at("the whole image").quote(reason)
}

fn unread_packages(warnings: &[Warning]) -> Option<Draft> {
    let first = warnings.first()?;
    let finding = Finding::new(
        "security.incomplete",
        Severity::Warning,
        format!("{} {} could not be looked up", warnings.len(), if warnings.len() == 1 { "list of packages" } else { "lists of packages" }),
        "What cannot be read or compared may hide a known vulnerability.",
        "Mend or remove the files named here, take package versions that follow the rules of their ecosystem, and build the database with every \
         ecosystem that the image has.",
    );
    let finding = finding.message(format!("Not everything could be looked up: {}", first.message)).at(format!("/{}", first.path));
    let lines = warnings.iter().map(|warning| warning.message.clone());
    Some(quoted(finding, lines, "in the report (scan.warnings)").into())
}

/// Quotes a list; of a longer one the beginning, and how much more there is where.
fn quoted(finding: Finding, lines: impl ExactSizeIterator<Item = String>, place: &str) -> Finding {
    let all = lines.len();
    let shown = if all > QUOTED { QUOTED - 1 } else { all };
    let more = (all > shown).then(|| format!("and {} more, all {place}", all - shown));
    lines.take(shown).chain(more).fold(finding, Finding::quote)
}

#[cfg(test)]
pub(crate) mod tests;

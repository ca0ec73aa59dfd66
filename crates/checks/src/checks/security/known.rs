//! What is known becomes findings: one for each vulnerability that blocks, a list for each other kind.

use std::collections::BTreeMap;

use model::{
    finding::{Finding, Severity},
    waiver::{Hold, Waiver},
};
use scan::{Severity as Level, Vulnerability};

use super::quoted;
use crate::{
    judge::Draft,
    standing::{Judge, Standing, day, last_day},
};

/// Packages named of one vulnerability; below them its description has its place.
const PACKAGES: usize = 6;
/// Vulnerabilities that get a finding of their own; a longer list says no more.
const OWN: usize = 100;
const WHY: &str = "Whoever reaches the engine can use what is publicly known to be broken in it, and attackers read the same advisories.";

/// All findings about vulnerabilities, those that block first.
pub(super) fn findings(all: &[Vulnerability], judge: &Judge<'_>) -> Vec<Draft> {
    let standing: Vec<(&Vulnerability, Standing<'_>)> = all.iter().map(|one| (one, judge.standing(one))).collect();
    let of = |wanted: &dyn Fn(&Standing<'_>) -> bool| -> Vec<Group<'_>> {
        grouped(standing.iter().filter(|(_, standing)| wanted(standing)).map(|(one, _)| *one))
    };
    let blocking = of(&|standing| *standing == Standing::Blocks);
    let (own, rest) = blocking.split_at(blocking.len().min(OWN));
    let mut drafts: Vec<Draft> = own.iter().map(|group| blocks(group).into()).collect();
    drafts.extend(told(rest, |_| Some(Severity::Error)));
    let mentioned = of(&|standing| matches!(standing, Standing::Told(_)));
    drafts.extend(told(&mentioned, |one| if let Standing::Told(severity) = judge.standing(one) { Some(severity) } else { None }));
    drafts.extend(in_grace(&of(&|standing| matches!(standing, Standing::Grace(_))), judge));
    let unfixable = of(&|standing| *standing == Standing::Unfixable);
    drafts.extend(listed("security.unfixable", "that would block if a version mended them", Severity::Warning, &unfixable));
    let remarks = of(&|standing| *standing == Standing::Remark);
    drafts.extend(listed("security.informational", "with a remark (unmaintained, unsound)", Severity::Info, &remarks));
    drafts.extend(waived(&of(&|standing| matches!(standing, Standing::Waived(_))), judge));
    drafts.extend(ended(&grouped(all.iter().filter(|one| judge.ended(one).is_some())), judge));
    drafts
}

/// One vulnerability of one source package, which often is in several packages built from it.
struct Group<'a> {
    first: &'a Vulnerability,
    packages: Vec<String>,
}

/// From the worst.
fn grouped<'a>(all: impl Iterator<Item = &'a Vulnerability>) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<(std::cmp::Reverse<Level>, String, String), Group<'a>> = BTreeMap::new();
    for one in all {
        let (name, _) = one.package.matched();
        let key = (std::cmp::Reverse(one.severity), one.name.clone(), name);
        let group = groups.entry(key).or_insert_with(|| Group { first: one, packages: Vec::new() });
        group.packages.push(format!("{} {} in /{}", one.package.name, one.package.version, one.package.path));
    }
    groups.into_values().collect()
}

fn mend(one: &Vulnerability) -> String {
    let (name, _) = one.package.matched();
    match &one.fixed_by {
        Some(version) => format!("update {name} to {version}"),
        None => format!("no version of {name} mends it yet: remove it, or use another"),
    }
}

/// Under which rule a vulnerability stands.
fn code(one: &Vulnerability) -> &'static str {
    match one.severity {
        Level::Critical => "security.critical",
        _ if one.exploited => "security.exploited",
        Level::High => "security.high",
        Level::Medium => "security.medium",
        Level::Low => "security.low",
        Level::Negligible => "security.negligible",
        Level::Unknown => "security.unknown",
    }
}

fn blocks(group: &Group<'_>) -> Finding {
    let one = group.first;
    let (name, version) = one.package.matched();
    let how = match code(one) {
        "security.exploited" => "is known to be exploited".to_owned(),
        "security.unknown" => "has a severity nobody has told".to_owned(),
        _ => format!("is {}", one.severity.as_str().to_lowercase()),
    };
    let how_to = match one.package.source {
        Some(_) => "Rebuild the image on an up-to-date base",
        None => "Change it where the image gets it from, then build it again",
    };
    let fix = format!("{how_to}: {}. The layer that brought it is {}.", mend(one), one.package.layer);
    let mut finding = Finding::new(code(one), Severity::Error, format!("{} in {name} {version} {how}", one.name), WHY, fix)
        .message(format!("{} vulnerability: {} in {name} {version}", one.severity.as_str(), one.name))
        .at(format!("/{}", one.package.path));
    let more = group.packages.len().checked_sub(PACKAGES).filter(|more| *more > 0).map(|more| format!("and in {more} more packages"));
    finding = group.packages.iter().take(PACKAGES).cloned().chain(more).fold(finding, Finding::quote);
    let rated = one.score.as_ref().map_or_else(String::new, |score| format!("CVSS {} ({})", score.score, score.vector));
    let exploited = if one.exploited { "Known to be exploited (CISA)" } else { "" };
    let lines = [one.description.clone(), rated, exploited.to_owned(), one.link.clone()];
    lines.into_iter().filter(|line| !line.is_empty()).fold(finding, Finding::quote)
}

/// A list for each rule.
fn told(groups: &[Group<'_>], severity: impl Fn(&Vulnerability) -> Option<Severity>) -> Vec<Draft> {
    let kinds = [
        ("security.critical", "of severity Critical"),
        ("security.exploited", "known to be exploited"),
        ("security.high", "of severity High"),
        ("security.medium", "of severity Medium"),
        ("security.low", "of severity Low"),
        ("security.negligible", "of severity Negligible"),
        ("security.unknown", "of severity Unknown"),
    ];
    let mut drafts = Vec::new();
    for (rule, words) in kinds {
        let of_rule: Vec<&Group<'_>> = groups.iter().filter(|group| code(group.first) == rule).collect();
        let worst = of_rule.iter().filter_map(|group| severity(group.first)).max();
        drafts.extend(worst.and_then(|severity| list(rule, words, severity, &of_rule, &mending(&of_rule), |_| String::new())));
    }
    drafts
}

fn mending(groups: &[&Group<'_>]) -> String {
    let mendable = groups.iter().filter(|group| group.first.fixed_by.is_some()).count();
    if mendable == 0 {
        return "No version mends them yet. Remove the packages that the engine does not need; look again after the next update."
            .to_owned();
    }
    let count = groups.len();
    format!("{mendable} of {count} have a version that mends them: update the packages named here, or rebuild on an up-to-date base image.")
}

fn listed(code: &str, words: &str, severity: Severity, groups: &[Group<'_>]) -> Option<Draft> {
    let groups: Vec<&Group<'_>> = groups.iter().collect();
    list(code, words, severity, &groups, &mending(&groups), |_| String::new())
}

fn in_grace(groups: &[Group<'_>], judge: &Judge<'_>) -> Option<Draft> {
    let groups: Vec<&Group<'_>> = groups.iter().collect();
    let until = |one: &Vulnerability| if let Standing::Grace(end) = judge.standing(one) { day(end) } else { String::new() };
    let words = "that will block when their days of grace are over";
    list("security.grace", words, Severity::Warning, &groups, &mending(&groups), |one| format!("; blocks from {} on", until(one)))
}

fn waived(groups: &[Group<'_>], judge: &Judge<'_>) -> Option<Draft> {
    let groups: Vec<&Group<'_>> = groups.iter().collect();
    let fix = "Nothing, as long as the reasons given are true. Mend them before the waivers end.";
    list("security.waived", "waived", Severity::Info, &groups, fix, |one| {
        if let Standing::Waived(waiver) = judge.standing(one) { format!("; {}", by_whom(waiver)) } else { String::new() }
    })
}

fn by_whom(waiver: &Waiver) -> String {
    let until = if waiver.until_fixed { " or a version mends it" } else { "" };
    format!("waived by {} until {}{until}: {}", waiver.author, last_day(waiver.expires_at), waiver.reason)
}

fn ended(groups: &[Group<'_>], judge: &Judge<'_>) -> Option<Draft> {
    let groups: Vec<&Group<'_>> = groups.iter().collect();
    let fix = "Update the packages; where that is not possible, ask for a new waiver with its reason.";
    list("security.waiver_ended", "whose waiver has ended", Severity::Warning, &groups, fix, |one| match judge.ended(one) {
        Some((waiver, Hold::Fixed)) => format!("; a version mends it now, so the waiver of {} has ended", waiver.author),
        Some((waiver, _)) => format!("; the waiver of {} ended on {}", waiver.author, last_day(waiver.expires_at)),
        None => String::new(),
    })
}

/// All of a kind in one finding, with a list.
fn list(
    code: &str,
    words: &str,
    severity: Severity,
    groups: &[&Group<'_>],
    fix: &str,
    more: impl Fn(&Vulnerability) -> String,
) -> Option<Draft> {
    let first = groups.first()?;
    let count = groups.len();
    let noun = if count == 1 { "vulnerability" } else { "vulnerabilities" };
    let title = format!("{count} known {noun} {words}");
    let finding = Finding::new(code, severity, title.clone(), WHY, fix).message(title).at(format!("/{}", first.first.package.path));
    let lines = groups.iter().map(|group| {
        let (name, version) = group.first.package.matched();
        format!("{} in {name} {version}: {}{}", group.first.name, mend(group.first), more(group.first))
    });
    Some(quoted(finding, lines, "in the list of vulnerabilities").into())
}

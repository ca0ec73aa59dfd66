//! Fields that name MIME types.

use model::finding::{Finding, Severity};

use super::{
    fields::{EE, Levels, WW},
    look::Look,
};
use crate::{
    contract::{
        json::{Node, Value},
        mime::{self, Format},
    },
    wording::clip,
};

/// Unknown types named in one finding.
const NAMED: usize = 10;

/// Wildcards are not documented: taken in the lenient mode, refused in the strict one.
const WILDCARD: Levels = Levels(Severity::Info, Severity::Error);

/// One type.
pub(super) fn format(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    match node.value.text() {
        Some(text) => judge(look, &[(text, node.at, pointer.to_owned())]),
        None => drop(look.invalid(node, pointer)),
    }
}

/// A list of types.
pub(super) fn formats(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    let Value::List(items) = &node.value else {
        let text = node.value.text().map(str::to_owned);
        let finding = look.invalid(node, pointer);
        if let Some(text) = text {
            finding.suggestion = Some(format!("[\"{}\"]", clip(&text, 60)));
            finding.fix = format!("Put it into a list: [\"{}\"].", clip(&text, 60));
        }
        return;
    };
    if let Some((index, item)) = items.iter().enumerate().find(|(_, item)| item.value.text().is_none()) {
        look.invalid(item, &format!("{pointer}/{index}"));
    }
    let texts: Vec<(&str, usize, String)> =
        items.iter().enumerate().filter_map(|(index, item)| Some((item.value.text()?, item.at, format!("{pointer}/{index}")))).collect();
    judge(look, &texts);
}

/// The list should contain the preferred type.
pub(super) fn supported(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    formats(look, node, pointer);
    let preferred = look.context.text("preferredInputFormat").map(str::to_owned);
    let items = node.value.list().unwrap_or_default();
    let texts: Vec<&str> = items.iter().filter_map(|item| item.value.text()).collect();
    if let Some(preferred) = preferred.filter(|preferred| !texts.is_empty() && !mime::covers(&texts, preferred)) {
        let shown = clip(&preferred, 40);
        let finding = Finding::new(
            &look.rule("preferred"),
            Severity::Warning,
            format!("supportedInputFormats does not contain the preferred {shown}"),
            "What an engine prefers it also has to support; whoever reads only the list would never send that type.",
            format!("Add \"{shown}\" to supportedInputFormats."),
        );
        look.tell(finding.message(format!("invalid supportedInputFormats: the preferred {shown} is not among them")), WW, node.at, pointer);
    }
}

fn judge(look: &mut Look<'_, '_>, texts: &[(&str, usize, String)]) {
    let judged = || texts.iter().map(|(text, at, pointer)| (*text, *at, pointer, mime::classify(text)));
    let unknown: Vec<_> = judged().filter(|(.., format)| !matches!(format, Format::Known | Format::Wildcard)).collect();
    if let Some((first, at, pointer, _)) = unknown.first() {
        let names: Vec<String> = unknown.iter().take(NAMED).map(|(text, ..)| clip(text, 80)).collect();
        let more = if unknown.len() > NAMED { format!(" and {} more", unknown.len() - NAMED) } else { String::new() };
        let mends: Vec<String> = unknown.iter().take(NAMED).filter_map(|(text, .., format)| mend(text, format)).collect();
        let others = if unknown.len() > 1 { format!(" and {} more", unknown.len() - 1) } else { String::new() };
        let finding = Finding::new(
            &look.rule("unknown_format"),
            Severity::Error,
            format!("{}: unknown media format {}{others}", look.field.key, clip(first, 40)),
            "Data is routed to engines by these types; a type nobody else knows never matches anything.",
            if mends.is_empty() {
                "Use a type from the list on the page of this check.".to_owned()
            } else {
                format!("{}.", mends.join("; "))
            },
        );
        let message = format!("Unknown media format: {}{more}", names.join(", "));
        let suggestion = unknown.iter().find_map(|(.., format)| suggestion(format));
        let (value, at, pointer) = (clip(first, 300), *at, (*pointer).clone());
        let finding = look.tell(finding.message(message), EE, at, &pointer);
        finding.value = Some(value);
        finding.suggestion = suggestion;
        finding.allowed = mime::all().map(str::to_owned).collect();
    }
    let wildcard =
        judged().find(|(.., format)| *format == Format::Wildcard).map(|(text, at, pointer, _)| (text.to_owned(), at, pointer.clone()));
    if let Some((text, at, pointer)) = wildcard {
        let shown = clip(&text, 40);
        let finding = Finding::new(
            &look.rule("wildcard"),
            Severity::Info,
            format!("{}: {shown} is a wildcard", look.field.key),
            "The contract knows no wildcards. They are taken for every type they cover, but other readers may refuse them.",
            "List the types one by one.",
        );
        let finding = finding.message(format!("invalid {}: {shown} is a wildcard", look.field.key));
        look.tell(finding, WILDCARD, at, &pointer).value = Some(shown);
    }
}

fn mend(text: &str, format: &Format) -> Option<String> {
    let shown = clip(text, 80);
    match format {
        Format::Glued(first, second) => Some(format!("Split {shown} into \"{first}\", \"{second}\"")),
        Format::Misspelt(meant) => Some(format!("Write \"{meant}\" instead of {shown}")),
        Format::Known | Format::Wildcard | Format::Unknown => None,
    }
}

fn suggestion(format: &Format) -> Option<String> {
    match format {
        Format::Glued(first, second) => Some(format!("{first}, {second}")),
        Format::Misspelt(meant) => Some((*meant).to_owned()),
        Format::Known | Format::Wildcard | Format::Unknown => None,
    }
}

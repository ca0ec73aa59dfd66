//! The rules of `/var/manifest.json` (manifest contract): one table of fields, each with its severity in both modes, and one pass over the file.
//!
//! Messages begin with the documented forms `Need a valid <field>`, `invalid <field>` and `Unknown media format: <value>`.

mod fields;
mod file;
mod generate;
mod hosts;
mod identity;
mod look;
mod media;
mod members;
mod normal;
mod table;
mod values;

use std::collections::BTreeMap;

use model::finding::{Finding, Severity};

use self::{
    fields::{Absent, Field},
    look::{Context, Look},
    members::Members,
    table::FIELDS,
};
use crate::{
    contract::json::{self, Caps, Document, Value},
    evidence::Terms,
    judge::Draft,
    wording::{clip, count, list},
};

pub use generate::generate;
pub use hosts::host_of;
pub use normal::normalise;

/// Keys of duplicate and unknown fields named in one finding.
const NAMED: usize = 10;

/// All keys the contract knows, in alphabetical order.
pub fn known_keys() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|field| field.key)
}

/// Judges a manifest file. `path` is where it really is in the image, without a leading slash.
pub fn judge(path: &str, bytes: &[u8], terms: &Terms) -> Vec<Draft> {
    let file = format!("/{path}");
    let document = match json::read(bytes, Caps::MANIFEST) {
        Ok(document) => document,
        Err(problem) => return vec![file::not_json(&file, bytes, &problem).into()],
    };
    if document.root.value.object().is_none() {
        return vec![file::not_an_object(&file, bytes, &document.root).into()];
    }
    let members = Members::of(&document.root.value);
    let context = Context::new(&file, bytes, &members, terms);
    let mut drafts: Vec<Draft> = FIELDS.iter().flat_map(|field| judge_field(field, &context)).collect();
    if document.bom {
        drafts.push(file::bom(&file).into());
    }
    drafts.extend(duplicates(&context, &document).map(Draft::from));
    drafts.extend(misspelt(&context).into_iter().map(Draft::from));
    drafts.extend(unknown(&context).map(Draft::from));
    drafts
}

fn judge_field(field: &'static Field, context: &Context<'_>) -> Vec<Draft> {
    let mut look = Look::new(field, context);
    match context.members.get(field.key) {
        Some(found) => {
            let pointer = found.pointer.clone();
            (field.check)(&mut look, found.node, &pointer);
        }
        None => match (field.absent)(context) {
            Absent::Fine => {}
            Absent::Missing(levels) => look.missing(levels),
            Absent::Fallback { levels, from } => look.fallback(levels, from),
        },
    }
    look.drafts
}

/// Keys that occur more than once in the same object, all in one finding.
fn duplicates(context: &Context<'_>, document: &Document<'_>) -> Option<Finding> {
    let mut found: Vec<(String, usize)> = Vec::new();
    collect_duplicates(&document.root.value, "", &mut found);
    let (first, at) = found.first()?.clone();
    let names: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).take(NAMED).collect();
    let finding = Finding::new(
        "manifest.duplicate",
        Severity::Warning,
        format!("Key {} occurs more than once in the manifest", clip(first.trim_start_matches('/'), 40)),
        "Of two values for one key only the last counts, and readers differ in which that is.",
        format!("Keep one value for {}.", list(&names, "and")),
    );
    Some(context.place(finding.message(format!("invalid manifest: duplicate key {}", clip(&first, 60))), at, &first))
}

fn collect_duplicates(value: &Value<'_>, pointer: &str, found: &mut Vec<(String, usize)>) {
    match value {
        Value::Object(members) => {
            let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
            for member in members {
                let inner = format!("{pointer}/{}", json::pointer_step(&member.key));
                let times = seen.entry(&member.key).or_default();
                *times += 1;
                if *times == 2 && found.len() < 1000 {
                    found.push((inner.clone(), member.at));
                }
                collect_duplicates(&member.node.value, &inner, found);
            }
        }
        Value::List(items) => {
            items.iter().enumerate().for_each(|(index, item)| collect_duplicates(&item.value, &format!("{pointer}/{index}"), found));
        }
        _ => {}
    }
}

/// Keys that are nearly right: one finding each, because each has its own mend.
fn misspelt(context: &Context<'_>) -> Vec<Finding> {
    let finding = |near: &members::Misspelt<'_>| {
        let shown = clip(near.written, 40);
        let used = if near.used { "it is read as that" } else { "that key is there as well, so this one is ignored" };
        let finding = Finding::new(
            "manifest.misspelt",
            Severity::Warning,
            format!("Key {shown} is probably meant to be {}", near.meant),
            format!("The contract knows no key {shown}; {used}."),
            format!("Write \"{}\".", near.meant),
        );
        let mut finding = finding.message(format!("invalid {shown}: unknown key, did you mean {}?", near.meant)).field(shown);
        finding.suggestion = Some(near.meant.to_owned());
        context.place(finding, near.at, &format!("/{}", json::pointer_step(near.written)))
    };
    context.members.misspelt.iter().map(finding).collect()
}

/// Keys nobody knows, all in one finding.
fn unknown(context: &Context<'_>) -> Option<Finding> {
    let keys = &context.members.unknown;
    let (first, at) = *keys.first()?;
    let names: Vec<String> = keys.iter().take(NAMED).map(|(key, _)| clip(key, 40)).collect();
    let more = if keys.len() > NAMED { format!(" and {} more", keys.len() - NAMED) } else { String::new() };
    let shown = format!("{}{more}", names.join(", "));
    let title = if keys.len() == 1 {
        format!("Key {shown} is not part of the manifest contract")
    } else {
        format!("{} are not part of the manifest contract", count(keys.len(), "key"))
    };
    let finding = Finding::new(
        "manifest.unknown",
        Severity::Warning,
        title,
        "Unknown keys have no effect, however right they look.",
        format!("Remove {shown}, or check the spelling against the list on the page of this check."),
    );
    let finding = finding.message(format!("invalid {}: unknown key{}", names.join(", "), more));
    Some(context.place(finding, at, &format!("/{}", json::pointer_step(first))))
}

#[cfg(test)]
mod tests;

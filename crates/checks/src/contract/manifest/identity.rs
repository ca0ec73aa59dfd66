//! What the engine is: its id, its category, its mode, whom it calls; held against what is registered.

use model::{
    capability::Capability,
    engine::DeploymentModel,
    finding::{Finding, Severity},
};

use super::{
    fields::{EE, WE, WW},
    hosts::host_of,
    look::Look,
    values::is_uuid,
};
use crate::{
    contract::json::{Node, Value},
    spelling,
    wording::{clip, list, quoted},
};

/// Hosts named in one finding.
const NAMED: usize = 10;

/// Words documentation and generators put where the id goes.
const PLACEHOLDERS: [&str; 5] = ["your", "engine-id", "engine_id", "placeholder", "xxxx"];

/// `engineId`: a UUID, not the placeholder of a template, and the engine this push is for.
pub(super) fn engine_id(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    let text = node.value.text().unwrap_or_default().trim().to_ascii_lowercase();
    let nil = text.chars().all(|c| matches!(c, '0' | '-'));
    if is_uuid(&text) && !nil {
        let registered = look.context.terms.engine.map(|engine| engine.to_string());
        if let Some(registered) = registered.filter(|registered| *registered != text) {
            look.reject("other", EE, node, pointer, &format!("is not the engine this image is tested for ({registered})"));
        }
        return;
    }
    let placeholder = !text.is_empty() && (nil || PLACEHOLDERS.iter().any(|word| text.contains(word)));
    let fix = "Copy the id from the engine's page in the console, or write `\"engineId\"` as createEngine returned it.".to_owned();
    if placeholder {
        look.reject("placeholder", EE, node, pointer, "is the placeholder of a template").fix = fix;
    } else {
        look.invalid(node, pointer).fix = fix;
    }
}

/// `category`: a word for a capability, and the one that is registered.
pub(super) fn category(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    let Some(text) = node.value.text() else {
        look.invalid(node, pointer);
        return;
    };
    let Some(written) = Capability::from_word(text) else {
        let keys: Vec<&str> = Capability::all().map(Capability::as_str).collect();
        let near = spelling::nearest(text, keys.iter().copied());
        let finding = look.reject("unknown", WE, node, pointer, "is no category we know");
        finding.fix = near
            .map_or_else(|| "Write a category from the list on the page of this check.".to_owned(), |near| format!("Write \"{near}\"."));
        finding.suggestion = near.map(str::to_owned);
        finding.allowed = keys.into_iter().map(str::to_owned).collect();
        return;
    };
    let Some(registered) = look.context.terms.capability.filter(|registered| *registered != written) else { return };
    let (rule, levels, fact) = if registered.is_adapter() != written.is_adapter() {
        let kind = if registered.is_adapter() { "an adapter" } else { "a cognitive engine" };
        ("mismatch", EE, format!("contradicts the registration as {kind} ({registered})"))
    } else {
        ("differs", WW, format!("is not the registered category {registered}"))
    };
    let finding = look.reject(rule, levels, node, pointer, &fact);
    finding.fix = format!("Write \"category\": \"{registered}\", or register an engine of category {written}.");
    finding.suggestion = Some(registered.as_str().to_owned());
}

/// Words of `engineMode`; `segment` is an old one for `chunk`.
const MODES: [&str; 5] = ["legacy", "batch", "chunk", "stream", "segment"];

/// `engineMode`: one of four words; adapters have two of them.
pub(super) fn engine_mode(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    let allowed: &[&str] = if look.context.adapter { &["batch", "stream"] } else { &["legacy", "batch", "chunk", "stream"] };
    let word = node.value.text().map(|text| text.trim().to_lowercase());
    let known = word.as_deref().is_some_and(|word| MODES.contains(&word));
    let fits = word.as_deref().is_some_and(|word| allowed.contains(&word) || (word == "segment" && !look.context.adapter));
    if fits {
        return;
    }
    let near = word.as_deref().and_then(|word| spelling::nearest(word, allowed.iter().copied())).map(str::to_owned);
    let finding = if known { look.reject("adapter", EE, node, pointer, "is not for adapters") } else { look.invalid(node, pointer) };
    finding.fix = format!("Write {}.", list(&allowed.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>(), "or"));
    finding.allowed = allowed.iter().map(|word| (*word).to_owned()).collect();
    finding.suggestion = near;
}

/// `externalCalls`: hosts, and none for an engine that is registered as isolated.
pub(super) fn external_calls(look: &mut Look<'_, '_>, node: &Node<'_>, pointer: &str) {
    let Value::List(items) = &node.value else {
        look.invalid(node, pointer);
        return;
    };
    let bad = items.iter().enumerate().find(|(_, item)| item.value.text().and_then(host_of).is_none());
    if let Some((index, item)) = bad {
        look.reject("invalid", EE, item, &format!("{pointer}/{index}"), "is not a host, host:port or URL");
    }
    if look.context.terms.deployment_model == Some(DeploymentModel::FullyNetworkIsolated) {
        let hosts: Vec<String> = items.iter().filter_map(|item| item.value.text()).take(NAMED).map(|text| clip(text, 60)).collect();
        let Some(first) = hosts.first() else { return };
        let finding = Finding::new(
            &look.rule("isolated"),
            Severity::Error,
            format!("externalCalls names {}, but the engine is registered as isolated", clip(first, 30)),
            "An engine registered as FullyNetworkIsolated runs where data must not leave: nothing outside can be reached.",
            "Remove externalCalls, or register the engine with a deployment model that allows outside access.",
        );
        let message = format!("invalid externalCalls: {} cannot be reached under FullyNetworkIsolated", list(&hosts, "and"));
        look.tell(finding.message(message), EE, node.at, pointer).value = Some(quoted(first, 60));
    }
}

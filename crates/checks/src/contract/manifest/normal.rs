//! From a file to what the gate uses of it, with the documented defaults where a field is missing or unusable.

use model::manifest::{ClusterSize, EngineMode, Manifest};

use super::members::{Found, Members};
use crate::contract::{
    json::{self, Caps, Value},
    mime,
};

/// Reads a manifest; `None` if the file is not a JSON object. What is wrong with its fields is for [`super::judge`] to say.
pub fn normalise(bytes: &[u8]) -> Option<Manifest> {
    let document = json::read(bytes, Caps::MANIFEST).ok()?;
    document.root.value.object()?;
    let members = Members::of(&document.root.value);
    let preferred = text(&members, "preferredInputFormat").map(|format| mime::normal(&format));
    let mut supported: Vec<String> = texts(&members, "supportedInputFormats").iter().map(|format| mime::normal(format)).collect();
    if supported.is_empty() {
        supported.extend(preferred.clone());
    }
    Some(Manifest {
        engine_id: text(&members, "engineId").filter(|id| super::values::is_uuid(id.trim())).and_then(|id| id.trim().parse().ok()),
        category: text(&members, "category"),
        preferred_input_format: preferred.or_else(|| supported.first().cloned()),
        supported_input_formats: supported,
        output_formats: texts(&members, "outputFormats").iter().map(|format| mime::normal(format)).collect(),
        cluster_size: text(&members, "clusterSize").map(|word| cluster_size(&word)).unwrap_or_default(),
        engine_mode: text(&members, "engineMode").map(|word| engine_mode(&word)).unwrap_or_default(),
        external_calls: texts(&members, "externalCalls"),
        min_memory_required: members
            .get("minMemoryRequired")
            .and_then(|found| found.node.value.number())
            .filter(|megabytes| *megabytes > 0.0),
        raw: document.root.value.plain(),
    })
}

fn text(members: &Members<'_>, key: &str) -> Option<String> {
    members.get(key).and_then(|found| found.node.value.text()).map(str::to_owned)
}

/// The texts of a list; a single text is taken as a list of one.
fn texts(members: &Members<'_>, key: &str) -> Vec<String> {
    let all = |found: &Found<'_>| match &found.node.value {
        Value::Text(text) => vec![text.as_ref().to_owned()],
        Value::List(items) => items.iter().filter_map(|item| item.value.text()).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    members.get(key).map(all).unwrap_or_default()
}

fn cluster_size(word: &str) -> ClusterSize {
    match word.trim().to_lowercase().as_str() {
        "medium" => ClusterSize::Medium,
        "large" => ClusterSize::Large,
        _ => ClusterSize::Small,
    }
}

fn engine_mode(word: &str) -> EngineMode {
    match word.trim().to_lowercase().as_str() {
        "batch" => EngineMode::Batch,
        "chunk" | "segment" => EngineMode::Chunk,
        "stream" => EngineMode::Stream,
        _ => EngineMode::Legacy,
    }
}

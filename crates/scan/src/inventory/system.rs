//! Which operating system an image is of: `os-release` (os-release(5)).

use image::Inspection;

use super::Warning;
use crate::Ecosystem;

pub(super) struct System {
    pub name: Option<String>,
    /// `ID`.
    pub id: String,
    pub ecosystem: Option<Ecosystem>,
}

const PATHS: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];

pub(super) fn of(image: &Inspection) -> System {
    // The first is a link to the second nearly everywhere.
    let kept = PATHS.iter().find_map(|path| {
        let (layer, entry) = image.tree.resolve(path).ok()?.content?;
        let evidence = image.layers.get(layer)?;
        evidence.files.get(&evidence.entries.get(entry)?.path)
    });
    let Some(kept) = kept else { return System { name: None, id: String::new(), ecosystem: None } };
    let text = String::from_utf8_lossy(&kept.bytes);
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim().trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
    };
    let (id, version) = (value("ID").unwrap_or_default(), value("VERSION_ID").unwrap_or_default());
    System { name: value("PRETTY_NAME").or_else(|| value("ID")), ecosystem: Ecosystem::of_system(&id, &version), id }
}

/// The packages of an operating system for which no advisories are matched.
pub(super) fn unknown(path: &str, packages: usize) -> Warning {
    Warning {
        path: path.to_owned(),
        message: format!(
            "/{path} lists {packages} packages, but /etc/os-release names no release whose advisories are known; they were not looked up"
        ),
    }
}

//! The pages of the checks, offline: what is checked, why, how to mend it, how to see it on a laptop.

use model::finding::check_of;

use crate::checks::CHECKS;

/// The page of a check, or of the check a rule belongs to, in Markdown.
pub fn page(rule: &str) -> Option<&'static str> {
    let id = check_of(rule);
    CHECKS.iter().find(|check| check.id == id).map(|check| check.help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_the_same_parts() {
        for check in CHECKS {
            let first = check.help.lines().next().unwrap_or_default();
            assert_eq!(first, format!("# {}: {}", check.id, check.title), "the heading of docs/checks/{}.md", check.id);
            for part in ["\n## What is checked\n", "\n## Why\n", "\n## How to mend it\n", "\n## See it on your machine\n", "\n## Rules\n"] {
                assert!(check.help.contains(part), "docs/checks/{}.md lacks {part:?}", check.id);
            }
            assert!(check.help.lines().all(|line| line.chars().count() <= 160), "docs/checks/{}.md has lines that are too long", check.id);
        }
    }

    #[test]
    fn there_is_a_page_for_each_check_and_none_without_one() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks");
        let mut pages: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
            .collect();
        pages.sort();
        assert_eq!(pages, CHECKS.iter().map(|check| check.id).collect::<Vec<_>>());
    }

    #[test]
    fn a_rule_has_the_page_of_its_check() {
        assert_eq!(page("manifest.url.invalid"), page("manifest"));
        assert!(page("manifest").unwrap().starts_with("# manifest"));
        assert_eq!(page("nonsense"), None);
    }
}

//! An advisory in the OSV format (schema 1.7), as far as it is used here. Unknown members are ignored, as the format asks.

use serde::Deserialize;

/// Largest record that is read, bytes. The largest real one has about 1 MB.
pub const LARGEST: u64 = 8 << 20;
/// Most vulnerabilities of one advisory; those about the kernel have hundreds.
const MOST_OF_ONE: usize = 5_000;
/// Ecosystems whose advisories name what they mend as related.
const BUNDLERS: [&str; 2] = ["AlmaLinux", "Rocky Linux"];
/// Longest description kept, bytes.
const DESCRIPTION: usize = 320;

/// One record.
#[derive(Debug, Deserialize)]
pub(super) struct Record {
    pub id: String,
    #[serde(default)]
    pub modified: String,
    #[serde(default)]
    pub published: Loose,
    pub withdrawn: Option<String>,
    #[serde(default)]
    pub aliases: Vec<String>,
    #[serde(default)]
    pub upstream: Vec<String>,
    #[serde(default)]
    pub related: Vec<String>,
    #[serde(default)]
    pub summary: String,
    #[serde(default)]
    pub details: String,
    #[serde(default)]
    pub severity: Vec<Rating>,
    #[serde(default)]
    pub affected: Vec<Affected>,
    #[serde(default)]
    pub references: Vec<Link>,
    #[serde(default)]
    pub database_specific: Specific,
}

impl Record {
    /// The vulnerabilities that it is about, by CVE, when it is about several: a distribution's advisory mends many at once. Empty when it is about
    /// one, whatever its names. AlmaLinux and Rocky Linux name them as related.
    pub(super) fn several(&self) -> Vec<String> {
        let is_cve = |id: &&String| id.starts_with("CVE-");
        if is_cve(&&self.id) || self.aliases.iter().any(|id| is_cve(&id)) {
            return Vec::new();
        }
        let mut cves: Vec<String> = self.upstream.iter().chain(self.bundled()).filter(is_cve).cloned().collect();
        cves.sort();
        cves.dedup();
        cves.truncate(MOST_OF_ONE);
        if cves.len() < 2 { Vec::new() } else { cves }
    }

    /// What is related to it and is what it mends.
    pub(super) fn bundled(&self) -> &[String] {
        if self.upstream.is_empty() && self.is_bundle() { &self.related } else { &[] }
    }

    /// The word that such a summary begins with: "Important: kernel security update".
    pub(super) fn headline(&self) -> Option<&str> {
        self.summary.split_once(':').map(|(word, _)| word).filter(|_| self.is_bundle())
    }

    fn is_bundle(&self) -> bool {
        let is_one = |package: &Package| BUNDLERS.iter().any(|name| package.ecosystem.starts_with(name));
        !self.affected.is_empty() && self.affected.iter().all(|part| part.package.as_ref().is_some_and(is_one))
    }

    /// Leaves away what is not looked at, so that many records fit into memory: of its texts the first words of one, of its links the best.
    pub(super) fn keep_the_needed(&mut self) {
        let text = if self.summary.is_empty() { &self.details } else { &self.summary };
        self.summary = shortened(text);
        self.details = String::new();
        let of_kind = |kind: &str| self.references.iter().find(|link| link.kind == kind);
        let link = of_kind("ADVISORY").or_else(|| of_kind("REPORT")).or_else(|| self.references.first());
        self.references = link.map(|link| Link { kind: String::new(), url: link.url.chars().take(500).collect() }).into_iter().collect();
        self.affected.shrink_to_fit();
    }
}

/// A CVSS vector, or a word of a distribution.
#[derive(Debug, Deserialize)]
pub(super) struct Rating {
    #[serde(rename = "type")]
    pub kind: String,
    pub score: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Link {
    #[serde(rename = "type", default)]
    pub kind: String,
    pub url: String,
}

/// What databases add: only words of severity and the kind of remark are read.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Specific {
    #[serde(default)]
    pub severity: Loose,
    #[serde(default)]
    pub urgency: Loose,
    #[serde(default)]
    pub informational: Loose,
}

/// A text where there is one; databases put all kinds of values there.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "serde_json::Value")]
pub(super) struct Loose(pub Option<String>);

impl From<serde_json::Value> for Loose {
    fn from(value: serde_json::Value) -> Self {
        Self(value.as_str().map(str::to_owned))
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Affected {
    pub package: Option<Package>,
    #[serde(default)]
    pub severity: Vec<Rating>,
    #[serde(default)]
    pub ranges: Vec<Range>,
    #[serde(default)]
    pub versions: Vec<String>,
    #[serde(default)]
    pub ecosystem_specific: Option<Specific>,
    #[serde(default)]
    pub database_specific: Option<Specific>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Package {
    pub ecosystem: String,
    pub name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Range {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub events: Vec<Event>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Event {
    pub introduced: Option<String>,
    pub fixed: Option<String>,
    pub last_affected: Option<String>,
}

fn shortened(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.len() <= DESCRIPTION {
        return text;
    }
    let mut end = DESCRIPTION;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

//! The layout of a database file. All numbers are little-endian; records are postcard.
//!
//! ```text
//! magic 8 · format u32 · zero u32 · file length u64 · id 32 (SHA-256 of everything behind the header)
//! meta offset u64, length u64 · index offset u64, entries u64
//! records: one block per advisory, one per package
//! index: per package, ordered by hash: hash u64, offset u64, length u64
//! ```
//!
//! It is read with positional reads and not mapped into memory: a mapped file that somebody cuts off kills the reader with SIGBUS, a read
//! that comes up short is an error with a sentence. The page cache makes both equally fast.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::range::Interval;
use crate::severity::{Score, Severity};

pub(super) const MAGIC: [u8; 8] = *b"PLIMADV\n";
/// Grows whenever an older program would misread the file.
pub(super) const FORMAT: u32 = 4;
pub(super) const HEADER: usize = 88;
pub(super) const ENTRY: usize = 24;

/// Where things are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub length: u64,
    pub id: [u8; 32],
    pub meta: (u64, u64),
    pub index: (u64, u64),
}

impl Header {
    pub(super) fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.length.to_le_bytes());
        bytes[24..56].copy_from_slice(&self.id);
        for (at, number) in [self.meta.0, self.meta.1, self.index.0, self.index.1].into_iter().enumerate() {
            bytes[56 + at * 8..64 + at * 8].copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; HEADER]) -> Self {
        let number = |at: usize| u64_at(bytes, at);
        let mut id = [0; 32];
        id.copy_from_slice(&bytes[24..56]);
        Self { length: number(16), id, meta: (number(56), number(64)), index: (number(72), number(80)) }
    }
}

/// The number at an offset; zero behind the end.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|slice| slice.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// Under which number a package stands in the index.
pub(super) fn hash(ecosystem: &str, name: &str) -> u64 {
    let mut hash = Sha256::new();
    hash.update(ecosystem.as_bytes());
    hash.update([0]);
    hash.update(name.as_bytes());
    u64_at(&hash.finalize(), 0)
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub offset: u64,
    pub length: u64,
}

/// What is known of a package.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PackageRecord {
    pub ecosystem: String,
    pub name: String,
    pub affected: Vec<AffectedRecord>,
}

/// One advisory about one package.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AffectedRecord {
    pub advisory: Place,
    pub intervals: Vec<Interval>,
    /// Versions that the intervals do not cover, or that are none by the ecosystem's rule.
    pub versions: Vec<String>,
    /// The ecosystem's own word for this package.
    pub severity: Option<Severity>,
}

/// An advisory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advisory {
    /// Its id, such as `PYSEC-2006-6`.
    pub id: String,
    /// Other ids of the same vulnerability, the CVE among them.
    pub aliases: Vec<String>,
    /// When it was published, RFC 3339; empty if nobody said.
    pub published: String,
    /// Its first words.
    pub description: String,
    /// Where to read on; empty if nobody said.
    pub link: String,
    /// The word of its source.
    pub word: Option<Severity>,
    /// The score its source gives.
    pub score: Option<Score>,
    /// The score of the list given beside the advisories.
    pub listed_score: Option<Score>,
    /// Known to be exploited (CISA's catalogue).
    pub exploited: bool,
    /// A remark (`unmaintained`, `unsound`, `notice`), not a vulnerability.
    pub informational: Option<String>,
    /// The vulnerabilities that it is about, if it is about several; its aliases are then none of theirs.
    pub several: Vec<OneOf>,
}

/// One of several vulnerabilities of an advisory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OneOf {
    /// Its CVE.
    pub cve: String,
    /// The score of the list given beside the advisories.
    pub listed_score: Option<Score>,
    /// Known to be exploited (CISA's catalogue).
    pub exploited: bool,
}

/// What a database says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Advisories in it.
    pub advisories: u64,
    /// Packages in it.
    pub packages: u64,
    /// Advisories per ecosystem, by its name in the OSV export.
    pub ecosystems: Vec<(String, u64)>,
    /// The youngest `modified` of its records, RFC 3339: how old the knowledge is.
    pub newest: String,
    /// The youngest times at which records were modified, the youngest first: one record that a slip of the pen dates into the future must not
    /// keep a database young for ever.
    pub recent: Vec<String>,
    /// What was left out while it was built.
    pub left_out: LeftOut,
}

impl Meta {
    /// Times kept.
    pub(super) const RECENT: usize = 100;

    /// The youngest `modified` that is not behind `now` (RFC 3339, UTC); `None` when all that are kept are.
    pub fn newest_until(&self, now: &str) -> Option<&str> {
        self.recent.iter().map(String::as_str).find(|modified| !modified.is_empty() && *modified <= now)
    }
}

/// Records and parts of records that were not taken, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Withdrawn by their source.
    pub withdrawn: u64,
    /// Not JSON, or not an advisory.
    pub malformed: u64,
    /// Parts about ecosystems that are not matched.
    pub foreign: u64,
    /// Ranges over commits.
    pub git_ranges: u64,
    /// Ranges whose versions cannot be ordered.
    pub unordered_ranges: u64,
    /// Parts that name no version at all.
    pub without_versions: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back() {
        let header = Header { length: 1, id: [7; 32], meta: (2, 3), index: (4, u64::MAX) };
        assert_eq!(Header::from_bytes(&header.to_bytes()), header);
    }
}

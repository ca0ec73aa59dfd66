//! Names in the registry: repositories, tags and references, by the grammar of the OCI distribution specification 1.1.

use std::{fmt, str::FromStr};

use crate::{digest::Digest, id::OrganizationId};

/// A repository of one organization: `{organizationId}/{imageName}`, at most 255 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoName {
    organization: OrganizationId,
    full: Box<str>,
}

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Box<str>);

/// What follows `/manifests/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// By movable name.
    Tag(Tag),
    /// By content.
    Digest(Digest),
}

/// Why a text is no name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// The path does not begin with the number of an organization.
    #[error("repository {0:?} must start with the number of your organization, like 1/my-engine")]
    Organization(String),
    /// Nothing behind the organization.
    #[error("repository {0:?} needs an image name behind the organization, like 1/my-engine")]
    Image(String),
    /// A segment breaks the grammar.
    #[error("repository {0:?}: each part is lower-case letters and digits, joined by single . or _, by __ or by dashes")]
    Grammar(String),
    /// More than 255 characters.
    #[error("a repository name has at most 255 characters, this one has {0}")]
    Long(usize),
    /// Not a tag.
    #[error("tag {0:?}: 1 to 128 letters, digits, _ . or -, and not . or - in front")]
    Tag(String),
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// One path component: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(text: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return false };
    if !alnum(first) || !alnum(last) {
        return false;
    }
    bytes.split(|&b| alnum(b)).all(|joint| matches!(joint, b"" | b"." | b"_" | b"__") || joint.iter().all(|&b| b == b'-'))
}

impl RepoName {
    /// The owner, read from the first segment.
    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// The whole path, as in a URL.
    pub fn as_str(&self) -> &str {
        &self.full
    }

    /// What follows the organization.
    pub fn image(&self) -> &str {
        self.full.split_once('/').map_or("", |(_, image)| image)
    }
}

impl FromStr for RepoName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > 255 {
            return Err(NameError::Long(text.len()));
        }
        let (owner, image) = text.split_once('/').unwrap_or((text, ""));
        let canonical = owner.bytes().all(|b| b.is_ascii_digit()) && !owner.starts_with('0');
        let organization = owner.parse::<i64>().ok().filter(|&n| canonical && n > 0).ok_or_else(|| NameError::Organization(shown(text)))?;
        if image.is_empty() {
            return Err(NameError::Image(shown(text)));
        }
        if !image.split('/').all(is_component) {
            return Err(NameError::Grammar(shown(text)));
        }
        Ok(Self { organization: OrganizationId(organization), full: text.into() })
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl Tag {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let well_formed =
            text.len() <= 128 && text.bytes().next().is_some_and(word) && text.bytes().all(|b| word(b) || b == b'.' || b == b'-');
        if well_formed { Ok(Self(text.into())) } else { Err(NameError::Tag(shown(text))) }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Reference {
    type Err = NameError;

    /// A text with a colon is a digest; a malformed digest is therefore reported as a malformed tag.
    fn from_str(text: &str) -> Result<Self, NameError> {
        if let Ok(digest) = text.parse() {
            return Ok(Self::Digest(digest));
        }
        text.parse().map(Self::Tag)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories() {
        let name: RepoName = "1201/team/word-list".parse().unwrap();
        assert_eq!((name.organization(), name.image()), (OrganizationId(1201), "team/word-list"));
        for good in ["1/a", "1/a__b", "1/a---b", "1/a.b_c/d"] {
            assert!(good.parse::<RepoName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a/b",
            "1",
            "1/",
            "01/a",
            "0/a",
            "-1/a",
            "1/A",
            "1/a..b",
            "1/a___b",
            "1//a",
            "1/a/",
            "1/../a",
            "1/a.",
            "1/é",
            "99999999999999999999/a",
        ] {
            assert!(bad.parse::<RepoName>().is_err(), "{bad}");
        }
        assert_eq!(format!("1/{}", "a".repeat(300)).parse::<RepoName>(), Err(NameError::Long(302)));
    }

    #[test]
    fn tags() {
        for good in ["latest", "_x", "1.0-rc.1", &"a".repeat(128)] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "a b", "a/b", "a:b", &"a".repeat(129)] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_name_prints_as_it_was_read(text in "[0-9a-z/._-]{0,40}") {
            if let Ok(name) = text.parse::<RepoName>() {
                proptest::prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}

//! The packages of an image in the formats others read: CycloneDX 1.6 and SPDX 2.3, as JSON. The same packages give the same bytes: nothing in
//! here asks for the time or for chance, identities come from the content.

mod cyclonedx;
mod spdx;
#[cfg(test)]
mod tests;

use std::str::FromStr;

use model::digest::{Algorithm, Digest};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{Error, Inventory, Package};

/// A format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// CycloneDX 1.6.
    #[default]
    CycloneDx,
    /// SPDX 2.3.
    Spdx,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::CycloneDx, Self::Spdx];

    /// The word by which it is asked for.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CycloneDx => "cyclonedx",
            Self::Spdx => "spdx",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::CycloneDx => "application/vnd.cyclonedx+json",
            Self::Spdx => "application/spdx+json",
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|format| format.as_str() == text);
        known.ok_or_else(|| Error::SbomFormat { asked: text.chars().take(40).collect() })
    }
}

/// The image that a list is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// How people call it, such as `1/word-list`.
    pub name: &'a str,
    /// Its digest.
    pub digest: &'a Digest,
    /// When it says it was made, RFC 3339.
    pub created: Option<&'a str>,
}

/// Writes the list down, with a line end at its end.
pub fn render(format: Format, subject: &Subject<'_>, inventory: &Inventory) -> String {
    let document = match format {
        Format::CycloneDx => cyclonedx::document(subject, inventory),
        Format::Spdx => spdx::document(subject, inventory),
    };
    format!("{document:#}\n")
}

impl Subject<'_> {
    fn purl(&self) -> String {
        let last = self.name.rsplit('/').next().unwrap_or_default().split([':', '@']).next().unwrap_or_default().to_lowercase();
        format!("pkg:oci/{}@{}%3A{}", if last.is_empty() { "image" } else { &last }, self.digest.algorithm().as_str(), self.digest.hex())
    }

    fn is_sha512(&self) -> bool {
        self.digest.algorithm() == Algorithm::Sha512
    }

    /// To the second and in UTC, as both formats want it; some moment where the image says none that we can write so.
    fn created(&self) -> String {
        let plain = |text: &&str| {
            let shape = b"dddd-dd-ddTdd:dd:dd";
            let fits = |(have, want): (&u8, &u8)| if *want == b'd' { have.is_ascii_digit() } else { have == want };
            text.ends_with('Z') && text.len() > shape.len() && text.as_bytes().iter().zip(shape).all(fits)
        };
        self.created.filter(plain).map_or_else(|| "1970-01-01T00:00:00Z".to_owned(), |text| format!("{}Z", &text[..19]))
    }
}

/// Says by which other name a package is known to advisories, and where it came from.
fn origin(package: &Package) -> Option<String> {
    package.source.as_ref().map(|(name, version)| format!("{name} {version}"))
}

/// An identity made of the content.
fn uuid(content: &Value) -> String {
    let mut bytes: [u8; 32] = Sha256::digest(content.to_string().as_bytes()).into();
    // Version 8 (made in the maker's own way) and the variant of RFC 9562.
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex::encode(&bytes[..16]);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

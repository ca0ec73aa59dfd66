//! The platform an image is made for, as OCI writes it: `os/architecture[/variant]`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Operating system, processor and its variant, in the words of Go (`linux`, `amd64`, `v8`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    /// Such as `linux`.
    #[serde(default)]
    pub os: String,
    /// Such as `amd64`.
    #[serde(default)]
    pub architecture: String,
    /// Such as `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// A text that is no platform.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no platform; write it like linux/amd64 or linux/arm64/v8")]
pub struct PlatformError(String);

impl Platform {
    /// A platform without a variant.
    pub fn new(os: &str, architecture: &str) -> Self {
        Self { os: os.to_owned(), architecture: architecture.to_owned(), variant: None }
    }

    /// What this program itself runs on; Linux whatever the host's system, because engines are Linux images.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Self::new("linux", architecture)
    }

    /// Whether an image for `self` runs on `host`: same system and processor. Variants are not compared, because the host's is not known.
    pub fn runs_on(&self, host: &Self) -> bool {
        self.os == host.os && self.architecture == host.architecture
    }

    /// `unknown/unknown`, the mark of an attestation in an index.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.chars().take(40).collect() };
        write!(f, "{}/{}", word(&self.os), word(&self.architecture))?;
        match &self.variant {
            Some(variant) if !variant.is_empty() => write!(f, "/{}", word(variant)),
            _ => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let refused = || PlatformError(text.chars().take(80).collect());
        let parts: Vec<&str> = text.split('/').collect();
        if parts.iter().any(|part| part.is_empty() || part.len() > 40) {
            return Err(refused());
        }
        match parts[..] {
            [os, architecture] => Ok(Self::new(os, architecture)),
            [os, architecture, variant] => Ok(Self { variant: Some(variant.to_owned()), ..Self::new(os, architecture) }),
            _ => Err(refused()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for text in ["linux/amd64", "linux/arm64/v8", "windows/amd64"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for bad in ["", "linux", "linux/", "/amd64", "a/b/c/d"] {
            assert_eq!(bad.parse::<Platform>(), Err(PlatformError(bad.to_owned())));
        }
    }

    #[test]
    fn variants_do_not_keep_an_image_from_running() {
        let host = Platform::new("linux", "arm64");
        assert!("linux/arm64/v8".parse::<Platform>().unwrap().runs_on(&host));
        assert!(!"windows/arm64".parse::<Platform>().unwrap().runs_on(&host));
    }
}

//! What somebody else decides and says about manifests: whether one is let in, and what to tell whoever pushed it. The registry does not
//! know why; the server has both.

use std::{future::Future, pin::Pin, sync::Arc};

use axum::http::HeaderValue;
use bytes::Bytes;
use model::{
    digest::Digest,
    name::{Reference, RepoName},
};

/// Most characters of one remark: the standard allows 4096 bytes for all of them, and some clients read less.
const LONGEST: usize = 900;

/// A manifest that is well formed and not stored yet. What it names may be missing still.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Where it shall be.
    pub repository: RepoName,
    /// As what. By digest it is a part of something.
    pub reference: Reference,
    /// Digest of the bytes, compared.
    pub digest: Digest,
    /// Without parameters.
    pub media_type: String,
    /// The exact bytes.
    pub bytes: Bytes,
}

/// Why a manifest is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnedAway {
    /// A short word for programs.
    pub code: String,
    /// What, where, and what to do.
    pub sentence: String,
    /// Path of a page with more.
    pub page: String,
}

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Decides whether a manifest is let in.
pub type Door = Arc<dyn Fn(Arrival) -> Answer<Result<(), TurnedAway>> + Send + Sync>;

/// Finds out what to tell about a push, given its id in the outbox. The client waits for it.
pub type Remarks = Arc<dyn Fn(i64) -> Answer<Vec<String>> + Send + Sync>;

/// A remark as the standard wants it in a `Warning` header: code 299, no agent, text in quotes, nothing but printable ASCII.
pub(crate) fn warning(remark: &str) -> Option<HeaderValue> {
    let mut text = String::new();
    for c in remark.chars().take(LONGEST) {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            ' '..='~' => text.push(c),
            c if c.is_whitespace() => text.push(' '),
            _ => text.push('?'),
        }
    }
    HeaderValue::from_str(&format!("299 - \"{text}\"")).ok().filter(|_| !remark.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_fits_into_a_header_whatever_it_says() {
        let header = |remark: &str| warning(remark).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("2 errors").as_deref(), Some("299 - \"2 errors\""));
        assert_eq!(header("a \"b\\c\"\r\nX-Evil: é").as_deref(), Some("299 - \"a \\\"b\\\\c\\\"  X-Evil: ?\""));
        assert_eq!(header(""), None);
        assert!(header(&"\"".repeat(5000)).unwrap().len() < 2000);
    }
}

//! Lists that come page by page: `n` at a time behind `last`, and a `Link` to what follows. Pure.

use crate::route;

/// Longest `last` looked at; no name, tag or digest is longer.
const MAX_LAST: usize = 512;

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most so many entries.
    pub limit: u32,
    /// Only those behind this one.
    pub last: Option<String>,
}

/// `n` is no number.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("n must be a number: how many entries to list")]
pub struct PageError {
    /// As it was written.
    pub n: String,
}

/// Reads `n` and `last` of a query string; never more than `most` entries.
///
/// # Errors
/// [`PageError`].
pub fn read(query: Option<&str>, most: u32) -> Result<Page, PageError> {
    let limit = match route::query_value(query, "n") {
        None => most,
        Some(text) => match text.parse::<u64>() {
            Ok(n) => u32::try_from(n).unwrap_or(most).min(most),
            Err(_) => return Err(PageError { n: text }),
        },
    };
    let last = route::query_value(query, "last").map(|text| text.chars().take(MAX_LAST).collect());
    Ok(Page { limit, last })
}

impl Page {
    /// Cuts a list that was fetched one longer than wanted. Returns the last entry when there is more behind it.
    pub fn cut<T>(&self, entries: &mut Vec<T>) -> bool {
        let more = entries.len() > self.limit as usize;
        entries.truncate(self.limit as usize);
        more && !entries.is_empty()
    }

    /// The value of `Link` that leads to what follows `last`; `others` are further parameters to keep.
    pub fn link(&self, path: &str, last: &str, others: &[(&str, &str)]) -> String {
        let mut link = format!("<{path}?n={}&last={}", self.limit, route::encode(last));
        for (key, value) in others {
            link.push_str(&format!("&{key}={}", route::encode(value)));
        }
        link.push_str(">; rel=\"next\"");
        link
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn how_many_and_from_where() {
        assert_eq!(read(None, 10), Ok(Page { limit: 10, last: None }));
        assert_eq!(read(Some("n=3&last=v%2B1"), 10), Ok(Page { limit: 3, last: Some("v+1".into()) }));
        assert_eq!(read(Some("n=99999999999"), 10), Ok(Page { limit: 10, last: None }));
        for bad in ["", "-1", "a", "1.5", "99999999999999999999999"] {
            assert_eq!(read(Some(&format!("n={bad}")), 10), Err(PageError { n: bad.into() }));
        }
        assert_eq!(read(Some(&format!("last={}", "a".repeat(9999))), 10).unwrap().last.unwrap().len(), MAX_LAST);
    }

    #[test]
    fn a_page_and_what_follows() {
        let page = Page { limit: 2, last: None };
        let mut three = vec![1, 2, 3];
        assert!(page.cut(&mut three));
        assert_eq!(three, [1, 2]);
        assert!(!page.cut(&mut three));
        assert!(!Page { limit: 0, last: None }.cut(&mut three), "nothing asked for has nothing behind it");
        let link = page.link("/v2/1/a/referrers/x", "sha256:1", &[("artifactType", "a/b+c")]);
        assert_eq!(link, "</v2/1/a/referrers/x?n=2&last=sha256%3A1&artifactType=a%2Fb%2Bc>; rel=\"next\"");
    }

    proptest! {
        #[test]
        fn a_link_is_read_as_it_was_meant(limit in 0..1000u32, last in ".{0,80}", other in ".{0,80}") {
            let link = Page { limit, last: None }.link("/p", &last, &[("other", &other)]);
            let query = link.strip_prefix("</p?").and_then(|rest| rest.strip_suffix(">; rel=\"next\""));
            prop_assert_eq!(read(query, 1000), Ok(Page { limit, last: Some(last) }));
            prop_assert_eq!(route::query_value(query, "other"), Some(other));
        }
    }
}

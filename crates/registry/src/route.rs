//! Addresses of the distribution API. Repository names hold slashes, so the words at the end decide. Pure.

use std::borrow::Cow;

/// What an address behind `/v2/` means. The texts in it are not checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'p> {
    /// `tags/list`
    Tags,
    /// `manifests/<reference>`
    Manifest(&'p str),
    /// `blobs/<digest>`
    Blob(&'p str),
    /// `blobs/uploads/`
    Uploads,
    /// `blobs/uploads/<id>`
    Upload(&'p str),
    /// `referrers/<digest>`
    Referrers(&'p str),
}

/// Splits what follows `/v2/` into a repository name and a target. `None` for an address the API does not have.
pub fn parse(rest: &str) -> Option<(&str, Target<'_>)> {
    let (head, last) = rest.rsplit_once('/')?;
    if let Some(name) = head.strip_suffix("/blobs/uploads") {
        return named(name, if last.is_empty() { Target::Uploads } else { Target::Upload(last) });
    }
    if last == "uploads"
        && let Some(name) = head.strip_suffix("/blobs")
    {
        return named(name, Target::Uploads);
    }
    let (name, word) = head.rsplit_once('/')?;
    let target = match (word, last) {
        (_, "") => return None,
        ("tags", "list") => Target::Tags,
        ("manifests", reference) => Target::Manifest(reference),
        ("blobs", digest) => Target::Blob(digest),
        ("referrers", digest) => Target::Referrers(digest),
        _ => return None,
    };
    named(name, target)
}

fn named<'p>(name: &'p str, target: Target<'p>) -> Option<(&'p str, Target<'p>)> {
    (!name.is_empty()).then_some((name, target))
}

/// Undoes `%xx`, which some clients write for the colon of a digest. `None` when it is malformed or not UTF-8.
pub fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// Writes `%xx` for all that has a meaning in an address, so that [`decode`] gives it back.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The value of one key of a query string, decoded; `+` is a space as in forms. The first one counts.
pub fn query_value(query: Option<&str>, key: &str) -> Option<String> {
    query_values(query, key).next()
}

/// All values of one key of a query string, in order; what cannot be decoded is left out.
pub fn query_values<'q>(query: Option<&'q str>, key: &'q str) -> impl Iterator<Item = String> + 'q {
    query.unwrap_or_default().split('&').filter_map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name == key).then(|| decode(&value.replace('+', "%20")).map(Cow::into_owned))?
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_any_depth() {
        assert_eq!(parse("a/b/c/d/e/f/g/manifests/latest"), Some(("a/b/c/d/e/f/g", Target::Manifest("latest"))));
        assert_eq!(parse("1/a/blobs/uploads/"), Some(("1/a", Target::Uploads)));
        assert_eq!(parse("1/a/blobs/uploads"), Some(("1/a", Target::Uploads)));
        assert_eq!(parse("1/a/blobs/uploads/u1"), Some(("1/a", Target::Upload("u1"))));
        assert_eq!(parse("1/a/tags/list"), Some(("1/a", Target::Tags)));
        assert_eq!(parse("1/a/referrers/sha256:0"), Some(("1/a", Target::Referrers("sha256:0"))));
    }

    #[test]
    fn names_made_of_our_own_words() {
        assert_eq!(parse("1/blobs/uploads/manifests/v1"), Some(("1/blobs/uploads", Target::Manifest("v1"))));
        assert_eq!(parse("1/tags/list/tags/list"), Some(("1/tags/list", Target::Tags)));
        assert_eq!(parse("1/manifests/blobs/uploads/list"), Some(("1/manifests", Target::Upload("list"))));
    }

    #[test]
    fn what_the_api_does_not_have() {
        for bad in [
            "",
            "/",
            "a",
            "manifests/latest",
            "/manifests/latest",
            "a/manifests/",
            "a/tags/lists",
            "a/blobs/",
            "blobs/uploads/",
            "_catalog",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn percent_escapes() {
        assert_eq!(decode("sha256%3Aab").as_deref(), Some("sha256:ab"));
        assert_eq!(decode("sha256%3aab").as_deref(), Some("sha256:ab"));
        for bad in ["%", "%3", "%zz", "%ff", "%+1"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn query_strings() {
        let query = Some("mount=sha256%3Aab&from=1%2Fa&digest&x=1&x=2&s=a+b");
        assert_eq!(query_value(query, "mount").as_deref(), Some("sha256:ab"));
        assert_eq!(query_value(query, "from").as_deref(), Some("1/a"));
        assert_eq!(query_value(query, "digest").as_deref(), Some(""));
        assert_eq!(query_value(query, "x").as_deref(), Some("1"));
        assert_eq!(query_value(query, "s").as_deref(), Some("a b"));
        assert_eq!(query_value(query, "missing"), None);
        assert_eq!(query_value(None, "x"), None);
        assert_eq!(query_values(query, "x").collect::<Vec<_>>(), ["1", "2"]);
    }

    fn written(name: &str, target: Target<'_>) -> String {
        match target {
            Target::Tags => format!("{name}/tags/list"),
            Target::Manifest(reference) => format!("{name}/manifests/{reference}"),
            Target::Blob(digest) => format!("{name}/blobs/{digest}"),
            Target::Uploads => format!("{name}/blobs/uploads/"),
            Target::Upload(id) => format!("{name}/blobs/uploads/{id}"),
            Target::Referrers(digest) => format!("{name}/referrers/{digest}"),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(name in "[1-9][0-9]{0,2}(/(blobs|uploads|manifests|tags|list|[a-z]{1,5})){1,6}", last in "[a-zA-Z0-9_][a-zA-Z0-9._:-]{0,20}") {
            for target in [Target::Tags, Target::Manifest(&last), Target::Uploads, Target::Upload(&last), Target::Referrers(&last)] {
                let text = written(&name, target);
                prop_assert_eq!(parse(&text), Some((name.as_str(), target)));
            }
            // The blob called "uploads" is the one ambiguity the standard has; no digest looks like that.
            if last != "uploads" {
                let text = written(&name, Target::Blob(&last));
                prop_assert_eq!(parse(&text), Some((name.as_str(), Target::Blob(&last))));
            }
        }

        #[test]
        fn what_is_encoded_is_decoded(text in ".{0,60}") {
            let encoded = encode(&text);
            let decoded = decode(&encoded).map(Cow::into_owned);
            prop_assert_eq!(decoded, Some(text));
        }

        #[test]
        fn never_panics(text in ".{0,100}") {
            let _ = decode(&text);
            let _ = query_value(Some(&text), "a");
            if let Some((name, _)) = parse(&text) {
                prop_assert!(text.starts_with(name));
            }
        }
    }
}

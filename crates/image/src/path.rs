//! Paths inside an image: relative to its root, no `.`, no `..`, no empty parts. Everything else is refused here and nowhere else.

use crate::caps::Caps;

/// Longest component a Linux file system takes, bytes.
const COMPONENT: usize = 255;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It has a `..` part.
    Escapes,
    /// It, or a part of it, is too long, or it is too deep.
    TooLong,
}

/// The normal form of a path as written in an archive: leading `/` and `./` fall away. Empty for the root.
pub(crate) fn normalise(raw: &[u8], caps: &Caps) -> Result<Vec<u8>, Refused> {
    if raw.len() > caps.path {
        return Err(Refused::TooLong);
    }
    let mut normal = Vec::with_capacity(raw.len());
    let mut depth = 0;
    for part in raw.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => continue,
            b".." => return Err(Refused::Escapes),
            _ if part.len() > COMPONENT || depth == caps.depth => return Err(Refused::TooLong),
            _ => {}
        }
        if depth > 0 {
            normal.push(b'/');
        }
        normal.extend_from_slice(part);
        depth += 1;
    }
    Ok(normal)
}

/// Directory and last part of a normal path.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

/// The directories above a normal path, from the root down, without the root.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(slash, _)| &path[..slash])
}

/// The beginning of a path, for a message.
pub(crate) fn shown(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(raw: &str) -> Result<String, Refused> {
        normalise(raw.as_bytes(), &Caps::default()).map(|path| String::from_utf8(path).unwrap())
    }

    #[test]
    fn strips_what_does_not_matter() {
        for raw in ["a/b", "/a/b", "./a/b", "//a//./b/", "a/./b/."] {
            assert_eq!(normal(raw).as_deref(), Ok("a/b"), "{raw}");
        }
        for raw in ["", "/", ".", "./"] {
            assert_eq!(normal(raw).as_deref(), Ok(""), "{raw}");
        }
    }

    #[test]
    fn refuses_what_leads_out_or_is_too_long() {
        for raw in ["..", "a/..", "../etc/passwd", "/a/../../b"] {
            assert_eq!(normal(raw), Err(Refused::Escapes), "{raw}");
        }
        assert_eq!(normal(&"a".repeat(256)), Err(Refused::TooLong));
        assert_eq!(normal(&"ab/".repeat(1366)), Err(Refused::TooLong));
        assert_eq!(normal(&"a/".repeat(256)), Err(Refused::TooLong));
        assert!(normal(&"a/".repeat(255)).is_ok());
    }

    #[test]
    fn splits() {
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"c"), (&b""[..], &b"c"[..]));
        assert_eq!(ancestors("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
    }

    proptest::proptest! {
        #[test]
        fn the_normal_form_is_stable(raw in "[a./]{0,40}") {
            if let Ok(once) = normal(&raw) {
                proptest::prop_assert_eq!(normal(&once), Ok(once.clone()));
                proptest::prop_assert!(!once.starts_with('/') && !once.split('/').any(|part| part == ".."));
            }
        }
    }
}

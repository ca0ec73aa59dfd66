//! MIME types a manifest may name (manifest contract §4), and how they are compared.

/// The documented types, of engines and adapters together, sorted.
pub const DOCUMENTED: &[&str] = &[
    "application/json",
    "application/msword",
    "application/pdf",
    "application/rtf",
    "application/smil+xml",
    "application/ttml+xml",
    "application/vnd.ms-outlook",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vtn-engineout+json",
    "application/x-flv",
    "application/xml",
    "audio/aac",
    "audio/flac",
    "audio/midi",
    "audio/mp4",
    "audio/mpeg",
    "audio/wav",
    "audio/webm",
    "image/gif",
    "image/jpeg",
    "image/tiff",
    "message/rfc822",
    "text/csv",
    "text/html",
    "text/plain",
    "video/3gpp",
    "video/mp4",
    "video/mpeg",
    "video/ogg",
    "video/quicktime",
    "video/webm",
    "video/x-m4v",
    "video/x-ms-wmv",
    "video/x-msvideo",
];

/// Types that are not documented but in use: taken without a word.
pub const EXTRA: &[&str] = &["application/octet-stream", "application/vnd.veritone.aion+json", "image/png"];

/// Other names people use for documented types.
const NICKNAMES: &[(&str, &str)] = &[
    ("application/x-json", "application/json"),
    ("audio/mp3", "audio/mpeg"),
    ("audio/vnd.wave", "audio/wav"),
    ("audio/wave", "audio/wav"),
    ("audio/x-flac", "audio/flac"),
    ("audio/x-m4a", "audio/mp4"),
    ("audio/x-mp3", "audio/mpeg"),
    ("audio/x-wav", "audio/wav"),
    ("image/jpg", "image/jpeg"),
    ("image/pjpeg", "image/jpeg"),
    ("image/tif", "image/tiff"),
    ("image/x-png", "image/png"),
    ("plain/text", "text/plain"),
    ("text/json", "application/json"),
    ("text/txt", "text/plain"),
    ("text/xml", "application/xml"),
    ("video/avi", "video/x-msvideo"),
    ("video/flv", "application/x-flv"),
    ("video/m4v", "video/x-m4v"),
    ("video/mov", "video/quicktime"),
    ("video/mpg", "video/mpeg"),
    ("video/wmv", "video/x-ms-wmv"),
    ("video/x-flv", "application/x-flv"),
];

/// What a word in a format list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// A known type, perhaps with parameters.
    Known,
    /// `*/*` or `image/*`.
    Wildcard,
    /// Two known types without anything between them, as some lists have them.
    Glued(String, String),
    /// Another name or a misspelling of this type.
    Misspelt(&'static str),
    /// Nothing we know.
    Unknown,
}

/// Type and subtype in lower case, parameters after `; `, nothing around.
pub fn normal(format: &str) -> String {
    let parts: Vec<String> = format.split(';').map(|part| part.trim().to_ascii_lowercase()).filter(|part| !part.is_empty()).collect();
    parts.join("; ")
}

/// Type and subtype alone, in lower case.
pub fn essence(format: &str) -> String {
    format.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Every type that is taken.
pub fn all() -> impl Iterator<Item = &'static str> {
    DOCUMENTED.iter().chain(EXTRA).copied()
}

fn is_known(essence: &str) -> bool {
    all().any(|known| known == essence)
}

/// Says what a word is.
pub fn classify(format: &str) -> Format {
    let essence = essence(format);
    if is_known(&essence) {
        return Format::Known;
    }
    let families = ["*", "application", "audio", "image", "message", "text", "video"];
    if essence.strip_suffix("/*").is_some_and(|family| families.contains(&family)) {
        return Format::Wildcard;
    }
    let glued = all().find_map(|first| {
        let second = essence.strip_prefix(first)?;
        is_known(second).then(|| Format::Glued(first.to_owned(), second.to_owned()))
    });
    if let Some(glued) = glued {
        return glued;
    }
    let nickname = NICKNAMES.iter().find(|(nickname, _)| *nickname == essence).map(|(_, meant)| *meant);
    nickname.or_else(|| crate::spelling::nearest(&essence, all())).map_or(Format::Unknown, Format::Misspelt)
}

/// Whether a list of formats covers a type: equal but for parameters, or by a wildcard.
pub fn covers<S: AsRef<str>>(formats: &[S], wanted: &str) -> bool {
    let wanted = essence(wanted);
    formats.iter().map(|format| essence(format.as_ref())).any(|format| match format.strip_suffix("/*") {
        Some("*") => true,
        Some(family) => wanted.split('/').next() == Some(family),
        None => format == wanted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_apart() {
        assert!(DOCUMENTED.is_sorted() && EXTRA.is_sorted() && NICKNAMES.is_sorted());
        assert!(EXTRA.iter().all(|extra| !DOCUMENTED.contains(extra)));
        for (nickname, meant) in NICKNAMES {
            assert!(!is_known(nickname) && is_known(meant), "{nickname}");
        }
    }

    #[test]
    fn words_of_format_lists_are_understood() {
        for format in ["text/plain", "Text/Plain; charset=utf-8", " audio/wav ", "image/png", "text/plain;charset=utf-8"] {
            assert_eq!(classify(format), Format::Known, "{format}");
        }
        for (format, first, second) in [
            ("application/xmlaudio/aac", "application/xml", "audio/aac"),
            ("audio/webmimage/gif", "audio/webm", "image/gif"),
            ("image/tifftext/csv", "image/tiff", "text/csv"),
            ("text/plainvideo/3gpp", "text/plain", "video/3gpp"),
        ] {
            assert_eq!(classify(format), Format::Glued(first.into(), second.into()));
        }
        assert_eq!(classify("audio/mp3"), Format::Misspelt("audio/mpeg"));
        assert_eq!(classify("aplication/json"), Format::Misspelt("application/json"));
        assert_eq!((classify("*/*"), classify("image/*")), (Format::Wildcard, Format::Wildcard));
        for format in ["", "zip", "application/zip", "nonsense/*"] {
            assert_eq!(classify(format), Format::Unknown, "{format}");
        }
    }

    #[test]
    fn parameters_do_not_part_what_belongs_together() {
        assert_eq!(normal(" Text/Plain ;charset=UTF-8 "), "text/plain; charset=utf-8");
        assert!(covers(&["text/plain; charset=utf-8"], "text/plain"));
        assert!(covers(&["image/*"], "image/png") && covers(&["*/*"], "x/y") && !covers(&["image/*"], "imagex/png"));
        assert!(!covers::<&str>(&[], "text/plain"));
    }

    proptest::proptest! {
        #[test]
        fn any_word_is_answered(word in ".{0,80}") {
            let _ = (classify(&word), normal(&word), covers(&[&word], &word));
        }
    }
}

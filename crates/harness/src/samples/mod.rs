//! Sample inputs: small, made by us, the same bytes every time (engine contract §6).
//!
//! An engine gets two samples of the first type it takes and one of a type it does not list, which it must refuse cleanly.

use bytes::Bytes;
use model::{capability::Capability, manifest::Manifest};

mod picture;
mod speech;
mod text;

/// One input for one call of `/process`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Name in reports, such as `keyword-1`.
    pub id: String,
    /// MIME type, spelled as the manifest does.
    pub mime_type: String,
    /// A file name with the usual ending.
    pub file_name: String,
    /// The content.
    pub bytes: Bytes,
    /// The engine does not list this type: it should answer 204 or 400 and above.
    pub expect_refusal: bool,
    /// Place in the whole recording, milliseconds; 0 for what has no time.
    pub start_ms: u64,
    /// End of that place, milliseconds; 0 for what has no time.
    pub end_ms: u64,
    /// Pixels, for pictures.
    pub width: Option<u32>,
    /// Pixels, for pictures.
    pub height: Option<u32>,
}

/// The MIME types a manifest takes, the preferred one first, each once.
pub fn formats_of(manifest: &Manifest) -> Vec<String> {
    let mut formats: Vec<String> = Vec::new();
    for format in manifest.preferred_input_format.iter().chain(&manifest.supported_input_formats) {
        if !formats.contains(format) {
            formats.push(format.clone());
        }
    }
    formats
}

/// Samples for an engine that can do `capability` and takes `formats` (see [`formats_of`]).
///
/// Empty if there is no sample of any type it takes.
pub fn for_capability(capability: Option<Capability>, formats: &[String]) -> Vec<Sample> {
    let name = capability.map_or("sample", Capability::as_str);
    let Some((mime_type, kind)) = choose(capability, formats) else { return Vec::new() };
    let mut samples: Vec<Sample> = [1, 2].map(|number| make(format!("{name}-{number}"), &mime_type, kind, number, capability)).into();
    if let Some(kind) =
        [Kind::Png, Kind::Wav, Kind::Csv, Kind::Plain].into_iter().find(|kind| !is_listed(formats, kind.mime()) && kind.mime() != mime_type)
    {
        let mut refused = make("unsupported".to_owned(), kind.mime(), kind, 1, capability);
        refused.expect_refusal = true;
        samples.push(refused);
    }
    samples
}

/// What we can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Html,
    Csv,
    Transcript,
    Wav,
    Png,
}

impl Kind {
    const ALL: [Self; 6] = [Self::Plain, Self::Html, Self::Transcript, Self::Wav, Self::Csv, Self::Png];

    fn mime(self) -> &'static str {
        match self {
            Self::Plain => "text/plain",
            Self::Html => "text/html",
            Self::Csv => "text/csv",
            Self::Transcript => "application/json",
            Self::Wav => "audio/wav",
            Self::Png => "image/png",
        }
    }

    /// The kind of content a format stands for.
    fn of(format: &str) -> Option<Self> {
        match essence(format) {
            "audio/x-wav" | "audio/wave" => Some(Self::Wav),
            "application/vtn-engineout+json" | "application/vnd.veritone.aion+json" => Some(Self::Transcript),
            essence => Self::ALL.into_iter().find(|kind| kind.mime() == essence),
        }
    }

    /// The kinds to prefer for a capability, best first.
    fn preferred(capability: Option<Capability>) -> &'static [Self] {
        use Capability as C;
        match capability {
            Some(C::Transcription | C::Speaker | C::Fingerprint) => &[Self::Wav],
            Some(C::Language | C::Sentiment | C::Keyword | C::Entity | C::Summary | C::Concept | C::Translate) => {
                &[Self::Plain, Self::Html, Self::Transcript]
            }
            Some(C::Anomaly) => &[Self::Csv],
            Some(C::Geolocation | C::Correlation) => &[Self::Transcript],
            Some(C::Text | C::Object | C::Logo | C::Face | C::LicensePlate | C::FacialFeatures | C::Verification) => &[Self::Png],
            Some(C::Adapter | C::MediaOut | C::Platform) | None => &[],
        }
    }
}

/// A MIME type without its parameters.
fn essence(format: &str) -> &str {
    format.split_once(';').map_or(format, |(essence, _)| essence).trim()
}

/// Whether `formats` contain `mime`, with or without parameters or by a wildcard.
fn is_listed(formats: &[String], mime: &str) -> bool {
    let major = mime.split_once('/').map_or(mime, |(major, _)| major);
    formats.iter().map(|format| essence(format)).any(|format| {
        format == "*/*"
            || format == mime
            || format.strip_suffix("/*") == Some(major)
            || (Kind::of(format).is_some() && Kind::of(format) == Kind::of(mime))
    })
}

/// The type to send: the capability's best kind the engine takes, else the first format we can make at all.
fn choose(capability: Option<Capability>, formats: &[String]) -> Option<(String, Kind)> {
    let preferred = Kind::preferred(capability);
    let spelled =
        |kind: Kind| formats.iter().find(|format| Kind::of(format) == Some(kind)).cloned().unwrap_or_else(|| kind.mime().to_owned());
    if let Some(&kind) = preferred.iter().find(|kind| is_listed(formats, kind.mime())) {
        return Some((spelled(kind), kind));
    }
    if let Some(format) = formats.iter().find(|format| Kind::of(format).is_some()) {
        return Kind::of(format).map(|kind| (format.clone(), kind));
    }
    if let Some(kind) = Kind::ALL.into_iter().find(|kind| is_listed(formats, kind.mime())) {
        return Some((kind.mime().to_owned(), kind));
    }
    // Engines for speech get wav whatever they list, and an engine that lists nothing gets what suits its capability.
    let always = capability == Some(Capability::Transcription) || formats.is_empty();
    preferred.first().filter(|_| always).map(|&kind| (kind.mime().to_owned(), kind))
}

/// Makes sample `number` (1 or 2) of a kind.
fn make(id: String, mime_type: &str, kind: Kind, number: u32, capability: Option<Capability>) -> Sample {
    let second = number > 1;
    let story = if second { text::STORM } else { text::HARBOUR };
    let mut sample = Sample {
        id,
        mime_type: mime_type.to_owned(),
        file_name: String::new(),
        bytes: Bytes::new(),
        expect_refusal: false,
        start_ms: 0,
        end_ms: 0,
        width: None,
        height: None,
    };
    let (ending, bytes) = match kind {
        Kind::Plain => ("txt", story.as_bytes().to_vec()),
        Kind::Html => ("html", text::html(story)),
        Kind::Csv => ("csv", text::table(number)),
        Kind::Transcript => {
            let (bytes, end_ms) = text::transcript(story);
            (sample.start_ms, sample.end_ms) = if second { (60_000, 60_000 + end_ms) } else { (0, end_ms) };
            ("json", bytes)
        }
        Kind::Wav => {
            let seconds = if second { 6 } else { 8 };
            (sample.start_ms, sample.end_ms) = if second { (8_000, 14_000) } else { (0, 8_000) };
            ("wav", speech::wav(number, seconds))
        }
        Kind::Png => {
            (sample.width, sample.height) = (Some(picture::SIDE), Some(picture::SIDE));
            ("png", picture::png(number))
        }
    };
    // An anomaly detector looks for what happens in time, but its table carries the times itself.
    if capability == Some(Capability::Anomaly) {
        (sample.start_ms, sample.end_ms) = (0, 0);
    }
    sample.file_name = format!("sample-{number}.{ending}");
    sample.bytes = bytes.into();
    sample
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(capability: Option<Capability>, formats: &[&str]) -> Vec<(String, String, bool)> {
        let formats: Vec<String> = formats.iter().map(|&f| f.to_owned()).collect();
        for_capability(capability, &formats).into_iter().map(|s| (s.id, s.mime_type, s.expect_refusal)).collect()
    }

    fn row(id: &str, mime: &str, refusal: bool) -> (String, String, bool) {
        (id.to_owned(), mime.to_owned(), refusal)
    }

    #[test]
    fn the_first_type_of_the_capability_that_the_engine_takes_is_sent() {
        let keyword = Some(Capability::Keyword);
        let [a, b, c] = &types(keyword, &["audio/wav", "text/html", "text/plain; charset=utf-8"])[..] else { panic!("three samples") };
        assert_eq!(*a, row("keyword-1", "text/plain; charset=utf-8", false));
        assert_eq!(*b, row("keyword-2", "text/plain; charset=utf-8", false));
        assert_eq!(*c, row("unsupported", "image/png", true));
        assert_eq!(types(keyword, &["application/json"])[0].1, "application/json");
        assert_eq!(types(keyword, &["*/*"]), [row("keyword-1", "text/plain", false), row("keyword-2", "text/plain", false)]);
        assert_eq!(types(keyword, &[])[0].1, "text/plain");
    }

    #[test]
    fn speech_engines_get_wav_whatever_they_list() {
        let transcription = Some(Capability::Transcription);
        assert_eq!(types(transcription, &["video/mp4", "audio/mpeg"])[0].1, "audio/wav");
        assert_eq!(types(transcription, &["audio/x-wav"])[0].1, "audio/x-wav");
        assert_eq!(types(transcription, &["audio/wav"])[2], row("unsupported", "image/png", true));
    }

    #[test]
    fn others_get_any_type_we_can_make_and_nothing_if_there_is_none() {
        assert_eq!(types(None, &["video/mp4", "text/csv"])[0].1, "text/csv");
        assert_eq!(
            types(None, &["image/*"])[..],
            [row("sample-1", "image/png", false), row("sample-2", "image/png", false), row("unsupported", "audio/wav", true)]
        );
        assert!(types(Some(Capability::Object), &["video/mp4"]).is_empty());
        assert!(types(None, &[]).is_empty());
    }

    #[test]
    fn every_sample_is_the_same_each_time_and_not_the_one_before() {
        for kind in Kind::ALL {
            let one = make("x".into(), kind.mime(), kind, 1, None);
            let two = make("x".into(), kind.mime(), kind, 2, None);
            assert_eq!(one, make("x".into(), kind.mime(), kind, 1, None));
            assert_ne!(one.bytes, two.bytes, "{kind:?}");
            assert!(one.bytes.len() > 100 && one.bytes.len() < 512 << 10, "{kind:?}: {}", one.bytes.len());
            assert!(two.start_ms >= one.end_ms, "{kind:?}: samples do not overlap in time");
        }
    }

    #[test]
    fn the_preferred_format_stands_first_and_once() {
        let manifest = Manifest {
            preferred_input_format: Some("audio/wav".into()),
            supported_input_formats: vec!["audio/mp4".into(), "audio/wav".into()],
            ..Manifest::default()
        };
        assert_eq!(formats_of(&manifest), ["audio/wav", "audio/mp4"]);
    }
}

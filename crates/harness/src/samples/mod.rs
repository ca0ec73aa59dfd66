//! Sample inputs: small, made by us, the same bytes every time (engine contract §6).
//!
//! An engine gets two samples of the first type it takes and one of a type it does not list, which it must refuse cleanly.

use bytes::Bytes;
use model::{capability::Capability, manifest::Manifest};

mod clip;
mod jpeg;
mod paper;
mod picture;
mod speech;
mod text;

use picture::Picture;

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
    /// It is sent once more: the id of the sample it is.
    pub repeats: Option<String>,
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
    let chosen = choose(capability, formats);
    if capability.is_some_and(Capability::is_adapter) {
        // A file to fetch: an adapter says nothing of what it takes.
        let (mime_type, kind) = chosen.unwrap_or_else(|| (Kind::Plain.mime().to_owned(), Kind::Plain));
        return vec![make(format!("{name}-1"), &mime_type, kind, 1, capability)];
    }
    let (mut samples, mime_type) = match chosen {
        Some((mime_type, kind)) => {
            ([1, 2].map(|number| make(format!("{name}-{number}"), &mime_type, kind, number, capability)).to_vec(), mime_type)
        }
        None if is_picture(capability) && formats.iter().any(|format| format.starts_with("video/")) => {
            (frames(name, capability), "image/jpeg".to_owned())
        }
        None => return Vec::new(),
    };
    samples.extend(unsupported(&mime_type, capability, formats));
    samples
}

/// Samples made of an input that was given with the registration of an engine: sent twice, and once something else.
pub fn own(file_name: &str, mime_type: &str, bytes: &[u8], capability: Option<Capability>, formats: &[String]) -> Vec<Sample> {
    let sample = |number: u32| Sample {
        id: format!("own-{number}"),
        mime_type: mime_type.to_owned(),
        file_name: file_name.to_owned(),
        bytes: Bytes::copy_from_slice(bytes),
        expect_refusal: false,
        repeats: None,
        start_ms: 0,
        end_ms: 0,
        width: None,
        height: None,
    };
    if capability.is_some_and(Capability::is_adapter) {
        return vec![sample(1)];
    }
    vec![sample(1), sample(2)].into_iter().chain(unsupported(mime_type, capability, formats)).collect()
}

/// Something the engine does not list, of another family than what it gets besides if there is any.
fn unsupported(mime_type: &str, capability: Option<Capability>, formats: &[String]) -> Option<Sample> {
    let family = |mime: &str| mime.split('/').next().unwrap_or_default().to_owned();
    let strange = || {
        [Kind::Png, Kind::Wav, Kind::Csv, Kind::Plain]
            .into_iter()
            .filter(|kind| !is_listed(formats, kind.mime()) && kind.mime() != mime_type)
    };
    let kind = strange().find(|kind| family(kind.mime()) != family(mime_type)).or_else(|| strange().next())?;
    let mut refused = make("unsupported".to_owned(), kind.mime(), kind, 1, capability);
    refused.expect_refusal = true;
    Some(refused)
}

/// An engine for moving pictures gets them frame by frame.
fn frames(name: &str, capability: Option<Capability>) -> Vec<Sample> {
    let frame = |number: u32| {
        let mut frame = make(format!("{name}-{number}"), Kind::Jpeg.mime(), Kind::Jpeg, number, capability);
        (frame.start_ms, frame.end_ms) = (u64::from(number - 1) * 1_000, u64::from(number) * 1_000);
        frame
    };
    (1..=3).map(frame).collect()
}

fn is_picture(capability: Option<Capability>) -> bool {
    Kind::preferred(capability).first() == Some(&Kind::Jpeg)
}

/// What we can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Html,
    Csv,
    Json,
    Wav,
    Jpeg,
    Png,
    Tiff,
    Pdf,
    Docx,
    Mp4,
}

impl Kind {
    const ALL: [Self; 11] =
        [Self::Plain, Self::Html, Self::Json, Self::Wav, Self::Csv, Self::Jpeg, Self::Png, Self::Tiff, Self::Pdf, Self::Docx, Self::Mp4];

    /// A clip shows moving shapes and is silent: nothing to hear, to read or to recognise, only something to make another file of.
    fn suits(self, capability: Option<Capability>) -> bool {
        self != Self::Mp4 || matches!(capability, None | Some(Capability::MediaOut | Capability::Platform))
    }

    fn mime(self) -> &'static str {
        match self {
            Self::Plain => "text/plain",
            Self::Html => "text/html",
            Self::Csv => "text/csv",
            Self::Json => "application/json",
            Self::Wav => "audio/wav",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Tiff => "image/tiff",
            Self::Pdf => "application/pdf",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Mp4 => "video/mp4",
        }
    }

    /// The kind of content a format stands for.
    fn of(format: &str) -> Option<Self> {
        match essence(format) {
            "audio/x-wav" | "audio/wave" => Some(Self::Wav),
            "image/jpg" => Some(Self::Jpeg),
            "application/vtn-engineout+json" | "application/vnd.veritone.aion+json" => Some(Self::Json),
            essence => Self::ALL.into_iter().find(|kind| kind.mime() == essence),
        }
    }

    /// The kinds to prefer for a capability, best first.
    fn preferred(capability: Option<Capability>) -> &'static [Self] {
        use Capability as C;
        match capability {
            Some(C::Transcription | C::Speaker | C::Fingerprint) => &[Self::Wav],
            Some(C::Language | C::Sentiment | C::Keyword | C::Entity | C::Summary | C::Concept) => &[Self::Plain, Self::Html, Self::Json],
            Some(C::Translate) => &[Self::Plain, Self::Json, Self::Html, Self::Docx],
            Some(C::Anomaly) => &[Self::Csv],
            Some(C::Geolocation | C::Correlation) => &[Self::Json],
            Some(C::Text) => &[Self::Jpeg, Self::Png, Self::Tiff, Self::Pdf, Self::Docx],
            Some(C::Object | C::Logo | C::Face | C::LicensePlate | C::FacialFeatures | C::Verification) => {
                &[Self::Jpeg, Self::Png, Self::Tiff]
            }
            Some(C::MediaOut) => &[Self::Mp4, Self::Jpeg, Self::Png, Self::Wav],
            Some(C::Adapter | C::Platform) | None => &[],
        }
    }
}

/// A MIME type without its parameters.
fn essence(format: &str) -> &str {
    format.split_once(';').map_or(format, |(essence, _)| essence).trim()
}

/// Whether an engine that takes `formats` takes a file of this type.
pub fn takes(formats: &[String], mime_type: &str) -> bool {
    is_listed(formats, &essence(mime_type).to_ascii_lowercase())
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
    let made = |format: &String| Kind::of(format).filter(|kind| kind.suits(capability)).map(|kind| (format.clone(), kind));
    if let Some(found) = formats.iter().find_map(made) {
        return Some(found);
    }
    if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.suits(capability) && is_listed(formats, kind.mime())) {
        return Some((kind.mime().to_owned(), kind));
    }
    // Engines for speech get wav whatever they list, and an engine that lists nothing gets what suits its capability.
    let always = capability == Some(Capability::Transcription) || formats.is_empty();
    preferred.first().filter(|_| always).map(|&kind| (kind.mime().to_owned(), kind))
}

/// Makes sample `number` (from 1 on) of a kind.
fn make(id: String, mime_type: &str, kind: Kind, number: u32, capability: Option<Capability>) -> Sample {
    let second = number > 1;
    let story = if second { text::STORM } else { text::HARBOUR };
    let picture = || match capability {
        Some(Capability::Text) => Picture::word(if second { "STORM" } else { "HARBOUR" }),
        _ => Picture::scene(number),
    };
    let drawn = matches!(kind, Kind::Jpeg | Kind::Png | Kind::Tiff).then(picture);
    let mut size = drawn.as_ref().map(|picture| (picture.width, picture.height));
    let mut length = 0;
    let (ending, bytes) = match (kind, &drawn) {
        (Kind::Plain, _) => ("txt", story.as_bytes().to_vec()),
        (Kind::Html, _) => ("html", text::html(story)),
        (Kind::Csv, _) => ("csv", text::table(number)),
        (Kind::Pdf, _) => ("pdf", paper::pdf(story)),
        (Kind::Docx, _) => ("docx", paper::docx(story)),
        (Kind::Json, _) => {
            let (bytes, end_ms) = match capability {
                Some(Capability::Geolocation) => text::track(number),
                Some(Capability::Correlation) => text::two_series(number),
                _ => text::transcript(story),
            };
            length = end_ms;
            ("json", bytes)
        }
        (Kind::Wav, _) => {
            let seconds = if second { 6 } else { 8 };
            length = u64::from(seconds) * 1_000;
            let sound = match capability {
                Some(Capability::Speaker) => speech::conversation(number, seconds),
                Some(Capability::Fingerprint) => speech::jingle(number, seconds),
                _ => speech::wav(number, seconds),
            };
            ("wav", sound)
        }
        (Kind::Mp4, _) => {
            let (clip, width, height) = clip::mp4(number);
            (length, size) = (clip::LENGTH_MS, Some((width, height)));
            ("mp4", clip)
        }
        (Kind::Jpeg, Some(picture)) => ("jpg", jpeg::jpeg(picture)),
        (Kind::Tiff, Some(picture)) => ("tif", picture.tiff()),
        (_, Some(picture)) => ("png", picture.png()),
        (_, None) => ("bin", Vec::new()),
    };
    // The second lies in the recording where the first has ended.
    let start_ms = if second && length > 0 { 60_000 } else { 0 };
    Sample {
        id,
        mime_type: mime_type.to_owned(),
        file_name: format!("sample-{number}.{ending}"),
        bytes: bytes.into(),
        expect_refusal: false,
        repeats: None,
        start_ms,
        end_ms: start_ms + length,
        width: size.map(|(width, _)| width),
        height: size.map(|(_, height)| height),
    }
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
        assert_eq!(types(Some(Capability::Summary), &["video/mp4", "text/csv"])[0].1, "text/csv");
        assert_eq!(types(None, &["video/mp4", "text/csv"])[0].1, "video/mp4");
        assert_eq!(
            types(None, &["image/*"])[..],
            [row("sample-1", "image/jpeg", false), row("sample-2", "image/jpeg", false), row("unsupported", "audio/wav", true)]
        );
        let frames = types(Some(Capability::Object), &["video/mp4"]);
        assert_eq!(
            frames.iter().map(|(id, mime, _)| (id.as_str(), mime.as_str())).collect::<Vec<_>>(),
            [("object-1", "image/jpeg"), ("object-2", "image/jpeg"), ("object-3", "image/jpeg"), ("unsupported", "audio/wav")]
        );
        let clips = types(Some(Capability::MediaOut), &["image/jpeg", "video/mp4"]);
        assert_eq!(
            clips,
            [row("media-out-1", "video/mp4", false), row("media-out-2", "video/mp4", false), row("unsupported", "image/png", true)]
        );
        assert!(types(Some(Capability::Fingerprint), &["video/mp4"]).is_empty());
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
    fn every_capability_has_samples_of_what_its_manifest_would_list() {
        for capability in Capability::all().filter(|capability| *capability != Capability::Platform) {
            let formats = Kind::preferred(Some(capability)).iter().map(|kind| kind.mime().to_owned()).collect::<Vec<_>>();
            let samples = for_capability(Some(capability), &formats);
            let wanted = if capability.is_adapter() { 1 } else { 3 };
            assert_eq!(samples.len(), wanted, "{capability}");
            assert_eq!(samples.iter().filter(|sample| sample.expect_refusal).count(), usize::from(wanted == 3), "{capability}");
            assert!(samples.iter().all(|sample| sample.bytes.len() > 100), "{capability}");
        }
    }

    #[test]
    fn a_sample_of_the_engines_own_takes_the_place_of_ours() {
        let samples = own("a.rfc822", "message/rfc822", b"Subject: x", Some(Capability::Keyword), &["message/rfc822".to_owned()]);
        let told: Vec<_> = samples.iter().map(|sample| (sample.id.as_str(), sample.mime_type.as_str(), sample.expect_refusal)).collect();
        assert_eq!(told, [("own-1", "message/rfc822", false), ("own-2", "message/rfc822", false), ("unsupported", "image/png", true)]);
        assert_eq!((samples[1].bytes.as_ref(), samples[1].file_name.as_str()), (&b"Subject: x"[..], "a.rfc822"));
        assert_eq!(own("a", "x/y", b"", Some(Capability::Adapter), &[]).len(), 1);
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

//! Results that are files: whether one begins as files of its type do.

use model::{
    finding::{Finding, Severity},
    run::EngineOutput,
};

use super::place;
use crate::wording::clip;

/// Bytes shown of a file.
const SHOWN: usize = 16;

/// What is wrong with a file; `None` also for types whose beginning says nothing.
pub(super) fn fault(output: &EngineOutput, kind: &str) -> Option<Finding> {
    if begins_well(kind, &output.body)? {
        return None;
    }
    let beginning = output.body.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    let finding = Finding::new(
        "output.unreadable",
        Severity::Error,
        format!("Result of {} is sent as {}, but is no such file", clip(&output.sample, 20), clip(kind, 30)),
        "Whoever opens the file goes by its type; one that begins otherwise is opened by no program.",
        format!("Write a whole {kind} file, or send it with the type it really has."),
    );
    let finding =
        finding.message(format!("Output check: the result is no {} file", clip(kind, 60))).at(place(output)).sample(&output.sample);
    Some(finding.quote(format!("begins with | {beginning}")))
}

/// Whether bytes begin as files of a type do; `None` if that cannot be said.
fn begins_well(kind: &str, bytes: &[u8]) -> Option<bool> {
    let begins = |marks: &[&[u8]]| marks.iter().any(|mark| bytes.starts_with(mark));
    let names = |at: usize, name: &[u8]| bytes.get(at..at + name.len()) == Some(name);
    Some(match kind {
        "application/pdf" => begins(&[b"%PDF-"]),
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => begins(&[b"PK\x03\x04"]),
        "application/rtf" => begins(&[b"{\\rtf"]),
        "application/x-flv" => begins(&[b"FLV"]),
        "application/xml" | "application/ttml+xml" | "application/smil+xml" => {
            bytes.trim_ascii_start().starts_with(b"<") || begins(&[b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"])
        }
        "audio/flac" => begins(&[b"fLaC"]),
        "audio/midi" => begins(&[b"MThd"]),
        "audio/mpeg" => begins(&[b"ID3"]) || matches!(bytes, [0xff, second, ..] if second & 0xe0 == 0xe0),
        "audio/wav" => begins(&[b"RIFF", b"RF64"]) && names(8, b"WAVE"),
        "image/gif" => begins(&[b"GIF8"]),
        "image/jpeg" => begins(&[b"\xff\xd8\xff"]),
        "image/png" => begins(&[b"\x89PNG\r\n\x1a\n"]),
        "image/tiff" => begins(&[b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]),
        "video/mp4" | "audio/mp4" | "video/x-m4v" | "video/3gpp" => names(4, b"ftyp"),
        "video/quicktime" => [b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"].iter().any(|name| names(4, *name)),
        "video/mpeg" => begins(&[b"\0\0\x01\xba", b"\0\0\x01\xb3"]) || bytes.first() == Some(&0x47),
        "video/ogg" => begins(&[b"OggS"]),
        "video/webm" | "audio/webm" => begins(&[b"\x1a\x45\xdf\xa3"]),
        "video/x-msvideo" => begins(&[b"RIFF"]) && names(8, b"AVI "),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_samples_begin_as_they_should() {
        use harness::samples::for_capability;
        use model::capability::Capability;
        let mut seen = 0;
        for capability in Capability::all() {
            for mime in ["image/jpeg", "image/png", "image/tiff", "audio/wav", "video/mp4", "application/pdf"] {
                for sample in for_capability(Some(capability), &[mime.to_owned()]).iter().filter(|sample| sample.mime_type == mime) {
                    assert_eq!(begins_well(mime, &sample.bytes), Some(true), "{mime}");
                    assert_eq!(begins_well(if mime == "image/gif" { "audio/flac" } else { "image/gif" }, &sample.bytes), Some(false));
                    seen += 1;
                }
            }
        }
        assert!(seen > 30, "{seen}");
        assert_eq!((begins_well("text/plain", b"x"), begins_well("video/mp4", b"ftyp")), (None, Some(false)));
    }
}

//! A short clip, drawn by code: pictures in a row in an MP4 file (ISO 14496-12, -14). Each frame is a JPEG, which MPEG-4 knows as a kind of video, so no
//! encoder is needed and every frame stands alone.

use super::{jpeg::jpeg, picture::Picture};

/// Frames of a clip.
const FRAMES: u32 = 8;
/// Ticks of one frame; a tick is a millisecond.
const FRAME_MS: u32 = 250;

/// Length of a clip, milliseconds.
pub(super) const LENGTH_MS: u64 = (FRAMES * FRAME_MS) as u64;

/// The place of JPEG among MPEG-4's kinds of streams (ISO 14496-1, table of object types).
const JPEG_OBJECT: u8 = 0x6c;
/// A visual stream, not going up.
const VISUAL: u8 = 0x11;

/// The file, and width and height of its pictures.
pub(super) fn mp4(number: u32) -> (Vec<u8>, u32, u32) {
    let pictures: Vec<Picture> = (0..FRAMES).map(|frame| Picture::scene(number * FRAMES + frame)).collect();
    let (width, height) = pictures.first().map_or((0, 0), |picture| (picture.width, picture.height));
    let frames: Vec<Vec<u8>> = pictures.iter().map(jpeg).collect();
    let kind = boxed(b"ftyp", &[b"isom", &be(512), b"isom", b"mp41"]);
    // The frames stand behind the table that says where, whose size does not depend on what it says.
    let begin = kind.len() + movie(&frames, 0, width, height).len() + 8;
    let table = movie(&frames, u32::try_from(begin).unwrap_or_default(), width, height);
    let all: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    ([kind, table, boxed(b"mdat", &all)].concat(), width, height)
}

fn be(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// A box: its size, its name, what is in it.
fn boxed(name: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let inside = parts.concat();
    let mut whole = be(u32::try_from(inside.len() + 8).unwrap_or_default()).to_vec();
    whole.extend_from_slice(name);
    whole.extend(inside);
    whole
}

/// A box with version and flags.
fn full(name: &[u8; 4], flags: u32, parts: &[&[u8]]) -> Vec<u8> {
    boxed(name, &[&be(flags), &parts.concat()])
}

/// No turn and no stretch.
fn matrix() -> Vec<u8> {
    [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000].into_iter().flat_map(be).collect()
}

fn movie(frames: &[Vec<u8>], begin: u32, width: u32, height: u32) -> Vec<u8> {
    let (length, none) = (be(FRAMES * FRAME_MS), be(0));
    // Rate 1, volume 1; the next track would be the second.
    let head = full(b"mvhd", 0, &[&none, &none, &be(1000), &length, &be(0x1_0000), &[1, 0], &[0; 10], &matrix(), &[0; 24], &be(2)]);
    // Switched on and part of the movie; sizes in sixteenths of sixteen bits.
    let sizes = [be(width << 16), be(height << 16)].concat();
    let track = full(b"tkhd", 3, &[&none, &none, &be(1), &none, &length, &[0; 16], &matrix(), &sizes]);
    let media = [
        full(b"mdhd", 0, &[&none, &none, &be(1000), &length, &[0x55, 0xc4], &[0; 2]]),
        full(b"hdlr", 0, &[&none, b"vide", &[0; 12], b"pictures\0"]),
        boxed(
            b"minf",
            &[
                &full(b"vmhd", 1, &[&[0; 8]]),
                &boxed(b"dinf", &[&full(b"dref", 0, &[&be(1), &full(b"url ", 1, &[])])]),
                &samples(frames, begin, width, height),
            ],
        ),
    ]
    .concat();
    boxed(b"moov", &[&head, &boxed(b"trak", &[&track, &boxed(b"mdia", &[&media])])])
}

/// What the frames are, how long each is shown, how large it is, and where they begin: all in one piece.
fn samples(frames: &[Vec<u8>], begin: u32, width: u32, height: u32) -> Vec<u8> {
    let count = be(u32::try_from(frames.len()).unwrap_or_default());
    let sizes: Vec<u8> = frames.iter().flat_map(|frame| be(u32::try_from(frame.len()).unwrap_or_default())).collect();
    let (wide, high) = (be(width), be(height));
    let decoder = [&[4, 13, JPEG_OBJECT, VISUAL][..], &[0; 11]].concat();
    let stream = [&[3, 3 + 15 + 3, 0, 1, 0][..], &decoder, &[6, 1, 2]].concat();
    let entry = boxed(
        b"mp4v",
        &[
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[0; 16],
            &wide[2..],
            &high[2..],
            // 72 dots to the inch, one picture a sample, no name, 24 bits of colour.
            &be(72 << 16),
            &be(72 << 16),
            &be(0),
            &[0, 1],
            &[0; 32],
            &[0, 24, 0xff, 0xff],
            &full(b"esds", 0, &[&stream]),
        ],
    );
    boxed(
        b"stbl",
        &[
            &full(b"stsd", 0, &[&be(1), &entry]),
            &full(b"stts", 0, &[&be(1), &count, &be(FRAME_MS)]),
            &full(b"stsc", 0, &[&be(1), &be(1), &count, &be(1)]),
            &full(b"stsz", 0, &[&be(0), &count, &sizes]),
            &full(b"stco", 0, &[&be(1), &be(begin)]),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of the boxes, with what they lie in; each fills its parent to the end.
    fn boxes(bytes: &[u8], inside: &str, found: &mut Vec<(String, Vec<u8>)>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let size = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            let path = format!("{inside}/{}", std::str::from_utf8(&rest[4..8]).unwrap());
            let content = &rest[8..size];
            if ["moov", "trak", "mdia", "minf", "dinf", "stbl"].iter().any(|parent| path.ends_with(parent)) {
                boxes(content, &path, found);
            }
            found.push((path, content.to_vec()));
            rest = &rest[size..];
        }
    }

    #[test]
    fn the_table_leads_to_every_frame() {
        let (file, width, height) = mp4(1);
        let mut found = Vec::new();
        boxes(&file, "", &mut found);
        let content = |path: &str| &found.iter().find(|(name, _)| name.ends_with(path)).unwrap_or_else(|| panic!("{path}")).1;
        let number = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let (sizes, mut at) = (content("stbl/stsz"), number(content("stbl/stco"), 8) as usize);
        assert_eq!(number(sizes, 8), FRAMES);
        for frame in 0..FRAMES as usize {
            let size = number(sizes, 12 + frame * 4) as usize;
            let picture = &file[at..at + size];
            assert!(picture.starts_with(&[0xff, 0xd8]) && picture.ends_with(&[0xff, 0xd9]), "frame {frame}");
            at += size;
        }
        assert_eq!(at, file.len());
        let entry = &content("stbl/stsd")[8..];
        assert_eq!((u32::from(entry[33]), u32::from(entry[35])), (width, height));
        assert_eq!(number(content("moov/mvhd"), 16), LENGTH_MS as u32);
        assert_ne!(mp4(1).0, mp4(2).0);
    }

    #[test]
    fn descriptors_are_as_long_as_they_say() {
        let (file, ..) = mp4(1);
        let at = file.windows(4).position(|name| name == b"esds").unwrap();
        let size = u32::from_be_bytes(file[at - 4..at].try_into().unwrap()) as usize;
        let stream = &file[at + 8..at - 4 + size];
        assert_eq!((stream[0], stream[1] as usize), (3, stream.len() - 2));
        assert_eq!((stream[5], stream[6]), (4, 13));
        assert_eq!((stream[20], stream[21] as usize), (6, stream.len() - 22));
    }
}

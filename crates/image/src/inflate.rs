//! Decompression that is pushed. Finds out itself whether its input is gzip, Zstandard or plain, and stops at the caps.
//!
//! Input is cut into blocks of a fixed size before anything looks at it, so that every result, even where a cap strikes, depends on the
//! bytes alone and never on how the network happened to cut them.

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use crate::{
    caps::Caps,
    evidence::{Compression, LayerProblem},
};

/// Compressed bytes looked at together.
const BLOCK: usize = 64 << 10;
/// Plain bytes handed on together at most. After each turn a decoder of gzip puts its last 32 KiB aside, so shorter turns cost more; longer ones
/// leave the processor's cache before they are hashed.
const OUTPUT: usize = 128 << 10;
/// gzip members or Zstandard frames of one layer. Seekable formats have one per file; each costs set-up time.
const STREAMS: u64 = 1_000_000;

/// Where plain bytes go.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(&[u8]);

/// The decompressor.
pub(crate) struct Inflate {
    meter: Meter,
    pending: Vec<u8>,
    output: Vec<u8>,
    compression: Compression,
    state: State,
    /// A decoder between two frames: making one costs far more than an empty frame.
    spare: Option<Box<Decoder<'static>>>,
    streams: u64,
    trailing: u64,
    failed: Option<LayerProblem>,
}

enum State {
    /// Nothing seen yet.
    Start,
    Plain,
    Gzip(Box<Decompress>),
    Zstd(Box<Decoder<'static>>),
    /// Behind a complete member or frame; the first bytes of what follows.
    Between(Vec<u8>),
    /// What follows is no member or frame.
    Trailing,
    Stopped,
}

/// What a decoder did with its input.
struct Step {
    taken: usize,
    made: usize,
    ended: bool,
    damaged: bool,
}

/// Counts both sides and enforces the caps.
struct Meter {
    limit: u64,
    ratio: u64,
    ratio_after: u64,
    fed: u64,
    produced: u64,
}

impl Meter {
    /// How many of `made` further bytes may be handed on, and why not all.
    fn admit(&mut self, made: usize) -> (usize, Option<LayerProblem>) {
        let room = usize::try_from(self.limit - self.produced).unwrap_or(usize::MAX);
        let admitted = made.min(room);
        self.produced += admitted as u64;
        let problem = if admitted < made {
            Some(LayerProblem::TooLarge { limit: self.limit })
        } else if self.produced > self.ratio_after && self.produced / self.ratio.max(1) > self.fed {
            Some(LayerProblem::Ratio { limit: self.ratio })
        } else {
            None
        };
        (admitted, problem)
    }
}

impl Inflate {
    pub fn new(caps: &Caps) -> Self {
        let meter = Meter { limit: caps.uncompressed, ratio: caps.ratio, ratio_after: caps.ratio_after, fed: 0, produced: 0 };
        Self {
            meter,
            pending: Vec::new(),
            output: Vec::new(),
            compression: Compression::None,
            state: State::Start,
            spare: None,
            streams: 0,
            trailing: 0,
            failed: None,
        }
    }

    /// What the first block says; [`Compression::None`] before it.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Whether the input is known to be plain, so that what goes in comes out.
    pub fn is_plain(&self) -> bool {
        matches!(self.state, State::Plain)
    }

    /// Plain bytes handed on.
    pub fn produced(&self) -> u64 {
        self.meter.produced
    }

    /// Takes the next bytes.
    pub fn push(&mut self, mut bytes: &[u8], sink: Sink) {
        while !bytes.is_empty() && !matches!(self.state, State::Stopped) {
            if self.pending.is_empty() && bytes.len() >= BLOCK {
                let (block, rest) = bytes.split_at(BLOCK);
                self.block(block, sink);
                bytes = rest;
                continue;
            }
            let (head, rest) = bytes.split_at((BLOCK - self.pending.len()).min(bytes.len()));
            self.pending.extend_from_slice(head);
            bytes = rest;
            if self.pending.len() == BLOCK {
                let block = std::mem::take(&mut self.pending);
                self.block(&block, sink);
                self.pending = block;
                self.pending.clear();
            }
        }
    }

    /// Ends the input. The problem, if there is one; plain bytes are complete unless it breaks the layer.
    pub fn finish(&mut self, sink: Sink) -> Option<LayerProblem> {
        let rest = std::mem::take(&mut self.pending);
        if !rest.is_empty() && !matches!(self.state, State::Stopped) {
            self.block(&rest, sink);
        }
        if self.failed.is_some() {
            return self.failed.clone();
        }
        let compression = self.compression;
        let trailing = match &self.state {
            State::Gzip(_) | State::Zstd(_) => return Some(LayerProblem::TruncatedStream { compression, offset: self.meter.fed }),
            State::Between(seen) => seen.len() as u64,
            _ => self.trailing,
        };
        (trailing > 0).then_some(LayerProblem::TrailingGarbage { compression, bytes: trailing })
    }

    fn stop(&mut self, problem: LayerProblem) {
        self.failed = Some(problem);
        self.state = State::Stopped;
    }

    fn corrupt(&mut self, left: usize) {
        let offset = self.meter.fed - left as u64;
        self.stop(LayerProblem::CorruptStream { compression: self.compression, offset });
    }

    fn block(&mut self, block: &[u8], sink: Sink) {
        self.meter.fed += block.len() as u64;
        if matches!(self.state, State::Start) {
            self.begin(block);
        }
        let mut input = block;
        loop {
            match &mut self.state {
                State::Start | State::Stopped => return,
                State::Plain => {
                    let (admitted, problem) = self.meter.admit(block.len());
                    sink(&block[..admitted]);
                    return problem.into_iter().for_each(|problem| self.stop(problem));
                }
                State::Trailing => {
                    self.trailing += input.len() as u64;
                    return;
                }
                State::Between(seen) => {
                    let Some((&next, rest)) = input.split_first() else { return };
                    seen.push(next);
                    input = rest;
                    self.between();
                }
                State::Gzip(_) | State::Zstd(_) => {
                    let step = self.step(input);
                    input = &input[step.taken..];
                    let full = self.hand_on(&step, input.len(), sink);
                    if input.is_empty() && !full {
                        return;
                    }
                }
            }
        }
    }

    /// Says what the first block is. What is neither gzip nor Zstandard passes as it is, unless its format is known to be wrong here.
    fn begin(&mut self, block: &[u8]) {
        self.compression = match block {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            _ if is_zstd(block) => Compression::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => return self.foreign("xz"),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => return self.foreign("bzip2"),
            [0x04, 0x22, 0x4d, 0x18, ..] => return self.foreign("lz4"),
            _ => Compression::None,
        };
        if self.compression != Compression::None {
            self.output = vec![0; OUTPUT];
        }
        self.begin_stream();
    }

    fn foreign(&mut self, format: &str) {
        self.stop(LayerProblem::ForeignCompression { format: format.to_owned() });
    }

    fn begin_stream(&mut self) {
        self.streams += 1;
        if self.streams > STREAMS {
            return self.stop(LayerProblem::TooManyStreams { compression: self.compression, limit: STREAMS });
        }
        self.state = match self.compression {
            Compression::None => State::Plain,
            Compression::Gzip => State::Gzip(Box::new(Decompress::new_gzip(15))),
            Compression::Zstd => match self.spare.take().map_or_else(|| Decoder::new().map(Box::new), Ok) {
                Ok(decoder) => State::Zstd(decoder),
                Err(_) => return self.corrupt(0),
            },
        };
    }

    /// Decides, as soon as enough bytes are there, whether another member or frame follows.
    fn between(&mut self) {
        let State::Between(seen) = &self.state else { return };
        let gzip = self.compression == Compression::Gzip;
        let enough = if gzip { 2 } else { 4 };
        let possible = if gzip { b"\x1f\x8b".starts_with(seen) } else { seen.len() < enough || is_zstd(seen) };
        if !possible {
            self.trailing = seen.len() as u64;
            self.state = State::Trailing;
        } else if seen.len() == enough {
            let magic = seen.clone();
            self.begin_stream();
            // A decoder takes the whole magic number and makes nothing of it yet.
            if self.step(&magic).taken < magic.len() && self.failed.is_none() {
                self.corrupt(0);
            }
        }
    }

    fn step(&mut self, input: &[u8]) -> Step {
        match &mut self.state {
            State::Gzip(stream) => {
                let (taken, made) = (stream.total_in(), stream.total_out());
                let outcome = stream.decompress(input, &mut self.output, FlushDecompress::None);
                Step {
                    taken: ((stream.total_in() - taken) as usize).min(input.len()),
                    made: ((stream.total_out() - made) as usize).min(OUTPUT),
                    ended: matches!(outcome, Ok(Status::StreamEnd)),
                    damaged: outcome.is_err(),
                }
            }
            State::Zstd(stream) => {
                let mut source = InBuffer::around(input);
                let mut target = OutBuffer::around(&mut self.output[..]);
                let outcome = stream.run(&mut source, &mut target);
                Step { taken: source.pos(), made: target.pos(), ended: matches!(outcome, Ok(0)), damaged: outcome.is_err() }
            }
            _ => Step { taken: 0, made: 0, ended: false, damaged: false },
        }
    }

    /// Gives the plain bytes of a step away and draws its conclusions. Whether the output was full, so that more may wait in the decoder.
    fn hand_on(&mut self, step: &Step, left: usize, sink: Sink) -> bool {
        let (admitted, problem) = self.meter.admit(step.made);
        sink(&self.output[..admitted]);
        let stuck = step.taken == 0 && step.made == 0 && left > 0;
        match problem {
            Some(problem) => self.stop(problem),
            None if step.ended => {
                if let State::Zstd(decoder) = std::mem::replace(&mut self.state, State::Between(Vec::new())) {
                    self.spare = Some(decoder);
                }
            }
            None if step.damaged || stuck => self.corrupt(left),
            None => return step.made == OUTPUT,
        }
        false
    }
}

/// Whether it begins like a Zstandard frame, or like one of its skippable frames.
fn is_zstd(bytes: &[u8]) -> bool {
    matches!(bytes, [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    fn run(input: &[u8], caps: &Caps, piece: usize) -> (Vec<u8>, Compression, Option<LayerProblem>) {
        let (mut inflate, mut plain) = (Inflate::new(caps), Vec::new());
        for chunk in input.chunks(piece) {
            inflate.push(chunk, &mut |bytes| plain.extend_from_slice(bytes));
        }
        let problem = inflate.finish(&mut |bytes| plain.extend_from_slice(bytes));
        assert_eq!(inflate.produced(), plain.len() as u64);
        (plain, inflate.compression(), problem)
    }

    #[test]
    fn several_members_or_frames_are_one_stream() {
        let text = noise(300_000);
        let halves = text.split_at(100_000);
        for piece in [1, 7, 65_536, 1 << 20] {
            let members = [gzip(halves.0), gzip(b""), gzip(halves.1)].concat();
            assert_eq!(run(&members, &Caps::default(), piece), (text.clone(), Compression::Gzip, None));
            let skippable = [&[0x52, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
            let frames = [skippable.clone(), zstd(halves.0), skippable, zstd(halves.1)].concat();
            assert_eq!(run(&frames, &Caps::default(), piece), (text.clone(), Compression::Zstd, None));
        }
    }

    #[test]
    fn output_that_exactly_fills_the_buffer_is_complete() {
        for length in [OUTPUT - 1, OUTPUT, OUTPUT + 1, 2 * OUTPUT, 3 * OUTPUT] {
            let zeros = vec![0; length];
            assert_eq!(run(&gzip(&zeros), &Caps::default(), 1000).0.len(), length);
            assert_eq!(run(&zstd(&zeros), &Caps::default(), 1000).0.len(), length);
        }
    }

    #[test]
    fn a_stream_that_ends_early_is_truncated() {
        for (stream, compression) in [(gzip(b"hello hello"), Compression::Gzip), (zstd(b"hello hello"), Compression::Zstd)] {
            let cut = &stream[..stream.len() - 1];
            let problem = run(cut, &Caps::default(), 5).2;
            assert_eq!(problem, Some(LayerProblem::TruncatedStream { compression, offset: cut.len() as u64 }));
        }
    }

    #[test]
    fn damage_is_noticed() {
        let mut member = gzip(b"hello hello");
        let at = member.len() - 6;
        member[at] ^= 1;
        assert!(matches!(run(&member, &Caps::default(), 4).2, Some(LayerProblem::CorruptStream { compression: Compression::Gzip, .. })));
        let mut frame = zstd(&noise(1000));
        frame[5] ^= 0xff;
        assert!(matches!(run(&frame, &Caps::default(), 4).2, Some(LayerProblem::CorruptStream { compression: Compression::Zstd, .. })));
    }

    #[test]
    fn what_follows_the_stream_is_counted() {
        for (stream, compression) in [(gzip(b"hello"), Compression::Gzip), (zstd(b"hello"), Compression::Zstd)] {
            for garbage in [&b"\0"[..], b"\x1f", b"\0\0\0\0\0\0", b"\x1f\x1f\x8b", b"(\xb5/"] {
                let (plain, _, problem) = run(&[&stream[..], garbage].concat(), &Caps::default(), 3);
                assert_eq!(plain, b"hello");
                assert_eq!(problem, Some(LayerProblem::TrailingGarbage { compression, bytes: garbage.len() as u64 }), "{garbage:?}");
            }
        }
    }

    #[test]
    fn plain_and_foreign_content() {
        assert_eq!(run(b"", &Caps::default(), 1), (vec![], Compression::None, None));
        assert_eq!(run(b"{}", &Caps::default(), 1), (b"{}".to_vec(), Compression::None, None));
        let problem = run(b"\xfd7zXZ\0rest", &Caps::default(), 1).2;
        assert_eq!(problem, Some(LayerProblem::ForeignCompression { format: "xz".into() }));
    }

    #[test]
    fn the_caps_strike_at_the_same_byte_however_the_input_is_cut() {
        let zeros = vec![0; 1 << 20];
        let small = Caps { uncompressed: 100_001, ..Caps::default() };
        let bomb = Caps { ratio: 10, ratio_after: 1000, ..Caps::default() };
        for stream in [gzip(&zeros), zstd(&zeros), noise(1 << 18)] {
            let whole = run(&stream, &small, usize::MAX);
            assert_eq!((whole.0.len(), &whole.2), (100_001, &Some(LayerProblem::TooLarge { limit: 100_001 })));
            assert_eq!(run(&stream, &small, 11), whole);
        }
        for stream in [gzip(&zeros), zstd(&zeros)] {
            let whole = run(&stream, &bomb, usize::MAX);
            assert_eq!(whole.2, Some(LayerProblem::Ratio { limit: 10 }));
            assert!(whole.0.len() < zeros.len());
            assert_eq!(run(&stream, &bomb, 11), whole);
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_the_cut_does_not_matter(bytes: Vec<u8>, magic in 0u8..3, piece in 1usize..50) {
            let head: &[u8] = [&b""[..], b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd"][magic as usize];
            let input = [head, &bytes].concat();
            proptest::prop_assert_eq!(run(&input, &Caps::default(), piece), run(&input, &Caps::default(), usize::MAX));
        }
    }
}

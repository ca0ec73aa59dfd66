//! A tar reader that is pushed: bytes go in as they arrive, members come out. It knows the format (v7, ustar, GNU, pax, star) and its caps,
//! and nothing of images. It reads like Go's `archive/tar`, which container runtimes unpack with, wherever readers differ.

use std::{collections::VecDeque, mem};

use crate::{
    caps::Caps,
    evidence::LayerProblem,
    header::{self, BLOCK, Bad, Block, Header, Segment},
    path,
    pax::Pax,
};

/// Takes what a [`TarReader`] finds. After [`Visitor::member`] come its data and holes in order, then [`Visitor::end`].
pub(crate) trait Visitor {
    fn member(&mut self, member: RawMember);
    /// The next bytes of the member's content.
    fn data(&mut self, bytes: &[u8]);
    /// That many zero bytes of a sparse file.
    fn hole(&mut self, length: u64);
    /// The member is complete.
    fn end(&mut self);
}

/// A member as the archive writes it, its extended headers applied. Nothing is normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawMember {
    pub path: Vec<u8>,
    pub link: Vec<u8>,
    /// Type flag; one of the old spellings of a file or directory is already `0` or `5`.
    pub flag: u8,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Length of the content, holes included.
    pub size: u64,
    /// Seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    /// Start of the header.
    pub offset: u64,
    /// Start of the stored content.
    pub data_offset: u64,
    /// How the content is stored.
    pub storage: Storage,
}

/// How a member's content is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    /// As it is.
    Plain,
    /// Without its holes (old GNU form); they are announced where they belong.
    Holes,
    /// In one of the pax forms: the data that follow are not its content.
    PaxSparse,
}

/// The reader. [`TarReader::failed`] says why it stopped looking at the input, if it did.
pub(crate) struct TarReader {
    caps: Caps,
    state: State,
    block: Block,
    filled: usize,
    offset: u64,
    header_offset: u64,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    local: Option<Pax>,
    global: Pax,
    entries: u64,
    names: u64,
    failed: Option<LayerProblem>,
}

enum State {
    /// At the start of a header; whether the block before it was all zeros.
    Header { after_zeros: bool },
    /// In the content of an extended header.
    Extension { flag: u8, left: u64, padding: u64, content: Vec<u8> },
    /// In the map of an old GNU sparse file.
    SparseMap { header: Header, real_size: u64, segments: Vec<Segment> },
    /// In the content of a member.
    Data { left: u64, padding: u64, sparse: Option<Sparse> },
    /// In the zeros behind a content.
    Padding { left: u64 },
    /// Behind the two zero blocks.
    End,
    /// Gave up.
    Failed,
}

struct Sparse {
    segments: VecDeque<Segment>,
    position: u64,
    real_size: u64,
}

impl TarReader {
    pub fn new(caps: &Caps) -> Self {
        Self {
            caps: caps.clone(),
            state: State::Header { after_zeros: false },
            block: [0; BLOCK],
            filled: 0,
            offset: 0,
            header_offset: 0,
            long_name: None,
            long_link: None,
            local: None,
            global: Pax::default(),
            entries: 0,
            names: 0,
            failed: None,
        }
    }

    /// Why the rest of the input is not looked at.
    pub fn failed(&self) -> Option<&LayerProblem> {
        self.failed.as_ref()
    }

    /// Whether further input changes nothing.
    pub fn done(&self) -> bool {
        matches!(self.state, State::End | State::Failed)
    }

    /// Bytes of the current member's stored content that have not come yet.
    pub fn content_left(&self) -> u64 {
        if let State::Data { left, .. } = self.state { left } else { 0 }
    }

    /// Goes past the rest of the current member and its padding, ends the member, and says how many bytes need not be pushed.
    pub fn skip(&mut self, visitor: &mut dyn Visitor) -> u64 {
        let skipped = match self.state {
            State::Data { left, padding, .. } => {
                visitor.end();
                left.saturating_add(padding)
            }
            State::Padding { left } => left,
            _ => return 0,
        };
        self.state = State::Header { after_zeros: false };
        self.offset = self.offset.saturating_add(skipped);
        skipped
    }

    /// Takes the next bytes.
    pub fn push(&mut self, mut bytes: &[u8], visitor: &mut dyn Visitor) {
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                State::End | State::Failed => return,
                State::Header { .. } | State::SparseMap { .. } => self.fill_block(bytes, visitor),
                State::Padding { left } => {
                    let taken = clamp(*left, bytes.len());
                    *left -= taken as u64;
                    if *left == 0 {
                        self.state = State::Header { after_zeros: false };
                    }
                    taken
                }
                State::Extension { left, content, .. } => {
                    let taken = clamp(*left, bytes.len());
                    content.extend_from_slice(&bytes[..taken]);
                    *left -= taken as u64;
                    if *left == 0 {
                        self.end_extension();
                    }
                    taken
                }
                State::Data { .. } => self.content(bytes, visitor),
            };
            self.offset = self.offset.saturating_add(taken as u64);
            bytes = &bytes[taken..];
        }
    }

    /// Ends the input: a problem if it ended where an archive must not end. A missing end mark is tolerated, as everywhere.
    pub fn finish(&self) -> Option<LayerProblem> {
        let truncated = match self.state {
            State::Header { .. } => self.filled > 0,
            State::Padding { .. } | State::End => false,
            State::Extension { .. } | State::SparseMap { .. } | State::Data { .. } => true,
            State::Failed => return self.failed.clone(),
        };
        match truncated {
            true if self.offset < BLOCK as u64 => Some(LayerProblem::NotATar),
            true => Some(LayerProblem::Truncated { offset: self.offset }),
            false => None,
        }
    }

    fn fail(&mut self, problem: LayerProblem) {
        self.failed = Some(problem);
        self.state = State::Failed;
    }

    fn bad_header(&mut self, field: &str) {
        self.fail(LayerProblem::BadHeader { offset: self.header_offset, field: field.to_owned() });
    }

    fn fill_block(&mut self, bytes: &[u8], visitor: &mut dyn Visitor) -> usize {
        if self.filled == 0 && matches!(self.state, State::Header { .. }) {
            self.header_offset = self.offset;
        }
        let taken = (BLOCK - self.filled).min(bytes.len());
        self.block[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
        self.filled += taken;
        if self.filled == BLOCK {
            self.filled = 0;
            match mem::replace(&mut self.state, State::End) {
                State::SparseMap { header, real_size, segments } => self.more_sparse_map(header, real_size, segments, visitor),
                State::Header { after_zeros } => self.header(after_zeros, visitor),
                other => self.state = other,
            }
        }
        taken
    }

    fn header(&mut self, after_zeros: bool, visitor: &mut dyn Visitor) {
        if self.block.iter().all(|&byte| byte == 0) {
            self.state = if after_zeros { State::End } else { State::Header { after_zeros: true } };
            return;
        }
        if after_zeros {
            return self.bad_header("end mark: one block of zeros instead of two");
        }
        let header = match header::parse(&self.block) {
            Ok(header) => header,
            Err(Bad::Checksum) if self.header_offset == 0 => return self.fail(LayerProblem::NotATar),
            Err(Bad::Checksum) => return self.fail(LayerProblem::BadChecksum { offset: self.header_offset }),
            Err(Bad::Field(field)) => return self.bad_header(field),
        };
        match header.flag {
            b'x' | b'g' | b'L' | b'K' => self.begin_extension(&header),
            b'S' => match header::sparse_start(&self.block) {
                Some((segments, true, real_size)) => self.state = State::SparseMap { header, real_size, segments },
                Some((segments, false, real_size)) => self.begin_sparse(header, real_size, segments, visitor),
                None => self.bad_header("sparse map"),
            },
            _ => self.begin_member(header, visitor),
        }
    }

    fn begin_extension(&mut self, header: &Header) {
        if header.size > self.caps.pax {
            let (offset, size, limit) = (self.header_offset, header.size, self.caps.pax);
            return self.fail(LayerProblem::HeaderTooLarge { offset, size, limit });
        }
        self.state = State::Extension { flag: header.flag, left: header.size, padding: padding(header.size), content: Vec::new() };
        if header.size == 0 {
            self.end_extension();
        }
    }

    fn end_extension(&mut self) {
        let State::Extension { flag, padding, content, .. } = mem::replace(&mut self.state, State::End) else { return };
        let understood = match flag {
            b'L' => {
                self.long_name = Some(header::text(&content).to_vec());
                Some(())
            }
            b'K' => {
                self.long_link = Some(header::text(&content).to_vec());
                Some(())
            }
            b'g' => self.global.apply(&content),
            _ => self.local.get_or_insert_with(|| self.global.clone()).apply(&content),
        };
        match understood {
            None => self.bad_header("pax record"),
            Some(()) if padding > 0 => self.state = State::Padding { left: padding },
            Some(()) => self.state = State::Header { after_zeros: false },
        }
    }

    /// Applies the extended headers and checks the caps. `None` when the reader has failed.
    fn member(&mut self, header: Header) -> Option<(RawMember, u64)> {
        let pax = self.local.take().unwrap_or_else(|| self.global.clone());
        let path = self.long_name.take().or(pax.path).unwrap_or(header.name);
        let link = self.long_link.take().or(pax.link).unwrap_or(header.link);
        let flag = match header.flag {
            0 | b'0' | b'7' if path.last() == Some(&b'/') => b'5',
            0 | b'7' => b'0',
            flag => flag,
        };
        let has_content = !matches!(flag, b'1'..=b'6');
        let stored = if has_content { pax.size.unwrap_or(header.size) } else { 0 };
        self.entries += 1;
        self.names += (path.len() + link.len()) as u64;
        if self.entries > self.caps.entries {
            self.fail(LayerProblem::TooManyEntries { limit: self.caps.entries });
            return None;
        }
        if self.names > self.caps.names {
            self.fail(LayerProblem::TooManyNames { limit: self.caps.names });
            return None;
        }
        let member = RawMember {
            path,
            link,
            flag,
            mode: header.mode,
            uid: pax.uid.unwrap_or(header.uid),
            gid: pax.gid.unwrap_or(header.gid),
            size: pax.sparse_size.filter(|_| pax.sparse).unwrap_or(stored),
            mtime: pax.mtime.unwrap_or((header.mtime, 0)),
            offset: self.header_offset,
            data_offset: self.offset - self.offset % BLOCK as u64 + BLOCK as u64,
            storage: if pax.sparse && has_content { Storage::PaxSparse } else { Storage::Plain },
        };
        Some((member, stored))
    }

    fn begin_member(&mut self, header: Header, visitor: &mut dyn Visitor) {
        let Some((member, stored)) = self.member(header) else { return };
        visitor.member(member);
        self.begin_data(stored, None, visitor);
    }

    fn begin_sparse(&mut self, header: Header, real_size: u64, segments: Vec<Segment>, visitor: &mut dyn Visitor) {
        let Some((mut member, stored)) = self.member(header) else { return };
        if !covers(&segments, stored, real_size) || member.storage == Storage::PaxSparse {
            return self.bad_header("sparse map");
        }
        if real_size > self.caps.uncompressed {
            return self.fail(LayerProblem::TooLarge { limit: self.caps.uncompressed });
        }
        member.flag = b'0';
        member.size = real_size;
        member.storage = Storage::Holes;
        visitor.member(member);
        self.begin_data(stored, Some(Sparse { segments: segments.into(), position: 0, real_size }), visitor);
    }

    fn more_sparse_map(&mut self, header: Header, real_size: u64, mut segments: Vec<Segment>, visitor: &mut dyn Visitor) {
        let Some((further, more)) = header::sparse_more(&self.block) else { return self.bad_header("sparse map") };
        segments.extend(further);
        if segments.len() as u64 > self.caps.pax {
            return self.bad_header("sparse map: too many parts");
        }
        match more {
            true => self.state = State::SparseMap { header, real_size, segments },
            false => self.begin_sparse(header, real_size, segments, visitor),
        }
    }

    fn begin_data(&mut self, stored: u64, sparse: Option<Sparse>, visitor: &mut dyn Visitor) {
        if stored > i64::MAX as u64 {
            return self.bad_header("size");
        }
        self.state = State::Data { left: stored, padding: padding(stored), sparse };
        if stored == 0 {
            self.end_data(visitor);
        }
    }

    fn content(&mut self, bytes: &[u8], visitor: &mut dyn Visitor) -> usize {
        let State::Data { left, sparse, .. } = &mut self.state else { return bytes.len() };
        let taken = match sparse {
            Some(sparse) => sparse.next(clamp(*left, bytes.len()), visitor),
            None => clamp(*left, bytes.len()),
        };
        visitor.data(&bytes[..taken]);
        *left -= taken as u64;
        if *left == 0 {
            self.end_data(visitor);
        }
        taken
    }

    fn end_data(&mut self, visitor: &mut dyn Visitor) {
        let State::Data { padding, sparse, .. } = mem::replace(&mut self.state, State::Header { after_zeros: false }) else { return };
        if let Some(rest) = sparse.map(|sparse| sparse.real_size - sparse.position).filter(|&rest| rest > 0) {
            visitor.hole(rest);
        }
        visitor.end();
        if padding > 0 {
            self.state = State::Padding { left: padding };
        }
    }
}

impl Sparse {
    /// Announces the hole in front of the next data, and says how many of `available` bytes belong together.
    fn next(&mut self, available: usize, visitor: &mut dyn Visitor) -> usize {
        while let Some(&mut (start, ref mut length)) = self.segments.front_mut() {
            if *length == 0 {
                self.segments.pop_front();
                continue;
            }
            if start > self.position {
                visitor.hole(start - self.position);
                self.position = start;
            }
            let taken = clamp(*length, available);
            *length -= taken as u64;
            self.position += taken as u64;
            if let Some(front) = self.segments.front_mut() {
                front.0 = self.position;
            }
            return taken;
        }
        available
    }
}

/// Whether a sparse map is in order, stays inside the file, and accounts for every stored byte.
fn covers(segments: &[Segment], stored: u64, real_size: u64) -> bool {
    let step = |(position, sum): (u64, u64), &(start, length): &Segment| {
        let end = start.checked_add(length).filter(|&end| start >= position && end <= real_size)?;
        Some((end, sum.checked_add(length)?))
    };
    segments.iter().try_fold((0, 0), step).is_some_and(|(_, sum)| sum == stored)
}

fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

fn clamp(left: u64, available: usize) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(available)
}

impl RawMember {
    /// The beginning of its path, for a message.
    pub fn shown(&self) -> String {
        path::shown(&self.path)
    }
}

#[cfg(test)]
mod tests;

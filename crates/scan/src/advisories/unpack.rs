//! Unpacks the members of a zip archive one after the other, with one decoder: a new one for each of 300,000 small files costs more time than
//! reading them, and leaves holes in memory.

use std::io::Read;

use flate2::{Crc, Decompress, FlushDecompress, Status};
use zip::{CompressionMethod, read::ZipFile};

use super::osv::LARGEST;

#[derive(Default)]
pub(super) struct Unpacker {
    stream: Option<Decompress>,
    packed: Vec<u8>,
    plain: Vec<u8>,
}

impl Unpacker {
    /// The content of a member that was opened raw; nothing if it is damaged or longer than an advisory may be.
    pub(super) fn unpack<R: Read>(&mut self, member: ZipFile<'_, R>) -> &[u8] {
        let (method, sum) = (member.compression(), member.crc32());
        self.packed.clear();
        self.plain.clear();
        let read = member.take(LARGEST + 1).read_to_end(&mut self.packed).is_ok();
        let whole = read
            && self.packed.len() as u64 <= LARGEST
            && match method {
                CompressionMethod::Stored => {
                    std::mem::swap(&mut self.packed, &mut self.plain);
                    true
                }
                CompressionMethod::Deflated => self.inflate(),
                _ => false,
            };
        let mut found = Crc::new();
        found.update(&self.plain);
        if whole && found.sum() == sum { &self.plain } else { &[] }
    }

    /// Whether it came to its end.
    fn inflate(&mut self) -> bool {
        let stream = self.stream.get_or_insert_with(|| Decompress::new(false));
        stream.reset(false);
        let mut input = self.packed.as_slice();
        loop {
            if self.plain.len() == self.plain.capacity() {
                self.plain.reserve(64 << 10);
            }
            let (taken, made) = (stream.total_in(), self.plain.len());
            let Ok(status) = stream.decompress_vec(input, &mut self.plain, FlushDecompress::None) else { return false };
            let taken = (stream.total_in() - taken) as usize;
            input = input.get(taken..).unwrap_or_default();
            match status {
                Status::StreamEnd => return true,
                _ if self.plain.len() as u64 > LARGEST || taken == 0 && self.plain.len() == made => return false,
                _ => {}
            }
        }
    }
}

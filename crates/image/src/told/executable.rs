//! Where the parts of a program lie in memory: program headers of ELF, sections of PE, segments of Mach-O. All of them stand in its first
//! kilobytes.

/// Bytes that tell a program from everything else.
pub(super) const MAGIC: usize = 4;
/// Most parts that are looked at.
const MOST: usize = 256;

/// A part of a file that is laid into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub address: u64,
    pub offset: u64,
    pub size: u64,
    pub writable: bool,
}

impl Segment {
    /// Where in the file an address lies.
    pub(super) fn place(&self, address: u64) -> Option<u64> {
        let inside = address.checked_sub(self.address).filter(|inside| *inside < self.size)?;
        self.offset.checked_add(inside)
    }

    /// At which address a place in the file lies.
    pub(super) fn address(&self, offset: u64) -> Option<u64> {
        let inside = offset.checked_sub(self.offset).filter(|inside| *inside < self.size)?;
        self.address.checked_add(inside).filter(|address| *address < u64::MAX / 2)
    }

    pub(super) fn has(&self, offset: u64) -> bool {
        offset.checked_sub(self.offset).is_some_and(|inside| inside < self.size)
    }
}

pub(super) fn is_one(first: &[u8]) -> bool {
    matches!(first, [0x7f, b'E', b'L', b'F', ..] | [b'M', b'Z', ..] | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..])
}

/// The parts of a program, as far as its head names them.
pub(super) fn segments(head: &[u8]) -> Vec<Segment> {
    let found = match head {
        [0x7f, b'E', b'L', b'F', ..] => elf(head),
        [b'M', b'Z', ..] => pe(head),
        [0xcf, 0xfa, 0xed, 0xfe, ..] => mach(&Reader { bytes: head, big: false }, true),
        [0xce, 0xfa, 0xed, 0xfe, ..] => mach(&Reader { bytes: head, big: false }, false),
        _ => None,
    };
    found.unwrap_or_default()
}

/// Numbers of a file in its order of bytes.
pub(super) struct Reader<'a> {
    pub bytes: &'a [u8],
    pub big: bool,
}

impl Reader<'_> {
    /// A number of 2, 4 or 8 bytes.
    pub(super) fn number(&self, at: u64, length: usize) -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let bytes = self.bytes.get(at..at.checked_add(length)?)?;
        let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.big { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
    }
}

fn elf(head: &[u8]) -> Option<Vec<Segment>> {
    let wide = *head.get(4)? == 2;
    let file = Reader { bytes: head, big: *head.get(5)? == 2 };
    let (table, length, count) = match wide {
        true => (file.number(32, 8)?, file.number(54, 2)?, file.number(56, 2)?),
        false => (file.number(28, 4)?, file.number(42, 2)?, file.number(44, 2)?),
    };
    let mut found = Vec::new();
    for index in 0..count.min(MOST as u64) {
        let Some(at) = table.checked_add(index * length).filter(|at| *at < head.len() as u64) else { break };
        // Type 1 is what is loaded; flag 2 is "writable".
        let part = match wide {
            true => (file.number(at, 4), file.number(at + 4, 4), file.number(at + 8, 8), file.number(at + 16, 8), file.number(at + 32, 8)),
            false => (file.number(at, 4), file.number(at + 24, 4), file.number(at + 4, 4), file.number(at + 8, 4), file.number(at + 16, 4)),
        };
        if let (Some(1), Some(flags), Some(offset), Some(address), Some(size)) = part {
            found.push(Segment { address, offset, size, writable: flags & 2 != 0 });
        }
    }
    Some(found)
}

fn pe(head: &[u8]) -> Option<Vec<Segment>> {
    let file = Reader { bytes: head, big: false };
    let start = file.number(0x3c, 4)?;
    if file.number(start, 4)? != 0x4550 {
        return None;
    }
    let (count, optional) = (file.number(start + 6, 2)?, file.number(start + 20, 2)?);
    let base = if file.number(start + 24, 2)? == 0x20b { file.number(start + 48, 8)? } else { file.number(start + 52, 4)? };
    let mut found = Vec::new();
    for index in 0..count.min(MOST as u64) {
        let at = start + 24 + optional + index * 40;
        let part = (file.number(at + 12, 4), file.number(at + 16, 4), file.number(at + 20, 4), file.number(at + 36, 4));
        if let (Some(address), Some(size), Some(offset), Some(flags)) = part {
            found.push(Segment { address: base.wrapping_add(address), offset, size, writable: flags & 0x8000_0000 != 0 });
        }
    }
    Some(found)
}

fn mach(file: &Reader<'_>, wide: bool) -> Option<Vec<Segment>> {
    let count = file.number(16, 4)?;
    let mut at = if wide { 32 } else { 28 };
    let mut found = Vec::new();
    for _ in 0..count.min(MOST as u64) {
        let (Some(kind), Some(length)) = (file.number(at, 4), file.number(at + 4, 4)) else { break };
        let part = match (kind, wide) {
            (0x19, true) => (file.number(at + 24, 8), file.number(at + 40, 8), file.number(at + 48, 8), file.number(at + 60, 4)),
            (0x1, false) => (file.number(at + 24, 4), file.number(at + 32, 4), file.number(at + 36, 4), file.number(at + 44, 4)),
            _ => (None, None, None, None),
        };
        if let (Some(address), Some(offset), Some(size), Some(protection)) = part {
            found.push(Segment { address, offset, size, writable: protection & 2 != 0 });
        }
        // A command that says it has no length would be read for ever.
        at += length.max(8);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_program_has_writable_parts() {
        let mut head = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        head.truncate(16 << 10);
        assert!(is_one(&head));
        let parts = segments(&head);
        assert!(parts.iter().any(|part| part.writable) && parts.iter().any(|part| !part.writable), "{parts:?}");
    }

    #[test]
    fn addresses_are_places_in_the_file() {
        let part = Segment { address: 0x1000, offset: 0x200, size: 0x10, writable: true };
        assert_eq!((part.place(0x1008), part.place(0x1010), part.place(0)), (Some(0x208), None, None));
        assert!(part.has(0x20f) && !part.has(0x210) && !part.has(0));
    }

    #[test]
    fn heads_that_lie_name_no_parts() {
        for length in 0..128 {
            for first in [&b"\x7fELF\x02\x01"[..], b"\x7fELF\x01\x02", b"MZ", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe"] {
                let mut head = vec![0xff; length];
                let taken = first.len().min(length);
                head[..taken].copy_from_slice(&first[..taken]);
                assert!(segments(&head).len() <= MOST);
            }
        }
    }
}

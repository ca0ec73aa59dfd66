//! Berkeley DB's hash, `Packages` of older systems: pages of pairs of keys and headers, the latter mostly in chains of pages of their own.

use super::{LARGEST, number};

const HEAD: usize = 26;
const MAGIC: usize = 0x0006_1561;
/// Types of pages.
const META: usize = 8;
const PAIRS: [usize; 2] = [2, 13];
const OVERFLOW: usize = 7;
/// Types of items.
const INLINE: usize = 1;
const OFF_PAGE: usize = 3;

const DAMAGED: &str = "is a damaged or cut off database of rpm (bdb); some of its packages could not be read";

pub(super) fn is_one(bytes: &[u8]) -> bool {
    order(bytes).is_some()
}

/// Whether its numbers are big-endian.
fn order(bytes: &[u8]) -> Option<bool> {
    [false, true].into_iter().find(|big| number(bytes, 12, 4, *big) == Some(MAGIC))
}

pub(super) fn headers(bytes: &[u8], take: &mut dyn FnMut(&[u8])) -> Result<(), &'static str> {
    let file = File { bytes, big: order(bytes).ok_or(DAMAGED)?, size: 0 };
    let size = file.number(0, 20, 4).ok_or(DAMAGED)?;
    if !size.is_power_of_two() || !(512..=65536).contains(&size) || file.number(0, 25, 1) != Some(META) || file.number(0, 24, 1) != Some(0)
    {
        return Err("is a database of rpm (bdb) that is damaged or encrypted");
    }
    let file = File { size, ..file };
    let last = file.number(0, 32, 4).ok_or(DAMAGED)?;
    let mut damaged = last.checked_add(1).and_then(|pages| pages.checked_mul(size)).is_none_or(|length| length > bytes.len());
    for page in 1..=last {
        match file.number(page, 25, 1) {
            None => return Err(DAMAGED),
            Some(kind) if PAIRS.contains(&kind) => damaged |= file.pairs(page, take).is_none(),
            Some(_) => {}
        }
    }
    if damaged { Err(DAMAGED) } else { Ok(()) }
}

struct File<'a> {
    bytes: &'a [u8],
    big: bool,
    size: usize,
}

impl File<'_> {
    fn number(&self, page: usize, at: usize, length: usize) -> Option<usize> {
        number(self.bytes, page.checked_mul(self.size)?.checked_add(at)?, length, self.big)
    }

    /// Every second item of a page is a header; they are laid from its end towards its begin.
    fn pairs(&self, page: usize, take: &mut dyn FnMut(&[u8])) -> Option<()> {
        let count = self.number(page, 20, 2)?;
        for index in (1..count).step_by(2) {
            let begin = self.number(page, HEAD + index * 2, 2)?;
            let end = self.number(page, HEAD + (index - 1) * 2, 2)?;
            match self.number(page, begin, 1)? {
                INLINE if end > begin + 1 && end <= self.size => {
                    // The first record is a counter and no header.
                    let at = page * self.size;
                    let item = self.bytes.get(at + begin + 1..at + end)?;
                    if item.len() > 16 {
                        take(item);
                    }
                }
                OFF_PAGE => take(&self.chain(self.number(page, begin + 4, 4)?, self.number(page, begin + 8, 4)?)?),
                INLINE => return None,
                _ => {}
            }
        }
        Some(())
    }

    /// The content of a chain of pages. It grows with each of them, so that a circle ends.
    fn chain(&self, mut page: usize, length: usize) -> Option<Vec<u8>> {
        if length > LARGEST || length > self.bytes.len() {
            return None;
        }
        let mut content = Vec::with_capacity(length);
        while page != 0 {
            let (kind, next, part) = (self.number(page, 25, 1)?, self.number(page, 16, 4)?, self.number(page, 22, 2)?);
            if kind != OVERFLOW || part == 0 || content.len() + part > length {
                return None;
            }
            let begin = page.checked_mul(self.size)?.checked_add(HEAD)?;
            content.extend_from_slice(self.bytes.get(begin..begin + part).filter(|_| HEAD + part <= self.size)?);
            page = next;
        }
        (content.len() == length).then_some(content)
    }
}

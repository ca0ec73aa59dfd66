//! The table `Packages` of an SQLite file (its "Database File Format"), with what its write-ahead log adds. Nothing else of SQL is needed.

use std::collections::{HashMap, HashSet};

use super::{LARGEST, number};

const LEAF: usize = 13;
const INTERIOR: usize = 5;
const DAMAGED: &str = "is a damaged or cut off database of rpm (sqlite); some of its packages could not be read";

pub(super) fn headers(bytes: &[u8], log: &[u8], take: &mut dyn FnMut(&[u8])) -> Result<(), &'static str> {
    let size = match number(bytes, 16, 2, true).ok_or(DAMAGED)? {
        1 => 65536,
        size => size,
    };
    let reserved = number(bytes, 20, 1, true).ok_or(DAMAGED)?;
    if !size.is_power_of_two() || size < 512 || reserved > 32 {
        return Err(DAMAGED);
    }
    let file = File { bytes, size, usable: size - reserved, newer: newer(log, size) };
    let mut root = None;
    // How many pages there are is written down where the last writer was one that knew to.
    let (pages, written) = (number(bytes, 28, 4, true).ok_or(DAMAGED)?, bytes.get(24..28) == bytes.get(92..96));
    let mut damaged = written && pages.checked_mul(size).is_none_or(|length| length > bytes.len());
    damaged |= !file.walk(1, &mut |record| {
        // type, name, table, first page, text
        let columns = columns(record, 4)?;
        if columns.first() == Some(&&b"table"[..]) && columns.get(1) == Some(&&b"Packages"[..]) {
            root = columns.get(3).and_then(|page| number(page, 0, page.len(), true));
        }
        Some(())
    });
    let Some(root) = root else { return Err(if damaged { DAMAGED } else { "is a database without packages" }) };
    damaged |= !file.walk(root, &mut |record| {
        take(columns(record, 2)?.get(1)?);
        Some(())
    });
    if damaged { Err(DAMAGED) } else { Ok(()) }
}

/// Pages in the log that belong to finished transactions, by number.
fn newer(log: &[u8], size: usize) -> HashMap<usize, &[u8]> {
    let (mut finished, mut open) = (HashMap::new(), Vec::new());
    let salt = log.get(16..24);
    let mut at = 32;
    while let (Some(head), Some(page)) = (log.get(at..at + 24), log.get(at + 24..at + 24 + size)) {
        // Frames of an earlier round have another salt; what follows them is older.
        if head.get(8..16) != salt || log.get(..3) != Some(&[0x37, 0x7f, 0x06]) {
            break;
        }
        open.push((number(head, 0, 4, true).unwrap_or(0), page));
        if number(head, 4, 4, true) != Some(0) {
            finished.extend(open.drain(..));
        }
        at += 24 + size;
    }
    finished
}

struct File<'a> {
    bytes: &'a [u8],
    size: usize,
    /// Bytes of a page that are used.
    usable: usize,
    newer: HashMap<usize, &'a [u8]>,
}

impl<'a> File<'a> {
    fn page(&self, number: usize) -> Option<&'a [u8]> {
        if let Some(page) = self.newer.get(&number) {
            return Some(page);
        }
        let begin = number.checked_sub(1)?.checked_mul(self.size)?;
        self.bytes.get(begin..begin.checked_add(self.size)?)
    }

    /// Visits each record of a table. Whether all of it could be read.
    fn walk(&self, root: usize, visit: &mut dyn FnMut(&[u8]) -> Option<()>) -> bool {
        let (mut left, mut seen, mut whole) = (vec![root], HashSet::new(), true);
        while let Some(number) = left.pop() {
            // A page that is named twice is a lie, and may be a circle.
            let read = if seen.insert(number) { self.visit(number, &mut left, visit) } else { None };
            whole &= read.is_some();
        }
        whole
    }

    fn visit(&self, page_number: usize, left: &mut Vec<usize>, visit: &mut dyn FnMut(&[u8]) -> Option<()>) -> Option<()> {
        let page = self.page(page_number)?;
        let head = if page_number == 1 { 100 } else { 0 };
        let (kind, cells) = (number(page, head, 1, true)?, number(page, head + 3, 2, true)?);
        let pointers = head + if kind == INTERIOR { 12 } else { 8 };
        let cell = |index: usize| number(page, pointers + index * 2, 2, true);
        let mut whole = Some(());
        match kind {
            INTERIOR => {
                left.push(number(page, head + 8, 4, true)?);
                for index in (0..cells).rev() {
                    left.push(number(page, cell(index)?, 4, true)?);
                }
            }
            LEAF => {
                for index in 0..cells {
                    whole = whole.and(self.payload(page, cell(index)?).and_then(|record| visit(&record)));
                }
            }
            _ => return None,
        }
        whole
    }

    /// The record of a cell, with what overflows into other pages.
    fn payload(&self, page: &[u8], at: usize) -> Option<Vec<u8>> {
        let (length, at) = varint(page, at)?;
        let (_, at) = varint(page, at)?;
        if length > LARGEST || length > self.bytes.len() + self.newer.len() * self.size {
            return None;
        }
        let (most, least) = (self.usable - 35, (self.usable - 12) * 32 / 255 - 23);
        let local = match least + length.saturating_sub(least) % (self.usable - 4) {
            _ if length <= most => length,
            local if local <= most => local,
            _ => least,
        };
        let mut record = page.get(at..at.checked_add(local)?)?.to_vec();
        let mut next = if local < length { number(page, at + local, 4, true)? } else { 0 };
        // It grows with each page, so that a circle ends.
        while record.len() < length {
            let page = self.page(next)?;
            next = number(page, 0, 4, true)?;
            let part = (length - record.len()).min(self.usable - 4);
            record.extend_from_slice(page.get(4..4 + part)?);
        }
        Some(record)
    }
}

/// A number in groups of seven bits, the high ones first, and where it ends.
fn varint(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    for (index, byte) in bytes.get(at..)?.iter().take(9).enumerate() {
        let (bits, shift) = if index == 8 { (*byte, 8) } else { (byte & 0x7f, 7) };
        value = value << shift | usize::from(bits);
        if index == 8 || byte & 0x80 == 0 {
            return Some((value, at + index + 1));
        }
    }
    None
}

/// The first columns of a record. Numbers come as their bytes; what is no number, text or blob is empty.
fn columns(record: &[u8], wanted: usize) -> Option<Vec<&[u8]>> {
    let (head, mut at) = varint(record, 0)?;
    let mut body = head;
    let mut found = Vec::new();
    while at < head && found.len() < wanted {
        let (kind, next) = varint(record, at)?;
        let length = match kind {
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            kind if kind >= 12 => (kind - 12) / 2,
            _ => 0,
        };
        found.push(record.get(body..body.checked_add(length)?)?);
        (at, body) = (next, body + length);
    }
    Some(found)
}

//! rpm's own database, `Packages.db`: pages of slots, each with the place of one header. All numbers are little-endian.

use super::{LARGEST, number};

const PAGE: usize = 4096;
const SLOT: usize = 16;
const BLOCK: usize = 16;
/// Most pages of slots: a million packages.
const PAGES: usize = 4096;

pub(super) fn headers(bytes: &[u8], take: &mut dyn FnMut(&[u8])) -> Result<(), &'static str> {
    const CUT: &str = "is a database of rpm (ndb) that is cut off";
    let at = |at: usize| number(bytes, at, 4, false).ok_or(CUT);
    if at(4)? != 0 {
        return Err("is a database of rpm (ndb) of a newer format");
    }
    let pages = at(12)?;
    if pages == 0 || pages > PAGES {
        return Err("is a damaged database of rpm (ndb)");
    }
    let mut damaged = false;
    // What would be the first two slots is the head of the file.
    for slot in 2..pages * (PAGE / SLOT) {
        let place = slot * SLOT;
        if at(place)? != 0x746f_6c53 {
            return Err("is a damaged database of rpm (ndb)");
        }
        let (package, block, blocks) = (at(place + 4)?, at(place + 8)?, at(place + 12)?);
        if package == 0 {
            continue;
        }
        let begin = block * BLOCK;
        let length = at(begin + 12)?;
        let right = at(begin)? == 0x5362_6c42 && at(begin + 4)? == package && length <= LARGEST;
        // Behind it stand a sum, the length again and an end mark.
        let header = bytes.get(begin..begin + blocks * BLOCK).and_then(|blob| blob.get(BLOCK..BLOCK + length));
        match header.filter(|_| right) {
            Some(header) => take(header),
            None => damaged = true,
        }
    }
    if damaged { Err("is a damaged or cut off database of rpm (ndb); some of its packages could not be read") } else { Ok(()) }
}

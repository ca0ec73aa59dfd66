//! The header of a package (rpm's "Header format", version 4): an index of tags and the data they point to. All numbers are big-endian.

use super::super::Others;
use super::number;

/// Most tags of a header; real ones have below 200.
const TAGS: usize = 0xffff;
/// Most files of a package.
const FILES: usize = 1_000_000;

const NAME: usize = 1000;
const VERSION: usize = 1001;
const RELEASE: usize = 1002;
const EPOCH: usize = 1003;
const SOURCE: usize = 1044;
const FOLDER_NUMBERS: usize = 1116;
const FILE_NAMES: usize = 1117;
const FOLDERS: usize = 1118;

const INT32: usize = 4;
const STRING: usize = 6;
const STRINGS: usize = 8;
/// A text in several languages, the first of which is everyone's.
const I18N: usize = 9;

pub(super) struct Header {
    pub name: String,
    pub version: String,
    pub release: String,
    pub epoch: Option<usize>,
    pub source: Option<String>,
}

/// Reads a header. Of its files, those that tell of other packages are added to `owned`.
pub(super) fn read(blob: &[u8], others: &Others, owned: &mut Vec<String>) -> Option<Header> {
    let (count, length) = (number(blob, 0, 4, true)?, number(blob, 4, 4, true)?);
    let begin = 8 + count.checked_mul(16).filter(|_| count <= TAGS)?;
    let tags = Tags { index: blob.get(8..begin)?, data: blob.get(begin..begin.checked_add(length)?)? };
    let found = Header {
        name: tags.text(NAME)?,
        version: tags.text(VERSION)?,
        release: tags.text(RELEASE)?,
        epoch: tags.numbers(EPOCH).and_then(|mut all| all.next()),
        source: tags.text(SOURCE).filter(|source| !source.is_empty()),
    };
    tags.files(others, owned);
    (!found.name.is_empty() && !found.version.is_empty()).then_some(found)
}

struct Tags<'a> {
    index: &'a [u8],
    data: &'a [u8],
}

impl<'a> Tags<'a> {
    /// Type, data from its begin on, and number of values.
    fn find(&self, tag: usize) -> Option<(usize, &'a [u8], usize)> {
        let entry = self.index.chunks_exact(16).find(|entry| number(entry, 0, 4, true) == Some(tag))?;
        let at = |at| number(entry, at, 4, true);
        Some((at(4)?, self.data.get(at(8)?..)?, at(12)?))
    }

    fn text(&self, tag: usize) -> Option<String> {
        let (kind, data, _) = self.find(tag)?;
        let end = data.iter().position(|byte| *byte == 0)?;
        matches!(kind, STRING | STRINGS | I18N).then(|| String::from_utf8_lossy(&data[..end]).into_owned())
    }

    fn texts(&self, tag: usize) -> Option<impl Iterator<Item = &'a [u8]>> {
        let (kind, data, count) = self.find(tag)?;
        matches!(kind, STRINGS | I18N).then(|| data.split(|byte| *byte == 0).take(count.min(FILES)))
    }

    fn numbers(&self, tag: usize) -> Option<impl Iterator<Item = usize>> {
        let (kind, data, count) = self.find(tag)?;
        (kind == INT32).then(|| data.chunks_exact(4).take(count.min(FILES)).filter_map(|bytes| number(bytes, 0, 4, true)))
    }

    fn files(&self, others: &Others, owned: &mut Vec<String>) {
        let (Some(names), Some(numbers), Some(folders)) = (self.texts(FILE_NAMES), self.numbers(FOLDER_NUMBERS), self.texts(FOLDERS))
        else {
            return;
        };
        let folders: Vec<&[u8]> = folders.collect();
        for (name, folder) in names.zip(numbers) {
            let (Ok(name), Some(Ok(folder))) = (std::str::from_utf8(name), folders.get(folder).map(|folder| std::str::from_utf8(folder)))
            else {
                continue;
            };
            owned.extend(others.at(folder, name));
        }
    }
}

//! Archives of Java: what `pom.properties` and the manifest say, also of archives inside of archives. Read from memory when the archive is
//! complete, by its central directory, which is what Java itself goes by.

use flate2::{Decompress, FlushDecompress, Status};
use serde::{Deserialize, Serialize};

use super::executable::Reader;

/// Largest archive that is looked into, bytes.
pub(super) const LARGEST: usize = 96 << 20;
/// Largest archive inside another, unpacked.
const NESTED: usize = 64 << 20;
/// Bytes of all archives inside one, unpacked.
const INSIDE: usize = 128 << 20;
/// Bytes of the texts kept of one archive, with those inside of it.
const TEXTS: usize = 8 << 20;
/// How deep archives are looked into: an `ear` has a `war` that has a `jar`.
const DEPTH: usize = 4;
/// Longest text that is kept, bytes.
const LONGEST: usize = 64 << 10;

const ENDINGS: [&str; 8] = [".ear", ".hpi", ".jar", ".jpi", ".kar", ".par", ".sar", ".war"];

/// What an archive says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Path inside (`WEB-INF/lib/a.jar!/META-INF/MANIFEST.MF`) and content of each file that names a package.
    pub texts: Vec<(String, String)>,
    /// What could not be read of it.
    pub trouble: Option<String>,
}

impl Archive {
    pub(super) fn length(&self) -> usize {
        self.texts.iter().map(|(path, text)| path.len() + text.len()).sum()
    }

    fn say(&mut self, inside: &str, what: &str) {
        let of = if inside.is_empty() { String::new() } else { format!(" ({})", inside.trim_end_matches("!/")) };
        self.trouble.get_or_insert_with(|| format!("{what}{of}"));
    }
}

pub(super) fn is_one(path: &str) -> bool {
    ENDINGS.iter().any(|ending| path.len() > ending.len() && path.as_bytes()[path.len() - 4..].eq_ignore_ascii_case(ending.as_bytes()))
}

pub(super) fn read(bytes: &[u8], size: u64) -> Archive {
    let mut archive = Archive::default();
    if bytes.len() as u64 != size || bytes.len() > LARGEST {
        archive.say("", "is too large an archive to be looked into");
        return archive;
    }
    let mut room = Room { inside: INSIDE, texts: TEXTS };
    look(bytes, "", 1, &mut room, &mut archive);
    archive
}

/// Bytes that may still be unpacked and kept.
struct Room {
    inside: usize,
    texts: usize,
}

fn look(bytes: &[u8], inside: &str, depth: usize, room: &mut Room, archive: &mut Archive) {
    let Some(directory) = Directory::of(bytes) else {
        return archive.say(inside, "is no archive, or a damaged one");
    };
    for member in directory {
        let Some(member) = member else {
            return archive.say(inside, "is an archive with a damaged directory");
        };
        let name = String::from_utf8_lossy(member.name).into_owned();
        let names_package = name == "META-INF/MANIFEST.MF" || name.starts_with("META-INF/maven/") && name.ends_with("/pom.properties");
        let nested = is_one(&name);
        if !names_package && !nested {
            continue;
        }
        let path = format!("{inside}{name}");
        if nested && depth == DEPTH {
            archive.say(&path, "has archives inside of archives, deeper than is looked");
            continue;
        }
        let cap = if nested { NESTED.min(room.inside) } else { LONGEST };
        let content = match member.content(bytes, cap) {
            Ok(content) => content,
            // Only the head of a manifest names the package; what follows are sums of files.
            Err(Unread::TooLarge(begun)) if !nested => begun,
            Err(Unread::TooLarge(_)) => {
                archive.say(&path, "has archives inside that are too large to be looked into");
                continue;
            }
            Err(Unread::Damaged) => {
                archive.say(&path, "has a file inside that cannot be unpacked");
                continue;
            }
        };
        if nested {
            room.inside -= content.len();
            look(&content, &format!("{path}!/"), depth + 1, room, archive);
        } else if path.len() + content.len() > room.texts {
            return archive.say("", "names more packages than are looked at");
        } else {
            room.texts -= path.len() + content.len();
            archive.texts.push((path, String::from_utf8_lossy(&content).into_owned()));
        }
    }
}

/// The central directory of a zip archive (APPNOTE 6.3, §4.3.12 and §4.3.16).
struct Directory<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u64,
    /// Bytes before the archive, as programs have them that are an archive as well.
    before: u64,
}

const LITTLE: fn(&[u8]) -> Reader<'_> = |bytes| Reader { bytes, big: false };

impl<'a> Directory<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        const LENGTH: usize = 22;
        let from = bytes.len().saturating_sub(LENGTH + usize::from(u16::MAX));
        let end = from + memchr::memmem::rfind(bytes.get(from..)?, b"PK\x05\x06")?;
        let file = LITTLE(bytes);
        let at = end as u64;
        let (mut count, mut size, mut offset) = (file.number(at + 10, 2)?, file.number(at + 12, 4)?, file.number(at + 16, 4)?);
        let mut end = at;
        if (count == 0xffff || size == 0xffff_ffff || offset == 0xffff_ffff) && at >= 20 && file.number(at - 20, 4) == Some(0x0706_4b50) {
            // The larger form lies before its locator, 56 bytes and whatever its maker adds.
            let larger = memchr::memmem::rfind(&bytes[..at as usize - 20], b"PK\x06\x06")? as u64;
            (count, size, offset) = (file.number(larger + 32, 8)?, file.number(larger + 40, 8)?, file.number(larger + 48, 8)?);
            end = larger;
        }
        let begin = end.checked_sub(size)?;
        let before = begin.checked_sub(offset)?;
        Some(Self { bytes, at: usize::try_from(begin).ok()?, left: count, before })
    }

    fn member(&mut self) -> Option<Member<'a>> {
        let file = LITTLE(self.bytes);
        let at = self.at as u64;
        if file.number(at, 4)? != 0x0201_4b50 {
            return None;
        }
        let length = |at| file.number(at, 2).map(|number| number as usize);
        let (name, extra, comment) = (length(at + 28)?, length(at + 30)?, length(at + 32)?);
        let begin = self.at + 46;
        let (mut packed, mut offset) = (file.number(at + 20, 4)?, file.number(at + 42, 4)?);
        let plain = file.number(at + 24, 4)?;
        if packed == 0xffff_ffff || offset == 0xffff_ffff || plain == 0xffff_ffff {
            let extra = self.bytes.get(begin + name..begin + name + extra)?;
            larger(extra, plain == 0xffff_ffff, &mut packed, &mut offset)?;
        }
        let member = Member {
            name: self.bytes.get(begin..begin + name)?,
            encrypted: file.number(at + 8, 2)? & 1 != 0,
            method: file.number(at + 10, 2)?,
            packed: usize::try_from(packed).ok()?,
            at: usize::try_from(offset.checked_add(self.before)?).ok()?,
        };
        self.at = begin + name + extra + comment;
        Some(member)
    }
}

impl<'a> Iterator for Directory<'a> {
    type Item = Option<Member<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let member = self.member();
        if member.is_none() {
            self.left = 0;
        }
        Some(member)
    }
}

/// Takes the numbers that need eight bytes out of their extra field (§4.5.3).
fn larger(mut extra: &[u8], plain: bool, packed: &mut u64, offset: &mut u64) -> Option<()> {
    loop {
        let file = LITTLE(extra);
        let (kind, length) = (file.number(0, 2)?, file.number(2, 2)? as usize);
        if kind != 1 {
            extra = extra.get(4 + length..)?;
            continue;
        }
        let mut at = if plain { 12 } else { 4 };
        for number in [packed, offset] {
            if *number == 0xffff_ffff {
                *number = file.number(at, 8)?;
                at += 8;
            }
        }
        return Some(());
    }
}

struct Member<'a> {
    name: &'a [u8],
    encrypted: bool,
    method: u64,
    packed: usize,
    at: usize,
}

enum Unread {
    /// With its beginning.
    TooLarge(Vec<u8>),
    Damaged,
}

impl Member<'_> {
    fn content(&self, archive: &[u8], cap: usize) -> Result<Vec<u8>, Unread> {
        let packed = self.packed(archive).ok_or(Unread::Damaged)?;
        match self.method {
            _ if self.encrypted => Err(Unread::Damaged),
            0 if packed.len() > cap => Err(Unread::TooLarge(packed[..cap].to_vec())),
            0 => Ok(packed.to_vec()),
            8 => inflate(packed, cap),
            _ => Err(Unread::Damaged),
        }
    }

    fn packed<'a>(&self, archive: &'a [u8]) -> Option<&'a [u8]> {
        let file = LITTLE(archive.get(self.at..)?);
        if file.number(0, 4)? != 0x0403_4b50 {
            return None;
        }
        let begin = 30 + file.number(26, 2)? as usize + file.number(28, 2)? as usize;
        file.bytes.get(begin..begin.checked_add(self.packed)?)
    }
}

fn inflate(mut packed: &[u8], cap: usize) -> Result<Vec<u8>, Unread> {
    let mut stream = Decompress::new(false);
    let (mut plain, mut output) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let (taken, made) = (stream.total_in(), stream.total_out());
        let status = stream.decompress(packed, &mut output, FlushDecompress::None).map_err(|_| Unread::Damaged)?;
        let (taken, made) = ((stream.total_in() - taken) as usize, (stream.total_out() - made) as usize);
        plain.extend_from_slice(&output[..made]);
        packed = &packed[taken..];
        if plain.len() > cap {
            plain.truncate(cap);
            return Err(Unread::TooLarge(plain));
        }
        match status {
            Status::StreamEnd => return Ok(plain),
            _ if taken == 0 && made == 0 => return Err(Unread::Damaged),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;

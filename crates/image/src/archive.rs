//! A tar file on this machine, read in place: an index of where its members are, and readers that start there. Nothing is extracted.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    caps::Caps,
    error::Error,
    header::BLOCK,
    path,
    tar::{RawMember, Storage, TarReader, Visitor},
};

/// Members of an image archive: a few per layer.
const MEMBERS: u64 = 100_000;
/// Links from member to member.
const LINKS: usize = 8;

/// The index.
#[derive(Debug)]
pub(crate) struct Archive {
    file: Arc<File>,
    path: PathBuf,
    members: BTreeMap<String, Member>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Member {
    File { offset: u64, size: u64 },
    Link(String),
}

impl Archive {
    /// Indexes the archive at `path`; `expected` says what it should be, for the message.
    pub fn open(path: &Path, expected: &'static str) -> Result<Self, Error> {
        let failed = |action| move |source| Error::File { action, path: path.to_owned(), source };
        let file = File::open(path).map_err(failed("open"))?;
        let metadata = file.metadata().map_err(failed("open"))?;
        if !metadata.is_file() {
            let reason = if metadata.is_dir() { "it is a folder" } else { "it is not a regular file" };
            return Err(Error::Layout { path: path.to_owned(), expected, reason: reason.to_owned() });
        }
        let mut magic = [0; 6];
        let length = read_block(&file, 0, &mut magic).map_err(failed("read"))?;
        refuse_compressed(path, &magic[..length])?;
        let members = index(&file, metadata.len()).map_err(failed("read"))?.map_err(|reason| Error::Layout {
            path: path.to_owned(),
            expected,
            reason,
        })?;
        Ok(Self { file: Arc::new(file), path: path.to_owned(), members })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a member, links between members followed. `None` if there is no such file.
    pub fn member(&self, name: &str) -> Option<Section> {
        let mut name = name;
        for _ in 0..LINKS {
            match self.members.get(name)? {
                Member::Link(target) => name = target,
                Member::File { offset, size } => return Some(Section { file: Arc::clone(&self.file), at: *offset, left: *size }),
            }
        }
        None
    }
}

/// A part of a file.
pub(crate) struct Section {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Section {
    /// Bytes left.
    pub fn size(&self) -> u64 {
        self.left
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let taken = self.file.read_at(&mut buffer[..wanted], self.at)?;
        if taken == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += taken as u64;
        self.left -= taken as u64;
        Ok(taken)
    }
}

/// Whole archives are read in place, which a compressed one does not allow.
fn refuse_compressed(path: &Path, magic: &[u8]) -> Result<(), Error> {
    let (compression, command) = match magic {
        [0x1f, 0x8b, ..] => ("gzip", "gunzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => ("zstd", "unzstd"),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => ("xz", "unxz"),
        [b'B', b'Z', b'h', ..] => ("bzip2", "bunzip2"),
        _ => return Ok(()),
    };
    Err(Error::CompressedArchive { path: path.to_owned(), compression, command })
}

/// Reads as much as there is; less than asked only at the end of the file.
fn read_block(file: &File, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(taken) => filled += taken,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Walks the headers, skipping the contents. The inner error is a sentence about the archive.
fn index(file: &File, length: u64) -> io::Result<Result<BTreeMap<String, Member>, String>> {
    let caps = Caps { entries: MEMBERS, ..Caps::default() };
    let mut reader = TarReader::new(&caps);
    let mut listing = Listing { caps, members: BTreeMap::new(), sparse: None };
    let mut at = 0u64;
    while !reader.done() {
        if at.saturating_add(reader.content_left()) > length {
            return Ok(Err("it ends in the middle of a file; copy or save it again".to_owned()));
        }
        at = at.saturating_add(reader.skip(&mut listing));
        let mut block = [0; BLOCK];
        let taken = read_block(file, at, &mut block)?;
        if taken == 0 {
            break;
        }
        reader.push(&block[..taken], &mut listing);
        at += taken as u64;
    }
    Ok(match (reader.finish(), listing.sparse) {
        (Some(problem), _) => Err(archive_words(&problem.to_string())),
        (None, Some(name)) => Err(format!("{name:?} in it is a sparse file; write the archive without --sparse")),
        (None, None) => Ok(listing.members),
    })
}

fn archive_words(sentence: &str) -> String {
    sentence.split(';').next().unwrap_or_default().replace("the layer", "the file")
}

struct Listing {
    caps: Caps,
    members: BTreeMap<String, Member>,
    sparse: Option<String>,
}

impl Visitor for Listing {
    fn member(&mut self, raw: RawMember) {
        let Some(name) = self.name(&raw.path) else { return };
        let member = match raw.flag {
            b'0' if raw.storage != Storage::Plain => return self.sparse = Some(raw.shown()),
            b'0' => Some(Member::File { offset: raw.data_offset, size: raw.size }),
            b'1' => self.name(&raw.link).map(Member::Link),
            b'2' => self.beside(&name, &raw.link).map(Member::Link),
            _ => None,
        };
        match member {
            Some(member) => drop(self.members.insert(name, member)),
            None => drop(self.members.remove(&name)),
        }
    }

    fn data(&mut self, _: &[u8]) {}

    fn hole(&mut self, _: u64) {}

    fn end(&mut self) {}
}

impl Listing {
    fn name(&self, raw: &[u8]) -> Option<String> {
        String::from_utf8(path::normalise(raw, &self.caps).ok()?).ok()
    }

    /// The target of a symbolic link, from the member's own directory. Layers shared between images were written like this by older dockers.
    fn beside(&self, name: &str, link: &[u8]) -> Option<String> {
        let link = std::str::from_utf8(link).ok()?;
        let mut parts: Vec<&str> = if link.starts_with('/') { Vec::new() } else { name.split('/').collect() };
        parts.pop();
        for part in link.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()?),
                part => parts.push(part),
            }
        }
        self.name(parts.join("/").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn tar_with(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> tempfile::NamedTempFile {
        let mut builder = tar::Builder::new(Vec::new());
        build(&mut builder);
        file_with(&builder.into_inner().unwrap())
    }

    fn file_with(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn add(builder: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, bytes).unwrap();
    }

    fn link(builder: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, name: &str, target: &str) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        builder.append_link(&mut header, name, target).unwrap();
    }

    fn read(archive: &Archive, name: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        archive.member(name)?.read_to_end(&mut bytes).unwrap();
        Some(bytes)
    }

    #[test]
    fn finds_members_in_place() {
        let long = format!("{}/layer.tar", "x".repeat(150));
        let file = tar_with(|builder| {
            add(builder, "./a", b"first");
            add(builder, &long, &[7; 1000]);
            add(builder, "a", b"second");
            add(builder, "empty", b"");
            link(builder, tar::EntryType::Symlink, "d/layer.tar", "../a");
            link(builder, tar::EntryType::Link, "h", "d/layer.tar");
            link(builder, tar::EntryType::Symlink, "out", "../../a");
            link(builder, tar::EntryType::Symlink, "loop", "loop");
        });
        let archive = Archive::open(file.path(), "an archive").unwrap();
        assert_eq!(read(&archive, "a").unwrap(), b"second");
        assert_eq!(read(&archive, &long).unwrap(), [7; 1000]);
        assert_eq!(read(&archive, "empty").unwrap(), b"");
        assert_eq!(read(&archive, "h").unwrap(), b"second");
        for absent in ["out", "loop", "nothing"] {
            assert!(archive.member(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn a_compressed_archive_is_refused_with_the_command_that_helps() {
        let file = file_with(b"\x1f\x8b\x08\0\0\0\0\0\0\0");
        let error = Archive::open(file.path(), "an archive").unwrap_err().to_string();
        let name = file.path().display();
        assert_eq!(error, format!("{name} is compressed with gzip; unpack it first: gunzip {name}"));
    }

    #[test]
    fn what_is_no_archive_says_why() {
        let missing = Archive::open(Path::new("/nonexistent/x.tar"), "an OCI archive").unwrap_err();
        assert!(matches!(missing, Error::File { action: "open", .. }));
        let folder = Archive::open(Path::new("/"), "an OCI archive").unwrap_err().to_string();
        assert_eq!(folder, "/ is not an OCI archive: it is a folder");
        let text = file_with(&[b'x'; 2000]);
        assert!(Archive::open(text.path(), "an OCI archive").unwrap_err().to_string().ends_with("the file is not a tar archive"));
    }

    #[test]
    fn a_cut_archive_is_noticed_wherever_it_is_cut() {
        let whole = tar_with(|builder| add(builder, "a", &[1; 700]));
        let bytes = std::fs::read(whole.path()).unwrap();
        for cut in [100, 512, 513, 1211, 1500, 1535, 1536, 1800, 2048] {
            let archive = Archive::open(file_with(&bytes[..cut]).path(), "an archive");
            // 512 bytes of header, 700 of content, 324 of padding; then whole blocks of zeros only.
            assert_eq!(archive.is_ok(), (1212..=1536).contains(&cut) || cut == 2048, "{cut}");
        }
    }
}

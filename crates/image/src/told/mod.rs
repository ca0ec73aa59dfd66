//! What files say of the packages they are made of, where it is not a small file that could be kept whole: programs, archives of Java, and
//! the lists of files that belong to packages of an operating system. Read in the same pass as everything else; only the answer is kept.

mod archive;
mod executable;
mod list;
mod program;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use archive::Archive;
pub use program::{GoBuild, Program};

const NO_ROOM: &str = "stands in a layer that says more of packages than is kept";

/// What the files of a layer say of packages, by normalised path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Programs that say what they were made of.
    pub programs: BTreeMap<String, Program>,
    /// Archives of Java.
    pub archives: BTreeMap<String, Archive>,
    /// Lists of files of an operating system's packages, each with those of its paths that tell of packages in this layer.
    pub owned: BTreeMap<String, Vec<String>>,
}

impl Told {
    /// Forgets a path that something else has taken.
    pub(crate) fn forget(&mut self, path: &str) {
        self.programs.remove(path);
        self.archives.remove(path);
        self.owned.remove(path);
    }

    /// Leaves of the lists of files only what other packages could be told by.
    pub(crate) fn keep_owned<'a>(&mut self, wanted: impl Iterator<Item = &'a String>) {
        let whole = |path: &String| merged(path).into_owned();
        let telling = self.programs.keys().chain(self.archives.keys()).map(whole).chain(wanted.map(whole)).collect();
        list::keep(&mut self.owned, &telling);
    }
}

/// A path with the old folders of the root where they are links into `usr`, as they are nearly everywhere: lists and archives name either.
pub fn merged(path: &str) -> std::borrow::Cow<'_, str> {
    let old = ["bin/", "lib/", "lib32/", "lib64/", "libx32/", "sbin/"];
    if old.iter().any(|folder| path.starts_with(folder)) { format!("usr/{path}").into() } else { path.into() }
}

/// Looks at the content of one file as it arrives.
pub(crate) enum Look {
    /// What its first bytes are decides.
    First(Vec<u8>),
    /// It is a program.
    Program(Box<program::Probe>),
    /// It is an archive of Java, read when it is complete.
    Archive(Vec<u8>),
    /// It is a list of files.
    List(Vec<u8>),
    /// It says nothing.
    Nothing,
}

impl Look {
    pub(crate) fn at(path: &str) -> Self {
        if archive::is_one(path) {
            Self::Archive(Vec::new())
        } else if list::is_one(path) {
            Self::List(Vec::new())
        } else {
            Self::First(Vec::new())
        }
    }

    /// Takes the next bytes. `room` is what may still be kept in memory.
    pub(crate) fn data(&mut self, mut bytes: &[u8], room: usize) {
        if let Self::First(first) = self {
            let (taken, rest) = bytes.split_at(bytes.len().min(executable::MAGIC - first.len()));
            first.extend_from_slice(taken);
            bytes = rest;
            if first.len() == executable::MAGIC {
                *self = match executable::is_one(first) {
                    true => Self::Program(Box::new(program::Probe::new(first))),
                    false => Self::Nothing,
                };
            }
        }
        match self {
            Self::Program(probe) => probe.push(bytes),
            // One byte more than is read shows that there was more.
            Self::Archive(kept) => {
                kept.extend_from_slice(&bytes[..bytes.len().min((archive::LARGEST + 1).min(room).saturating_sub(kept.len()))])
            }
            Self::List(kept) => kept.extend_from_slice(&bytes[..bytes.len().min(list::LARGEST.min(room).saturating_sub(kept.len()))]),
            Self::First(_) | Self::Nothing => {}
        }
    }

    /// Takes zeros.
    pub(crate) fn hole(&mut self, length: u64, room: usize) {
        const PIECE: [u8; 4096] = [0; 4096];
        const LONGEST: u64 = 16 << 20;
        if length > LONGEST && !matches!(self, Self::Nothing) {
            // Nobody ships a program or an archive like that.
            *self = Self::Nothing;
        }
        let mut left = length;
        while left > 0 && !matches!(self, Self::Nothing) {
            let piece = left.min(PIECE.len() as u64);
            self.data(&PIECE[..piece as usize], room);
            left -= piece;
        }
    }

    /// Adds what was found to the rest, and says how many bytes it takes. What there is no room for is said, not kept.
    pub(crate) fn end(self, path: String, size: u64, room: usize, told: &mut Told) -> usize {
        match self {
            Self::Program(probe) => {
                let Some(mut program) = probe.finish() else { return 0 };
                if program.length() > room {
                    program = Program { trouble: Some(NO_ROOM.to_owned()), ..Program::default() };
                }
                let kept = program.length() + path.len();
                told.programs.insert(path, program);
                kept
            }
            Self::Archive(bytes) => {
                let mut archive = archive::read(&bytes, size);
                if archive.length() > room {
                    archive = Archive { trouble: Some(NO_ROOM.to_owned()), ..Archive::default() };
                }
                let kept = archive.length() + path.len();
                told.archives.insert(path, archive);
                kept
            }
            Self::List(bytes) => {
                let lines = list::lines(&bytes);
                let kept = lines.iter().map(String::len).sum();
                told.owned.insert(path, lines);
                kept
            }
            Self::First(_) | Self::Nothing => 0,
        }
    }
}

//! What one pass over a layer yields. Depends on the layer's bytes alone, so it is stored per (layer digest, [`ANALYSER_VERSION`]).

use std::{collections::BTreeMap, fmt};

use model::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::told::Told;

/// Version of what a pass yields and of how it is kept: grows whenever the same bytes would give other evidence.
pub const ANALYSER_VERSION: u32 = 4;

/// A small file that is kept from every layer that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Normalised path, as in [`Entry::path`].
    pub path: &'static str,
    /// Bytes kept at most; a longer file is marked as truncated.
    pub cap: u64,
}

/// Largest database of rpm that is kept, bytes. That of a full desktop has 60 MB.
const RPM: u64 = 80 << 20;

/// The files every pass keeps.
pub const WANTED: &[Wanted] = &[
    Wanted { path: "etc/group", cap: 256 << 10 },
    Wanted { path: "etc/os-release", cap: 16 << 10 },
    Wanted { path: "etc/passwd", cap: 256 << 10 },
    Wanted { path: "lib/apk/db/installed", cap: 32 << 20 },
    Wanted { path: "usr/lib/apk/db/installed", cap: 32 << 20 },
    Wanted { path: "usr/lib/os-release", cap: 16 << 10 },
    Wanted { path: "usr/lib/sysimage/rpm/Packages", cap: RPM },
    Wanted { path: "usr/lib/sysimage/rpm/Packages.db", cap: RPM },
    Wanted { path: "usr/lib/sysimage/rpm/rpmdb.sqlite", cap: RPM },
    Wanted { path: "usr/lib/sysimage/rpm/rpmdb.sqlite-wal", cap: RPM },
    Wanted { path: "var/lib/dpkg/status", cap: 32 << 20 },
    Wanted { path: "var/lib/rpm/Packages", cap: RPM },
    Wanted { path: "var/lib/rpm/Packages.db", cap: RPM },
    Wanted { path: "var/lib/rpm/rpmdb.sqlite", cap: RPM },
    Wanted { path: "var/lib/rpm/rpmdb.sqlite-wal", cap: RPM },
    Wanted { path: "var/manifest.json", cap: 1 << 20 },
    Wanted { path: "var/reprocess_job.txt", cap: 1 << 20 },
    Wanted { path: "var/upload_job.txt", cap: 1 << 20 },
];

/// Files that are kept wherever they are: what installers leave behind of each package.
const WANTED_ANYWHERE: &[Anywhere] = &[
    Anywhere { within: "", ends: ".dist-info/METADATA", cap: 16 << 10 },
    Anywhere { within: "", ends: ".egg-info", cap: 16 << 10 },
    Anywhere { within: "", ends: "/EGG-INFO/PKG-INFO", cap: 16 << 10 },
    Anywhere { within: "", ends: ".egg-info/PKG-INFO", cap: 16 << 10 },
    Anywhere { within: "/specifications/", ends: ".gemspec", cap: 64 << 10 },
    Anywhere { within: "node_modules/", ends: "/package.json", cap: 256 << 10 },
    Anywhere { within: "var/lib/dpkg/status.d/", ends: "", cap: 64 << 10 },
];

struct Anywhere {
    /// A part of the path; empty is any.
    within: &'static str,
    ends: &'static str,
    cap: u64,
}

/// How much of the file at this path is kept, bytes; `None` if it is not wanted.
pub(crate) fn wanted(path: &str) -> Option<u64> {
    if let Ok(at) = WANTED.binary_search_by(|wanted| wanted.path.cmp(path)) {
        return Some(WANTED[at].cap);
    }
    WANTED_ANYWHERE.iter().find(|wanted| path.ends_with(wanted.ends) && path.contains(wanted.within)).map(|wanted| wanted.cap)
}

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, one or several members.
    Gzip,
    /// Zstandard, one or several frames.
    Zstd,
}

impl Compression {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Everything known of one layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerEvidence {
    /// Digest of the bytes as transferred.
    pub digest: Digest,
    /// SHA-256 of the plain tar; `None` when it could not be inflated to its end or is not an archive at all.
    pub diff_id: Option<Digest>,
    /// How it was compressed.
    pub compression: Compression,
    /// Bytes as transferred.
    pub size: u64,
    /// Bytes of the plain tar, as far as it was inflated.
    pub uncompressed_size: u64,
    /// Members, in their order in the archive. A path may occur more than once: the last one counts.
    pub entries: Vec<Entry>,
    /// Indices of `entries` in the order of their paths' bytes, then of the archive, as [`by_path`] finds them: layers are merged in that order.
    pub by_path: Vec<u32>,
    /// Content of the [`WANTED`] files and of what installers leave behind of packages, by normalised path.
    pub files: BTreeMap<String, KeptFile>,
    /// What programs, archives and lists of files say of packages.
    pub told: Told,
    /// What is wrong with it, in the order found.
    pub problems: Vec<LayerProblem>,
}

impl LayerEvidence {
    /// The first problem after which the rest of the layer is unknown, if there is one.
    pub fn broken(&self) -> Option<&LayerProblem> {
        self.problems.iter().find(|problem| problem.breaks())
    }
}

/// Indices of members in the order of their paths' bytes, then of the archive.
pub fn by_path(entries: &[Entry]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..u32::try_from(entries.len()).unwrap_or(u32::MAX)).collect();
    order.sort_by(|a, b| entries[*a as usize].path.cmp(&entries[*b as usize].path));
    order
}

/// One member of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Path from the image root, without a leading slash or `./`; empty for the root itself. For a whiteout, the path it hides; for an opaque
    /// marker, the directory. Bytes that are not UTF-8 are replaced by U+FFFD.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits, with setuid (0o4000), setgid (0o2000) and sticky (0o1000).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes of content; 0 for everything but files.
    pub size: u64,
}

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// Regular file.
    File,
    /// Directory.
    Dir,
    /// Symbolic link and its target as written.
    Symlink(String),
    /// Another name for the file at this normalised path.
    Hardlink(String),
    /// Character or block device.
    Device,
    /// Named pipe.
    Fifo,
    /// Hides the path in the layers below.
    Whiteout,
    /// Hides everything the layers below have in this directory.
    OpaqueDir,
}

/// Bytes of a kept file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFile {
    /// The content, or its beginning.
    #[serde(with = "as_bytes")]
    pub bytes: Vec<u8>,
    /// The file is longer than its cap.
    pub truncated: bool,
}

impl fmt::Debug for KeptFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeptFile({} bytes{})", self.bytes.len(), if self.truncated { ", truncated" } else { "" })
    }
}

/// Something wrong in a layer. `Display` is the sentence for people; offsets are bytes of the plain tar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum LayerProblem {
    /// The content does not begin with a tar header.
    #[error("the layer is not a tar archive; build the image again with a current docker, podman or buildah")]
    NotATar,
    /// Compressed with something OCI does not know.
    #[error("the layer is compressed with {format}, which OCI does not allow; compress it with gzip or zstd")]
    ForeignCompression {
        /// Such as `xz`.
        format: String,
    },
    /// The archive ends inside a member.
    #[error("the layer ends in the middle of a file, after {offset} bytes; push it again")]
    Truncated {
        /// Where it ends.
        offset: u64,
    },
    /// The compressed stream ends too early.
    #[error("the {} stream of the layer ends too early, after {offset} bytes; push it again", .compression.as_str())]
    TruncatedStream {
        /// Which compression.
        compression: Compression,
        /// Compressed bytes that were there.
        offset: u64,
    },
    /// The compressed stream is damaged.
    #[error("the {} stream of the layer is damaged after {offset} compressed bytes; build and push it again", .compression.as_str())]
    CorruptStream {
        /// Which compression.
        compression: Compression,
        /// Compressed bytes read when it was noticed, at the granularity of the reader's blocks.
        offset: u64,
    },
    /// Bytes behind the end of the compressed stream; they are ignored.
    #[error("{bytes} bytes follow the end of the layer's {} stream and are ignored", .compression.as_str())]
    TrailingGarbage {
        /// Which compression.
        compression: Compression,
        /// How many.
        bytes: u64,
    },
    /// A tar header's checksum is wrong.
    #[error("a tar header at byte {offset} has a wrong checksum; the layer is damaged, build and push it again")]
    BadChecksum {
        /// Start of the header.
        offset: u64,
    },
    /// A tar header is malformed otherwise.
    #[error("the tar header at byte {offset} has a malformed {field}; build the layer again with a current tool")]
    BadHeader {
        /// Start of the header.
        offset: u64,
        /// Which field.
        field: String,
    },
    /// More members than the cap.
    #[error("the layer has more than {limit} files; put fewer into one layer")]
    TooManyEntries {
        /// The cap.
        limit: u64,
    },
    /// The names of its members together are too long.
    #[error("the path names of the layer exceed {limit} bytes together; put fewer files into one layer")]
    TooManyNames {
        /// The cap.
        limit: u64,
    },
    /// More bytes than the cap.
    #[error("the layer is larger than {limit} bytes when unpacked; make it smaller")]
    TooLarge {
        /// The cap.
        limit: u64,
    },
    /// More gzip members or Zstandard frames than the cap.
    #[error("the layer consists of more than {limit} {} streams; compress it as one", .compression.as_str())]
    TooManyStreams {
        /// Which compression.
        compression: Compression,
        /// The cap.
        limit: u64,
    },
    /// Inflates suspiciously well.
    #[error("the layer inflates to more than {limit} times its size, as a decompression bomb would; unpacking stopped")]
    Ratio {
        /// The cap.
        limit: u64,
    },
    /// A path or link target is longer than the cap, a component longer than 255 bytes, or too deep; the member is ignored.
    #[error("a path beginning with {path:?} is too long (limit: {limit} bytes, 255 per part); use shorter names")]
    PathTooLong {
        /// Its first 80 characters.
        path: String,
        /// The cap.
        limit: u64,
    },
    /// An extended header is larger than the cap.
    #[error("the extended header at byte {offset} has {size} bytes, more than the limit of {limit}")]
    HeaderTooLarge {
        /// Start of the header.
        offset: u64,
        /// Its size.
        size: u64,
        /// The cap.
        limit: u64,
    },
    /// The path or hard link target leads out of the image; the member is ignored.
    #[error("{path:?} leads out of the image and is ignored; use paths without \"..\"")]
    PathEscapes {
        /// As written.
        path: String,
    },
    /// A member lies behind a symbolic link of the same layer. Unpackers disagree what that means; here the link becomes a directory.
    #[error(
        "{path:?} lies behind the symbolic link {link:?} of the same layer, which container runtimes treat differently; add files by their real path"
    )]
    BehindSymlink {
        /// The member.
        path: String,
        /// The link.
        link: String,
    },
    /// A hard link whose target is not an earlier file of the same layer.
    #[error("the hard link {path:?} names {target:?}, which the same layer does not contain")]
    LinkTargetMissing {
        /// The link.
        path: String,
        /// Its target.
        target: String,
    },
    /// A sparse file in a form that is not understood; its content is unknown.
    #[error("{path:?} is stored as a pax sparse file, which container tools do not unpack; build the layer without sparse files")]
    Sparse {
        /// The file.
        path: String,
    },
    /// A member of an unknown type; it is ignored.
    #[error("{path:?} has the unknown tar type {flag:?} and is ignored")]
    UnknownType {
        /// The member.
        path: String,
        /// The type flag.
        flag: char,
    },
    /// Further problems were counted, not kept.
    #[error("{count} further problems in the same layer")]
    More {
        /// How many.
        count: u64,
    },
}

impl LayerProblem {
    /// Whether the rest of the layer, or the content of one of its files, is unknown after it: such a layer is never unpacked.
    pub fn breaks(&self) -> bool {
        match self {
            Self::NotATar
            | Self::ForeignCompression { .. }
            | Self::Truncated { .. }
            | Self::TruncatedStream { .. }
            | Self::CorruptStream { .. }
            | Self::BadChecksum { .. }
            | Self::BadHeader { .. }
            | Self::TooManyEntries { .. }
            | Self::TooManyNames { .. }
            | Self::TooLarge { .. }
            | Self::TooManyStreams { .. }
            | Self::Ratio { .. }
            | Self::HeaderTooLarge { .. }
            | Self::Sparse { .. } => true,
            Self::TrailingGarbage { .. }
            | Self::PathTooLong { .. }
            | Self::PathEscapes { .. }
            | Self::BehindSymlink { .. }
            | Self::LinkTargetMissing { .. }
            | Self::UnknownType { .. }
            | Self::More { .. } => false,
        }
    }
}

/// Bytes in one piece, and not number by number.
mod as_bytes {
    use std::fmt;

    use serde::{
        Deserializer, Serializer,
        de::{Error, Visitor},
    };

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_byte_buf(Bytes)
    }

    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> LayerEvidence {
        let entry = |path: &str, kind| Entry { path: path.into(), kind, mode: 0o755, uid: 1, gid: 2, size: 3 };
        LayerEvidence {
            digest: Digest::of(b"a"),
            diff_id: Some(Digest::of(b"b")),
            compression: Compression::Zstd,
            size: 1,
            uncompressed_size: 2,
            entries: vec![
                entry("", EntryKind::Dir),
                entry("a", EntryKind::Symlink("../\u{fffd}".into())),
                entry("b", EntryKind::Hardlink("a".into())),
                entry("c", EntryKind::OpaqueDir),
            ],
            by_path: vec![0, 1, 2, 3],
            files: [("a".to_owned(), KeptFile { bytes: vec![0, 255, 7], truncated: true })].into(),
            told: Told::default(),
            problems: vec![LayerProblem::NotATar, LayerProblem::UnknownType { path: "x".into(), flag: '\u{ff}' }],
        }
    }

    #[test]
    fn package_files_are_wanted_anywhere() {
        let python = "opt/venv/lib/python3.11/site-packages/six-1.16.0.dist-info/METADATA";
        assert_eq!(wanted(python), Some(16 << 10));
        assert_eq!(wanted("app/node_modules/@s/a/package.json"), Some(256 << 10));
        assert_eq!(wanted("var/lib/dpkg/status.d/libc6"), Some(64 << 10));
        assert_eq!(wanted("var/lib/dpkg/status"), Some(32 << 20));
        assert_eq!((wanted("app/package.json"), wanted("METADATA"), wanted("a/b")), (None, None, None));
    }

    #[test]
    fn wanted_files_are_normal_paths_in_order() {
        assert!(WANTED.windows(2).all(|pair| pair[0].path < pair[1].path));
        for wanted in WANTED {
            let normal = crate::path::normalise(wanted.path.as_bytes(), &crate::caps::Caps::default()).unwrap();
            assert_eq!(normal, wanted.path.as_bytes());
        }
    }

    #[test]
    fn only_what_hides_the_rest_breaks_a_layer() {
        let mut evidence = sample();
        assert_eq!(evidence.broken(), Some(&LayerProblem::NotATar));
        evidence.problems = vec![LayerProblem::PathEscapes { path: "..".into() }, LayerProblem::More { count: 3 }];
        assert_eq!(evidence.broken(), None);
    }
}

//! Evidence as it is kept: postcard in one Zstandard frame with a checksum. A layer that was seen before is read back from it each time one of its
//! images is pushed, so it has to be read in milliseconds; nobody else reads it.

use zstd::{
    bulk::{Compressor, decompress},
    zstd_safe::get_frame_content_size,
};

use crate::evidence::LayerEvidence;

/// Plain bytes at most; a length that lies must not make us ask for memory. The caps on names and on what is kept stay far below.
const LARGEST: u64 = 1 << 30;

/// Why stored evidence could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// The compression.
    #[error("stored evidence is damaged: {0}")]
    Compression(#[from] std::io::Error),
    /// The document.
    #[error("stored evidence is malformed: {0}")]
    Document(#[from] postcard::Error),
    /// It does not say how long it is, or has more or less than that.
    #[error("stored evidence is damaged: its length is wrong")]
    Length,
}

impl LayerEvidence {
    /// A compact form for storing.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StoredError> {
        let mut compressor = Compressor::new(1)?;
        compressor.include_checksum(true)?;
        Ok(compressor.compress(&postcard::to_stdvec(self)?)?)
    }

    /// Reads back what [`LayerEvidence::to_bytes`] wrote; what is damaged is an error.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoredError> {
        let length = get_frame_content_size(bytes).ok().flatten().filter(|length| *length <= LARGEST).ok_or(StoredError::Length)?;
        let plain = decompress(bytes, usize::try_from(length).map_err(|_| StoredError::Length)?)?;
        match postcard::take_from_bytes(&plain)? {
            (evidence, []) => Ok(evidence),
            _ => Err(StoredError::Length),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::digest::Digest;
    use proptest::{
        collection::{btree_map, vec},
        option,
        prelude::*,
        sample::subsequence,
    };

    use super::*;
    use crate::{
        evidence::{Compression, Entry, EntryKind, KeptFile, LayerProblem, by_path},
        told::{Archive, GoBuild, Program, Told},
    };

    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["[a-z/.]{0,12}", any::<String>()]
    }

    fn kind() -> impl Strategy<Value = EntryKind> {
        use EntryKind::{Device, Dir, Fifo, File, Hardlink, OpaqueDir, Symlink, Whiteout};
        let link = (text(), any::<bool>()).prop_map(|(target, hard)| if hard { Hardlink(target) } else { Symlink(target) });
        prop_oneof![Just(File), Just(Dir), Just(Device), Just(Fifo), Just(Whiteout), Just(OpaqueDir), link]
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let all = (text(), kind(), any::<u32>(), any::<u32>(), any::<u32>(), any::<u64>());
        all.prop_map(|(path, kind, mode, uid, gid, size)| Entry { path, kind, mode, uid, gid, size })
    }

    fn told() -> impl Strategy<Value = Told> {
        let go = (text(), text()).prop_map(|(version, modules)| GoBuild { version, modules });
        let program = (option::of(go), option::of(text()), option::of(text()));
        let program = program.prop_map(|(go, crates, trouble)| Program { go, crates, trouble });
        let archive = (vec((text(), text()), 0..3), option::of(text())).prop_map(|(texts, trouble)| Archive { texts, trouble });
        (btree_map(text(), program, 0..3), btree_map(text(), archive, 0..3), btree_map(text(), vec(text(), 0..3), 0..3))
            .prop_map(|(programs, archives, owned)| Told { programs, archives, owned })
    }

    /// One of each.
    fn problems(n: u64, path: String, flag: char, compression: Compression) -> Vec<LayerProblem> {
        use LayerProblem as P;
        let (limit, offset, size, other, field) = (n, n, n, path.clone(), path.clone());
        vec![
            P::NotATar,
            P::ForeignCompression { format: path.clone() },
            P::Truncated { offset },
            P::TruncatedStream { compression, offset },
            P::CorruptStream { compression, offset },
            P::TrailingGarbage { compression, bytes: n },
            P::BadChecksum { offset },
            P::BadHeader { offset, field },
            P::TooManyEntries { limit },
            P::TooManyNames { limit },
            P::TooLarge { limit },
            P::TooManyStreams { compression, limit },
            P::Ratio { limit },
            P::PathTooLong { path: path.clone(), limit },
            P::HeaderTooLarge { offset, size, limit },
            P::PathEscapes { path: path.clone() },
            P::BehindSymlink { path: path.clone(), link: other.clone() },
            P::LinkTargetMissing { path: path.clone(), target: other },
            P::Sparse { path: path.clone() },
            P::UnknownType { path, flag },
            P::More { count: n },
        ]
    }

    fn evidence() -> impl Strategy<Value = LayerEvidence> {
        let compression = prop_oneof![Just(Compression::None), Just(Compression::Gzip), Just(Compression::Zstd)];
        let file = (vec(any::<u8>(), 0..40), any::<bool>()).prop_map(|(bytes, truncated)| KeptFile { bytes, truncated });
        let problems = (any::<u64>(), text(), any::<char>(), compression.clone())
            .prop_map(|(n, path, flag, compression)| problems(n, path, flag, compression))
            .prop_flat_map(|all| subsequence(all.clone(), 0..=all.len()));
        let digests = (any::<[u8; 32]>(), option::of(any::<[u8; 64]>()));
        (digests, compression, any::<(u64, u64)>(), vec(entry(), 0..20), btree_map(text(), file, 0..5), told(), problems).prop_map(
            |((digest, diff_id), compression, (size, uncompressed_size), entries, files, told, problems)| LayerEvidence {
                digest: Digest::from_sha256(digest),
                diff_id: diff_id.map(Digest::from_sha512),
                compression,
                size,
                uncompressed_size,
                by_path: by_path(&entries),
                entries,
                files,
                told,
                problems,
            },
        )
    }

    fn sample() -> LayerEvidence {
        LayerEvidence {
            digest: Digest::of(b"a"),
            diff_id: None,
            compression: Compression::None,
            size: 1,
            uncompressed_size: 2,
            entries: vec![Entry { path: "a/path".into(), kind: EntryKind::File, mode: 0o644, uid: 0, gid: 0, size: 3 }],
            by_path: vec![0],
            files: BTreeMap::from([("a/path".to_owned(), KeptFile { bytes: b"content ".repeat(9), truncated: false })]),
            told: Told::default(),
            problems: vec![],
        }
    }

    proptest! {
        #[test]
        fn stored_evidence_reads_back_equal(evidence in evidence()) {
            prop_assert_eq!(LayerEvidence::from_bytes(&evidence.to_bytes().unwrap()).unwrap(), evidence);
        }

        #[test]
        fn what_is_damaged_is_an_error(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
            let mut bytes = sample().to_bytes().unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            // A bit of the frame's head may mean nothing; then nothing is lost.
            prop_assert!(LayerEvidence::from_bytes(&bytes).map_or(true, |read| read == sample()));
            bytes.truncate(at);
            prop_assert!(LayerEvidence::from_bytes(&bytes).is_err());
        }

        #[test]
        fn no_document_makes_it_panic(plain in vec(any::<u8>(), 0..200)) {
            let bytes = zstd::bulk::compress(&plain, 1).unwrap();
            if let Ok(read) = LayerEvidence::from_bytes(&bytes) {
                prop_assert_eq!(LayerEvidence::from_bytes(&read.to_bytes().unwrap()).unwrap(), read);
            }
        }
    }

    #[test]
    fn a_length_that_lies_asks_for_no_memory() {
        // A frame without content that says it has 2^60 bytes (RFC 8878, section 3.1.1.1).
        let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000][..], &(1_u64 << 60).to_le_bytes(), &[1, 0, 0]].concat();
        assert!(matches!(LayerEvidence::from_bytes(&frame), Err(StoredError::Length)));
        let mut more = postcard::to_stdvec(&sample()).unwrap();
        more.push(0);
        assert!(matches!(LayerEvidence::from_bytes(&zstd::bulk::compress(&more, 1).unwrap()), Err(StoredError::Length)));
    }
}

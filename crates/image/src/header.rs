//! The 512 bytes in front of every tar member: old v7, ustar, GNU, star. Pure; nothing in here trusts a length.

/// Size of a header, and the unit everything in a tar is padded to.
pub(crate) const BLOCK: usize = 512;

/// A header block.
pub(crate) type Block = [u8; BLOCK];

/// The fields of a header that mean something to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Name with its prefix, up to the first NUL.
    pub name: Vec<u8>,
    /// Link target, up to the first NUL.
    pub link: Vec<u8>,
    /// Type flag as written.
    pub flag: u8,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Stored bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: i64,
}

/// What is wrong with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    Checksum,
    Field(&'static str),
}

/// Reads a block that is not all zeros.
pub(crate) fn parse(block: &Block) -> Result<Header, Bad> {
    if !checksum_holds(block) {
        return Err(Bad::Checksum);
    }
    let unsigned = |range: std::ops::Range<usize>, field| {
        let value = number(&block[range]).ok_or(Bad::Field(field))?;
        u64::try_from(value).map_err(|_| Bad::Field(field))
    };
    let mut name = Vec::from(text(prefix(block)));
    if !name.is_empty() {
        name.push(b'/');
    }
    name.extend_from_slice(text(&block[0..100]));
    Ok(Header {
        name,
        link: text(&block[157..257]).to_vec(),
        flag: block[156],
        mode: (unsigned(100..108, "mode")? & 0o7777) as u32,
        uid: unsigned(108..116, "owner")?,
        gid: unsigned(116..124, "group")?,
        size: unsigned(124..136, "size")?,
        mtime: number(&block[136..148]).ok_or(Bad::Field("time"))?,
    })
}

/// The part of the name that stands in front, in the formats that have it.
fn prefix(block: &Block) -> &[u8] {
    match &block[257..263] {
        b"ustar\0" if &block[508..512] == b"tar\0" => &block[345..476],
        b"ustar\0" => &block[345..500],
        _ => &[],
    }
}

/// Old tools summed signed bytes, so both sums count.
fn checksum_holds(block: &Block) -> bool {
    let Some(wanted) = number(&block[148..156]) else { return false };
    let (mut unsigned, mut signed) = (0i64, 0i64);
    for (at, &byte) in block.iter().enumerate() {
        let byte = if (148..156).contains(&at) { b' ' } else { byte };
        unsigned += i64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    wanted == unsigned || wanted == signed
}

/// A field up to its first NUL.
pub(crate) fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Octal digits between spaces and NULs, or base-256 when the first bit is set. An empty field is 0.
pub(crate) fn number(field: &[u8]) -> Option<i64> {
    if field.first().is_some_and(|byte| byte & 0x80 != 0) {
        return base256(field);
    }
    let blank = |byte: &u8| *byte == b' ' || *byte == 0;
    let start = field.iter().position(|byte| !blank(byte)).unwrap_or(field.len());
    let digits = text(field.get(start..)?).trim_ascii_end();
    digits.iter().try_fold(0i64, |value, &byte| match byte {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(byte - b'0')),
        _ => None,
    })
}

/// Big-endian two's complement without its first bit.
fn base256(field: &[u8]) -> Option<i64> {
    let (&first, rest) = field.split_first()?;
    let head = if first & 0x40 != 0 { i64::from((first | 0x80).cast_signed()) } else { i64::from(first & 0x7f) };
    rest.iter().try_fold(head, |value, &byte| value.checked_mul(256)?.checked_add(i64::from(byte)))
}

/// One entry of an old GNU sparse map: where the bytes belong, and how many.
pub(crate) type Segment = (u64, u64);

/// The sparse map inside a header of type `S`: its segments, whether further blocks follow, and the real size.
pub(crate) fn sparse_start(block: &Block) -> Option<(Vec<Segment>, bool, u64)> {
    let real_size = u64::try_from(number(&block[483..495])?).ok()?;
    Some((segments(&block[386..482])?, block[482] != 0, real_size))
}

/// The sparse map in a block behind the header: its segments, and whether another follows.
pub(crate) fn sparse_more(block: &Block) -> Option<(Vec<Segment>, bool)> {
    Some((segments(&block[..504])?, block[504] != 0))
}

fn segments(bytes: &[u8]) -> Option<Vec<Segment>> {
    let mut found = Vec::new();
    for pair in bytes.chunks_exact(24) {
        if pair[0] == 0 {
            break;
        }
        let (offset, length) = pair.split_at(12);
        found.push((u64::try_from(number(offset)?).ok()?, u64::try_from(number(length)?).ok()?));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(name: &str, change: impl FnOnce(&mut tar::Header)) -> Block {
        let mut header = tar::Header::new_gnu();
        header.set_path(name).unwrap();
        header.set_mode(0o4755);
        header.set_uid(1000);
        header.set_gid(7);
        header.set_size(12);
        header.set_mtime(1_700_000_000);
        change(&mut header);
        header.set_cksum();
        *header.as_bytes()
    }

    #[test]
    fn reads_the_fields() {
        let header = parse(&block("usr/bin/app", |_| ())).unwrap();
        assert_eq!(header.name, b"usr/bin/app");
        assert_eq!((header.mode, header.uid, header.gid, header.size, header.mtime), (0o4755, 1000, 7, 12, 1_700_000_000));
    }

    #[test]
    fn reads_large_numbers_as_gnu_writes_them() {
        let header = parse(&block("big", |header| header.set_size(9 << 33))).unwrap();
        assert_eq!(header.size, 9 << 33);
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff"), Some(-1));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\0\x05"), Some(5));
        assert_eq!(number(b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }

    #[test]
    fn octal_fields_in_all_their_spellings() {
        for (field, value) in
            [(&b"0000644\0"[..], 0o644), (b"   644 \0", 0o644), (b"77777777", 0o77777777), (b"\0\0\0\0", 0), (b"12 \0", 10)]
        {
            assert_eq!(number(field), Some(value), "{field:?}");
        }
        for field in [&b"00x0644\0"[..], b"8\0", b"-1\0", b"6 4\0"] {
            assert_eq!(number(field), None, "{field:?}");
        }
    }

    #[test]
    fn a_changed_byte_breaks_the_checksum() {
        let mut damaged = block("a", |_| ());
        damaged[0] ^= 1;
        assert_eq!(parse(&damaged), Err(Bad::Checksum));
    }

    #[test]
    fn a_signed_checksum_counts_too() {
        let mut signed = block("a", |_| ());
        signed[1] = 0xe9;
        let sum: i64 =
            signed.iter().enumerate().map(|(at, &b)| if (148..156).contains(&at) { 32 } else { i64::from(b.cast_signed()) }).sum();
        signed[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert_eq!(parse(&signed).unwrap().name, b"a\xe9");
    }

    #[test]
    fn ustar_has_a_prefix_and_gnu_has_not() {
        let mut header = tar::Header::new_ustar();
        let long = format!("{}/{}", "d".repeat(120), "f".repeat(90));
        header.set_path(&long).unwrap();
        header.set_size(0);
        header.set_mode(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        assert_eq!(parse(header.as_bytes()).unwrap().name, long.as_bytes());
        let gnu = block("x", |header| header.as_gnu_mut().unwrap().set_atime(1));
        assert_eq!(parse(&gnu).unwrap().name, b"x");
    }

    proptest::proptest! {
        #[test]
        fn no_block_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, BLOCK)) {
            let block: Block = bytes.try_into().unwrap();
            let _ = parse(&block);
            let _ = sparse_start(&block);
            let _ = sparse_more(&block);
        }
    }
}

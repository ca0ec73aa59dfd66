use std::io::Read;

use proptest::prelude::*;

use super::*;
use crate::pax::tests::written;

/// What a visitor saw, contents with their holes filled.
#[derive(Default, Debug, PartialEq, Eq)]
struct Seen {
    members: Vec<(RawMember, Vec<u8>)>,
    open: bool,
}

impl Visitor for Seen {
    fn member(&mut self, member: RawMember) {
        assert!(!self.open, "a member begins inside another");
        self.open = true;
        self.members.push((member, Vec::new()));
    }

    fn data(&mut self, bytes: &[u8]) {
        assert!(self.open);
        self.members.last_mut().unwrap().1.extend_from_slice(bytes);
    }

    fn hole(&mut self, length: u64) {
        assert!(self.open);
        let content = &mut self.members.last_mut().unwrap().1;
        content.resize(content.len() + length as usize, 0);
    }

    fn end(&mut self) {
        assert!(self.open);
        self.open = false;
    }
}

fn read_in(bytes: &[u8], piece: usize, caps: &Caps) -> (Seen, Option<LayerProblem>) {
    let (mut reader, mut seen) = (TarReader::new(caps), Seen::default());
    bytes.chunks(piece).for_each(|chunk| reader.push(chunk, &mut seen));
    (seen, reader.finish())
}

fn read(bytes: &[u8]) -> (Seen, Option<LayerProblem>) {
    read_in(bytes, usize::MAX, &Caps::default())
}

fn paths(seen: &Seen) -> Vec<String> {
    seen.members.iter().map(|(member, _)| String::from_utf8_lossy(&member.path).into_owned()).collect()
}

fn header(kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(1);
    header.set_gid(2);
    header.set_mtime(3);
    header
}

fn archive(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    build(&mut builder);
    builder.into_inner().unwrap()
}

fn add(builder: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8]) {
    builder.append_data(&mut header(tar::EntryType::Regular, bytes.len() as u64), path, bytes).unwrap();
}

fn raw(kind: u8, name: &[u8], content: &[u8], change: impl FnOnce(&mut tar::Header)) -> Vec<u8> {
    let mut header = header(tar::EntryType::new(kind), content.len() as u64);
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    change(&mut header);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

const END: [u8; 1024] = [0; 1024];

#[test]
fn names_beyond_the_header() {
    let long = format!("{}/file", "d/".repeat(120));
    let target = "t".repeat(200);
    let bytes = archive(|builder| {
        add(builder, &long, b"x");
        builder.append_link(&mut header(tar::EntryType::Symlink, 0), "link", &target).unwrap();
        builder.append_pax_extensions([("path", &b"from-pax"[..]), ("uid", b"99"), ("mtime", b"7.5")]).unwrap();
        add(builder, "from-header", b"yy");
        add(builder, "plain", b"");
    });
    let (seen, problem) = read(&bytes);
    assert_eq!(problem, None);
    assert_eq!(paths(&seen), [&long, "link", "from-pax", "plain"]);
    assert_eq!(seen.members[1].0.link, target.as_bytes());
    assert_eq!((seen.members[2].0.uid, seen.members[2].0.gid, seen.members[2].0.mtime), (99, 2, (7, 500_000_000)));
    assert_eq!(seen.members[3].0.uid, 1);
}

#[test]
fn a_global_header_counts_until_it_is_taken_back() {
    let bytes = [
        raw(b'g', b"global", b"9 gid=77\n", |_| ()),
        raw(b'0', b"a", b"", |_| ()),
        raw(b'x', b"local", b"9 gid=88\n", |_| ()),
        raw(b'0', b"b", b"", |_| ()),
        raw(b'0', b"c", b"", |_| ()),
        raw(b'g', b"global", b"7 gid=\n", |_| ()),
        raw(b'0', b"d", b"", |_| ()),
    ]
    .concat();
    let gids: Vec<u64> = read(&bytes).0.members.iter().map(|(member, _)| member.gid).collect();
    assert_eq!(gids, [77, 88, 77, 2]);
}

#[test]
fn a_size_in_a_pax_header_replaces_the_other() {
    let content = b"four";
    let bytes = [raw(b'x', b"p", b"10 size=4\n", |_| ()), raw(b'0', b"a", content, |header| header.set_size(0)), END.to_vec()].concat();
    let (seen, problem) = read(&bytes);
    assert_eq!((seen.members[0].1.as_slice(), problem), (&content[..], None));
}

#[test]
fn links_and_directories_have_no_content_whatever_their_size_says() {
    let bytes = [
        raw(b'5', b"d/", b"", |header| header.set_size(4096)),
        raw(b'1', b"l", b"", |header| header.set_size(7)),
        raw(b'0', b"f", b"x", |_| ()),
    ]
    .concat();
    let (seen, problem) = read(&bytes);
    assert_eq!((paths(&seen), problem), (vec!["d/".to_owned(), "l".to_owned(), "f".to_owned()], None));
}

#[test]
fn old_archives_mark_directories_with_a_slash() {
    let (seen, _) = read(&[raw(0, b"old/", b"", |_| ()), raw(0, b"old/f", b"x", |_| ()), raw(b'7', b"c", b"x", |_| ())].concat());
    let flags: Vec<u8> = seen.members.iter().map(|(member, _)| member.flag).collect();
    assert_eq!(flags, [b'5', b'0', b'0']);
}

#[test]
fn old_gnu_sparse_files_get_their_holes_back() {
    let octal = |field: &mut [u8], value: u64| field.copy_from_slice(format!("{value:011o}\0").as_bytes());
    let sparse = |segments: &[(u64, u64)], extended: bool, real: u64, content: &[u8]| {
        raw(b'S', b"sparse", content, |header| {
            let gnu = header.as_gnu_mut().unwrap();
            for (field, (offset, length)) in gnu.sparse.iter_mut().zip(segments) {
                octal(&mut field.offset, *offset);
                octal(&mut field.numbytes, *length);
            }
            gnu.isextended[0] = u8::from(extended);
            octal(&mut gnu.realsize, real);
        })
    };
    let bytes = [sparse(&[(0, 2), (512, 3), (1000, 0)], false, 1000, b"abcde"), raw(b'0', b"next", b"x", |_| ())].concat();
    for piece in [1, 3, 512, 5000] {
        let (seen, problem) = read_in(&bytes, piece, &Caps::default());
        assert_eq!((problem, paths(&seen)), (None, vec!["sparse".to_owned(), "next".to_owned()]));
        let (member, content) = &seen.members[0];
        let expected = [&b"ab"[..], &[0; 510], b"cde", &[0; 485]].concat();
        assert_eq!((member.size, member.flag, content), (1000, b'0', &expected));
    }
    // The map goes on in a block of its own.
    let mut extended = sparse(&[(0, 1), (2, 1), (4, 1), (6, 1)], true, 10, b"abcdX");
    let mut map = [0; BLOCK];
    octal(&mut map[0..12], 9);
    octal(&mut map[12..24], 1);
    extended.splice(BLOCK..BLOCK, map);
    let (seen, problem) = read(&extended);
    assert_eq!((problem, seen.members[0].1.as_slice()), (None, &b"a\0b\0c\0d\0\0X"[..]));
    // A map that does not fit is refused, never followed.
    for (segments, real, content) in
        [(&[(5, 2), (0, 1)][..], 10, &b"abc"[..]), (&[(0, 20)], 10, b"abc"), (&[(0, 2)], 10, b"abc"), (&[((1 << 33) - 1, 3)], 10, b"abc")]
    {
        assert!(matches!(read(&sparse(segments, false, real, content)).1, Some(LayerProblem::BadHeader { .. })), "{segments:?}");
    }
}

#[test]
fn pax_sparse_files_are_marked() {
    let records = [written("GNU.sparse.major", "1"), written("GNU.sparse.name", "real"), written("GNU.sparse.realsize", "9999")].concat();
    let (seen, _) = read(&[raw(b'x', b"p", &records, |_| ()), raw(b'0', b"GNUSparseFile.0/real", b"1\n0\n9\n", |_| ())].concat());
    let member = &seen.members[0].0;
    assert_eq!((member.storage, member.size, member.path.as_slice()), (Storage::PaxSparse, 9999, &b"real"[..]));
}

#[test]
fn ends_are_told_apart() {
    let member = raw(b'0', b"a", &[1; 600], |_| ());
    assert_eq!(read(b""), (Seen::default(), None));
    assert_eq!(read(&END), (Seen::default(), None));
    assert_eq!(read(&member).1, None, "a missing end mark");
    assert_eq!(read(&member[..512 + 600]).1, None, "missing padding");
    assert_eq!(read(&[&member[..], &END[..512]].concat()).1, None, "half an end mark");
    assert_eq!(read(&[&member[..], &END, b"whatever follows"].concat()).1, None);
    assert_eq!(read(&member[..512 + 599]).1, Some(LayerProblem::Truncated { offset: 1111 }));
    assert_eq!(read(&member[..100]).1, Some(LayerProblem::NotATar));
    assert_eq!(read(&[&member[..], b"x"].concat()).1, Some(LayerProblem::Truncated { offset: 1537 }));
    assert!(matches!(read(&[&END[..512], &member].concat()).1, Some(LayerProblem::BadHeader { offset: 512, .. })));
    assert!(matches!(read(&raw(b'x', b"p", &[b'1'; 10], |_| ())[..515]).1, Some(LayerProblem::Truncated { .. })));
}

#[test]
fn damage_is_told_with_its_place() {
    let member = raw(b'0', b"a", b"x", |_| ());
    assert_eq!(read(br#"{"architecture":"amd64"}"#).1, Some(LayerProblem::NotATar));
    assert_eq!(read(&[b'x'; 600]).1, Some(LayerProblem::NotATar));
    let mut second = member.clone();
    second[0] ^= 1;
    assert_eq!(read(&[&member[..], &second].concat()).1, Some(LayerProblem::BadChecksum { offset: 1024 }));
    let bad_size = raw(b'0', b"a", b"x", |header| header.as_old_mut().size = *b"not a number");
    assert_eq!(read(&bad_size).1, Some(LayerProblem::BadHeader { offset: 0, field: "size".into() }));
    assert_eq!(read(&raw(b'x', b"p", b"nonsense", |_| ())).1, Some(LayerProblem::BadHeader { offset: 0, field: "pax record".into() }));
}

#[test]
fn caps_hold() {
    let many = archive(|builder| (0..5).for_each(|n| add(builder, &format!("file{n}"), b"")));
    let (seen, problem) = read_in(&many, 100, &Caps { entries: 3, ..Caps::default() });
    assert_eq!((seen.members.len(), problem), (3, Some(LayerProblem::TooManyEntries { limit: 3 })));
    let problem = read_in(&many, 100, &Caps { names: 11, ..Caps::default() }).1;
    assert_eq!(problem, Some(LayerProblem::TooManyNames { limit: 11 }));
    let wide = raw(b'L', b"long", &[b'a'; 100], |_| ());
    let problem = read_in(&wide, 100, &Caps { pax: 99, ..Caps::default() }).1;
    assert_eq!(problem, Some(LayerProblem::HeaderTooLarge { offset: 0, size: 100, limit: 99 }));
    let endless = raw(b'0', b"a", b"x", |header| header.as_old_mut().size = [0x80, 0, 0, 0, 0x7f, 255, 255, 255, 255, 255, 255, 255]);
    assert!(matches!(read(&endless).1, Some(LayerProblem::Truncated { .. })));
}

/// A member as the oracle sees it.
#[derive(Debug, PartialEq, Eq)]
struct Plain {
    path: Vec<u8>,
    link: Vec<u8>,
    flag: u8,
    mode: u32,
    ids: (u64, u64),
    mtime: i64,
    content: Vec<u8>,
}

fn by_the_tar_crate(bytes: &[u8]) -> Vec<Plain> {
    let mut archive = tar::Archive::new(bytes);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let header = entry.header();
        Plain {
            path: entry.path_bytes().into_owned(),
            link: entry.link_name_bytes().unwrap_or_default().into_owned(),
            flag: header.entry_type().as_byte(),
            mode: header.mode().unwrap(),
            ids: (header.uid().unwrap(), header.gid().unwrap()),
            mtime: header.mtime().unwrap() as i64,
            content,
        }
    };
    archive.entries().unwrap().map(read).collect()
}

fn by_us(bytes: &[u8], piece: usize) -> Vec<Plain> {
    let (seen, problem) = read_in(bytes, piece, &Caps::default());
    assert_eq!(problem, None);
    let plain = |(member, content): (RawMember, Vec<u8>)| Plain {
        path: member.path,
        link: member.link,
        flag: member.flag,
        mode: member.mode,
        ids: (member.uid, member.gid),
        mtime: member.mtime.0,
        content,
    };
    seen.members.into_iter().map(plain).collect()
}

#[derive(Clone, Debug)]
struct Wanted {
    path: String,
    kind: u8,
    link: String,
    mode: u32,
    uid: u64,
    mtime: u64,
    content: Vec<u8>,
    ustar: bool,
    pax: Option<u64>,
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let path = prop_oneof![4 => "[a-zé ]{1,20}(/[a-z.]{1,9}[a-z]){0,3}", 1 => "[a-z]{60,90}/[a-z]{60,90}/[a-z]{1,60}"];
    let kind = prop_oneof![4 => Just(b'0'), 1 => Just(b'1'), 1 => Just(b'2'), 1 => Just(b'5'), 1 => Just(b'6')];
    let big = prop_oneof![0u64..4096, 2_000_000u64..1 << 40];
    let content = prop_oneof![proptest::collection::vec(any::<u8>(), 0..20), proptest::collection::vec(any::<u8>(), 500..1100)];
    (path, kind, "[a-z/]{1,150}", 0u32..0o10000, big, 0u64..1 << 33, content, any::<bool>(), proptest::option::of(0u64..1 << 50)).prop_map(
        |(path, kind, link, mode, uid, mtime, content, ustar, pax)| Wanted { path, kind, link, mode, uid, mtime, content, ustar, pax },
    )
}

fn archived(members: &[Wanted]) -> Vec<u8> {
    archive(|builder| {
        for wanted in members {
            let mut header = if wanted.ustar && wanted.uid < 1 << 21 { tar::Header::new_ustar() } else { tar::Header::new_gnu() };
            header.set_entry_type(tar::EntryType::new(wanted.kind));
            header.set_mode(wanted.mode);
            header.set_uid(wanted.uid);
            header.set_gid(7);
            header.set_mtime(wanted.mtime);
            header.set_size(0);
            if let Some(uid) = wanted.pax {
                builder.append_pax_extensions([("uid", uid.to_string().as_bytes()), ("comment", b"x\ny=z")]).unwrap();
            }
            match wanted.kind {
                b'1' | b'2' => builder.append_link(&mut header, &wanted.path, &wanted.link).unwrap(),
                b'0' => {
                    header.set_size(wanted.content.len() as u64);
                    builder.append_data(&mut header, &wanted.path, &wanted.content[..]).unwrap();
                }
                _ => builder.append_data(&mut header, &wanted.path, std::io::empty()).unwrap(),
            }
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn reads_what_the_tar_crate_reads(members in proptest::collection::vec(wanted(), 0..6), piece in 1usize..2000) {
        let bytes = archived(&members);
        prop_assert_eq!(by_us(&bytes, piece), by_the_tar_crate(&bytes));
    }

    #[test]
    fn any_bytes_are_read_alike_in_any_pieces(
        members in proptest::collection::vec(wanted(), 1..4),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        piece in 1usize..700,
    ) {
        let mut bytes = archived(&members);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        prop_assert_eq!(read_in(&bytes, piece, &Caps::default()), read(&bytes));
    }

    #[test]
    fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        read(&bytes);
    }
}

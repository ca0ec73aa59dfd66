//! What a tar member means in a layer: a normal path, a kind, whiteouts told from files. Evidence and unpacking both read members through
//! here, so that what was judged is what runs.

use crate::{
    caps::Caps,
    evidence::LayerProblem,
    path::{self, Refused},
    tar::{RawMember, Storage},
};

/// Owner of a member whose number does not fit: nobody.
const NOBODY: u32 = 65534;

/// A member of a layer. Paths are bytes here, because a file system takes any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub path: Vec<u8>,
    pub kind: Kind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub mtime: (i64, u32),
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Dir,
    /// Target as written.
    Symlink(Vec<u8>),
    /// Normal path of the target.
    Hardlink(Vec<u8>),
    Device,
    Fifo,
    /// Hides [`Member::path`] below.
    Whiteout,
    /// Hides what is in [`Member::path`] below.
    OpaqueDir,
}

/// Reads a member. `Ok(None)` for what runtimes skip in silence; an error for what is ignored with a reason.
pub(crate) fn interpret(raw: &RawMember, caps: &Caps) -> Result<Option<Member>, LayerProblem> {
    if raw.storage == Storage::PaxSparse {
        return Err(LayerProblem::Sparse { path: raw.shown() });
    }
    if matches!(raw.flag, b'V' | b'X') {
        return Ok(None);
    }
    let mut normal = normalise(&raw.path, caps)?;
    let Some(kind) = kind(raw, &mut normal, caps)? else { return Ok(None) };
    let size = if kind == Kind::File { raw.size } else { 0 };
    let owner = |id: u64| u32::try_from(id).ok().filter(|&id| id != u32::MAX).unwrap_or(NOBODY);
    Ok(Some(Member { path: normal, kind, mode: raw.mode, uid: owner(raw.uid), gid: owner(raw.gid), size, mtime: raw.mtime }))
}

fn kind(raw: &RawMember, normal: &mut Vec<u8>, caps: &Caps) -> Result<Option<Kind>, LayerProblem> {
    if let Some(hidden) = path::split(normal).1.strip_prefix(b".wh.") {
        return whiteout(raw, hidden.to_vec(), normal);
    }
    if normal.is_empty() && raw.flag != b'5' {
        return Err(LayerProblem::PathEscapes { path: raw.shown() });
    }
    Ok(Some(match raw.flag {
        b'0' => Kind::File,
        b'5' => Kind::Dir,
        b'3' | b'4' => Kind::Device,
        b'6' => Kind::Fifo,
        b'1' => Kind::Hardlink(Some(normalise(&raw.link, caps)?).filter(|target| !target.is_empty()).ok_or_else(|| empty_link(raw))?),
        b'2' if raw.link.is_empty() => return Err(empty_link(raw)),
        b'2' if raw.link.len() >= caps.path => return Err(too_long(&raw.link, caps)),
        b'2' => Kind::Symlink(raw.link.clone()),
        flag => return Err(LayerProblem::UnknownType { path: raw.shown(), flag: char::from(flag) }),
    }))
}

/// OCI image specification, layers: `.wh.NAME` hides NAME, `.wh..wh..opq` empties its directory; other `.wh..wh.` names are leftovers of AUFS.
fn whiteout(raw: &RawMember, hidden: Vec<u8>, normal: &mut Vec<u8>) -> Result<Option<Kind>, LayerProblem> {
    let parent = path::split(normal).0.len();
    normal.truncate(parent);
    match &hidden[..] {
        b".wh..opq" => return Ok(Some(Kind::OpaqueDir)),
        b"" | b"." | b".." => return Err(LayerProblem::PathEscapes { path: raw.shown() }),
        aufs if aufs.starts_with(b".wh.") => return Ok(None),
        _ => {}
    }
    if parent > 0 {
        normal.push(b'/');
    }
    normal.extend_from_slice(&hidden);
    Ok(Some(Kind::Whiteout))
}

fn normalise(raw: &[u8], caps: &Caps) -> Result<Vec<u8>, LayerProblem> {
    path::normalise(raw, caps).map_err(|refused| match refused {
        Refused::Escapes => LayerProblem::PathEscapes { path: path::shown(raw) },
        Refused::TooLong => too_long(raw, caps),
    })
}

fn too_long(raw: &[u8], caps: &Caps) -> LayerProblem {
    LayerProblem::PathTooLong { path: path::shown(raw), limit: caps.path as u64 }
}

fn empty_link(raw: &RawMember) -> LayerProblem {
    LayerProblem::BadHeader { offset: raw.offset, field: "link target: it is empty".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, flag: u8, link: &str) -> Result<Option<(String, Kind)>, LayerProblem> {
        let raw = RawMember {
            path: path.into(),
            link: link.into(),
            flag,
            mode: 0o644,
            uid: 0,
            gid: u64::MAX,
            size: 5,
            mtime: (0, 0),
            offset: 0,
            data_offset: 512,
            storage: Storage::Plain,
        };
        let member = interpret(&raw, &Caps::default())?;
        Ok(member.map(|member| {
            assert_eq!(member.gid, NOBODY);
            (String::from_utf8(member.path).unwrap(), member.kind)
        }))
    }

    #[test]
    fn tells_whiteouts_from_files() {
        for (path, normal, kind) in [
            ("./etc/.wh.passwd", "etc/passwd", Kind::Whiteout),
            (".wh.etc", "etc", Kind::Whiteout),
            ("etc/.wh..wh..opq", "etc", Kind::OpaqueDir),
            (".wh..wh..opq", "", Kind::OpaqueDir),
            ("a.wh.b", "a.wh.b", Kind::File),
            (".wh.a/b", ".wh.a/b", Kind::File),
        ] {
            assert_eq!(read(path, b'0', "").unwrap(), Some((normal.to_owned(), kind)), "{path}");
        }
        assert_eq!(read(".wh..wh.plnk", b'5', ""), Ok(None));
    }

    #[test]
    fn refuses_paths_that_leave_the_image() {
        for (path, flag, link) in
            [("../x", b'0', ""), ("a/.wh...", b'0', ""), (".wh.", b'0', ""), ("x", b'1', "../../etc/shadow"), ("/", b'2', "x")]
        {
            assert!(matches!(read(path, flag, link), Err(LayerProblem::PathEscapes { .. })), "{path}");
        }
        assert!(matches!(read("x", b'2', &"a".repeat(4096)), Err(LayerProblem::PathTooLong { .. })));
        assert!(matches!(read("x", b'2', ""), Err(LayerProblem::BadHeader { .. })));
    }

    #[test]
    fn links_keep_their_meaning() {
        assert_eq!(read("x", b'2', "../../etc/shadow").unwrap().unwrap().1, Kind::Symlink(b"../../etc/shadow".to_vec()));
        assert_eq!(read("x", b'1', "/a/./b").unwrap().unwrap().1, Kind::Hardlink(b"a/b".to_vec()));
    }

    #[test]
    fn an_unknown_type_is_named() {
        assert_eq!(read("x", b'Q', ""), Err(LayerProblem::UnknownType { path: "x".into(), flag: 'Q' }));
    }
}

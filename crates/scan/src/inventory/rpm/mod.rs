//! rpm's packages: its database in each of its three forms. The headers of the packages in it are the same in all.

mod bdb;
mod header;
mod ndb;
mod sqlite;

use super::{Kept, Named, Source, Teller, Telling};

pub(super) const TELLER: Teller = Teller { from: Source::File { tells, read }, ecosystem: Err("rpm"), whole: true };

/// Largest header that is read, bytes. That of a package with 100,000 files has 20 MB.
const LARGEST: usize = 64 << 20;

fn tells(path: &str) -> bool {
    let Some((folder, name)) = path.rsplit_once('/') else { return false };
    matches!(folder, "var/lib/rpm" | "usr/lib/sysimage/rpm") && matches!(name, "Packages" | "Packages.db" | "rpmdb.sqlite")
}

fn read(kept: &Kept<'_>) -> Telling {
    let mut telling = Telling::default();
    let mut unread = 0;
    let mut take = |blob: &[u8]| match header::read(blob, kept.others, &mut telling.owned) {
        // Keys that sign packages stand among them.
        Some(header) if header.name == "gpg-pubkey" => {}
        Some(header) => telling.packages.push(named(header)),
        None => unread += 1,
    };
    let end = match kept.bytes {
        bytes if bytes.starts_with(b"SQLite format 3\0") => sqlite::headers(bytes, kept.log, &mut take),
        bytes if bytes.starts_with(b"RpmP") => ndb::headers(bytes, &mut take),
        bytes if bdb::is_one(bytes) => bdb::headers(bytes, &mut take),
        [] => Err("is empty"),
        _ => Err("is no database of rpm that can be read (sqlite, ndb or bdb)"),
    };
    telling.trouble = match end {
        Err(what) => Some(what.to_owned()),
        Ok(()) if unread > 0 => Some(format!("has {unread} packages whose header cannot be read")),
        Ok(()) => None,
    };
    telling
}

fn named(header: header::Header) -> Named {
    let with_epoch = |version: &str| header.epoch.map_or_else(|| version.to_owned(), |epoch| format!("{epoch}:{version}"));
    let version = with_epoch(&format!("{}-{}", header.version, header.release));
    // NAME-VERSION-RELEASE.src.rpm; the epoch is that of the package, nearly always.
    let source = header.source.as_deref().and_then(|file| {
        let (rest, release) = file.strip_suffix(".rpm")?.rsplit_once('.')?.0.rsplit_once('-')?;
        let (name, version) = rest.rsplit_once('-')?;
        Some((name.to_owned(), with_epoch(&format!("{version}-{release}"))))
    });
    Named { source: source.or_else(|| Some((header.name.clone(), version.clone()))), ..Named::new(header.name, version) }
}

/// Numbers of a file in one order of bytes.
fn number(bytes: &[u8], at: usize, length: usize, big: bool) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    let fold = |sum: usize, byte: &u8| sum << 8 | usize::from(*byte);
    Some(if big { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
}

#[cfg(test)]
mod tests;

//! The one error of this crate: every value says what was being done, and to which file, digest or row.

use std::{io, path::PathBuf};

use model::{digest::Digest, id::OrganizationId};

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database file could not be opened or created.
    #[error("the database {path} could not be opened; check that the folder exists and is writable")]
    Open {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: sqlx::Error,
    },
    /// The tables could not be brought to this version.
    #[error("the database {path} could not be brought to this version; it may have been written by a newer one")]
    Migrate {
        /// The database file.
        path: PathBuf,
        /// Which migration, and why.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// A statement failed.
    #[error("the database refused a statement")]
    Database(#[from] sqlx::Error),
    /// A file operation failed.
    #[error("could not {doing} {path}")]
    File {
        /// A verb, such as `write`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A request to the service that keeps the blobs failed, also when tried again.
    #[error("could not {doing} {what} in the bucket; check storage.* and whether the service is up")]
    Bucket {
        /// A verb, such as `write`.
        doing: &'static str,
        /// The object, or the bucket.
        what: String,
        /// Whether it may work in a moment.
        passing: bool,
        /// What the service said, or why it could not be reached.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A thread of ours ended before its work was done.
    #[error("a thread that worked on a file ended unexpectedly")]
    Interrupted,
    /// A row is there, but its file is not, or has another size: the disk lost something.
    #[error("blob {digest} is recorded but its file {path} is missing")]
    BlobLost {
        /// The content wanted.
        digest: Digest,
        /// Where it should be.
        path: PathBuf,
    },
    /// There is no room for it in what the organization may keep.
    #[error("organization {organization} keeps {used} of {quota} bytes, and this needs {needs} more")]
    OverQuota {
        /// Whose quota.
        organization: OrganizationId,
        /// Bytes it keeps.
        used: u64,
        /// Bytes it may keep.
        quota: u64,
        /// Bytes that were to come.
        needs: u64,
    },
    /// A value in the database breaks the rule of its type.
    #[error("table {table} holds {value:?}, which is no {expected}")]
    Row {
        /// The table.
        table: &'static str,
        /// What should have been there.
        expected: &'static str,
        /// What is there, shortened.
        value: String,
    },
}

/// What a caller may want to treat differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No space left, or a quota of the file system is used up: free some and try again.
    DiskFull,
    /// Too much at once; trying again later may help.
    Busy,
    /// The organization keeps as much as it may.
    OverQuota,
    /// Everything else.
    Other,
}

impl Error {
    /// Wraps a file error with what was being done to which path.
    pub fn file(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { doing, path: path.into(), source }
    }

    /// A value in the database that breaks the rule of its type.
    pub fn row(table: &'static str, expected: &'static str, value: &str) -> Self {
        Self::Row { table, expected, value: value.chars().take(80).collect() }
    }

    /// What a caller may want to treat differently.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File { source, .. } => io_kind(source),
            Self::Database(source) | Self::Open { source, .. } => database_kind(source),
            Self::OverQuota { .. } => ErrorKind::OverQuota,
            Self::Bucket { passing: true, .. } => ErrorKind::Busy,
            Self::Migrate { .. } | Self::BlobLost { .. } | Self::Row { .. } | Self::Bucket { .. } | Self::Interrupted => ErrorKind::Other,
        }
    }
}

/// 23 and 24 are ENFILE and EMFILE, too many open files, for which the standard library has no kind.
fn io_kind(error: &io::Error) -> ErrorKind {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge, _) => ErrorKind::DiskFull,
        (_, Some(23 | 24)) => ErrorKind::Busy,
        _ => ErrorKind::Other,
    }
}

/// SQLite's primary result codes: 5 busy, 6 locked, 13 full.
fn database_kind(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::PoolTimedOut => ErrorKind::Busy,
        sqlx::Error::Io(source) => io_kind(source),
        sqlx::Error::Database(source) => match source.code().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff) {
            Some(5 | 6) => ErrorKind::Busy,
            Some(13) => ErrorKind::DiskFull,
            _ => ErrorKind::Other,
        },
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart() {
        let full = Error::file("write", "/x", io::Error::from_raw_os_error(28));
        assert_eq!(full.kind(), ErrorKind::DiskFull);
        assert_eq!(full.to_string(), "could not write /x");
        assert_eq!(Error::file("write", "/x", io::Error::from_raw_os_error(13)).kind(), ErrorKind::Other);
        assert_eq!(Error::file("open", "/x", io::Error::from_raw_os_error(24)).kind(), ErrorKind::Busy);
        assert_eq!(Error::Database(sqlx::Error::PoolTimedOut).kind(), ErrorKind::Busy);
    }

    #[test]
    fn a_long_value_is_shortened() {
        assert!(Error::row("tags", "tag", &"é".repeat(1000)).to_string().chars().count() < 150);
    }
}

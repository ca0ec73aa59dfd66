//! What can go wrong with a database of advisories or its sources.

use std::{io, path::PathBuf};

/// Each names the file it is about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A source that is neither a folder, nor a zip archive, nor JSON.
    #[error("{path} is no advisory source; give a folder, a zip archive or a JSON file in the OSV format")]
    NotASource {
        /// Which file.
        path: PathBuf,
    },
    /// A zip archive that cannot be read.
    #[error("the archive {path} cannot be read; fetch it again")]
    Archive {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: zip::result::ZipError,
    },
    /// A list of scores or of exploited vulnerabilities that is malformed.
    #[error("{path} is not the JSON it should be")]
    Json {
        /// Which file.
        path: PathBuf,
        /// Where it is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The name of a format for lists of packages is not one of ours.
    #[error("there is no list of packages in the format {asked:?}; use cyclonedx or spdx")]
    SbomFormat {
        /// As it was asked for.
        asked: String,
    },
    /// Not one usable advisory: an empty database would pass everything in silence.
    #[error("none of the sources has a usable advisory; a database without advisories would find nothing, so none is written")]
    Empty,
    /// A database that would take knowledge away.
    #[error(
        "the newest advisory of the new database is of {new}, that of the present one of {present}; if it shall be replaced all the same, give \
         --allow-older"
    )]
    Older {
        /// `newest` of the one that was offered.
        new: String,
        /// `newest` of the one that is there.
        present: String,
    },
    /// No database at all.
    #[error("{path} is not an advisory database; make one with: plimsoll advisories build SOURCE... -o FILE")]
    NotADatabase {
        /// Which file.
        path: PathBuf,
    },
    /// A database of another version of the format.
    #[error(
        "the advisory database {path} has format {found}, this program reads format {known}; build it again with this program's \
         own \"plimsoll advisories build\", or use the program that made it"
    )]
    Format {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// A database that is shorter or longer than it says, or whose parts do not read.
    #[error("the advisory database {path} is damaged ({what}); build it again or restore the former one")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

impl Error {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { action, path: path.into(), source }
    }
}

//! Advisories: compiled once ([`Builder`]) into an immutable file, opened ([`Database`]), and matched with packages ([`matches`]).

mod build;
mod database;
mod format;
mod install;
mod matching;
mod osv;
mod range;
#[cfg(test)]
mod tests;
mod unpack;

pub use build::Builder;
pub use database::Database;
pub use format::{Advisory, LeftOut, Meta, OneOf};
pub use install::{Installed, install};
pub use matching::{PRECEDENCE, SeveritySource, Vulnerability, matches};
pub use osv::LARGEST;
pub use range::{Interval, Until};

/// Type of a database as an artifact of a registry.
pub const ARTIFACT_TYPE: &str = "application/vnd.plimsoll.advisories.v1";

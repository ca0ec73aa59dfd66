//! Advisories: compiled once ([`Builder`]) into an immutable file, opened ([`Database`]), and matched with packages ([`matches`]).

mod build;
mod database;
mod format;
mod matching;
mod osv;
mod range;
#[cfg(test)]
mod tests;

pub use build::Builder;
pub use database::Database;
pub use format::{Advisory, LeftOut, Meta};
pub use matching::{PRECEDENCE, SeveritySource, Vulnerability, matches};
pub use osv::LARGEST;
pub use range::{Interval, Until};

//! What survives a restart: the database by noun, and blobs on disk. SQL and file layout live here and nowhere else;
//! rules of the domain do not.

pub mod blobs;
pub mod db;
pub mod error;
pub mod pushes;
pub mod repositories;
pub mod uploads;

pub use db::Db;
pub use error::{Error, ErrorKind};

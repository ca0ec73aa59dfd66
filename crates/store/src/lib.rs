//! What survives a restart: the database by noun, and blobs on disk. SQL and file layout live here and nowhere else;
//! rules of the domain do not.

pub mod accounts;
pub mod assets;
pub mod audit;
pub mod blobs;
pub mod build_life;
pub mod build_logs;
pub mod builds;
pub mod db;
pub mod engine_files;
pub mod engine_use;
pub mod engines;
pub mod error;
pub mod evidence;
pub mod garbage;
pub mod grouped;
pub mod held_tags;
pub mod inventories;
pub mod invitations;
pub mod jobs;
pub mod manifests;
pub mod pushes;
mod recent;
pub mod referrers;
pub mod repositories;
pub mod tasks;
pub mod tdos;
pub mod tokens;
pub mod unclaimed_pushes;
pub mod uploads;
pub mod usage;
pub mod waivers;

pub use db::{Db, RightsChange};
pub use error::{Error, ErrorKind};

//! The server: everything on one port. Here the parts are put together and started; what they do is in their own modules.

pub mod advisories;
pub mod app;
mod asset_files;
pub mod auth;
mod auto_approval;
pub mod clock;
pub mod config;
pub mod console;
mod control;
pub mod door;
mod engine_files;
mod engine_usage;
pub mod error;
mod fetch;
mod gate;
pub mod graphql;
pub mod http;
pub mod instances;
pub mod jobs;
pub mod keeper;
mod known;
mod listen;
pub mod ops;
pub mod pushed_image;
mod refused_body;
pub mod review_queue;
mod routes;
pub mod runs;
mod sbom;
pub mod served_report;
pub mod standing;
mod start;
mod task_ids;
mod task_work;
pub mod told;
mod tools;

pub use start::{Server, start};

#[cfg(test)]
mod tests;

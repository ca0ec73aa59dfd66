//! The words of the domain. Pure: no I/O, no async, no clock; whoever calls brings time and randomness.

pub mod build;
pub mod capability;
pub mod digest;
pub mod engine;
pub mod finding;
pub mod id;
pub mod manifest;
pub mod name;
pub mod network;
pub mod organization;
pub mod report;
pub mod run;
pub mod task;
pub mod waiver;

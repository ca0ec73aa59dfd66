//! The registry as its clients see it: over HTTP, on a real database and a real folder.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod chunks;
mod clients;
mod deletes;
mod discovery;
mod door;
mod garbage;
mod hostile;
mod house;
mod manifests;
mod pulls;
mod pushes;
mod quotas;
mod referrers;
mod restart;
mod rights;

//! The server as its clients see it, over all its routes: who may do what, and what a push is told.

mod api;
mod bad_input;
mod cells;
mod deploys;
mod door;
mod holdings;
mod journey;
mod lists;
mod permissions;
mod rights;
mod system_cells;
mod tasks;
mod throttling;
mod tokens;
mod tools;
mod waivers;
pub mod webhook_engine;
pub mod world;

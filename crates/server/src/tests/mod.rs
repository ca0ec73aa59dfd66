//! The server as its clients see it, over all its routes: who may do what, and what a push is told.

mod cells;
mod deploys;
mod door;
mod journey;
mod rights;
mod system_cells;
mod throttling;
mod tokens;
mod tools;
mod waivers;
pub mod webhook_engine;
pub mod world;

//! The server as its clients see it, over all its routes: who may do what, and what a push is told.

mod door;
mod rights;
mod throttling;
mod tokens;
mod tools;
mod waivers;
mod world;

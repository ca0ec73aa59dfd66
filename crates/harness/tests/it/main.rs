//! The harness against scripted engines: closures that serve real loopback sockets, and the example engines themselves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod api;
mod batch;
mod engine;
mod examples;
mod manner;
mod outcome;
mod webhook;

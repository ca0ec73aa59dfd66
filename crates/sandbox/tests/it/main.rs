//! Real containers on this machine. They need root and Debian's busybox-static, and fail without.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed expectation is how a test fails")]

mod contract;
mod doctor;
mod image;
mod isolation;
mod life;
mod limits;
mod network;
mod network_attempts;
mod network_declared;
mod program;
mod record;
mod support;

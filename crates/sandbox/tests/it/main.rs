//! Real containers on this machine. They need root and Debian's busybox-static, and fail without.

mod doctor;
mod image;
mod isolation;
mod life;
mod limits;
mod network;
mod program;
mod support;

//! The console as a browser sees it: requests in, pages out, with the real store behind.

mod live;
mod pages;
mod validate;
mod world;

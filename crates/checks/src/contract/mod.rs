//! The contracts an image has to keep, as rules over bytes: its manifest, the MIME types it names, the results it gives. Pure.

pub mod json;
pub mod manifest;
pub mod mime;
pub mod output;

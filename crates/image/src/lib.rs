//! An OCI image: where its blobs come from, what is in its layers, and how to lay it out on disk.
//!
//! The rule of this crate: everything read from an image is hostile. Nothing here runs it, nothing here reaches the network, every read has
//! a cap, and what is wrong with an image is told apart ([`ImageProblem`], [`LayerProblem`]) from what kept us from reading it ([`Error`]).

mod archive;
mod beneath;
mod cache;
mod caps;
mod config;
mod docker_archive;
mod error;
mod evidence;
mod extract;
mod header;
mod inflate;
mod inspection;
mod layer;
mod manifest;
mod member;
mod oci_layout;
mod owners;
pub mod pack;
mod path;
mod pax;
mod platform;
mod read_file;
mod source;
mod stored;
mod tar;
mod told;
mod tree;
mod unpack;

pub use cache::{LayerCache, Lease};
pub use caps::Caps;
pub use config::{ImageConfig, inspect as docker_inspect};
pub use error::{Error, ImageProblem, InspectError};
pub use evidence::{ANALYSER_VERSION, Compression, Entry, EntryKind, KeptFile, LayerEvidence, LayerProblem, WANTED, Wanted, by_path};
pub use inspection::{Inspection, inspect};
pub use layer::LayerReader;
pub use manifest::{Descriptor, ImageRef, select};
pub use platform::Platform;
pub use read_file::{FileContent, ReadFileError};
pub use source::{BlobSource, Opened, Transport, open};
pub use stored::StoredError;
pub use told::{Archive, GoBuild, Program, Told, merged};
pub use tree::{Node, ResolveError, Tree};

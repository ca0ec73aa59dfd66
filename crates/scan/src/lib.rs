//! What is in an image, and what is known to be wrong with it.
//!
//! [`inventory`] reads the packages out of the evidence of an image's layers; [`advisories`] compiles advisories into one immutable file and
//! matches packages against it. What is in an image never changes, what is known changes daily: an inventory is made once and matched any time.
//!
//! The rule of this crate: it reads and never fetches, and what it cannot read or compare is a [`Warning`], never a silent "nothing found".

pub mod advisories;
pub mod ecosystem;
pub mod error;
pub mod inventory;
pub mod kept;
pub mod rematch;
pub mod sbom;
pub mod severity;
pub mod version;

pub use advisories::{Database, Vulnerability};
pub use ecosystem::Ecosystem;
pub use error::Error;
pub use inventory::{Inventory, Package, Warning};
pub use severity::Severity;

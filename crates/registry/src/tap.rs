//! A second reader of every blob while it is stored. The registry does not know what taps do; the server has one that
//! analyses layers.

use std::sync::Arc;

use model::digest::Digest;

/// Sees the bytes of one upload, in order and each once.
pub trait Tap: Send {
    /// The next bytes. Runs where blocking is allowed.
    fn write(&mut self, chunk: &[u8]);

    /// The bytes are complete and their digest is compared. The blob becomes visible after this returns, so what is kept here is
    /// there when the first reader comes. Runs where blocking is allowed. Not called for a blob that was there already.
    fn finish(self: Box<Self>, digest: &Digest);
}

/// Makes the tap of a new upload.
pub type TapFactory = Arc<dyn Fn() -> Box<dyn Tap> + Send + Sync>;

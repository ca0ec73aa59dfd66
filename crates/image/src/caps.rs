//! How much of an untrusted image is read before it is refused. Every number is a cap, not an expectation.

/// Caps on what a layer may contain. The default fits every image seen in practice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Members of one layer.
    pub entries: u64,
    /// Bytes of all path names and link targets of one layer together; what keeps evidence small.
    pub names: u64,
    /// Bytes of one path or link target.
    pub path: usize,
    /// Components of one path.
    pub depth: usize,
    /// Bytes of one extended (pax) header or GNU long name.
    pub pax: u64,
    /// Bytes of one layer after decompression.
    pub uncompressed: u64,
    /// Decompressed bytes per compressed byte, looked at after [`Caps::ratio_after`].
    pub ratio: u64,
    /// Decompressed bytes from which on the ratio counts.
    pub ratio_after: u64,
    /// Problems kept per layer; further ones are only counted.
    pub problems: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            entries: 500_000,
            names: 128 << 20,
            path: 4096,
            depth: 255,
            pax: 64 << 10,
            uncompressed: 20 << 30,
            ratio: 1000,
            ratio_after: 64 << 20,
            problems: 100,
        }
    }
}

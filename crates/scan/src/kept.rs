//! A list of packages as it is kept.

use crate::Inventory;

/// Grows whenever an older program would misread it.
const FORM: u8 = 1;

impl Inventory {
    /// For keeping.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Writing plain data into memory has no way to fail.
        let mut bytes = vec![FORM];
        bytes.extend(postcard::to_stdvec(self).unwrap_or_default());
        bytes
    }

    /// What was kept; `None` when it is of another version or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        (*form == FORM).then(|| postcard::from_bytes(rest).ok())?
    }
}

/// For keeping: what was known.
pub fn pack_known(known: &[crate::rematch::Known]) -> Vec<u8> {
    let mut bytes = vec![FORM];
    bytes.extend(postcard::to_stdvec(known).unwrap_or_default());
    bytes
}

/// What was kept; `None` when it is of another version or damaged.
pub fn unpack_known(bytes: &[u8]) -> Option<Vec<crate::rematch::Known>> {
    let (form, rest) = bytes.split_first()?;
    (*form == FORM).then(|| postcard::from_bytes(rest).ok())?
}

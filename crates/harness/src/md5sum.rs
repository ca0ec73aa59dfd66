//! The MD5 sum that a client gives with a file: compared with what came, so that a file that was damaged on its way is not taken for a good one.

use md5::{Digest, Md5};

/// A sum that was given, and the one in the making beside it.
pub struct Md5Sum {
    given: String,
    made: Md5,
}

impl Md5Sum {
    /// Begins with what was given.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn given(text: &str) -> Result<Self, String> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("md5sum: 32 hexadecimal digits are expected, as the program md5sum prints them".to_owned());
        }
        Ok(Self { given: text.to_ascii_lowercase(), made: Md5::new() })
    }

    /// Adds a piece of the file.
    #[must_use]
    pub fn with(self, piece: &[u8]) -> Self {
        Self { made: self.made.chain_update(piece), ..self }
    }

    /// Compares the two.
    ///
    /// # Errors
    /// How they differ, in a sentence.
    pub fn check(self) -> Result<(), String> {
        let made: String = self.made.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if made == self.given {
            return Ok(());
        }
        Err(format!(
            "md5sum: the file that arrived has {made}, not {}; it was damaged on its way or is another one: send it again",
            self.given
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_compared_with_the_sum_that_was_given() {
        let sum = "900150983CD24FB0d6963f7d28e17f72";
        assert_eq!(Md5Sum::given(sum).unwrap().with(b"a").with(b"bc").check(), Ok(()));
        let told = Md5Sum::given(sum).unwrap().with(b"abd").check().unwrap_err();
        assert!(told.contains("4911e516e5aa21d327512e0c8b197616, not 900150983cd24fb0d6963f7d28e17f72"), "{told}");
        for wrong in ["", "900150983cd24fb0d6963f7d28e17f7", "kAFQmDzST7DWlj99KOF/cg==", "g00150983cd24fb0d6963f7d28e17f72"] {
            assert!(Md5Sum::given(wrong).is_err_and(|told| told.contains("32 hexadecimal")), "{wrong}");
        }
    }
}

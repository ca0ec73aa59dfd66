//! Addresses that are good for a while, for whoever has them: the address says until when, and a signature that we said so.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Signs and checks addresses.
pub struct Signatures {
    /// As long as a block of the hash.
    key: [u8; 64],
}

impl Signatures {
    /// With the key of this installation.
    pub fn new(key: &[u8; 32]) -> Self {
        // A key of its own, so that what is signed here is good for nothing else.
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&block(key).into());
        mac.update(b"plimsoll signed addresses");
        Self { key: block(&mac.finalize().into_bytes().into()) }
    }

    fn mac(&self, path: &str, until: i64) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&self.key.into());
        mac.update(&until.to_le_bytes());
        mac.update(path.as_bytes());
        mac
    }

    /// A path with its end, epoch milliseconds, and its signature.
    pub fn sign(&self, path: &str, until: i64) -> String {
        let signature = hex::encode(self.mac(path, until).finalize().into_bytes());
        format!("{path}?until={until}&signature={signature}")
    }

    /// Whether we signed this path until then, and it is not over.
    pub fn is_good(&self, path: &str, until: i64, signature: &str, now: i64) -> bool {
        let Ok(signature) = hex::decode(signature) else { return false };
        now < until && self.mac(path, until).verify_slice(&signature).is_ok()
    }
}

fn block(key: &[u8; 32]) -> [u8; 64] {
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_signed_address_can_be_changed() {
        let signatures = Signatures::new(&[7; 32]);
        let address = signatures.sign("/a", 1_000);
        let signature = address.split("signature=").nth(1).unwrap();
        assert!(signatures.is_good("/a", 1_000, signature, 999));
        for (path, until, signature, now) in [
            ("/a", 1_000, signature, 1_000),
            ("/b", 1_000, signature, 0),
            ("/a", 2_000, signature, 0),
            ("/a", 1_000, "", 0),
            ("/a", 1_000, "zz", 0),
        ] {
            assert!(!signatures.is_good(path, until, signature, now), "{path} {until} {signature} {now}");
        }
        assert!(!Signatures::new(&[8; 32]).is_good("/a", 1_000, signature, 0));
    }
}

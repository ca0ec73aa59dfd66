//! Token and ids of one run, all derived from its seed: unguessable for the engine, the same again for a test.

use model::digest::Digest;

/// Letters and digits, as the ids of tasks use them.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Makes ids; each `label` and `number` gives another one.
#[derive(Clone)]
pub(crate) struct Ids {
    seed: [u8; 32],
}

impl Ids {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed }
    }

    /// 64 hex characters.
    pub(crate) fn secret(&self, label: &str, number: usize) -> String {
        let text = format!("{} {label} {number}", Digest::from_sha256(self.seed).hex());
        Digest::of(text.as_bytes()).hex().to_owned()
    }

    /// `length` (at most 32) letters and digits.
    pub(crate) fn letters(&self, label: &str, number: usize, length: usize) -> String {
        let secret = self.secret(label, number);
        let pairs = secret.as_bytes().chunks_exact(2).take(length);
        pairs
            .filter_map(|pair| LETTERS.get(usize::from(pair[0]).wrapping_mul(31).wrapping_add(usize::from(pair[1])) % LETTERS.len()))
            .map(|&b| char::from(b))
            .collect()
    }

    /// A decimal number of `length` (at most 18) digits.
    pub(crate) fn digits(&self, label: &str, number: usize, length: usize) -> String {
        let secret = self.secret(label, number);
        let digit = |(index, byte): (usize, u8)| char::from(b'0' + if index == 0 { 1 + byte % 9 } else { byte % 10 });
        secret.bytes().step_by(2).take(length).enumerate().map(digit).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_differ_by_seed_label_and_number_and_have_their_forms() {
        let (a, b) = (Ids::new([1; 32]), Ids::new([2; 32]));
        let secrets = [a.secret("token", 1), a.secret("token", 2), a.secret("file", 1), b.secret("token", 1)];
        assert_eq!(secrets.iter().collect::<BTreeSet<_>>().len(), 4);
        assert_eq!(a.secret("token", 1), secrets[0]);
        let letters = a.letters("job", 1, 10);
        assert!(letters.len() == 10 && letters.bytes().all(|b| b.is_ascii_alphanumeric()), "{letters}");
        let digits = a.digits("tdo", 1, 9);
        assert!(digits.len() == 9 && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()), "{digits}");
        let many: BTreeSet<String> = (0..500).map(|n| a.letters("task", n, 6)).collect();
        assert!(many.len() > 495, "{}", many.len());
    }
}
